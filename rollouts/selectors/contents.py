"""What a request changes, set against the versions it was based on and against what is served now."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from flags.archives import ArchiveNote, note_of
from flags.changes import ConfigEdit, Difference, SegmentEdit, diff_configs, diff_segments
from flags.documents import Summary, summarise
from flags.models import Environment, FlagConfig, Segment
from flags.selectors.versions import owners_of
from rollouts.models import ChangeRequest
from rollouts.transitions import OPEN_STATES

Documents = Mapping[tuple[str, int], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class EditView:
    """One edit of a request. `before` is the version it was based on, `current` what is served now; None: not set up.

    `differences` is what the author meant to change. When the base has moved, `meanwhile` is what others changed and
    `effect` what applying this content on top of the present would do.
    """

    kind: str
    key: str
    name: str
    target_id: UUID | None
    base_version: int
    current_version: int
    has_moved: bool
    before: dict[str, Any] | None
    after: dict[str, Any]
    current: dict[str, Any] | None
    differences: tuple[Difference, ...]
    meanwhile: tuple[Difference, ...]
    effect: tuple[Difference, ...]
    summary_before: Summary | None
    summary_after: Summary | None

    @property
    def prepared(self) -> tuple[str, ...]:
        """All that begins to be served where the edit switches a flag on: in one sentence, then one by one."""
        before = self.current if self.has_moved else self.before
        if self.kind != "flag" or before is None or before["enabled"] or not self.after["enabled"]:
            return ()
        _, *parts = diff_configs(None, self.after)
        return (summarise(self.after).sentence, *(part.sentence for part in parts))


@dataclass(frozen=True, slots=True)
class _Served:
    """One side of the comparison for configs or for segments, by key."""

    names: Mapping[str, tuple[UUID, str]]
    current: Mapping[str, tuple[int, dict[str, Any]]]
    past: Documents


def edits_of(request: ChangeRequest) -> tuple[EditView, ...]:
    """Every edit of `request` with its differences: five queries, whatever the number of edits."""
    edits = request.content.edits
    asked_at = request.created_at
    configs = _configs(request.environment, [edit for edit in edits if isinstance(edit, ConfigEdit)], asked_at)
    segments = _segments(request.environment, [edit for edit in edits if isinstance(edit, SegmentEdit)])
    is_open = request.current_state in OPEN_STATES
    return tuple(_view(edit, configs if isinstance(edit, ConfigEdit) else segments, is_open=is_open) for edit in edits)


def touched_keys(request: ChangeRequest) -> frozenset[tuple[str, str]]:
    """Kind and key of everything a request touches."""
    return frozenset(kind_and_key(edit) for edit in request.content.edits)


def touched_words(request: ChangeRequest) -> list[str]:
    """The same as texts that can be stored: "flag checkout"."""
    return sorted(f"{kind} {key}" for kind, key in touched_keys(request))


def _view(edit: ConfigEdit | SegmentEdit, served: _Served, *, is_open: bool) -> EditView:
    kind, key = kind_and_key(edit)
    diff = diff_configs if isinstance(edit, ConfigEdit) else diff_segments
    target_id, name = served.names.get(key, (None, edit.name if isinstance(edit, SegmentEdit) else key))
    current_version, current = served.current.get(key, (0, None))
    before = served.past.get((key, edit.base_version))
    note = note_of(before)
    before = None if note else before
    has_moved = is_open and current_version != edit.base_version
    is_config = isinstance(edit, ConfigEdit)
    return EditView(
        kind=kind,
        key=key,
        name=name,
        target_id=target_id,
        base_version=edit.base_version,
        current_version=current_version,
        has_moved=has_moved,
        before=before,
        after=edit.document,
        current=current,
        differences=(_out_of_reach(edit, note),) if note else tuple(diff(before, edit.document)),
        meanwhile=tuple(diff(before, current)) if has_moved and current is not None else (),
        effect=tuple(diff(current, edit.document)) if has_moved else (),
        summary_before=summarise(before) if is_config and before is not None else None,
        summary_after=summarise(edit.document) if is_config else None,
    )


def _out_of_reach(edit: ConfigEdit | SegmentEdit, note: ArchiveNote) -> Difference:
    """What is said instead of the differences from a version that an archive holds."""
    words = f"What it changed cannot be shown: version {edit.base_version} is no longer in the database. {note.words}"
    return Difference("", "changed", words, None, None)


def _configs(environment: Environment, edits: list[ConfigEdit], asked_at: datetime) -> _Served:
    keys, versions = [edit.flag_key for edit in edits], [edit.base_version for edit in edits]
    flags = owners_of(environment.project_id, keys, at=asked_at)
    ids = [flag.pk for flag in flags.values()]
    rows = FlagConfig.objects.filter(environment=environment, flag__in=ids)
    history = FlagConfig.history.filter(environment=environment, flag__in=ids, version__in=versions)
    return _Served(
        {key: (flag.pk, flag.name) for key, flag in flags.items()},
        {key: (version, document) for key, version, document in rows.values_list("flag__key", "version", "document")},
        _by_version(history.values_list("flag__key", "version", "document")),
    )


def _segments(environment: Environment, edits: list[SegmentEdit]) -> _Served:
    keys, versions = [edit.segment_key for edit in edits], [edit.base_version for edit in edits]
    rows = list(Segment.objects.filter(environment=environment, key__in=keys))
    history = Segment.history.filter(environment=environment, key__in=keys, version__in=versions)
    return _Served(
        {row.key: (row.pk, row.name) for row in rows},
        {row.key: (row.version, row.document) for row in rows},
        _by_version(history.values_list("key", "version", "document")),
    )


def _by_version(rows: Iterable[tuple[str, int, dict[str, Any]]]) -> Documents:
    return {(key, version): document for key, version, document in rows}


def kind_and_key(edit: ConfigEdit | SegmentEdit) -> tuple[str, str]:
    """What an edit is about: ("flag", "checkout")."""
    return ("flag", edit.flag_key) if isinstance(edit, ConfigEdit) else ("segment", edit.segment_key)
