"""Release notes of a flag: some of its semantic versions, with who, why, and what changed. Reading only."""

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import Q

from audits.actions import Action
from audits.context import ActorKind
from audits.models import AuditEvent
from audits.selectors import attach_names
from flags.differences import recorded_differences
from flags.lifecycle.release_notes import NO_LONGER_KEPT, Audience, Note, details_sentences, grouped
from flags.lifecycle.semantic_versions import Release
from flags.models import Environment, FlagConfig
from flags.selectors.flag_history import row_ids

Groups = Mapping[Audience, Sequence[str]]


@dataclass(frozen=True, slots=True)
class ToldRelease:
    """A note with what pages link: the environment, None for the flag as a whole, and the change request."""

    note: Note
    environment: Environment | None
    request_id: str


@dataclass(frozen=True, slots=True)
class _Material:
    """What is read for many releases at once."""

    rows: Mapping[int, Any]
    former: Mapping[tuple[uuid.UUID, int], Any]
    applied: Mapping[tuple[str, int], AuditEvent]
    events: Mapping[str, AuditEvent]
    names: Mapping[str, str]
    requests: Mapping[str, str]


def visible_releases(
    releases: Iterable[Release], environments: Collection[Environment], *, only: Environment | None = None
) -> list[Release]:
    """Newest first, those of these environments and of the flag as a whole; `only` those of one environment."""
    places = {str(each.pk) for each in environments} | {""} if only is None else {str(only.pk)}
    return [release for release in reversed(list(releases)) if release.change.place in places]


def told_releases(releases: Sequence[Release], environments: Collection[Environment]) -> list[ToldRelease]:
    """Releases as notes, in their order: seven queries at most, however many they are."""
    material = _material(releases)
    places = {str(each.pk): each for each in environments}
    return [_told(release, places.get(release.change.place), material) for release in releases]


def _told(release: Release, environment: Environment | None, material: _Material) -> ToldRelease:
    event, groups = _of_config(release, material) if release.change.place else _of_details(release, material)
    request_id = str(event.details.get("request_id") or "") if event else ""
    note = Note(
        number=release.number,
        part=release.part,
        at=release.change.at,
        environment=environment.name if environment else "",
        person=_author(event),
        reason=event.reason if event else "",
        request=material.requests.get(request_id, ""),
        groups=groups,
    )
    return ToldRelease(note, environment, request_id)


def _author(event: AuditEvent | None) -> str:
    """Who did it, as they are called today."""
    if event is None:
        return "somebody"
    return "the schedule" if event.actor_kind == ActorKind.SYSTEM.value else event.actor_label


def _of_config(release: Release, material: _Material) -> tuple[AuditEvent | None, Groups]:
    [row_id], _ = row_ids([release])
    row = material.rows[row_id]
    event = material.applied.get((str(row.id), row.version))
    former = material.former.get((row.id, row.version - 1))
    if "variants" not in row.document or (former is not None and "variants" not in former.document):
        return event, {Audience.DETAILS: (NO_LONGER_KEPT,)}
    return event, grouped(recorded_differences(former.document if former else None, row.document))


def _of_details(release: Release, material: _Material) -> tuple[AuditEvent | None, Groups]:
    _, [event_id] = row_ids([release])
    event = material.events[str(event_id)]
    return event, details_sentences(event.details.get("changed", {}), material.names)


def _material(releases: Sequence[Release]) -> _Material:
    configs, event_ids = row_ids(releases)
    history: Any = FlagConfig.history
    rows = {row.history_id: row for row in history.filter(history_id__in=configs)}
    applied = _applied(rows.values())
    events = list(AuditEvent.objects.filter(pk__in=event_ids)) if event_ids else []
    attach_names([*applied, *events])
    return _Material(
        rows=rows,
        former=_former(rows.values()),
        applied={(event.target_id, event.details.get("to_version", 0)): event for event in applied},
        events={str(event.pk): event for event in events},
        names=_owners(events),
        requests=_requests(applied),
    )


def _former(rows: Iterable[Any]) -> dict[tuple[uuid.UUID, int], Any]:
    """The version before each row."""
    wanted = [Q(id=row.id, version=row.version - 1) for row in rows if row.version > 1]
    if not wanted:
        return {}
    history: Any = FlagConfig.history
    return {(row.id, row.version): row for row in history.filter(reduce(or_, wanted))}


def _applied(rows: Collection[Any]) -> list[AuditEvent]:
    """The event of each row: it has the instant of its row."""
    targets, instants = {str(row.id) for row in rows}, {row.updated_at for row in rows}
    found = AuditEvent.objects.filter(target_type="flag_config", target_id__in=targets, occurred_at__in=instants)
    return list(found.filter(action=Action.FLAG_CONFIG_APPLIED.value)) if targets else []


def _owners(events: Iterable[AuditEvent]) -> dict[str, str]:
    """Owners that edits name, by id, as they are called today."""
    sides = [event.details.get("changed", {}).get("owner_id", {}) for event in events]
    wanted = {str(person) for side in sides for person in side.values() if person}
    people = get_user_model().objects.filter(pk__in=wanted) if wanted else ()
    return {str(person.pk): person.get_full_name() or person.get_username() for person in people}


def _requests(applied: Iterable[AuditEvent]) -> dict[str, str]:
    """Numbers of change requests, such as “#12”, by their ids."""
    wanted = {str(found) for event in applied if (found := event.details.get("request_id"))}
    if not wanted:
        return {}
    events = AuditEvent.objects.filter(
        target_type="change_request", target_id__in=wanted, action=Action.CHANGE_REQUEST_CREATED.value
    )
    return {event.target_id: event.target_label.partition(" ")[0] for event in events}
