"""What somebody sees who puts a milestone off: its present date, what the new one runs into, what moves along."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from rollouts.admin.timelines.preview import warnings_of
from rollouts.deprecations.checking import dates_past
from rollouts.deprecations.definition import TimelineDefinition
from rollouts.deprecations.words import local, milestone_name
from rollouts.models import DeprecationTimeline
from rollouts.schedules.zones import zone_of
from rollouts.selectors.timelines.endings import freezes_of

_FIELD = "%Y-%m-%dT%H:%M"
_LOOKED_AHEAD = timedelta(days=60)
_MOST_FREEZES = 3
_MOST_WARNINGS = 3


@dataclass(frozen=True, slots=True)
class Place:
    """A milestone to choose, with its number. `at` is its present date as a field for wall time shows it."""

    number: int
    words: str
    at: str = ""
    is_usual: bool = False


def places_ahead(timeline: DeprecationTimeline, definition: TimelineDefinition, *, now: datetime) -> list[Place]:
    """The milestones that can be put off with their present dates; the usual one is the first that is past already."""
    ahead = range(timeline.milestone + 1, len(definition.milestones) + 1)
    past = [int(path.split(".")[1]) + 1 for path, _ in dates_past(definition, reached=timeline.milestone, now=now)]
    usual = past[0] if past else timeline.milestone + 1
    return [_place(definition, number, is_usual=number == usual) for number in ahead]


def freezes_ahead(timeline: DeprecationTimeline, definition: TimelineDefinition, *, now: datetime) -> list[str]:
    """The freezes that a later date may run into, in sentences: one query."""
    until = max(milestone.at for milestone in definition.milestones) + _LOOKED_AHEAD
    if until <= now:
        until = now + _LOOKED_AHEAD
    found = freezes_of([timeline.environment], now, until)
    concerning = [one for one in found if one.concerns(timeline.flag, timeline.environment_id)]
    return [
        f"The freeze “{one.title}” lasts from {local(one.starts_at, definition.zone)} to "
        f"{local(one.ends_at, definition.zone)}: what would withdraw the flag is held in it."
        for one in concerning[:_MOST_FREEZES]
    ]


def moved_words(
    timeline: DeprecationTimeline, number: int, former: TimelineDefinition, later: TimelineDefinition
) -> str:
    """What became of the dates: the milestone's own, those that moved along, and what the new ones run into."""
    milestone, zone = later.milestones[number - 1], later.zone
    words = f"“{milestone_name(milestone)}” comes on {local(milestone.at, zone)} ({zone}) now"
    changed = [place for place, one in enumerate(later.milestones) if one.at != former.milestones[place].at]
    if along := [later.milestones[place] for place in changed if place != number - 1]:
        dates = ", ".join(f"{milestone_name(one)} on {local(one.at, zone)}" for one in along)
        words += f", and {later_milestones(len(along))} with it: {dates}"
    warnings = warnings_of(later, timeline.flag, [timeline.environment])
    said = [f"Milestone {place + 1}: {one}" for place in changed for one in warnings.get(place, ())]
    return " ".join([f"{words}. Everybody is told.", *said[:_MOST_WARNINGS]])


def later_milestones(number: int) -> str:
    """“3 later milestones”."""
    return "1 later milestone" if number == 1 else f"{number} later milestones"


def _place(definition: TimelineDefinition, number: int, *, is_usual: bool) -> Place:
    milestone = definition.milestones[number - 1]
    words = f"{number}. {milestone_name(milestone)}, {local(milestone.at, definition.zone)}"
    return Place(number, words, milestone.at.astimezone(zone_of(definition.zone)).strftime(_FIELD), is_usual)
