"""What the calendar is asked for a live timeline: its next milestone, where that changes what people get."""

import uuid
from dataclasses import dataclass
from datetime import datetime

from flags.changes import ChangeSet, ConfigEdit
from flags.selectors.movements import movement_of_change_set
from rollouts.deprecations.transitions import TimelineState
from rollouts.models import DeprecationTimeline
from rollouts.selectors.timelines.facts import QUIET
from rollouts.selectors.timelines.ground import definition_of, document_of, ground_of

_GOES_ON = (TimelineState.RUNNING.value, TimelineState.PAUSED.value)


@dataclass(frozen=True, slots=True)
class NextMilestone:
    """When the next milestone is due, now at the earliest, and what it makes of the flag."""

    at: datetime
    content: ChangeSet
    flag_key: str


def live_timeline_for(request_id: uuid.UUID) -> DeprecationTimeline | None:
    """The timeline that this request asked for, where it can come to a milestone still: one query."""
    rows = DeprecationTimeline.objects.filter(request=request_id, state__in=_GOES_ON)
    return rows.select_related("environment__project", "flag", "request").first()


def next_milestone(timeline: DeprecationTimeline, *, now: datetime) -> NextMilestone | None:
    """The next milestone that a freeze may hold; None where it tells people or services only, or there is none."""
    milestones, number = definition_of(timeline).milestones, timeline.milestone + 1
    if number > len(milestones) or milestones[number - 1].kind in QUIET:
        return None
    at = max(now, milestones[number - 1].at)
    document = document_of(timeline, number, now=at)
    edit = ConfigEdit(timeline.flag.key, ground_of(timeline).version, document)
    return NextMilestone(at, ChangeSet(str(timeline.environment_id), (edit,)), timeline.flag.key)


def held_keys(timeline: DeprecationTimeline, milestone: NextMilestone) -> list[str]:
    """The flags for which the calendar is asked then: the timeline's own, and those that it widens."""
    movement = movement_of_change_set(milestone.content, timeline.environment)
    return sorted({milestone.flag_key, *(one.flag_key for one in movement.widening)})
