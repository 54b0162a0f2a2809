"""What was served and when: the versions of a flag or segment, and a whole environment at an instant. Reading only."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef, Q

from audits.actions import Action
from audits.models import AuditEvent
from audits.selectors import timeline_of
from flags.archives import ArchiveNote, note_of
from flags.errors import PayloadArchived
from flags.models import Environment, Flag, FlagConfig, Segment

_TARGETS = {FlagConfig: ("flag_config", Action.FLAG_CONFIG_APPLIED), Segment: ("segment", Action.SEGMENT_APPLIED)}


@dataclass(frozen=True, slots=True)
class Version:
    """One version: who made it, when and why. `request_id` names the change request it came from."""

    number: int
    changed_at: datetime
    person: str
    reason: str
    sentences: tuple[str, ...] = ()
    request_id: str = ""
    revision: int | None = None

    @property
    def previous(self) -> int:
        """The version before; 0 for the first."""
        return self.number - 1


@dataclass(frozen=True, slots=True)
class Past:
    """One version of a flag's or segment's document. A flag's name is that of today."""

    row_id: UUID
    key: str
    name: str
    version: int
    document: dict[str, Any]
    digest: str
    changed_at: datetime

    @property
    def archived(self) -> ArchiveNote | None:
        """Where the document is, None while it is here."""
        return note_of(self.document)


@dataclass(frozen=True, slots=True)
class EnvironmentPast:
    """What an environment served at an instant: configs by flag key and segments by their key."""

    instant: datetime
    configs: Mapping[str, Past]
    segments: Mapping[str, Past]


def versions_of(row: FlagConfig | Segment) -> list[Version]:
    """Every version of a config or segment, newest first, with what it changed: four queries."""
    told = {number: event for event in _applied_events(row) if (number := event.details.get("to_version"))}
    history: Any = type(row).history
    rows = history.filter(id=row.pk).defer("document").select_related("history_user").order_by("-version")
    return [_version(one, told.get(one.version)) for one in rows]


def past_version(row: FlagConfig | Segment, version: int) -> Past | None:
    """One version of a config or segment, None where there is no such version."""
    history: Any = type(row).history
    found = history.filter(id=row.pk, version=version).first()
    return None if found is None else _past(found, row.flag if isinstance(row, FlagConfig) else None)


def past_versions(rows: Collection[FlagConfig | Segment], numbers: Collection[int]) -> dict[tuple[UUID, int], Past]:
    """Versions of several configs and segments, by the row's id and the number: two queries."""
    configs = {row.pk: row.flag for row in rows if isinstance(row, FlagConfig)}
    segments = [row.pk for row in rows if isinstance(row, Segment)]
    found = [
        *(_past(one, configs[one.id]) for one in FlagConfig.history.filter(id__in=configs, version__in=numbers)),
        *(_past(one, None) for one in Segment.history.filter(id__in=segments, version__in=numbers)),
    ]
    return {(past.row_id, past.version): past for past in found}


def document_at(row: FlagConfig | Segment, version: int) -> dict[str, Any] | None:
    """The document of one version, None where there is no such version. Raises PayloadArchived."""
    past = past_version(row, version)
    return None if past is None else readable(past).document


def readable(past: Past) -> Past:
    """A version whose document is here. Raises PayloadArchived."""
    note = past.archived
    if note is not None:
        raise PayloadArchived(
            f"Version {past.version} of {past.name} is no longer in the database. {note.words} Whoever runs this "
            "installation can bring it back; then try again.",
            file=note.file,
            sha256=note.sha256,
        )
    return past


def numbers_in(flag: Flag, environments: Collection[Environment]) -> dict[UUID, list[int]]:
    """The versions of a flag, newest first, by environment: one query."""
    rows = FlagConfig.history.filter(flag=flag, environment__in=environments).order_by("-version")
    numbers: dict[UUID, list[int]] = {}
    for environment_id, version in rows.values_list("environment_id", "version"):
        numbers.setdefault(environment_id, []).append(version)
    return numbers


def owners_of(project_id: UUID, keys: Collection[str], *, at: datetime) -> dict[str, Flag]:
    """The flags that keys belonged to at an instant; of a key without a flag then, its first one since: one query."""
    rows = Flag.everything.filter(project=project_id, key__in=list(keys))
    since = rows.filter(Q(replaced_at=None) | Q(replaced_at__gt=at))
    return {flag.key: flag for flag in since.order_by("-created_at")}


def environment_at(environment: Environment, instant: datetime) -> EnvironmentPast:
    """Every flag and segment of an environment as it was served at an instant: three queries.

    A change made at the instant itself is part of it. What did not exist then is missing, and so is a flag whose key
    belongs to another one now.
    """
    flags = {flag.pk: flag for flag in Flag.objects.filter(project=environment.project_id)}
    written = _newest(FlagConfig, environment, instant)
    configs = [_past(row, flags[row.flag_id]) for row in written if row.flag_id in flags]
    segments = [_past(row, None) for row in _newest(Segment, environment, instant)]
    return EnvironmentPast(
        instant, {config.key: config for config in configs}, {segment.key: segment for segment in segments}
    )


def _newest(model: type[FlagConfig | Segment], environment: Environment, instant: datetime) -> Any:
    """The history row of each config or segment that was the newest at the instant."""
    history: Any = model.history
    until_then = history.filter(environment=environment, updated_at__lte=instant)
    later = until_then.filter(id=OuterRef("id"), version__gt=OuterRef("version"))
    return until_then.filter(~Exists(later))


def _past(row: Any, flag: Flag | None) -> Past:
    key, name = (flag.key, flag.name) if flag else (row.key, row.name)
    return Past(row.id, key, name, row.version, dict(row.document), row.digest, row.updated_at)


def _applied_events(row: FlagConfig | Segment) -> list[AuditEvent]:
    kind, action = _TARGETS[type(row)]
    return [event for event in timeline_of(kind, row.pk) if event.action == action.value]


def _version(row: Any, event: AuditEvent | None) -> Version:
    details: Mapping[str, Any] = event.details if event else {}
    person = row.history_user
    name = (person.get_full_name() or person.get_username()) if person else ""
    return Version(
        row.version,
        row.history_date,
        name or _actor_words(row.actor_kind),
        row.history_change_reason or "",
        tuple(details.get("differences", ())),
        str(details.get("request_id", "")),
        details.get("revision"),
    )


def _actor_words(kind: str) -> str:
    return "the schedule" if kind == "system" else "somebody"
