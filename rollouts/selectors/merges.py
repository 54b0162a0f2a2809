"""What becomes of a request when it is put on top of what is live now, or together with another request."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from flags.changes import ChangeSet, ConfigEdit, SegmentEdit
from flags.merging import Conflict, merge_documents
from rollouts.models import ChangeRequest
from rollouts.selectors.contents import EditView, edits_of, kind_and_key

Target = tuple[str, str]
Edit = ConfigEdit | SegmentEdit


@dataclass(frozen=True, slots=True)
class MergedEdit:
    """One flag or segment with both changes in it. `edit` is what the request would say; None: nothing is left to ask.

    `theirs` is the other side's document. Where there are conflicts that nobody decided, our side stands in `edit`.
    """

    target: Target
    name: str
    edit: Edit | None
    ours: dict[str, Any]
    theirs: dict[str, Any]
    conflicts: tuple[Conflict, ...]


@dataclass(frozen=True, slots=True)
class MergedRequest:
    """The content of a request after a merge; `merged` are the edits in which something was put together."""

    change_set: ChangeSet
    merged: tuple[MergedEdit, ...]

    @property
    def conflicts(self) -> tuple[tuple[Target, Conflict], ...]:
        """Everything both sides changed differently."""
        return tuple((one.target, conflict) for one in self.merged for conflict in one.conflicts)


def merged_with_live(
    request: ChangeRequest, edits: Iterable[EditView], *, take_theirs: Collection[tuple[str, str, str]] = ()
) -> MergedRequest:
    """`request` on top of what is live now; pure. `take_theirs`: kind, key and path where what is live is chosen."""
    merged: dict[Target, MergedEdit] = {}
    for view in edits:
        if view.has_moved and view.current is not None:
            target = (view.kind, view.key)
            merge = merge_documents(
                view.before or {}, view.after, view.current, take_theirs=_paths(take_theirs, target)
            )
            old = next(edit for edit in request.content.edits if kind_and_key(edit) == target)
            # What is live already needs nobody's approval.
            asks = merge.document != view.current
            edit = _with(old, view.current_version, merge.document) if asks else None
            merged[target] = MergedEdit(target, view.name, edit, view.after, view.current, merge.conflicts)
    edits_now = [
        merged[kind_and_key(edit)].edit if kind_and_key(edit) in merged else edit for edit in request.content.edits
    ]
    kept = tuple(edit for edit in edits_now if edit is not None)
    return MergedRequest(ChangeSet(str(request.environment_id), kept), tuple(merged.values()))


def merged_with_request(
    request: ChangeRequest, other: ChangeRequest, *, take_theirs: Collection[tuple[str, str, str]] = ()
) -> MergedRequest:
    """`request` with what `other` changes as well: ten queries. The base versions of `request` stay."""
    others = {(view.kind, view.key): view for view in edits_of(other)}
    theirs = {kind_and_key(edit): edit for edit in other.content.edits}
    mine = {kind_and_key(edit): edit for edit in request.content.edits}
    merged: dict[Target, MergedEdit] = {}
    for target in mine.keys() & theirs.keys():
        view, edit = others[target], mine[target]
        merge = merge_documents(view.before or {}, edit.document, view.after, take_theirs=_paths(take_theirs, target))
        both = _with(edit, edit.base_version, merge.document)
        merged[target] = MergedEdit(target, view.name, both, edit.document, view.after, merge.conflicts)
    added = [edit for target, edit in theirs.items() if target not in mine]
    kept = [merged[target].edit or edit if target in merged else edit for target, edit in mine.items()]
    return MergedRequest(ChangeSet(str(request.environment_id), (*kept, *added)), tuple(merged.values()))


def _paths(chosen: Collection[tuple[str, str, str]], target: Target) -> frozenset[str]:
    return frozenset(path for kind, key, path in chosen if (kind, key) == target)


def _with(edit: Edit, base_version: int, document: Mapping[str, Any]) -> Edit:
    if isinstance(edit, ConfigEdit):
        return ConfigEdit(edit.flag_key, base_version, dict(document))
    return SegmentEdit(edit.segment_key, edit.name, base_version, dict(document))
