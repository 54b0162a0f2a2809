"""What a running timeline does next, and why.

A brownout that runs ends first, whatever else there is. Then the next milestone: missed, not due yet, held, or reached.
Never more than one milestone at a time. Freezes are not asked here but by the write itself.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from rollouts.plans.words import span

from .definition import MilestoneKind, TimelineDefinition
from .documents import brownout_ends_at, is_over
from .gating import DATE, REST, GateState, MilestoneFacts, Reached, gates_of, least_rest
from .words import local, milestone_name

__all__ = [
    "LONGEST_WAIT",
    "Decision",
    "GateState",
    "MilestoneFacts",
    "Move",
    "Reached",
    "decide",
    "gates_of",
    "least_rest",
]

LONGEST_WAIT = timedelta(hours=1)
_A_MINUTE = timedelta(minutes=1)
_WORTH_SAYING = timedelta(minutes=5)


class Move(StrEnum):
    """What a timeline does next. `HOLD`: its date has come, and something other than time stands in the way."""

    WAIT = "wait"
    ADVANCE = "advance"
    SKIP_MISSED = "skip_missed"
    END_BROWNOUT = "end_brownout"
    HOLD = "hold"
    COMPLETE = "complete"


@dataclass(frozen=True, slots=True)
class Decision:
    """The next move with the sentence that says why. `to_milestone` is where it leads, None where it stays.

    `code` names the gate that holds it; it is empty where something outside the timeline does.
    """

    move: Move
    sentence: str
    gates: tuple[GateState, ...] = ()
    next_look_at: datetime | None = None
    to_milestone: int | None = None
    code: str = ""


def decide(definition: TimelineDefinition, number: int, facts: MilestoneFacts) -> Decision:
    """The next move of a running timeline that is at a milestone; 0 is before the first."""
    running = definition.milestones[number - 1] if number and facts.in_brownout else None
    if running is not None:
        return _in_brownout(definition, brownout_ends_at(running), facts)
    if number >= len(definition.milestones):
        return Decision(Move.COMPLETE, "Every milestone is behind it: the timeline is done.")
    return _next(definition, number + 1, facts)


def _in_brownout(definition: TimelineDefinition, ends_at: datetime, facts: MilestoneFacts) -> Decision:
    ends = local(ends_at, definition.zone)
    if facts.now < ends_at:
        return Decision(Move.WAIT, f"A brownout runs until {ends}.", (), min(ends_at, facts.now + LONGEST_WAIT))
    sentence = f"The brownout ended on {ends}: people have what they had before it."
    return Decision(Move.END_BROWNOUT, sentence, (), facts.now)


def _next(definition: TimelineDefinition, to: int, facts: MilestoneFacts) -> Decision:
    milestone = definition.milestones[to - 1]
    gates = gates_of(definition, to, facts)
    if is_over(milestone, now=facts.now):
        return Decision(Move.SKIP_MISSED, _missed(definition, to), gates, facts.now, to)
    waiting = next((gate for gate in gates if not gate.is_met), None)
    if waiting is not None and waiting.name in (DATE, REST):
        return Decision(Move.WAIT, waiting.sentence, gates, _look_at(waiting.due_at, definition, to, facts))
    soon = _look_at(facts.look_again_at or facts.now + _A_MINUTE, definition, to, facts)
    if facts.blocked_by:
        return Decision(Move.HOLD, facts.blocked_by, gates, soon)
    if waiting is not None:
        return Decision(Move.HOLD, waiting.sentence, gates, soon, code=waiting.name)
    return Decision(Move.ADVANCE, _onwards(definition, to, facts), gates, facts.now, to)


def _look_at(wanted: datetime | None, definition: TimelineDefinition, to: int, facts: MilestoneFacts) -> datetime:
    """The earliest instant at which anything can change: also the end of a window that would be missed then."""
    milestone = definition.milestones[to - 1]
    found = [facts.now + LONGEST_WAIT, *([wanted] if wanted else [])]
    if milestone.kind is MilestoneKind.BROWNOUT:
        found.append(brownout_ends_at(milestone))
    return min(found)


def _missed(definition: TimelineDefinition, to: int) -> str:
    milestone = definition.milestones[to - 1]
    ended = local(brownout_ends_at(milestone), definition.zone)
    return (
        f"{milestone_name(milestone)} on {local(milestone.at, definition.zone)} was missed: its announced time was "
        f"over on {ended}. It is not made up for."
    )


def _onwards(definition: TimelineDefinition, to: int, facts: MilestoneFacts) -> str:
    milestone = definition.milestones[to - 1]
    late = facts.now - milestone.at
    more = f", {span(late)} after its date" if late >= _WORTH_SAYING else ""
    return f"On to milestone {to}: {milestone_name(milestone).lower()}{more}."
