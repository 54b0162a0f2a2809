"""What going back would do, before anybody does it: to a version, by one change, or an environment to an instant.

A plan is made of what is served now and what was served then. It changes nothing and carries its own digest, so that
what is carried out later is exactly what was looked at.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Literal
from uuid import UUID

from flags.changes import (
    ChangeSet,
    ConfigEdit,
    Difference,
    SegmentEdit,
    change_digest,
    diff_configs,
    diff_segments,
    document_digest,
)
from flags.directions import FlagMovement, Movement, movement_of
from flags.documents import normalise_config, normalise_segment
from flags.documents.deprecation import announces
from flags.errors import NotFound
from flags.merging import Conflict, merge_documents
from flags.models import Environment, FlagConfig, Segment
from flags.selectors.versions import Past, environment_at, owners_of, past_version, past_versions, readable
from rollouts.models import ChangeRequest
from rollouts.selectors.contents import kind_and_key, touched_keys
from rollouts.transitions import OPEN_STATES

Row = FlagConfig | Segment
Edit = ConfigEdit | SegmentEdit
Address = tuple[str, str]


class Fate(StrEnum):
    """What a plan does with one flag or segment."""

    CHANGES = "changes"
    SAME = "same"
    CONFLICT = "conflict"
    KEPT = "kept"
    NEWER = "newer"
    SWITCHED_OFF = "switched_off"


@dataclass(frozen=True, slots=True)
class Line:
    """One flag or segment in a plan. `target_version` is whose content it gets; 0: it did not exist then."""

    kind: Literal["flag", "segment"]
    key: str
    name: str
    target_id: UUID
    present_version: int
    target_version: int
    fate: Fate
    before: dict[str, Any]
    after: dict[str, Any] | None = None
    edit: Edit | None = None
    conflicts: tuple[Conflict, ...] = ()
    note: str = ""

    @property
    def address(self) -> Address:
        """Kind and key."""
        return self.kind, self.key

    @property
    def differences(self) -> list[Difference]:
        """What would change, in words."""
        if self.after is None:
            return []
        diff = diff_configs if self.kind == "flag" else diff_segments
        return diff(self.before, self.after)


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything a rollback would change in one environment, and what speaks against it.

    `title` names it as people would; `target` is the state it goes back to; `source` is kept by a request made of it.
    """

    environment: Environment
    title: str
    target: str
    source: Mapping[str, Any]
    lines: tuple[Line, ...]
    movement: Movement = field(default_factory=Movement)
    open_requests: Mapping[Address, tuple[ChangeRequest, ...]] = field(default_factory=dict)

    @property
    def change_set(self) -> ChangeSet:
        """The new versions with the old content."""
        return ChangeSet(str(self.environment.pk), tuple(line.edit for line in self.lines if line.edit is not None))

    @property
    def digest(self) -> str:
        """What a person who looked at this plan agrees to."""
        return change_digest(self.change_set, apply_at=None)

    @property
    def conflicts(self) -> tuple[Line, ...]:
        """What cannot be put back without overwriting what somebody did since."""
        return tuple(line for line in self.lines if line.fate is Fate.CONFLICT)

    @property
    def is_at_once(self) -> bool:
        """Whether it needs no approval: nothing is protected, or nobody is exposed to anything new, now or later, nor
        told anything else about the end of a flag.
        """
        return not self.environment.is_protected or not (self.movement.held or self._announces)

    @property
    def _announces(self) -> bool:
        return any(line.kind == "flag" and line.after and announces(line.before, line.after) for line in self.lines)

    @property
    def is_back(self) -> bool:
        """Whether everything that a request changed was taken back already."""
        is_whole = bool(self.source.get("is_whole"))
        return is_whole and bool(self.lines) and all(line.fate is Fate.SAME for line in self.lines)

    @property
    def is_before_everything(self) -> bool:
        """Whether nothing of today existed at the instant to go back to, and nothing is ticked."""
        return bool(self.lines) and all(line.fate is Fate.NEWER for line in self.lines)

    @property
    def moved(self) -> Mapping[str, FlagMovement]:
        """What happens to each flag that moves, by key."""
        return {flag.flag_key: flag for flag in self.movement.flags}


def plan_roll_back(row: Row, version: int) -> Plan:
    """Go back to a version of one flag or segment. Raises NotFound where there is no such version, PayloadArchived."""
    past = _existing(row, version)
    words = f"{_key(row)} to version {version}"
    source = {"kind": "rollback", "what": "version", "key": _key(row), "version": version}
    return _planned(row.environment, f"Roll back {words}", f"version {version}", source, [_put_back(row, past)])


def plan_undo(row: Row, version: int) -> Plan:
    """Undo exactly what one version changed and keep what came later. Raises NotFound for a version that is missing."""
    made, before = _existing(row, version), past_version(row, version - 1)
    line = _undone(row, made, readable(before) if before else None)
    source = {"kind": "rollback", "what": "change", "key": _key(row), "version": version}
    title = f"Undo version {version} of {_key(row)}"
    return _planned(row.environment, title, f"without version {version}", source, [line])


def plan_undo_request(request: ChangeRequest, *, leave: Collection[str] = ()) -> Plan:
    """Undo what an applied request changed, edit by edit; `leave` holds addresses (`flag:key`) to be left alone."""
    environment, rows = request.environment, _rows(request.environment)
    found = [(edit, rows[address]) for edit in request.content.edits if (address := kind_and_key(edit)) in rows]
    other = _given_away(request, found)
    # An edit is applied on top of its base version only, so it made the version after that.
    numbers = {number for edit, _ in found for number in (edit.base_version, edit.base_version + 1)}
    past = past_versions([row for _, row in found], numbers)
    lines = []
    for edit, row in found:
        made, before = (past.get((row.pk, edit.base_version + offset)) for offset in (1, 0))
        if row.pk in other:
            note = "Its key belongs to another flag now, which this request was never about, so it is left alone."
            lines.append(_line(row, Fate.KEPT, target_version=0, note=note))
        elif made is None or ":".join(kind_and_key(edit)) in leave:
            lines.append(_line(row, Fate.KEPT, target_version=edit.base_version))
        elif (gone := made if made.archived else before) is not None and gone.archived:
            lines.append(_out_of_reach(row, gone))
        else:
            lines.append(_undone(row, made, before))
    source = {
        "kind": "rollback",
        "what": "request",
        "request_id": str(request.pk),
        "number": request.number,
        "is_whole": not any(line.fate is Fate.KEPT and not line.note for line in lines),
    }
    target = f"before #{request.number}"
    return _planned(environment, f"Roll back #{request.number} {request.title}", target, source, lines, rows=rows)


def _given_away(request: ChangeRequest, found: Collection[tuple[Edit, Row]]) -> set[UUID]:
    """The configs of flags that are not those the request was about, though they have their keys: one query."""
    keys = [edit.flag_key for edit, _ in found if isinstance(edit, ConfigEdit)]
    owners = owners_of(request.environment.project_id, keys, at=request.created_at)
    return {row.pk for _, row in found if isinstance(row, FlagConfig) and owners[row.flag.key].pk != row.flag_id}


def plan_restore(
    environment: Environment, instant: datetime, *, leave: Collection[str] = (), switch_off: Collection[str] = ()
) -> Plan:
    """Put every flag and segment back to what was served at an instant; what did not exist then stays.

    `leave` holds addresses (`flag:key`) to be left alone, `switch_off` keys of flags that did not exist then and are to
    be switched off.
    """
    past, rows = environment_at(environment, instant), _rows(environment)
    lines = []
    for (kind, key), row in sorted(rows.items()):
        then = (past.configs if kind == "flag" else past.segments).get(key)
        if f"{kind}:{key}" in leave:
            lines.append(_line(row, Fate.KEPT, target_version=then.version if then else 0))
        elif then is not None and then.archived:
            lines.append(_out_of_reach(row, then))
        elif then is not None:
            lines.append(_put_back(row, then))
        else:
            lines.append(_newer(row, is_switched_off=key in switch_off))
    words = f"{instant.astimezone(UTC):%d %B %Y at %H:%M} UTC"
    source = {"kind": "restore", "instant": instant.isoformat()}
    return _planned(environment, f"Restore {environment.name} to {words}", words, source, lines, rows=rows)


def _planned(
    environment: Environment,
    title: str,
    target: str,
    source: Mapping[str, Any],
    lines: Sequence[Line],
    *,
    rows: Mapping[Address, Row] | None = None,
) -> Plan:
    """The plan with its direction and with the open requests that would have to be prepared again: three queries."""
    rows = _rows(environment) if rows is None else rows
    plan = Plan(environment, title, target, source, tuple(lines))
    documents: dict[str, dict[str, Any]] = {"flag": {}, "segment": {}}
    for (kind, key), row in rows.items():
        documents[kind][key] = row.document
    movement = movement_of(plan.change_set, configs=documents["flag"], segments=documents["segment"])
    touched = {line.address for line in lines if line.edit is not None}
    return Plan(environment, title, target, source, tuple(lines), movement, _open_requests(environment, touched))


def _rows(environment: Environment) -> dict[Address, Row]:
    configs = FlagConfig.objects.filter(environment=environment).select_related("flag")
    rows: dict[Address, Row] = {("flag", config.flag.key): config for config in configs}
    rows.update({("segment", one.key): one for one in Segment.objects.filter(environment=environment)})
    return rows


def _open_requests(environment: Environment, touched: Collection[Address]) -> dict[Address, tuple[ChangeRequest, ...]]:
    found: dict[Address, tuple[ChangeRequest, ...]] = {}
    states = [state.value for state in OPEN_STATES]
    for request in ChangeRequest.objects.filter(environment=environment, state__in=states).order_by("number"):
        for address in touched_keys(request):
            if address in touched:
                found[address] = (*found.get(address, ()), request)
    return found


def _existing(row: Row, version: int) -> Past:
    past = past_version(row, version)
    if past is None:
        raise NotFound(f"{_key(row)} has no version {version} in {row.environment.name}.", key=_key(row))
    return readable(past)


def _put_back(row: Row, past: Past) -> Line:
    return _changed(row, _normal(row, past.document), past.version, name=past.name)


def _out_of_reach(row: Row, past: Past) -> Line:
    """The line of what stays as it is because the version to go back to is in an archive."""
    words = past.archived.words if past.archived else ""
    note = f"It stays as it is: version {past.version} is no longer in the database. {words}"
    return _line(row, Fate.KEPT, target_version=past.version, note=note)


def _undone(row: Row, made: Past, before: Past | None) -> Line:
    """`row` without what the version `made` changed. A flag that this version set up is switched off instead."""
    if before is None:
        if isinstance(row, Segment):
            note = "It was created by this change and stays: it does nothing unless a rule uses it."
            return _line(row, Fate.KEPT, target_version=0, note=note)
        note = "It was set up by this change. That cannot be taken back, so it is switched off."
        return _changed(row, {**row.document, "enabled": False}, 0, note=note)
    merge = merge_documents(made.document, row.document, before.document)
    if merge.conflicts:
        return _line(row, Fate.CONFLICT, target_version=before.version, conflicts=merge.conflicts)
    is_renamed = isinstance(row, Segment) and row.name == made.name
    name = before.name if is_renamed or isinstance(row, FlagConfig) else row.name
    return _changed(row, _normal(row, merge.document), before.version, name=name)


def _newer(row: Row, *, is_switched_off: bool) -> Line:
    if is_switched_off and isinstance(row, FlagConfig) and row.document["enabled"]:
        line = _changed(row, {**row.document, "enabled": False}, 0)
        return Line(*_facts(row), 0, Fate.SWITCHED_OFF, line.before, line.after, line.edit)
    return _line(row, Fate.NEWER, target_version=0)


def _changed(row: Row, document: dict[str, Any], version: int, *, name: str = "", note: str = "") -> Line:
    """The line of a row that gets a document; none is written where it serves exactly that already."""
    if isinstance(row, Segment):
        name = name or row.name
        is_same = document_digest(document) == row.digest and name == row.name
        edit: Edit = SegmentEdit(row.key, name, row.version, document)
    else:
        is_same = document_digest(document) == row.digest
        edit = ConfigEdit(row.flag.key, row.version, document)
    if is_same:
        return _line(row, Fate.SAME, target_version=version, note=note)
    return Line(*_facts(row), version, Fate.CHANGES, row.document, document, edit, note=note)


def _line(row: Row, fate: Fate, *, target_version: int, note: str = "", conflicts: tuple[Conflict, ...] = ()) -> Line:
    return Line(*_facts(row), target_version, fate, row.document, conflicts=conflicts, note=note)


def _facts(row: Row) -> tuple[Literal["flag", "segment"], str, str, UUID, int]:
    if isinstance(row, Segment):
        return "segment", row.key, row.name, row.pk, row.version
    return "flag", row.flag.key, row.flag.name, row.flag_id, row.version


def _normal(row: Row, document: Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(row, Segment):
        return normalise_segment(document)
    return normalise_config(document, value_type=row.flag.value_type, flag_key=row.flag.key)


def _key(row: Row) -> str:
    return row.key if isinstance(row, Segment) else row.flag.key
