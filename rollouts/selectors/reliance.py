"""The segments whose meaning a change depends on although it does not edit them."""

from flags.changes import ChangeSet, ConfigEdit, SegmentEdit
from flags.documents import referenced_segments
from flags.models import Environment, Segment


def relied_segments(change_set: ChangeSet, environment: Environment) -> dict[str, int]:
    """The present version of every segment that the edited documents refer to, by key.

    Segments that the change set edits itself are left out: their own base versions speak for them. So are missing ones:
    a document that refers to one is not valid.
    """
    keys: set[str] = set()
    for edit in change_set.edits:
        if isinstance(edit, ConfigEdit):
            keys |= referenced_segments(edit.document)
    keys -= {edit.segment_key for edit in change_set.edits if isinstance(edit, SegmentEdit)}
    if not keys:
        return {}
    rows = Segment.objects.filter(environment=environment, key__in=keys)
    return dict(rows.order_by("key").values_list("key", "version"))
