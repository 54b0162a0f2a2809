"""Copying chosen aspects of flags from one environment to another: always as a change request."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from audits.context import Actor
from flags import permissions
from flags.aspects import Aspect, copied
from flags.changes import ChangeSet, ConfigEdit, SegmentEdit, document_digest
from flags.errors import InvalidInput, NotFound, StaleChange
from flags.models import Environment, FlagConfig, Segment
from flags.services.attempts import attempt
from rollouts.models import ChangeRequest
from rollouts.selectors.promotion import configs_of
from rollouts.services.drafting import create_change_request

KIND = "promotion"


@dataclass(frozen=True, slots=True)
class FlagChoice:
    """Aspects of one flag, with the versions that were looked at; `target_version` 0: not set up there."""

    key: str
    aspects: frozenset[Aspect]
    source_version: int
    target_version: int


@dataclass(frozen=True, slots=True)
class SegmentChoice:
    """A whole segment, with the versions that were looked at; `target_version` 0: it does not exist there."""

    key: str
    source_version: int
    target_version: int


def promote(
    source_id: uuid.UUID,
    target_id: uuid.UUID,
    *,
    flags: Sequence[FlagChoice],
    segments: Sequence[SegmentChoice] = (),
    actor: Actor,
    title: str,
    reason: str,
    now: datetime,
) -> ChangeRequest:
    """A draft for `target` that brings the chosen aspects of `source` and leaves everything else as it is there.

    Raises StaleChange where a flag or segment has moved on either side since it was looked at, PermissionMissing
    (viewer in the source, editor in the target), InvalidInput, NotFound, InvalidDocument.
    """

    def act() -> ChangeRequest:
        source, target = _places(source_id, target_id)
        permissions.require(actor, permissions.VIEW, source)
        edits: list[ConfigEdit | SegmentEdit] = [*_segment_edits(source, target, segments)]
        edits += _flag_edits(source, target, flags)
        if not edits:
            raise InvalidInput(f"{target.name} would not change. Choose at least one thing to copy.", problems=[])
        return create_change_request(
            target.pk,
            actor=actor,
            title=title,
            reason=reason,
            change_set=ChangeSet(str(target.pk), tuple(edits)),
            apply_at=None,
            now=now,
            source=_told(source, flags, segments),
        )

    return attempt(act)


def _told(source: Environment, flags: Sequence[FlagChoice], segments: Sequence[SegmentChoice]) -> dict[str, Any]:
    """What the request remembers of where its content came from."""
    return {
        "kind": KIND,
        "environment": source.key,
        "environment_id": str(source.pk),
        "flags": [
            {"key": one.key, "version": one.source_version, "aspects": [a.value for a in Aspect if a in one.aspects]}
            for one in flags
        ],
        "segments": [{"key": one.key, "version": one.source_version} for one in segments],
    }


def _places(source_id: uuid.UUID, target_id: uuid.UUID) -> tuple[Environment, Environment]:
    rows = Environment.objects.select_related("project").filter(pk__in=[source_id, target_id])
    found = {row.pk: row for row in rows}
    source, target = found.get(source_id), found.get(target_id)
    if source is None or target is None or source.project_id != target.project_id:
        raise NotFound("One of these environments does not exist in this project. It may have been mistyped.")
    if source.pk == target.pk:
        raise InvalidInput("Choose two different environments.", problems=[])
    return source, target


def _flag_edits(source: Environment, target: Environment, choices: Sequence[FlagChoice]) -> list[ConfigEdit]:
    configs = configs_of((source, target), [one.key for one in choices])
    edits = []
    for one in choices:
        given, served = configs.get((source.pk, one.key)), configs.get((target.pk, one.key))
        _refuse_moved(one.key, given, one.source_version, source)
        _refuse_moved(one.key, served, one.target_version, target)
        if given is None:
            raise NotFound(f"{one.key} is not set up in {source.name}, so there is nothing to copy.", key=one.key)
        if not one.aspects:
            continue
        document = copied(given.document, served.document if served else None, one.aspects)
        if served is None or document_digest(document) != served.digest:
            edits.append(ConfigEdit(one.key, one.target_version, document))
    return edits


def _segment_edits(source: Environment, target: Environment, choices: Sequence[SegmentChoice]) -> list[SegmentEdit]:
    rows = Segment.objects.filter(environment__in=[source.pk, target.pk], key__in=[one.key for one in choices])
    found: Mapping[tuple[uuid.UUID, str], Segment] = {(row.environment_id, row.key): row for row in rows}
    edits = []
    for one in choices:
        given, served = found.get((source.pk, one.key)), found.get((target.pk, one.key))
        _refuse_moved(one.key, given, one.source_version, source)
        _refuse_moved(one.key, served, one.target_version, target)
        if given is None:
            raise NotFound(f"There is no segment {one.key} in {source.name}.", key=one.key)
        if served is None or served.digest != given.digest:
            name = served.name if served else given.name
            edits.append(SegmentEdit(one.key, name, one.target_version, given.document))
    return edits


def _refuse_moved(key: str, row: FlagConfig | Segment | None, expected: int, environment: Environment) -> None:
    version = row.version if row else 0
    if version != expected:
        raise StaleChange(
            f"{key} changed in {environment.name} since this page was opened: version {expected} is version {version} "
            "now. Nothing was copied. Look at the differences again.",
            moved=[{"key": key, "environment": environment.key, "from": expected, "to": version}],
        )
