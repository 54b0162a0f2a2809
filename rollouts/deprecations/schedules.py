"""From days and wall-clock times to the instants of a timeline, and later ones instead."""

from dataclasses import replace
from datetime import date, datetime, timedelta

from rollouts.schedules.zones import instant_in, zone_of

from .checking import schedule_problems, year_problem
from .codec import invalid
from .definition import Milestone, MilestoneKind, TimelineDefinition
from .templates import TimelineTemplate
from .words import local, milestone_name

LEAST_NOTICE = timedelta(hours=24)


def dates_of(template: TimelineTemplate, starts_on: date, zone: str) -> tuple[datetime, ...]:
    """The instant of every milestone of a template that is announced on a day, by the clocks of a zone.

    A time that the clocks skip is the first instant after the gap, of one that they show twice it is the first. Raises
    UnusableSchedule for an unknown zone.
    """
    place = zone_of(zone)
    return tuple(
        instant_in(place, datetime.combine(starts_on + timedelta(days=step.after_days), step.at))
        for step in template.steps
    )


def fill(
    template: TimelineTemplate,
    *,
    flag_key: str,
    starts_on: date,
    zone: str,
    final_variant: str | None = None,
    successor: str = "",
) -> TimelineDefinition:
    """The timeline of a template for one flag, announced on a day."""
    dates = dates_of(template, starts_on, zone)
    milestones = tuple(
        Milestone(step.kind, at, step.minutes, step.weight, step.gates)
        for step, at in zip(template.steps, dates, strict=True)
    )
    return TimelineDefinition(flag_key, milestones, final_variant, successor, zone=zone)


def postponed(
    definition: TimelineDefinition, number: int, to: datetime, *, with_later: bool = False
) -> TimelineDefinition:
    """The timeline with one milestone at a later instant; `with_later` moves those after it by the same distance.

    The distance is that between the clocks of the timeline's zone, so that 09:00 stays 09:00 across a change of clocks.
    Raises InvalidTimeline where the date is not later or centuries ahead, or what follows would come before it.
    """
    milestone = definition.milestones[number - 1]
    path = f"milestones.{number - 1}.at"
    if text := year_problem(to):
        raise invalid([(path, text)])
    if to <= milestone.at:
        was = local(milestone.at, definition.zone)
        text = f"{milestone_name(milestone)} is due on {was}. Choose a later date to postpone it."
        raise invalid([(path, text)])
    moved = [replace(milestone, at=to)]
    if with_later:
        distance = _clock(to, definition) - _clock(milestone.at, definition)
        moved += [_moved(later, distance, definition) for later in definition.milestones[number:]]
    kept = definition.milestones
    result = replace(definition, milestones=(*kept[: number - 1], *moved, *kept[number - 1 + len(moved) :]))
    problems = schedule_problems(result)
    if problems:
        raise invalid(problems)
    return result


def short_notice(former: TimelineDefinition, later: TimelineDefinition, *, now: datetime) -> str:
    """Why new dates come too soon: a brownout is an outage, and people hear of it a day before. Empty where they do."""
    for number, (was, becomes) in enumerate(zip(former.milestones, later.milestones, strict=True), 1):
        if becomes.kind is MilestoneKind.BROWNOUT and becomes.at != was.at and becomes.at < now + LEAST_NOTICE:
            return (
                f"Milestone {number}, {milestone_name(becomes).lower()}, would come on "
                f"{local(becomes.at, later.zone)}. People have to hear of its new date 24 hours before: choose "
                f"{local(now + LEAST_NOTICE, later.zone)} or later."
            )
    return ""


def _moved(milestone: Milestone, distance: timedelta, definition: TimelineDefinition) -> Milestone:
    wall = _clock(milestone.at, definition) + distance
    return replace(milestone, at=instant_in(zone_of(definition.zone), wall))


def _clock(at: datetime, definition: TimelineDefinition) -> datetime:
    """What the clocks of the timeline's zone show."""
    return at.astimezone(zone_of(definition.zone)).replace(tzinfo=None, fold=0)
