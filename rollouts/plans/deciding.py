"""What a running plan does next, and why.

Bad news first: guards that want the plan back or paused, then what stands in the way, then the gates in their order.
Whatever is worse than before never makes a plan go on earlier.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from rollouts.guarding.outcomes import GuardOutcome
from rollouts.plans.definition import GuardAction, PlanDefinition, Stage
from rollouts.plans.gating import (
    GUARDS,
    GateState,
    gates_of,
    is_good,
    takes_more_than_time,
    time_is_up_at,
)
from rollouts.plans.stage_facts import CheckFacts, CheckOutcome, GuardFacts, StageFacts

__all__ = [
    "LONGEST_WAIT",
    "CheckFacts",
    "CheckOutcome",
    "Decision",
    "GateState",
    "GuardFacts",
    "Move",
    "StageFacts",
    "decide",
    "fold",
    "gates_of",
    "is_good",
    "last_good",
]

LONGEST_WAIT = timedelta(hours=1)
_A_MINUTE = timedelta(minutes=1)
_SILENCE = frozenset({GuardOutcome.MISSING, GuardOutcome.STALE, GuardOutcome.PROBE_ERROR})


class Move(StrEnum):
    """What a plan does next."""

    WAIT = "wait"
    ADVANCE = "advance"
    EXTEND = "extend"
    PAUSE = "pause"
    HOLD = "hold"
    ROLL_BACK = "roll_back"
    COMPLETE = "complete"


@dataclass(frozen=True, slots=True)
class Decision:
    """The next move with the sentence that says why. `to_stage` is where it leads, None where the stage stays."""

    move: Move
    sentence: str
    gates: tuple[GateState, ...] = ()
    next_look_at: datetime | None = None
    to_stage: int | None = None


@dataclass(frozen=True, slots=True)
class _Trouble:
    """What one guard wants."""

    move: Move
    sentence: str


_GRAVITY = (Move.ROLL_BACK, Move.PAUSE, Move.HOLD)


def decide(definition: PlanDefinition, stage_number: int, facts: StageFacts) -> Decision:
    """The next move of a running plan in a stage; 0 is before the first."""
    stage = definition.stages[stage_number - 1] if stage_number else None
    gates = gates_of(stage, facts) if stage else ()
    trouble = _worst(stage, facts) if stage else None
    soon = facts.look_again_at or facts.now + _A_MINUTE
    if trouble and trouble.move is Move.ROLL_BACK:
        to_stage = min(last_good(definition, facts.good_stage), stage_number - 1)
        return Decision(Move.ROLL_BACK, trouble.sentence, gates, to_stage=to_stage)
    if trouble and trouble.move is Move.PAUSE:
        return Decision(Move.PAUSE, trouble.sentence, gates)
    if facts.blocked_by:
        return Decision(Move.HOLD, facts.blocked_by, gates, soon)
    if trouble:
        return Decision(Move.HOLD, trouble.sentence, gates, soon)
    waiting = next((gate for gate in gates if not gate.is_met), None)
    if waiting is None:
        return _onwards(definition, stage_number, facts, gates)
    if waiting.name == GUARDS:
        return _undecided(definition, facts, waiting, gates)
    return Decision(Move.WAIT, waiting.sentence, gates, _next_look(waiting, facts))


def fold(definition: PlanDefinition, stage_number: int, facts: StageFacts) -> int:
    """The furthest stage to go to at once from a stage whose gates are met.

    After missed time it passes over stages with gates of time alone, each only where its own time would be over too had
    it been entered when the one before was. The present stage was left when its time was up, but where it took
    more than time, or something held the plan, that is counted from when the plan could go on.
    """
    left_at = _left_at(definition, stage_number, facts)
    target = stage_number + 1
    while target < len(definition.stages):
        gates = definition.stages[target - 1].gates
        left_at = time_is_up_at(gates, entered_at=left_at)
        if takes_more_than_time(gates) or left_at > facts.now:
            break
        target += 1
    return target


def last_good(definition: PlanDefinition, good_stage: int) -> int:
    """The stage that a plan rolls back to by its options; 0 is how it was before."""
    return 0 if definition.options.rollback_to == "start" else min(good_stage, len(definition.stages))


def _left_at(definition: PlanDefinition, stage_number: int, facts: StageFacts) -> datetime:
    gates = definition.stages[stage_number - 1].gates if stage_number else None
    if gates is None or takes_more_than_time(gates):
        return facts.now
    due_at = time_is_up_at(gates, entered_at=facts.entered_at, extra_soak_minutes=facts.extra_soak_minutes)
    return due_at if facts.able_since is None else max(due_at, facts.able_since)


def _worst(stage: Stage, facts: StageFacts) -> _Trouble | None:
    found = list(_troubles(stage, facts))
    return min(found, key=lambda trouble: _GRAVITY.index(trouble.move), default=None)


def _troubles(stage: Stage, facts: StageFacts) -> Iterator[_Trouble]:
    """What guards want. Silence is bad news only in a monitored stage, and there only of guards that decide, where some
    do.
    """
    for guard in facts.guards:
        is_skew = guard.outcome is GuardOutcome.SAMPLE_RATIO and not guard.is_randomised
        has_to_speak = stage.gates.is_monitored and (guard.is_randomised or not facts.deciding)
        if is_skew or (guard.outcome in _SILENCE and not has_to_speak):
            continue
        if guard.action is GuardAction.ROLL_BACK:
            yield _reversal(guard, facts)
        elif guard.action is GuardAction.PAUSE:
            yield _Trouble(Move.PAUSE, _said(guard))
        elif guard.action is GuardAction.HOLD:
            yield _Trouble(Move.HOLD, _said(guard))


def _reversal(guard: GuardFacts, facts: StageFacts) -> _Trouble:
    """Back, unless the plan went back by itself before, or nobody was drawn and it is no hard break."""
    if facts.reversals:
        return _Trouble(Move.PAUSE, f"{_said(guard)} The plan has rolled itself back before, so a person decides now.")
    if not guard.is_randomised and guard.outcome is not GuardOutcome.HARD_BREAK:
        return _Trouble(Move.PAUSE, f"{_said(guard)} Who gets it was not drawn by lot, so a person decides.")
    return _Trouble(Move.ROLL_BACK, _said(guard))


def _said(guard: GuardFacts) -> str:
    return guard.sentence or f"{guard.name}: {guard.outcome.label}."


def _onwards(
    definition: PlanDefinition, stage_number: int, facts: StageFacts, gates: tuple[GateState, ...]
) -> Decision:
    if stage_number >= len(definition.stages):
        return Decision(Move.COMPLETE, "Every gate of the last stage is met: the plan is done.", gates)
    to_stage = fold(definition, stage_number, facts)
    name = definition.stages[to_stage - 1].name
    passed = to_stage - stage_number - 1
    sentence = f"Every gate is met: on to stage {to_stage} “{name}”." if gates else f"On to stage {to_stage} “{name}”."
    if passed:
        stages = "1 stage" if passed == 1 else f"{passed} stages"
        sentence = f"{sentence} The time of {stages} between them was over already."
    return Decision(Move.ADVANCE, sentence, gates, facts.now, to_stage)


def _undecided(
    definition: PlanDefinition, facts: StageFacts, waiting: GateState, gates: tuple[GateState, ...]
) -> Decision:
    """A monitored stage at the end of its soak: once more, then a person is asked."""
    if definition.options.extends_once and not facts.is_extended:
        sentence = f"{waiting.sentence} The stage is served for its time once more."
        return Decision(Move.EXTEND, sentence, gates, facts.now)
    return Decision(Move.PAUSE, f"{waiting.sentence} Its time is over, so a person decides.", gates)


def _next_look(waiting: GateState, facts: StageFacts) -> datetime:
    """When something may have changed: with guards soon, for they may find a breach at any time."""
    if waiting.due_at is None or facts.guards:
        return facts.look_again_at or facts.now + _A_MINUTE
    return min(waiting.due_at, facts.now + LONGEST_WAIT)
