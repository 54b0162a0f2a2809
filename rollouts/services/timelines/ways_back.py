"""What a way back of a timeline writes, and what it says where it does not simply write what was there before.

What somebody else made of the flag meanwhile stays: only what the timeline wrote about its end is taken out.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flags.changes import document_digest
from flags.documents.schema import Document
from flags.models import FlagConfig
from rollouts.deprecations.definition import TimelineDefinition
from rollouts.deprecations.documents import document_at, with_end_of
from rollouts.deprecations.transitions import TimelineAct
from rollouts.models import DeprecationTimeline, TimelineStep
from rollouts.selectors.timelines.footing import is_on_same_footing
from rollouts.selectors.timelines.ground import Ground, base_document
from rollouts.services.timelines.consent import is_as_approved

MOVED, ALTERED, NOT_NARROWING, UNREADABLE = "moved", "altered", "not_narrowing", "unreadable"
# What a step, a mail and the page say where a way back wrote nothing.
LEFT_WORDS = {
    MOVED: "Somebody else changed what the flag says of its end since, so it was left as it is now. Look at it and "
    "change it by hand.",
    ALTERED: "What is stored of this timeline was neither approved nor served, so the flag was left as it is now. "
    "Look at it and change it by hand.",
    NOT_NARROWING: "The environment is protected, and people would get back something else than what was approved or "
    "what they had before, so the flag was left as it is now. Propose a change request to give it back to people.",
    UNREADABLE: "What is stored of this timeline cannot be read, so the flag was left as it is now. Look at what it "
    "says of its end and change it by hand, or by a change request.",
}
# Ways back of people. What tidies or announces leaves a flag alone that somebody else changed.
_TAKES_OUT = frozenset({TimelineAct.UNDO, TimelineAct.END})


@dataclass(frozen=True, slots=True)
class WayBack:
    """What is to be written. `why_alone`: nothing, for this reason. `kept_version` is the version that somebody else
    made and that stays but for its end, 0 for none. `restores`: people get what was approved, or where nobody
    approved, exactly what they had before the timeline.
    """

    document: Document
    why_alone: str = ""
    kept_version: int = 0
    restores: bool = False


def way_back(
    timeline: DeprecationTimeline,
    act: TimelineAct,
    number: int,
    definition: TimelineDefinition,
    *,
    ground: Ground,
    now: datetime,
) -> WayBack:
    """What goes back to a milestone: eight queries at most."""
    document = document_at(definition, base_document(timeline), number, now=now)
    if not ground.is_moved:
        why_alone = "" if _is_known(timeline, document) else ALTERED
        return WayBack(document, why_alone, restores=_restores(timeline))
    rows = FlagConfig.objects.filter(environment=timeline.environment_id, flag=timeline.flag_id)
    present: Document = rows.values_list("document", flat=True).get()
    document = with_end_of(present, document)
    is_there = document_digest(document) == ground.digest
    if act not in _TAKES_OUT or not (is_there or _is_its_own(timeline, present)):
        return WayBack(present, MOVED)
    if not (is_there or _is_known(timeline, document)):
        return WayBack(present, ALTERED)
    return WayBack(document, kept_version=ground.version)


def words_of(act: TimelineAct, why_alone: str, kept_version: int) -> str:
    """What people are told; empty where the flag is simply as it was at the milestone."""
    if why_alone:
        return LEFT_WORDS[why_alone]
    if not kept_version:
        return ""
    onwards = (
        " This timeline does not go on over it: end it, then make a new one on how the flag is now."
        if act is TimelineAct.UNDO
        else ""
    )
    return (
        f"Somebody else changed the flag since. That edit (version {kept_version}) was kept, and only what the flag "
        f"says of its end went back.{onwards}"
    )


def _is_its_own(timeline: DeprecationTimeline, present: Document) -> bool:
    """Whether what a flag says of its end is what the timeline wrote last, or found before it wrote anything."""
    steps = TimelineStep.objects.filter(timeline=timeline, revision__isnull=False).order_by("-sequence")
    last: dict[str, Any] | None = steps.values_list("evidence", flat=True).first()
    version = last["versions"][timeline.flag.key] if last else timeline.base["version"]
    rows = FlagConfig.history.filter(environment=timeline.environment_id, flag=timeline.flag_id, version=version)
    former: Document | None = rows.values_list("document", flat=True).first()
    return former is not None and former.get("deprecation") == present.get("deprecation")


def _is_known(timeline: DeprecationTimeline, document: Document) -> bool:
    """Whether a document follows from what was looked at when the timeline was prepared, or was served before."""
    return is_as_approved(timeline) or _was_served(timeline, document)


def _restores(timeline: DeprecationTimeline) -> bool:
    """Whether people get what was approved or was served before, down to the segments that it refers to."""
    was_before = _was_served(timeline, base_document(timeline), version=timeline.base["version"])
    return (timeline.request is not None or was_before) and is_on_same_footing(timeline)


def _was_served(timeline: DeprecationTimeline, document: Document, **which: int) -> bool:
    rows = FlagConfig.history.filter(environment=timeline.environment_id, flag=timeline.flag_id, **which)
    found: bool = rows.filter(digest=document_digest(document)).exists()
    return found
