"""What happened to a flag from the beginning: its semantic versions, and its stages in each environment.

Every version of every config is looked at, so what was found is kept: by the contents, which never change. Of a
document that left for an archive, what it meant was noted with the promise; that is read each time.
"""

import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from audits.actions import Action
from audits.models import AuditEvent
from flags.lifecycle.life_strip import Segment, segments_of
from flags.lifecycle.meanings import Meaning, meaning_from
from flags.lifecycle.semantic_versions import (
    Change,
    Part,
    Release,
    classify,
    classify_details,
    contract_of,
    is_served,
    versions_of,
)
from flags.lifecycle.shapes import Shape, shape_of
from flags.lifecycle.stages import Version
from flags.models import ArchivedPayload, Environment, Flag, FlagConfig

MOST_KEPT = 20_000
_CONFIG, _EVENT = "config", "event"


@dataclass(frozen=True, slots=True)
class _Row:
    """A version of a config without its document. `former` is the one before it, `last`: none came after it."""

    id: int
    place: uuid.UUID
    at: datetime
    digest: str
    former: "_Row | None" = None
    last: bool = False

    @property
    def key(self) -> tuple[str, str, datetime]:
        """What all that is found about the row depends on."""
        return (self.former.digest if self.former else "", self.digest, self.at)


@dataclass(frozen=True, slots=True)
class _Found:
    """What is known about a row: the change it was, None for no change, and its shape then."""

    change: Change | None
    shape: Shape | None

    @property
    def part(self) -> Part | None:
        """The part it counted up, None for no change."""
        return self.change.part if self.change else None


@dataclass(frozen=True, slots=True)
class FlagHistory:
    """The semantic versions of a flag, oldest first, and the versions of its config by environment."""

    releases: Sequence[Release]
    versions: Mapping[uuid.UUID, Sequence[Version]]

    @property
    def newest(self) -> Release | None:
        """The newest semantic version, None before anything was ever said."""
        return self.releases[-1] if self.releases else None

    def segments(self, environment: Environment, kind: str, now: datetime) -> tuple[Segment, ...]:
        """The stages in an environment."""
        return segments_of(self.versions.get(environment.pk, ()), kind=kind, now=now)


_kept: dict[tuple[str, str, datetime], _Found] = {}


def flag_history(flag: Flag, *, now: datetime) -> FlagHistory:
    """Everything that happened to a flag: three queries."""
    rows = _rows(flag.pk)
    found = _looked_at(rows, now)
    versions: dict[uuid.UUID, list[Version]] = {}
    changes: list[Change] = []
    for row in rows:
        known = found[row.id]
        if known.shape is not None:
            versions.setdefault(row.place, []).append(Version(row.at, known.shape))
        if known.change is not None:
            changes.append(replace(known.change, place=str(row.place), source=f"{_CONFIG}:{row.id}"))
    changes = sorted([*changes, *_details(flag)], key=lambda change: change.at)
    return FlagHistory(versions_of(changes), versions)


def row_ids(releases: Iterable[Release]) -> tuple[list[int], list[uuid.UUID]]:
    """Where releases are found again: rows of the history of configs, and audit events."""
    configs: list[int] = []
    events: list[uuid.UUID] = []
    for release in releases:
        kind, _, found = release.change.source.partition(":")
        if kind == _CONFIG:
            configs.append(int(found))
        else:
            events.append(uuid.UUID(found))
    return configs, events


def meanings_of(history_ids: Collection[int], *, now: datetime) -> dict[int, Meaning]:
    """What versions of configs mean to semantic versions and stages, by row of the history; before they leave it."""
    history: Any = FlagConfig.history
    wanted, meant = set(history_ids), {}
    for flag_id in set(history.filter(history_id__in=wanted).values_list("flag_id", flat=True)):
        rows = _rows(flag_id)
        found = _looked_at(rows, now)
        after = {row.former.id: found[row.id].part for row in rows if row.former}
        for row in rows:
            known = found[row.id]
            if row.id in wanted and known.shape is not None:
                meant[row.id] = _meaning(known, known.shape, after.get(row.id))
    return meant


def _meaning(known: _Found, shape: Shape, next_part: Part | None) -> Meaning:
    change = known.change
    contract, served = (change.contract or "", change.is_served) if change else ("", False)
    return Meaning(known.part, next_part, contract, served, shape)


def _rows(flag_id: uuid.UUID) -> list[_Row]:
    history: Any = FlagConfig.history
    names = ("history_id", "environment_id", "updated_at", "digest")
    newest: dict[uuid.UUID, int] = {}
    rows: list[_Row] = []
    written = history.filter(flag_id=flag_id).order_by("history_id").values_list(*names)
    for row_id, place, at, digest in written:
        former = replace(rows[newest[place]], former=None) if place in newest else None
        newest[place] = len(rows)
        rows.append(_Row(row_id, place, at, digest, former))
    last = set(newest.values())
    return [replace(row, last=number in last) for number, row in enumerate(rows)]


def _looked_at(rows: Sequence[_Row], now: datetime) -> dict[int, _Found]:
    """What is known about each row. What is served now is looked at anew: its shape may change by the clock."""
    found = {row.id: known for row in rows if not row.last and (known := _kept.get(row.key)) is not None}
    missing = [row for row in rows if row.id not in found]
    wanted = {row.id for row in missing} | {row.former.id for row in missing if row.former}
    documents: dict[uuid.UUID, Any] = {}
    by_id = {row.id: row for row in missing}
    unread: list[tuple[_Row, Any]] = []
    for row_id, place, document in _documents(wanted):
        row, before = by_id.get(row_id), documents.get(place)
        documents[place] = document
        if row is None:
            continue
        if _is_gone(document) or (row.former and _is_gone(before)):
            unread.append((row, document))
            continue
        found[row_id] = _look(row, before, document, now)
        _keep(row, found[row_id])
    return found | _remembered(unread, now)


def _documents(row_ids: set[int]) -> Iterator[tuple[int, uuid.UUID, Any]]:
    """Documents by row, oldest first, let go of one by one: some are long."""
    history: Any = FlagConfig.history
    rows = history.filter(history_id__in=row_ids).order_by("history_id")
    yield from rows.values_list("history_id", "environment_id", "document").iterator(chunk_size=20)


def _is_gone(document: Any) -> bool:
    return "variants" not in (document or ())


def _look(row: _Row, before: Any, document: Any, now: datetime) -> _Found:
    return _found(row, classify(before, document), document, now)


def _found(row: _Row, part: Part | None, document: Any, now: datetime) -> _Found:
    shape = shape_of(document, now if row.last else row.at)
    if part is None:
        return _Found(None, shape)
    return _Found(Change(row.at, part, "", contract_of(document), is_served(document)), shape)


def _remembered(rows: Sequence[tuple[_Row, Any]], now: datetime) -> dict[int, _Found]:
    """What is known of rows whose document, or that of the one before, an archive holds. Never kept by contents."""
    if not rows:
        return {}
    meanings = _meanings({row.id for row, _ in rows} | {row.former.id for row, _ in rows if row.former})
    return {row.id: _recalled(row, document, meanings, now) for row, document in rows}


def _recalled(row: _Row, document: Any, meanings: Mapping[int, Meaning], now: datetime) -> _Found:
    former = meanings.get(row.former.id) if row.former else None
    if not _is_gone(document) and former is not None:
        return _found(row, former.next_part, document, now)
    known = meanings.get(row.id) if _is_gone(document) else None
    if known is None:
        # Nobody noted what it meant; something about it changed all the same.
        return _Found(Change(row.at, Part.MINOR), shape_of(document, now if row.last else row.at))
    change = Change(row.at, known.part, "", known.contract, known.is_served) if known.part else None
    return _Found(change, known.shape)


def _meanings(history_ids: set[int]) -> dict[int, Meaning]:
    """What was noted about rows when their documents left; the newest note of each."""
    table = FlagConfig.history.model._meta.db_table
    noted = ArchivedPayload.objects.filter(table_name=table, column_name="document", row_id__in=map(str, history_ids))
    told = noted.exclude(meaning=None).order_by("pk").values_list("row_id", "meaning")
    return {int(row_id): meaning_from(meaning) for row_id, meaning in told if meaning}


def _keep(row: _Row, found: _Found) -> None:
    if row.last:
        return
    if len(_kept) >= MOST_KEPT:
        _kept.clear()
    _kept[row.key] = found


def _details(flag: Flag) -> Iterator[Change]:
    """Edits of the flag itself."""
    events = AuditEvent.objects.filter(target_type="flag", target_id=str(flag.pk), action=Action.FLAG_UPDATED.value)
    for event in events.order_by("occurred_at", "sequence"):
        part = classify_details(event.details.get("changed", {}))
        if part is not None:
            yield Change(event.occurred_at, part, source=f"{_EVENT}:{event.pk}")
