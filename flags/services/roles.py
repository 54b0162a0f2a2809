"""Giving and taking roles: the only door to the grants, and every change is an audit event.

A role grant says who was given which role and until when. The rows of permissions that checks read follow from the
grants of a person in an environment, and are written here alone.
"""

import uuid
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.db import transaction

from audits import trail
from audits.actions import Action
from audits.context import Actor
from flags import permissions
from flags.errors import NotFound, OwnGrant
from flags.models import CustomRole, Environment, EnvironmentUserGrant, RoleGrant
from flags.permissions import Role
from flags.selectors.grants import codenames_of
from flags.services.attempts import attempted
from flags.services.keys import checked_text, problem
from flags.services.locks import lock_environment
from flags.services.tickets import governed_write

LONGEST_GRANT = timedelta(days=3 * 366)
SYSTEM = Actor.system("rollouts.end_roles")


@attempted
def set_roles(
    user_id: uuid.UUID, environment_id: uuid.UUID, *, roles: Collection[Role], actor: Actor, now: datetime, reason: str
) -> set[Role]:
    """Give a person exactly these built-in roles in an environment and return them; without any, every right is gone.

    Roles that are held already stay as they were given; new ones have no end. Every role brings the right to look.
    Needs the role administrator there and a reason. Nobody gives himself a role while somebody else could: only the
    sole administrator of a young installation may. Raises PermissionMissing, InvalidInput, NotFound, OwnGrant. A call
    that changes nothing records nothing.
    """
    reason = checked_text(reason, field="reason", longest=4000, required=True)
    wanted = {Role(role) for role in roles}
    if wanted:
        wanted.add(Role.VIEWER)
    with transaction.atomic():
        environment, person = _locked(environment_id, user_id, actor)
        _close_ended(person.pk, environment, now=now)
        present = _open_grants(person.pk, environment)
        held = {Role(grant.role): grant for grant in present if grant.role}
        given = wanted - held.keys()
        taken = [grant for grant in present if not wanted or (grant.role and Role(grant.role) not in wanted)]
        if given:
            _refuse_own_gain(actor, person.pk, environment)
        if not given and not taken:
            return wanted
        _close(taken, actor=actor, now=now)
        for role in sorted(given):
            _give(person.pk, environment, role, None, actor=actor, reason=reason, now=now)
        follow_grants(person.pk, environment)
        _record(
            environment,
            person.pk,
            actor=actor,
            now=now,
            reason=reason,
            given=[role.value for role in given],
            taken=[_name_of(grant) for grant in taken],
        )
    return wanted


@attempted
def give_role(
    user_id: uuid.UUID,
    environment_id: uuid.UUID,
    *,
    role: Role | uuid.UUID,
    ends_at: datetime | None,
    actor: Actor,
    now: datetime,
    reason: str,
) -> RoleGrant:
    """Give a person one role, built in or custom (its id), until `ends_at`, or without end; another end replaces it.

    The right is gone at that instant by the clock, whatever runs then. Rules and errors are those of `set_roles`.
    """
    reason = checked_text(reason, field="reason", longest=4000, required=True)
    _check_end(ends_at, now)
    with transaction.atomic():
        environment, person = _locked(environment_id, user_id, actor)
        _close_ended(person.pk, environment, now=now)
        chosen = role if isinstance(role, Role) else _custom_role(role, environment)
        present = [grant for grant in _open_grants(person.pk, environment) if _is_of(grant, chosen)]
        if present and present[0].ends_at == ends_at:
            return present[0]
        if not present or _is_later(ends_at, present[0].ends_at):
            _refuse_own_gain(actor, person.pk, environment)
        _close(present, actor=actor, now=now)
        grant = _give(person.pk, environment, chosen, ends_at, actor=actor, reason=reason, now=now)
        follow_grants(person.pk, environment)
        _record(
            environment,
            person.pk,
            actor=actor,
            now=now,
            reason=reason,
            given=[_name_of(grant)],
            taken=[],
            ends_at=ends_at.isoformat() if ends_at else None,
        )
    return grant


@attempted
def take_role(grant_id: uuid.UUID, *, actor: Actor, now: datetime, reason: str) -> None:
    """Take one role back before it ends. Needs the role administrator and a reason. Raises as `set_roles` does."""
    reason = checked_text(reason, field="reason", longest=4000, required=True)
    found = RoleGrant.objects.filter(pk=grant_id).first()
    if found is None:
        raise NotFound("This role was not given. The page may be older than the roles on it.")
    with transaction.atomic():
        environment, person = _locked(found.environment_id, found.person_id, actor)
        _close_ended(person.pk, environment, now=now)
        grants = [grant for grant in _open_grants(person.pk, environment) if grant.pk == grant_id]
        if not grants:
            return
        _close(grants, actor=actor, now=now)
        follow_grants(person.pk, environment)
        _record(
            environment,
            person.pk,
            actor=actor,
            now=now,
            reason=reason,
            given=[],
            taken=[_name_of(grant) for grant in grants],
        )


@attempted
def end_role_if_due(grant_id: uuid.UUID, *, now: datetime) -> bool:
    """Close a grant that has ended, remove the rows that followed from it and record it; whether this call did."""
    found = RoleGrant.objects.filter(pk=grant_id).first()
    if found is None:
        return False
    with transaction.atomic():
        environment = lock_environment(found.environment_id)
        return grant_id in _close_ended(found.person_id, environment, now=now)


def follow_grants(person_id: uuid.UUID, environment: Environment) -> None:
    """Make the rows of permissions what the open grants of a person in an environment bring.

    The environment has to be locked by the caller. A permission lasts as long as the longest grant that brings it.
    """
    wanted = _permissions_of(_open_grants(person_id, environment))
    rows = EnvironmentUserGrant.every.filter(user_id=person_id, content_object=environment)
    present = {row.permission.codename: row for row in rows.select_related("permission")}
    moved = [row for codename, row in present.items() if codename in wanted and row.ends_at != wanted[codename]]
    new = wanted.keys() - present.keys()
    with governed_write(environment.pk):
        rows.exclude(permission__codename__in=wanted).delete()
        for row in moved:
            rows.filter(pk=row.pk).update(ends_at=wanted[row.permission.codename])
        for permission in _permission_rows(new):
            EnvironmentUserGrant.every.create(
                user_id=person_id,
                permission=permission,
                content_object=environment,
                ends_at=wanted[permission.codename],
            )


def _permissions_of(grants: Iterable[RoleGrant]) -> dict[str, datetime | None]:
    """Codename of each permission with the instant at which the last grant that brings it ends; None: never."""
    ends: dict[str, datetime | None] = {}
    for grant in grants:
        for codename in {*codenames_of(grant), permissions.VIEW.removeprefix("flags.")}:
            known = codename in ends
            ends[codename] = _later(ends[codename], grant.ends_at) if known else grant.ends_at
    return ends


def _later(first: datetime | None, second: datetime | None) -> datetime | None:
    return None if first is None or second is None else max(first, second)


def _is_later(first: datetime | None, second: datetime | None) -> bool:
    return second is not None and (first is None or first > second)


def _locked(environment_id: uuid.UUID, user_id: uuid.UUID, actor: Actor) -> tuple[Environment, Any]:
    """The environment, locked, and the person. Raises PermissionMissing for whoever does not administer it."""
    environment = lock_environment(environment_id)
    permissions.require(actor, permissions.ADMINISTER, environment)
    person = get_user_model().objects.filter(pk=user_id).first()
    if person is None:
        raise NotFound("This person does not exist.", user_id=str(user_id))
    return environment, person


def _custom_role(role_id: uuid.UUID, environment: Environment) -> CustomRole:
    role = CustomRole.objects.filter(pk=role_id, project=environment.project_id).first()
    if role is None:
        raise NotFound(f"{environment.project.name} has no such role. Choose one of its roles.", role_id=str(role_id))
    return role


def _check_end(ends_at: datetime | None, now: datetime) -> None:
    if ends_at is None:
        return
    if ends_at.utcoffset() is None:
        raise problem("ends_at", "Say in which time zone the end is meant.")
    if ends_at <= now:
        raise problem("ends_at", "This time has passed. Choose a later end, or none.")
    if ends_at - now > LONGEST_GRANT:
        raise problem("ends_at", "Choose an end within the next three years, or none.")


def _open_grants(person_id: uuid.UUID, environment: Environment) -> list[RoleGrant]:
    rows = RoleGrant.objects.filter(person=person_id, environment=environment, closed_at=None)
    return list(rows.select_related("custom_role").order_by("starts_at", "pk"))


def _is_of(grant: RoleGrant, role: Role | CustomRole) -> bool:
    return grant.role == role.value if isinstance(role, Role) else grant.custom_role_id == role.pk


def _name_of(grant: RoleGrant) -> str:
    return grant.custom_role.key if grant.custom_role else grant.role


def _give(
    person_id: uuid.UUID,
    environment: Environment,
    role: Role | CustomRole,
    ends_at: datetime | None,
    *,
    actor: Actor,
    reason: str,
    now: datetime,
) -> RoleGrant:
    giver: Any = permissions.person_of(actor)
    grant = RoleGrant(
        person_id=person_id,
        environment=environment,
        role=role.value if isinstance(role, Role) else "",
        custom_role=None if isinstance(role, Role) else role,
        given_by=giver,
        reason=reason,
        starts_at=now,
        ends_at=ends_at,
    )
    with governed_write(environment.pk):
        grant.save(force_insert=True)
    return grant


def _close(grants: Collection[RoleGrant], *, actor: Actor, now: datetime) -> None:
    person = permissions.person_of(actor)
    for grant in grants:
        with governed_write(grant.environment_id):
            RoleGrant.objects.filter(pk=grant.pk, closed_at=None).update(closed_at=now, closed_by=person)


def _close_ended(person_id: uuid.UUID, environment: Environment, *, now: datetime) -> list[uuid.UUID]:
    """Close what has ended by `now`, one event for each; the environment has to be locked by the caller."""
    ended = [grant for grant in _open_grants(person_id, environment) if grant.ends_at and grant.ends_at <= now]
    if not ended:
        return []
    _close(ended, actor=SYSTEM, now=now)
    follow_grants(person_id, environment)
    for grant in ended:
        trail.record(
            Action.ROLE_ENDED,
            actor=SYSTEM,
            target=trail.Target("person", str(person_id), ""),
            now=now,
            project_id=environment.project_id,
            project_key=environment.project.key,
            environment_key=environment.key,
            data={"role": _name_of(grant), "grant_id": str(grant.pk), "ended_at": str(grant.ends_at)},
        )
    return [grant.pk for grant in ended]


def _record(
    environment: Environment,
    person_id: uuid.UUID,
    *,
    actor: Actor,
    now: datetime,
    reason: str,
    given: Collection[str],
    taken: Collection[str],
    **data: Any,
) -> None:
    trail.record(
        Action.ROLE_CHANGED,
        actor=actor,
        target=trail.Target("person", str(person_id), ""),
        now=now,
        project_id=environment.project_id,
        project_key=environment.project.key,
        environment_key=environment.key,
        reason=reason,
        data={
            "given": sorted(given),
            "taken": sorted(taken),
            "roles": sorted(_name_of(grant) for grant in _open_grants(person_id, environment)),
            **data,
        },
    )


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


def _permission_rows(codenames: Iterable[str]) -> Iterable[Permission]:
    content_type = ContentType.objects.get_for_model(Environment)
    return Permission.objects.filter(content_type=content_type, codename__in=list(codenames))
