"""What the meaning of a change depends on although it does not edit it: segments, and strict mode."""

from typing import Final

from flags.changes import ChangeSet, ConfigEdit, SegmentEdit
from flags.documents import referenced_segments
from flags.documents.references import segments_within
from flags.documents.schema import TARGETING_KEY
from flags.models import Environment, Segment

# Stands beside keys of segments, of which none holds a blank. Only there while the mode is on.
STRICT_MODE: Final = "strict mode"


def relied_on(change_set: ChangeSet, environment: Environment) -> dict[str, int]:
    """What approvals of the change set are bound to beside it: versions of segments, and strict mode where it counts.

    Strict mode decides what a split answers to people without a targeting key. Where it is off nothing stands for it.
    """
    strict = environment.requires_targeting_key and any(map(_splits_by_key, change_set.edits))
    return {**relied_segments(change_set, environment), **({STRICT_MODE: 1} if strict else {})}


def _splits_by_key(edit: ConfigEdit | SegmentEdit) -> bool:
    return isinstance(edit, ConfigEdit) and any(
        "split" in rule["serve"] and rule.get("bucket_by", TARGETING_KEY) == TARGETING_KEY
        for rule in edit.document["rules"]
    )


def relied_segments(change_set: ChangeSet, environment: Environment) -> dict[str, int]:
    """The present version of every segment that the edited documents refer to, directly or through others, by key.

    Segments that the change set edits itself are left out: their own base versions speak for them. So are missing ones:
    a document that refers to one is not valid.

    Prerequisites are not relied on in this sense: a parent that moves does not void an approval. Else every step of a
    parent's ramp would void what waits behind it, and the child asks for the parent's variant at every evaluation.
    """
    edited = {edit.segment_key: edit.document for edit in change_set.edits if isinstance(edit, SegmentEdit)}
    configs = [edit.document for edit in change_set.edits if isinstance(edit, ConfigEdit)]
    named = {key for document in [*configs, *edited.values()] for key in referenced_segments(document)}
    if named <= edited.keys():
        return {}
    rows = Segment.objects.filter(environment=environment).order_by("key").values_list("key", "version", "document")
    versions = {key: version for key, version, _ in rows}
    documents = {key: document for key, _, document in rows} | edited
    within = segments_within(named, documents)
    return {key: version for key, version in versions.items() if key in within and key not in edited}
