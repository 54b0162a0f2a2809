"""What must hold before a timeline goes to a milestone: which of it does, and a sentence for each."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from rollouts.plans.words import amount, span

from .definition import Milestone, TimelineDefinition
from .words import local, milestone_name

DATE, REST, RESIDUAL, APPROVAL = "date", "rest", "residual", "approval"
_A_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Reached:
    """A milestone that a timeline really came to, and when; number 0 is how it was before."""

    number: int
    at: datetime


@dataclass(frozen=True, slots=True)
class MilestoneFacts:
    """What is known when a timeline is looked at.

    `reached` is the last milestone that it did not miss, None before the first. `approvals` and `residual` are about
    the next one: people who approved it, and evaluations in the days that its gate asks about, None where the
    environment reported no figures in them. `blocked_by` is the sentence of what stands in the way.
    """

    now: datetime
    reached: Reached | None = None
    in_brownout: bool = False
    approvals: int = 0
    residual: int | None = None
    blocked_by: str = ""
    look_again_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class GateState:
    """One gate. `due_at` is when time alone will meet it, None where it takes more than time or is met."""

    name: str
    is_met: bool
    sentence: str
    due_at: datetime | None = None


def gates_of(definition: TimelineDefinition, number: int, facts: MilestoneFacts) -> tuple[GateState, ...]:
    """Every gate of the milestone with that number, in the order in which they are asked; approval comes last."""
    return tuple(_gates(definition, number, facts))


def least_rest(definition: TimelineDefinition, number: int, reached: int) -> timedelta:
    """How long the last milestone that was really reached is served before the next, however late it was.

    Half the time that was planned between the two, a day at most, or what the gate asks for. So what was missed in an
    outage does not come all at once. A brownout that was missed in between is not what people had.
    """
    if not reached:
        return timedelta(0)
    before, milestone = definition.milestones[reached - 1], definition.milestones[number - 1]
    asked = timedelta(minutes=milestone.gates.not_before_rest_minutes)
    return max(asked, min((milestone.at - before.at) / 2, _A_DAY))


def _gates(definition: TimelineDefinition, number: int, facts: MilestoneFacts) -> Iterator[GateState]:
    milestone = definition.milestones[number - 1]
    yield _date(definition, milestone, facts)
    rest = _rest(definition, number, facts)
    if rest is not None:
        yield rest
    if milestone.gates.residual_at_most is not None:
        yield _residual(milestone, milestone.gates.residual_at_most, facts)
    if milestone.gates.approvals:
        wanted = milestone.gates.approvals
        sentence = f"{facts.approvals} of {_approvals(wanted)} to go on."
        yield GateState(APPROVAL, facts.approvals >= wanted, sentence)


def _date(definition: TimelineDefinition, milestone: Milestone, facts: MilestoneFacts) -> GateState:
    at = local(milestone.at, definition.zone)
    what = milestone_name(milestone)
    if facts.now < milestone.at:
        return GateState(DATE, False, f"{what} is due on {at} ({definition.zone}).", milestone.at)
    return GateState(DATE, True, f"{what} was due on {at} ({definition.zone}).")


def _rest(definition: TimelineDefinition, number: int, facts: MilestoneFacts) -> GateState | None:
    """The rest where the milestone asks for one, or where it is what keeps the milestone from coming."""
    reached = facts.reached
    if reached is None or reached.at > facts.now + _A_DAY:
        # The clock was far ahead when it was reached, and is put right: nobody is to wait for that time to come.
        return None
    milestone = definition.milestones[number - 1]
    ends_at = reached.at + least_rest(definition, number, reached.number)
    if facts.now >= ends_at:
        asked = milestone.gates.not_before_rest_minutes
        return GateState(REST, True, f"Rested for {span(timedelta(minutes=asked))}.") if asked else None
    if ends_at <= milestone.at and not milestone.gates.not_before_rest_minutes:
        return None
    sentence = (
        f"The last milestone came on {local(reached.at, definition.zone)}; people get time until "
        f"{local(ends_at, definition.zone)} before the next one."
    )
    return GateState(REST, False, sentence, ends_at)


def _residual(milestone: Milestone, at_most: int, facts: MilestoneFacts) -> GateState:
    """Missing figures are not zero: a person has to say that nobody is left."""
    days = "day" if milestone.gates.residual_days == 1 else f"{milestone.gates.residual_days} days"
    if facts.residual is None:
        said = "somebody approved going on without figures" if facts.approvals else "somebody has to approve this"
        return GateState(RESIDUAL, facts.approvals > 0, f"Nothing was reported here in the last {days}, so {said}.")
    sentence = f"{_evaluations(facts.residual)} in the last {days}; {amount(at_most)} may be left."
    return GateState(RESIDUAL, facts.residual <= at_most, sentence)


def _evaluations(number: int) -> str:
    return "1 evaluation" if number == 1 else f"{amount(number)} evaluations"


def _approvals(number: int) -> str:
    return "1 approval" if number == 1 else f"{number} approvals"
