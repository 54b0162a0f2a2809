"""What programs read about timelines: pages of them, and everything about one."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from rollouts.deprecations.ahead import MilestoneAhead
from rollouts.deprecations.transitions import LIVE_STATES, TimelineState
from rollouts.models import DeprecationTimeline, TimelineStep
from rollouts.selectors.timelines.consents import MilestoneConsents, milestone_consents
from rollouts.selectors.timelines.endings import readable
from rollouts.selectors.timelines.facts import Reading, ahead_of, reading_of
from rollouts.selectors.timelines.ground import is_readable

LIVE = "live"
MOST_STEPS = 200
_AT_WORK = frozenset({TimelineState.RUNNING, TimelineState.PAUSED})


@dataclass(frozen=True, slots=True)
class TimelinePart:
    """Some timelines, newest first. `next_number`: where the next part begins; None at the end."""

    timelines: Sequence[DeprecationTimeline]
    next_number: int | None


@dataclass(frozen=True, slots=True)
class TimelineFacts:
    """One timeline with what it waits for, what lies ahead, and what happened to it, newest first."""

    timeline: DeprecationTimeline
    reading: Reading | None
    ahead: Sequence[MilestoneAhead]
    consents: MilestoneConsents
    steps: Sequence[TimelineStep]


def timelines_in(
    environment_id: UUID, *, state: str = "", flag_key: str = "", below: int | None = None, size: int
) -> TimelinePart:
    """Timelines of one environment with numbers below `below`: one query. `state` "live": all that may still act.

    One whose definition cannot be read is left out: it says so on its own page.
    """
    rows = DeprecationTimeline.objects.filter(environment=environment_id)
    if state:
        rows = rows.filter(state__in=[one.value for one in LIVE_STATES] if state == LIVE else [state])
    if flag_key:
        rows = rows.filter(flag__key=flag_key)
    if below is not None:
        rows = rows.filter(number__lt=below)
    found = list(rows.select_related("environment", "created_by").order_by("-number")[: size + 1])
    shown = found[:size]
    return TimelinePart(readable(shown), shown[-1].number if len(found) > size else None)


def timeline_in(environment_id: UUID, timeline_id: UUID) -> DeprecationTimeline | None:
    """One timeline of an environment; None where it holds no such timeline."""
    rows = DeprecationTimeline.objects.select_related(
        "environment__project", "project", "flag", "request", "created_by"
    )
    return rows.filter(environment=environment_id, pk=timeline_id).first()


def timeline_facts(timeline: DeprecationTimeline, *, now: datetime) -> TimelineFacts:
    """Everything about a timeline: a constant number of queries. Of one that cannot be read, what happened to it."""
    steps = list(TimelineStep.objects.filter(timeline=timeline).order_by("-sequence")[:MOST_STEPS])
    if not is_readable(timeline):
        return TimelineFacts(timeline, None, (), MilestoneConsents(0), steps)
    is_at_work = timeline.current_state in _AT_WORK
    return TimelineFacts(
        timeline,
        reading_of(timeline, now=now) if is_at_work else None,
        ahead_of(timeline, now=now),
        milestone_consents(timeline),
        steps,
    )
