"""When the milestones ahead come at the earliest, if nobody and nothing holds the timeline."""

from dataclasses import dataclass
from datetime import datetime

from rollouts.plans.words import span

from .definition import TimelineDefinition
from .documents import is_over
from .gating import Reached, least_rest
from .words import local, milestone_name, milestone_sentence


@dataclass(frozen=True, slots=True)
class MilestoneAhead:
    """One milestone ahead. `earliest_at` is None for a brownout that is missed by then."""

    number: int
    planned_at: datetime
    earliest_at: datetime | None
    sentence: str

    @property
    def is_late(self) -> bool:
        """Whether it cannot come on its date any more."""
        return self.earliest_at is None or self.earliest_at > self.planned_at


def milestones_ahead(
    definition: TimelineDefinition, number: int, *, reached: Reached | None, now: datetime
) -> tuple[MilestoneAhead, ...]:
    """Every milestone after that number; `reached` is the last one that was not missed, None before the first."""
    found = []
    for ahead in range(number + 1, len(definition.milestones) + 1):
        milestone = definition.milestones[ahead - 1]
        earliest_at = max(milestone.at, now)
        if reached is not None:
            earliest_at = max(earliest_at, reached.at + least_rest(definition, ahead, reached.number))
        is_missed = is_over(milestone, now=earliest_at)
        sentence = _sentence(definition, ahead, None if is_missed else earliest_at)
        found.append(MilestoneAhead(ahead, milestone.at, None if is_missed else earliest_at, sentence))
        reached = reached if is_missed else Reached(ahead, earliest_at)
    return tuple(found)


def _sentence(definition: TimelineDefinition, number: int, earliest_at: datetime | None) -> str:
    milestone = definition.milestones[number - 1]
    planned = f"{milestone_name(milestone)} was planned for {local(milestone.at, definition.zone)}"
    if earliest_at is None:
        return f"{planned} and will be missed: its announced time is over before it can come."
    if earliest_at <= milestone.at:
        return milestone_sentence(definition, number)
    at = local(earliest_at, definition.zone)
    return f"{planned} and comes on {at} at the earliest, {span(earliest_at - milestone.at)} late."
