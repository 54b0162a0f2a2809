"""Milestones of timelines in the month: those that were reached, those ahead, brownouts as the time they last."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from flags.models import Environment
from rollouts.deprecations.ahead import milestones_ahead
from rollouts.deprecations.definition import MilestoneKind
from rollouts.deprecations.documents import brownout_ends_at
from rollouts.deprecations.transitions import TimelineAct, TimelineState
from rollouts.deprecations.words import milestone_name
from rollouts.models import DeprecationTimeline, TimelineStep
from rollouts.selectors.calendar_kinds import CalendarEntry
from rollouts.selectors.timelines.endings import readable
from rollouts.selectors.timelines.ground import definition_of, reached_of

TIMELINE = "admin:rollouts_deprecationtimeline_change"
REACHED, AHEAD, SUNSET = "milestone", "milestone_ahead", "sunset"


def timeline_milestones(
    environments: Sequence[Environment], starts_at: datetime, ends_at: datetime
) -> Iterable[CalendarEntry]:
    """What timelines did and will do in [starts_at, ends_at): two queries."""
    steps = TimelineStep.objects.filter(
        environment__in=environments, at__gte=starts_at, at__lt=ends_at, act=TimelineAct.REACH.value
    )
    related = list(steps.select_related("timeline__flag", "timeline__environment"))
    shown = {timeline.pk for timeline in readable(step.timeline for step in related)}
    for step in related:
        if step.timeline_id not in shown:
            continue
        yield _entry(step.timeline, step.to_milestone, REACHED, step.at, step.at, "")
    running = DeprecationTimeline.objects.filter(environment__in=environments, state=TimelineState.RUNNING.value)
    for timeline in readable(running.filter(blocked_code="").select_related("flag", "environment")):
        yield from _ahead(timeline, starts_at, ends_at)


def _ahead(timeline: DeprecationTimeline, starts_at: datetime, ends_at: datetime) -> Iterable[CalendarEntry]:
    definition = definition_of(timeline)
    for one in milestones_ahead(definition, timeline.milestone, reached=reached_of(timeline), now=starts_at):
        milestone = definition.milestones[one.number - 1]
        if one.earliest_at is None or not starts_at <= one.earliest_at < ends_at:
            continue
        is_brownout = milestone.kind is MilestoneKind.BROWNOUT
        until = brownout_ends_at(milestone) if is_brownout else one.earliest_at
        kind = SUNSET if milestone.kind is MilestoneKind.SUNSET else AHEAD
        more = ", once its gates are met" if milestone.gates.approvals or milestone.gates.residual_days else ""
        yield _entry(timeline, one.number, kind, one.earliest_at, until, more)


def _entry(
    timeline: DeprecationTimeline, number: int, kind: str, starts_at: datetime, ends_at: datetime, more: str
) -> CalendarEntry:
    name = milestone_name(definition_of(timeline).milestones[number - 1])
    return CalendarEntry(
        kind=kind,
        title=f"{timeline.flag.name}: {name[:1].lower()}{name[1:]}",
        text=f"{timeline.environment.name}{more}",
        starts_at=starts_at,
        ends_at=ends_at,
        environment_ids=frozenset([timeline.environment_id]),
        route=TIMELINE,
        arguments=(timeline.pk,),
    )
