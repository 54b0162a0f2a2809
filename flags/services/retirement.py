"""The end of a flag as a whole: archived once no environment serves it any more, revived as soon as one does again.

The single write path keeps this up, so it holds whoever archives or revives, and on whatever word.
"""

import uuid
from collections.abc import Collection, Iterable
from datetime import datetime

from audits import trail
from audits.actions import Action
from audits.context import Actor
from flags import permissions
from flags.documents.deprecation import is_archived
from flags.models import Flag, FlagConfig, Tombstone
from flags.services.tickets import governed_write

REVIVED = "The flag was revived."


def note_archived(flag: Flag, *, actor: Actor, now: datetime, reason: str = "") -> bool:
    """Archive a flag, and keep its key back, if every environment where it is set up has archived it.

    Whether it did so: not where something serves it, nor for one that is archived already. Who may is asked before.
    """
    locked = lock_flags([flag.key], flag.project_id)
    return bool(locked) and _note_archived(locked[0], actor=actor, now=now, reason=reason)


def note_revived(flag: Flag, *, actor: Actor, now: datetime, reason: str = "") -> bool:
    """Begin another life of an archived flag that is set up nowhere, so that no write does; whether it did so."""
    locked = lock_flags([flag.key], flag.project_id)
    if not locked or locked[0].archived_at is None or FlagConfig.objects.filter(flag=flag).exists():
        return False
    _revive(locked[0], actor=actor, now=now, reason=reason)
    return True


def keep_up(locked: Iterable[Flag], *, actor: Actor, now: datetime, reason: str) -> None:
    """Archive or revive flags according to their configs as they were just written. Needs `lock_flags` before."""
    for flag in locked:
        if flag.archived_at is None:
            _note_archived(flag, actor=actor, now=now, reason=reason)
        elif not _is_archived_everywhere(flag):
            _revive(flag, actor=actor, now=now, reason=reason)


def lock_flags(keys: Collection[str], project_id: uuid.UUID) -> list[Flag]:
    """Flags by key, locked until the transaction ends: after their environments, before the audit chain.

    Two environments that archive a flag at the same moment see each other by it.
    """
    rows = Flag.objects.select_for_update(of=("self",), no_key=True).filter(project=project_id, key__in=list(keys))
    return list(rows.order_by("key"))


def _note_archived(flag: Flag, *, actor: Actor, now: datetime, reason: str) -> bool:
    if flag.archived_at is not None or not _is_archived_everywhere(flag):
        return False
    flag.archived_at = now
    with governed_write(flag.project_id):
        flag.save(update_fields=["archived_at"])
        Tombstone.objects.create(
            project_id=flag.project_id, flag=flag, key=flag.key, lifecycle=flag.lifecycle, archived_at=now
        )
    _record(Action.FLAG_ARCHIVED, flag, actor=actor, now=now, reason=reason)
    return True


def _revive(flag: Flag, *, actor: Actor, now: datetime, reason: str) -> None:
    flag.archived_at, flag.lifecycle, flag.lifecycle_started_at = None, flag.lifecycle + 1, now
    with governed_write(flag.project_id):
        flag.save(update_fields=["archived_at", "lifecycle", "lifecycle_started_at"])
        Tombstone.objects.filter(flag=flag, released_at=None).update(
            released_at=now, released_by=permissions.person_of(actor), release_reason=REVIVED
        )
    _record(Action.FLAG_REVIVED, flag, actor=actor, now=now, reason=reason)


def _is_archived_everywhere(flag: Flag) -> bool:
    documents = FlagConfig.objects.filter(flag=flag).values_list("document", flat=True)
    return all(is_archived(document) for document in documents)


def _record(action: Action, flag: Flag, *, actor: Actor, now: datetime, reason: str) -> None:
    trail.record(
        action,
        actor=actor,
        target=trail.Target("flag", str(flag.pk), flag.key),
        now=now,
        project_id=flag.project_id,
        project_key=flag.project.key,
        flag_key=flag.key,
        reason=reason,
        data={"lifecycle": flag.lifecycle},
    )
