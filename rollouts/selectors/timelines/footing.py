"""What a flag answers by beside its own document: segments, strict mode and the flags it needs.

While people are withdrawn a change of these shows nothing to anybody, so a way back asks whether there was one.
"""

from collections.abc import Mapping
from typing import Any, Final

from audits.actions import Action
from audits.models import AuditEvent
from flags.authority import ApprovedChange
from flags.changes import ChangeSet, ConfigEdit
from flags.documents.references import flags_above, prerequisite_keys
from flags.documents.schema import Document
from flags.models import FlagConfig, Segment
from rollouts.deprecations.transitions import TimelineAct
from rollouts.models import DeprecationTimeline, TimelineStep
from rollouts.selectors.reliance import STRICT_MODE, relied_on
from rollouts.selectors.timelines.ground import base_document

FOOTING: Final = "footing"


def footing_of(timeline: DeprecationTimeline) -> dict[str, Any]:
    """Versions of the flags that the flag needs at any depth, and what it and they rely on, now: two queries at most.

    The step of the start keeps it.
    """
    parents = _parents(timeline)
    edits = [ConfigEdit(timeline.flag.key, 0, base_document(timeline))]
    edits += [ConfigEdit(key, version, document) for key, (version, document) in parents.items()]
    content = ChangeSet(str(timeline.environment_id), tuple(edits))
    return {
        "flags": {key: version for key, (version, _) in parents.items()},
        "relies_on": relied_on(content, timeline.environment),
    }


def is_on_same_footing(timeline: DeprecationTimeline) -> bool:
    """Whether what the flag answers by is what approvers were bound to, or what it was at the start without any.

    A segment that an approved change wrote since is approved as well. As for any approval, the flags that it needs are
    not asked about. The footing of a timeline whose start did not keep it is not known, so it is not the same.
    """
    if timeline.request is None:
        starts = TimelineStep.objects.filter(timeline=timeline, act=TimelineAct.START.value)
        kept = starts.order_by("sequence").values_list("evidence", flat=True).first() or {}
        return FOOTING in kept and bool(kept[FOOTING] == footing_of(timeline))
    edit = ConfigEdit(timeline.flag.key, 0, base_document(timeline))
    present = relied_on(ChangeSet(str(timeline.environment_id), (edit,)), timeline.environment)
    former: Mapping[str, int] = timeline.request.relies_on
    moved = {key for key in present.keys() | former.keys() if present.get(key) != former.get(key)}
    return STRICT_MODE not in moved and moved <= _approved_segments(timeline, moved)


def _parents(timeline: DeprecationTimeline) -> dict[str, tuple[int, Document]]:
    """Version and document of every flag that the flag needs, directly or through others, by key."""
    base = base_document(timeline)
    if not prerequisite_keys(base):
        return {}
    rows = FlagConfig.objects.filter(environment=timeline.environment_id).order_by("flag__key")
    found = {
        key: (version, document) for key, version, document in rows.values_list("flag__key", "version", "document")
    }
    documents = {key: document for key, (_, document) in found.items()} | {timeline.flag.key: base}
    needed = flags_above(timeline.flag.key, documents) - {timeline.flag.key}
    return {key: one for key, one in found.items() if key in needed}


def _approved_segments(timeline: DeprecationTimeline, keys: set[str]) -> set[str]:
    """Those of some segments whose present version an approved change wrote: two queries, none without keys."""
    if not keys:
        return set()
    rows = Segment.objects.filter(environment=timeline.environment_id, key__in=keys)
    versions = {str(pk): (key, version) for pk, key, version in rows.values_list("pk", "key", "version")}
    events = AuditEvent.objects.filter(
        target_type="segment", target_id__in=list(versions), action=Action.SEGMENT_APPLIED.value
    )
    told = [(versions[event.target_id], event.details) for event in events]
    return {
        key
        for (key, version), facts in told
        if facts.get("to_version") == version and facts.get("authority") == ApprovedChange.kind
    }
