"""Granting and taking roles: the only door to the grants, and every change is an audit event."""

import uuid
from collections.abc import Collection
from datetime import datetime

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.db import transaction

from audits import trail
from audits.actions import Action
from audits.context import Actor
from flags import permissions
from flags.errors import NotFound, OwnGrant
from flags.models import Environment, EnvironmentUserGrant
from flags.permissions import ROLE_PERMISSION, Role
from flags.services.attempts import attempted
from flags.services.keys import checked_text
from flags.services.locks import lock_environment
from flags.services.tickets import governed_write


@attempted
def set_roles(
    user_id: uuid.UUID, environment_id: uuid.UUID, *, roles: Collection[Role], actor: Actor, now: datetime, reason: str
) -> set[Role]:
    """Give a person exactly `roles` in an environment and return them; an empty collection takes every right away.

    Every role brings the right to look. Needs the role administrator there and a reason. Nobody gives himself a role
    while somebody else could: only the sole administrator of a young installation may.
    Raises PermissionMissing, InvalidInput, NotFound. A call that changes nothing records nothing.
    """
    reason = checked_text(reason, field="reason", longest=4000, required=True)
    wanted = {Role(role) for role in roles}
    if wanted:
        wanted.add(Role.VIEWER)
    with transaction.atomic():
        environment = lock_environment(environment_id)
        permissions.require(actor, permissions.ADMINISTER, environment)
        person = get_user_model().objects.filter(pk=user_id).first()
        if person is None:
            raise NotFound("This person does not exist.", user_id=str(user_id))
        held = permissions.roles_of(person, environment)
        if held == wanted:
            return wanted
        if wanted - held:
            _refuse_own_gain(actor, person.pk, environment)
        with governed_write(environment.pk):
            _grant(person.pk, environment, wanted - held)
            _take(person.pk, environment, held - wanted)
        trail.record(
            Action.ROLE_CHANGED,
            actor=actor,
            target=trail.Target("person", str(person.pk), ""),
            now=now,
            project_id=environment.project_id,
            project_key=environment.project.key,
            environment_key=environment.key,
            reason=reason,
            data={
                "given": sorted(role.value for role in wanted - held),
                "taken": sorted(role.value for role in held - wanted),
                "roles": sorted(role.value for role in wanted),
            },
        )
    return wanted


def _refuse_own_gain(actor: Actor, user_id: uuid.UUID, environment: Environment) -> None:
    if actor.id != str(user_id):
        return
    superusers = get_user_model().objects.filter(is_active=True, is_superuser=True)
    others = [*permissions.people_with(environment, permissions.ADMINISTER), *superusers]
    names = sorted({str(other.get_full_name() or other.get_username()) for other in others if other.pk != user_id})
    if names:
        raise OwnGrant(
            f"Nobody gives himself a role in {environment.name}. Ask an administrator: {', '.join(names[:5])}.",
            environment=environment.key,
        )


def _codenames(roles: Collection[Role]) -> list[str]:
    return [ROLE_PERMISSION[role].removeprefix("flags.") for role in roles]


def _grant(user_id: uuid.UUID, environment: Environment, roles: Collection[Role]) -> None:
    content_type = ContentType.objects.get_for_model(Environment)
    for permission in Permission.objects.filter(content_type=content_type, codename__in=_codenames(roles)):
        EnvironmentUserGrant.objects.create(user_id=user_id, permission=permission, content_object=environment)


def _take(user_id: uuid.UUID, environment: Environment, roles: Collection[Role]) -> None:
    EnvironmentUserGrant.objects.filter(
        user_id=user_id, content_object=environment, permission__codename__in=_codenames(roles)
    ).delete()
