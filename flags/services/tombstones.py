"""Keys of archived flags: kept back while somebody uses them, let go by two people, and given to a new flag.

A flag that gave its key away stays with its history; what it served is deleted, which nobody was served any more.
"""

import uuid
from datetime import datetime
from typing import Any, Protocol

from django.db import connection

from audits import trail
from audits.actions import Action
from audits.context import Actor
from flags import permissions
from flags.errors import AlreadyExists, KeyKeptBack, NotFound, PermissionMissing
from flags.lifecycle.nearest import plain_key
from flags.models import Environment, Flag, FlagConfig, Tombstone
from flags.selectors.tombstones import kept_back, lacking_for_release, people_who_release, tombstone_of
from flags.services.attempts import attempted
from flags.services.keys import checked_text
from flags.services.locks import lock_environments
from flags.services.retirement import lock_flags
from flags.services.tickets import governed_write

UNUSED = "Nobody used the flag for 30 days and no code names it."
MOST_PEOPLE = 5


class Hold(Protocol):
    """What of an app above this one still stands on a flag, as parts of a sentence: “request 12”."""

    def __call__(self, flag: Flag) -> list[str]:
        """Names of what would lose its ground if the key went to another flag."""


_holds: dict[str, Hold] = {}


def register_hold(name: str, hold: Hold) -> None:
    """Ask `hold` before a key goes to another flag from now on; a hold of the same name is replaced."""
    _holds[name] = hold


@attempted
def override_tombstone(tombstone_id: uuid.UUID, *, actor: Actor, reason: str, now: datetime) -> Tombstone:
    """Let the key of an archived flag go although it may still be used. Somebody else then makes the new flag.

    Needs the role approver or administrator in every protected environment of the project. Raises NotFound,
    PermissionMissing, InvalidInput, and AlreadyExists where the flag was revived or the key let go before.
    """
    reason = checked_text(reason, field="reason", longest=4000, required=True)
    tombstone = Tombstone.objects.select_related("project").filter(pk=tombstone_id).first()
    if tombstone is None:
        raise NotFound("This key is not kept back.", tombstone_id=str(tombstone_id))
    _require_release(tombstone, actor)
    flag = _locked(tombstone)
    found = kept_back(flag, now=now)
    _release(tombstone, actor=actor, now=now, reason=reason)
    trail.record(
        Action.TOMBSTONE_RELEASED,
        actor=actor,
        target=trail.Target("flag", str(flag.pk), flag.key),
        now=now,
        project_id=tombstone.project_id,
        project_key=tombstone.project.key,
        flag_key=flag.key,
        reason=reason,
        data={
            "lifecycle": tombstone.lifecycle,
            "services": sorted({use.service for use in found.uses}),
            "references": len(found.references),
        },
    )
    return tombstone


def free_key(flag: Flag, *, actor: Actor, now: datetime) -> None:
    """Take the key from an archived flag, so that a new one can have it. The environments are locked by the caller.

    Raises AlreadyExists for a flag that is not archived, KeyKeptBack while its key is used and nobody else let it go.
    """
    if flag.archived_at is None:
        raise AlreadyExists(
            f"{flag.project.name} has a flag with the key {flag.key} already. Choose another key for the new one."
        )
    _refuse_held(flag)
    tombstone = tombstone_of(flag)
    if tombstone is not None and tombstone.released_at is None:
        _refuse_used(flag, now=now)
        _release(tombstone, actor=actor, now=now, reason=UNUSED)
    elif tombstone is not None:
        _refuse_own_release(tombstone, actor)
    _replace(flag, actor=actor, now=now)


def refuse_alike(flag: Flag, *, actor: Actor, now: datetime) -> None:
    """Refuse a new flag whose key differs in capitals, dots, dashes or underscores alone from one that is kept back:
    who still means the archived flag would take this one for it. The environments are locked by the caller.

    Raises KeyKeptBack.
    """
    archived = Flag.objects.filter(project=flag.project_id, archived_at__isnull=False).exclude(key=flag.key)
    for pk, key in archived.order_by("key").values_list("pk", "key"):
        if plain_key(key) != plain_key(flag.key):
            continue
        earlier = Flag.objects.select_related("project").get(pk=pk)
        tombstone = tombstone_of(earlier)
        if tombstone is not None and tombstone.released_at is None:
            _refuse_used(earlier, now=now, alike=flag.key)
        elif tombstone is not None:
            _refuse_own_release(tombstone, actor)


def _refuse_own_release(tombstone: Tombstone, actor: Actor) -> None:
    if str(tombstone.released_by_id) == actor.id:
        raise KeyKeptBack(
            f"You let the key {tombstone.key} go yourself, so somebody else makes the new flag. Ask another editor.",
            key=tombstone.key,
        )


def _refuse_used(flag: Flag, *, now: datetime, alike: str = "") -> None:
    found = kept_back(flag, now=now)
    if not found:
        return
    names = [person.get_full_name() or person.get_username() for person in people_who_release(flag.project)]
    who = ", ".join(names[:MOST_PEOPLE]) or "an approver or administrator"
    lead = f"The key {alike} is written almost like {flag.key}. " if alike else ""
    danger = "would be taken for it" if alike else "of this key would answer them"
    raise KeyKeptBack(
        f"{lead}The key {flag.key} belonged to {flag.name}, which was archived on {flag.archived_at:%d %B %Y}. "
        f"{' '.join(found.sentences)} A new flag {danger}. Choose another key, wait until nobody "
        f"asked for 30 days and no code names it, or ask {who} to let it go.",
        key=flag.key,
        services=[{"service": use.service, "last_at": use.last_at.isoformat()} for use in found.uses],
        references=[{"path": row.path, "line": row.line} for row in found.references[:50]],
    )


def _refuse_held(flag: Flag) -> None:
    held = sorted({name for hold in _holds.values() for name in hold(flag)})
    if held:
        raise KeyKeptBack(
            f"{', '.join(held)} still {'names' if len(held) == 1 else 'name'} the archived flag {flag.key} and would "
            "come to be about the new one. End or withdraw it first.",
            key=flag.key,
        )


def _replace(flag: Flag, *, actor: Actor, now: datetime) -> None:
    """Its configs go, which are archived all of them; history and events stay with it."""
    number = FlagConfig._meta.get_field("id")
    for config in FlagConfig.objects.filter(flag=flag).order_by("environment_id"):
        with governed_write(config.environment_id), connection.cursor() as cursor:
            # Not through the model: that would write a history row that nobody is behind.
            row = number.get_db_prep_value(config.pk, connection)
            cursor.execute("DELETE FROM flags_flagconfig WHERE id = %s", [row])
    flag.replaced_at = now
    with governed_write(flag.project_id):
        flag.save(update_fields=["replaced_at"])
    trail.record(
        Action.FLAG_REPLACED,
        actor=actor,
        target=trail.Target("flag", str(flag.pk), flag.key),
        now=now,
        project_id=flag.project_id,
        project_key=flag.project.key,
        flag_key=flag.key,
        data={"lifecycle": flag.lifecycle},
    )


def _release(tombstone: Tombstone, *, actor: Actor, now: datetime, reason: str) -> None:
    person: Any = permissions.person_of(actor)
    tombstone.released_at, tombstone.released_by, tombstone.release_reason = now, person, reason
    with governed_write(tombstone.project_id):
        tombstone.save(update_fields=["released_at", "released_by", "release_reason"])


def _locked(tombstone: Tombstone) -> Flag:
    """The flag of a tombstone that still keeps its key back, locked after its environments."""
    lock_environments(Environment.objects.filter(project=tombstone.project_id))
    found = [flag for flag in lock_flags([tombstone.key], tombstone.project_id) if flag.pk == tombstone.flag_id]
    tombstone.refresh_from_db(fields=["released_at"])
    if not found or found[0].archived_at is None or tombstone.released_at is not None:
        raise AlreadyExists(f"The key {tombstone.key} is not kept back any more. Reload the page.")
    return found[0]


def _require_release(tombstone: Tombstone, actor: Actor) -> None:
    person = permissions.person_of(actor)
    if person is None or not person.is_active:
        raise PermissionMissing("Only a person lets a key go.", permission=permissions.APPROVE)
    lacking = lacking_for_release(person, tombstone.project)
    if lacking:
        raise PermissionMissing(
            f"Letting the key {tombstone.key} go takes the role approver or administrator in "
            f"{', '.join(each.name for each in lacking)}, and {actor.label} does not have it. "
            f"Ask an administrator of {lacking[0].name}.",
            permission=permissions.APPROVE,
        )
