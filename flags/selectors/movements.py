"""What a change set does to exposure, as its environment is now."""

from collections.abc import Mapping
from typing import Any

from flags.changes import ChangeSet, ConfigEdit, SegmentEdit
from flags.directions import Movement, movement_of
from flags.documents.references import prerequisite_keys
from flags.models import Environment, FlagConfig, Segment

Documents = dict[str, Mapping[str, Any]]


def movement_of_change_set(change_set: ChangeSet, environment: Environment) -> Movement:
    """What a valid change set does to every flag of its environment: three queries at most, whatever it holds."""
    segments: Documents = dict(Segment.objects.filter(environment=environment).values_list("key", "document"))
    return movement_of(change_set, configs=_configs(change_set, environment), segments=segments)


def _configs(change_set: ChangeSet, environment: Environment) -> Documents:
    """Every flag, where a segment changes; else those edited, those with prerequisites, and those that are one."""
    rows = FlagConfig.objects.filter(environment=environment).values_list("flag__key", "document")
    if any(isinstance(edit, SegmentEdit) for edit in change_set.edits):
        return dict(rows)
    edited = [edit for edit in change_set.edits if isinstance(edit, ConfigEdit)]
    found: Documents = dict(rows.filter(document__has_key="prerequisites"))
    named = {edit.flag_key for edit in edited}
    named.update(
        key
        for document in [*found.values(), *(edit.document for edit in edited)]
        for key in prerequisite_keys(document)
    )
    return found | dict(rows.filter(flag__key__in=named - found.keys()))
