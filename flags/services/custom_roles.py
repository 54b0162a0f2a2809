"""Custom roles: named sets of permissions. What a role brings is what its holders may do, at once."""

import uuid
from collections.abc import Collection
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction

from audits import trail
from audits.actions import Action
from audits.context import Actor
from flags.errors import AlreadyExists, NotFound, OwnGrant
from flags.models import CustomRole, Environment, Project, RoleGrant
from flags.permissions import PERMISSION_ROLE
from flags.services.administering import administered_project, require_everywhere
from flags.services.attempts import attempted
from flags.services.keys import checked_key, checked_text, problem
from flags.services.roles import follow_grants
from flags.services.tickets import governed_write
from flags.settings_authority import ALONE, SettingChange, SettingsAuthority, SoleAct

RELIED_ON = "a custom role can be given there"
CODENAMES = tuple(name.removeprefix("flags.") for name in PERMISSION_ROLE)


@attempted
def create_custom_role(
    project_id: uuid.UUID,
    *,
    actor: Actor,
    key: str,
    name: str,
    description: str = "",
    permissions: Collection[str],
    reason: str,
    now: datetime,
) -> CustomRole:
    """Create a role that nobody holds yet. Needs the role administrator in every protected environment of the project.

    `permissions` are codenames without the app. Raises PermissionMissing, InvalidInput, NotFound, AlreadyExists.
    """
    reason = checked_text(reason, field="reason", longest=4000, required=True)
    facts = checked_role(name=name, description=description, permissions=permissions)
    role = CustomRole(key=checked_key(key, what="role", longest=60), created_at=now, updated_at=now, **facts)
    with transaction.atomic():
        role.project = _administered(project_id, actor)
        _save(role)
        _record(role, actor=actor, now=now, reason=reason, before=None, after=facts)
    return role


@attempted
def change_custom_role(
    role_id: uuid.UUID,
    *,
    actor: Actor,
    name: str,
    description: str,
    permissions: Collection[str],
    reason: str,
    now: datetime,
    authority: SettingsAuthority = ALONE,
) -> CustomRole:
    """Change a role and, with it, what everybody who holds it may do.

    A permission more for somebody in a protected environment takes two people. Nobody widens a role of his own alone.
    Raises PermissionMissing, InvalidInput, NotFound, AlreadyExists, OwnGrant, SecondPersonNeeded. A call that changes
    nothing records nothing.
    """
    reason = checked_text(reason, field="reason", longest=4000, required=True)
    after = checked_role(name=name, description=description, permissions=permissions)
    with transaction.atomic():
        role = CustomRole.objects.select_related("project").filter(pk=role_id).first()
        if role is None:
            raise NotFound("This role does not exist.", role_id=str(role_id))
        _lock_environments(role.project)
        role = CustomRole.objects.select_for_update(of=("self",), no_key=True).select_related("project").get(pk=role.pk)
        _administered(role.project_id, actor)
        before = role_facts(role)
        if before == after:
            return role
        grants = list(RoleGrant.objects.filter(custom_role=role, closed_at=None).select_related("environment"))
        _check_widening(role, before, after, grants, actor=actor, authority=authority)
        role.name, role.description, role.permissions = after["name"], after["description"], after["permissions"]
        role.updated_at = now
        _save(role)
        for grant in grants:
            follow_grants(grant.person_id, grant.environment)
        _record(role, actor=actor, now=now, reason=reason, before=before, after=after, **authority.evidence())
    return role


def checked_role(*, name: Any, description: Any, permissions: Collection[str]) -> dict[str, Any]:
    """What a role is, in normal form: every role brings the right to look. Raises InvalidInput."""
    unknown = sorted(set(permissions) - set(CODENAMES))
    if unknown or not permissions:
        raise problem("permissions", "Choose at least one of the permissions that a role can bring.")
    chosen = {*permissions, "view_environment"}
    return {
        "name": checked_text(name, field="name", longest=60, required=True),
        "description": checked_text(description, field="description", longest=200),
        "permissions": [codename for codename in CODENAMES if codename in chosen],
    }


def role_facts(role: CustomRole) -> dict[str, Any]:
    """What a role is, as proposals and the audit trail keep it."""
    return {"name": role.name, "description": role.description, "permissions": list(role.permissions)}


def _check_widening(
    role: CustomRole,
    before: dict[str, Any],
    after: dict[str, Any],
    grants: Collection[RoleGrant],
    *,
    actor: Actor,
    authority: SettingsAuthority,
) -> None:
    is_wider = not set(after["permissions"]) <= set(before["permissions"])
    if is_wider and isinstance(authority, SoleAct) and any(str(grant.person_id) == actor.id for grant in grants):
        raise OwnGrant(f"You hold the role {role.name}, so another administrator has to widen it. Ask one.")
    change = SettingChange(
        kind="custom_role", project_id=str(role.project_id), subject=role.key, before=before, after=after
    )
    authority.check(change, is_looser=is_wider and any(grant.environment.is_guarded for grant in grants))


def _administered(project_id: uuid.UUID, actor: Actor) -> Project:
    project = administered_project(project_id, actor, "to change roles")
    require_everywhere(project, actor, RELIED_ON, "to change the role")
    return project


def _lock_environments(project: Project) -> None:
    """All of the project's environments, in one order and before the audit chain, as every other writer does."""
    rows = Environment.objects.select_for_update(of=("self",), no_key=True).filter(project=project)
    list(rows.order_by("pk").values_list("pk"))


def _save(role: CustomRole) -> None:
    try:
        with transaction.atomic(), governed_write(role.project_id):
            role.save()
    except IntegrityError as error:
        raise AlreadyExists(
            f"{role.project.name} has a role with this key or name already. Choose another one."
        ) from error


def _record(
    role: CustomRole,
    *,
    actor: Actor,
    now: datetime,
    reason: str,
    before: dict[str, Any] | None,
    after: dict[str, Any],
    **evidence: object,
) -> None:
    trail.record(
        Action.CUSTOM_ROLE_CHANGED,
        actor=actor,
        target=trail.Target("custom_role", str(role.pk), role.name),
        now=now,
        project_id=role.project_id,
        project_key=role.project.key,
        reason=reason,
        data={"before": before, "after": after, **evidence},
    )
