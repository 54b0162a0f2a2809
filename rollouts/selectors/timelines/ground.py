"""What a timeline stands on: the flag as it was when it was prepared, as the timeline left it, and as it is now."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flags.documents.schema import Document
from flags.models import FlagConfig
from rollouts.deprecations.codec import InvalidTimeline, from_json
from rollouts.deprecations.definition import TimelineDefinition
from rollouts.deprecations.documents import document_at
from rollouts.deprecations.gating import Reached
from rollouts.deprecations.postponing import with_later_dates
from rollouts.deprecations.transitions import TimelineAct, TimelineState
from rollouts.models import DeprecationTimeline, TimelineStep


@dataclass(frozen=True, slots=True)
class Ground:
    """Version and digest of the flag as it is served now, and whether somebody else changed it."""

    version: int
    digest: str
    is_moved: bool


def definition_of(timeline: DeprecationTimeline) -> TimelineDefinition:
    """What the timeline says, with the dates that were put off. Raises InvalidTimeline where it cannot be read."""
    return with_later_dates(from_json(timeline.definition), timeline.postponed)


def base_document(timeline: DeprecationTimeline) -> Document:
    """The document that the timeline was prepared on."""
    found: Document = timeline.base["document"]
    return found


def successor_id_of(timeline: DeprecationTimeline) -> str:
    """The id of the flag that the key of the successor meant when the timeline was prepared; empty without one."""
    return str(timeline.base.get("successor_id", ""))


def is_readable(timeline: DeprecationTimeline) -> bool:
    """Whether what is stored of a timeline can be read. One that cannot is only ended."""
    try:
        definition_of(timeline)
    except (InvalidTimeline, AttributeError, TypeError):
        return False
    return isinstance(timeline.base, dict) and isinstance(timeline.base.get("document"), dict)


def document_of(timeline: DeprecationTimeline, number: int, *, now: datetime) -> Document:
    """The document of a milestone at an instant; 0 is how it was before."""
    return document_at(definition_of(timeline), base_document(timeline), number, now=now)


def left_as(timeline: DeprecationTimeline) -> Mapping[str, Any]:
    """Version and digest of the flag as the timeline last left it; before it wrote anything, as it was prepared on."""
    found: Mapping[str, Any] = timeline.written or timeline.base
    return found


def reached_of(timeline: DeprecationTimeline) -> Reached | None:
    """The last milestone that the timeline really came to; None before its first."""
    return None if timeline.reached_at is None else Reached(timeline.reached_number, timeline.reached_at)


def kept_version(timeline: DeprecationTimeline) -> int:
    """The version that somebody else made and that the last undoing kept, 0 for none: one query where it is undone."""
    if timeline.current_state is not TimelineState.UNDONE:
        return 0
    steps = TimelineStep.objects.filter(timeline=timeline, act=TimelineAct.UNDO.value).order_by("-sequence")
    evidence = steps.values_list("evidence", flat=True).first() or {}
    return int(evidence.get("kept_version") or 0)


def ground_of(timeline: DeprecationTimeline) -> Ground:
    """The flag as it is now: one query."""
    rows = FlagConfig.objects.filter(environment=timeline.environment_id, flag=timeline.flag_id)
    version, digest = rows.values_list("version", "digest").first() or (0, "")
    return Ground(version, digest, digest != left_as(timeline)["digest"])
