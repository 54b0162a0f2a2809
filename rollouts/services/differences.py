"""Saying that two environments differ on purpose, and taking it back."""

import uuid
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth import get_user_model

from audits import trail
from audits.actions import Action
from audits.context import Actor
from flags import permissions
from flags.aspects import Aspect
from flags.errors import NotFound
from flags.models import Environment, Flag, Project
from flags.services.attempts import attempt
from flags.services.keys import problem
from flags.services.tickets import governed_write
from rollouts.errors import ConcurrentUpdate
from rollouts.models import IntendedDifference
from rollouts.services.checks import checked_prose
from rollouts.services.writing import require_person

LONGEST = timedelta(days=366)
SAYERS = (permissions.PROPOSE, permissions.APPLY, permissions.ADMINISTER)


def intend_difference(
    flag_id: uuid.UUID,
    environment_ids: tuple[uuid.UUID, uuid.UUID],
    *,
    aspects: Collection[str],
    owner_id: uuid.UUID | str,
    reason: str,
    expires_at: datetime,
    actor: Actor,
    now: datetime,
) -> IntendedDifference:
    """Note that aspects of a flag differ in two environments on purpose; nothing that is served changes.

    Takes the role editor, release manager or administrator in the environment closer to customers, and an owner who may
    look at both. Raises PermissionMissing, InvalidInput, NotFound.
    """

    def act() -> IntendedDifference:
        flag, pair = _locked(flag_id, environment_ids)
        permissions.require_any(actor, SAYERS, pair[1])
        row = IntendedDifference(
            project=flag.project,
            flag=flag,
            upstream=pair[0],
            downstream=pair[1],
            aspects=_checked_aspects(aspects),
            owner=_checked_owner(owner_id, pair),
            reason=checked_prose(reason, field="reason", required=True),
            created_by_id=require_person(actor),
            created_at=now,
            expires_at=_checked_end(expires_at, now=now),
        )
        with governed_write(flag.project_id):
            row.save(force_insert=True)
        _record(Action.DIFFERENCE_INTENDED, row, actor=actor, now=now, reason=row.reason)
        return row

    return attempt(act)


def end_difference(difference_id: uuid.UUID, *, actor: Actor, reason: str, now: datetime) -> IntendedDifference:
    """Say that a difference is not intended any longer; one that has ended comes back as it is.

    Its owner may, and whoever may note one. Raises PermissionMissing, NotFound, InvalidInput.
    """

    def act() -> IntendedDifference:
        rows = IntendedDifference.objects.select_related("flag__project", "upstream", "downstream", "project")
        row = rows.filter(pk=difference_id).first()
        if row is None:
            raise NotFound("This difference is not in the list. It may have been mistyped.")
        person = require_person(actor)
        is_owner = str(person) == str(row.owner_id) and permissions.holds(actor, permissions.VIEW, row.downstream)
        if not is_owner:
            permissions.require_any(actor, SAYERS, row.downstream)
        why = checked_prose(reason, field="reason")
        if row.ended_at is not None:
            return row
        with governed_write(row.project_id):
            unended = IntendedDifference.objects.filter(pk=row.pk, ended_at=None)
            written = unended.update(ended_at=now, ended_by_id=person)
        if written != 1:
            raise ConcurrentUpdate("Somebody else ended this at the same moment. Reload the page.")
        row.ended_at, row.ended_by_id = now, person
        _record(Action.DIFFERENCE_ENDED, row, actor=actor, now=now, reason=why)
        return row

    return attempt(act)


def _locked(
    flag_id: uuid.UUID, environment_ids: tuple[uuid.UUID, uuid.UUID]
) -> tuple[Flag, tuple[Environment, Environment]]:
    """The flag, and the two environments in their order, all of one project, which is locked."""
    flag = Flag.objects.select_related("project").filter(pk=flag_id).first()
    if flag is None:
        raise NotFound("This flag does not exist. It may have been mistyped.", flag_id=str(flag_id))
    Project.objects.select_for_update(of=("self",), no_key=True).get(pk=flag.project_id)
    rows = Environment.objects.filter(project=flag.project_id, pk__in=environment_ids).order_by("position", "key")
    pair = list(rows)
    if len(pair) != len(environment_ids):
        raise problem("environments", "Choose two different environments of the flag’s project.")
    return flag, (pair[0], pair[1])


def _checked_aspects(aspects: Collection[str]) -> list[str]:
    known = [aspect.value for aspect in Aspect if aspect.value in aspects]
    if not known or len(known) != len(set(aspects)):
        raise problem("aspects", "Choose what differs on purpose.")
    return known


def _checked_owner(owner_id: uuid.UUID | str, pair: tuple[Environment, Environment]) -> Any:
    try:
        owner = get_user_model().objects.filter(pk=uuid.UUID(str(owner_id)), is_active=True).first()
    except ValueError:
        owner = None
    if owner is None or not all(permissions.user_holds(owner, permissions.VIEW, one) for one in pair):
        raise problem("owner", f"Choose somebody with a role in {pair[0].name} and {pair[1].name}.")
    return owner


def _checked_end(expires_at: datetime, *, now: datetime) -> datetime:
    if expires_at.utcoffset() is None or not now < expires_at <= now + LONGEST:
        raise problem("expires_at", "Choose a day within the next year; somebody looks at it again then.")
    return expires_at


def _record(action: Action, row: IntendedDifference, *, actor: Actor, now: datetime, reason: str) -> None:
    trail.record(
        action,
        actor=actor,
        target=trail.Target("flag", str(row.flag_id), row.flag.key),
        now=now,
        project_id=row.project_id,
        project_key=row.project.key,
        environment_key=row.downstream.key,
        reason=reason,
        data={
            "difference_id": str(row.pk),
            "upstream": row.upstream.key,
            "aspects": row.aspects,
            "owner_id": str(row.owner_id),
            "expires_at": row.expires_at.isoformat(),
        },
    )
