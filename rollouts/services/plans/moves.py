"""What the engine does with a decision: the moves, the holds, and what is kept of why."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from audits.errors import GovernanceError
from rollouts.errors import ConcurrentUpdate
from rollouts.models import GuardVerdict, RolloutPlan
from rollouts.plans.deciding import Move
from rollouts.plans.transitions import InvalidPlanTransition, PlanAct
from rollouts.selectors.plans.facts import Reading
from rollouts.selectors.plans.signals import FORCED, INCIDENT, MOVED_GROUND, UNCONSENTED, Signal
from rollouts.services.guarding import keep_verdict
from rollouts.services.plans.consent import refuse_other_plan_content
from rollouts.services.plans.notices import tell_about
from rollouts.services.plans.rollback import go_back
from rollouts.services.plans.stages import reach_stage
from rollouts.services.plans.unreadable import CODE as UNREADABLE
from rollouts.services.plans.writing import ENGINE, step

Deed = Callable[[Reading, datetime], None]

GUARDS = "guards"
# What shows without trying to move. Any other hold was met by a move, and only a move shows that it is gone.
_SHOWN = frozenset({GUARDS, MOVED_GROUND, INCIDENT, FORCED, UNCONSENTED, UNREADABLE})
# Somebody else acted on the plan at the same moment: not what stands in its way, the next look sees more.
_RACES = (ConcurrentUpdate, InvalidPlanTransition)


def is_waiting(reading: Reading) -> bool:
    """Whether there is nothing to write: the plan waits, and what holds it is what held it at the last look."""
    is_still = reading.decision.move not in _DEEDS and not reading.is_ahead
    return is_still and _is_held_by(reading.plan, hold_of(reading))


def hold_of(reading: Reading) -> Signal | None:
    """What holds the plan as far as that shows without trying to move it."""
    if reading.signal is not None:
        return reading.signal
    if reading.decision.move is not Move.HOLD:
        return None
    outcomes = {one.spec.metric: one.judgement.outcome.value for one in reading.guards}
    return Signal(GUARDS, reading.decision.sentence, {"outcomes": outcomes})


def carry_out(reading: Reading, *, now: datetime) -> bool:
    """Do what was decided on a locked plan. Whatever refuses a move holds the plan; nothing of the move remains.

    Whether the plan moved.
    """
    deed, hold = _DEEDS.get(reading.decision.move), hold_of(reading)
    if deed is None and reading.is_ahead:
        deed = _begin_anew
    if deed is not None:
        try:
            with transaction.atomic():
                deed(reading, now)
            return True
        except _RACES:
            raise
        except GovernanceError as error:
            hold = Signal(error.code, error.message, error.facts)
    _hold(reading.plan, hold, now=now)
    return False


def _is_held_by(plan: RolloutPlan, hold: Signal | None) -> bool:
    if hold is None:
        return not plan.is_blocked or plan.blocked_code not in _SHOWN
    kept = {name: value for name, value in plan.blocked_detail.items() if name != "message"}
    return (plan.blocked_code, kept) == (hold.code, dict(hold.facts))


def _hold(plan: RolloutPlan, hold: Signal | None, *, now: datetime) -> None:
    """Say what holds the plan, or that nothing does any more; nothing is written where that was said already."""
    if _is_held_by(plan, hold):
        return
    if hold is None:
        evidence = {"code": plan.blocked_code}
        step(plan, PlanAct.CLEAR, actor=ENGINE, now=now, evidence=evidence, blocked_code="", blocked_detail={})
        return
    # The sentence may name people, who can be erased; the trail keeps code and numbers.
    kept = {"code": hold.code, "facts": dict(hold.facts)}
    fields: dict[str, Any] = {"blocked_code": hold.code, "blocked_detail": hold.detail}
    step(plan, PlanAct.HOLD, actor=ENGINE, now=now, evidence=kept, **fields)


def _advance(reading: Reading, now: datetime) -> None:
    plan, verdicts = reading.plan, _verdicts(reading, now)
    to_stage = reading.decision.to_stage or plan.stage + 1
    reach_stage(
        plan,
        PlanAct.ADVANCE,
        to_stage,
        actor=ENGINE,
        now=now,
        reason=reading.decision.sentence,
        verdict_ids=_ids(verdicts),
        evidence={**_evidence(reading, verdicts), "passed_over": list(range(plan.stage + 1, to_stage))},
        good_stage=_good_stage(reading),
    )


def _extend(reading: Reading, now: datetime) -> None:
    plan, verdicts = reading.plan, _verdicts(reading, now)
    more = max(reading.definition.stages[plan.stage - 1].gates.soak_minutes, 1)
    _step(reading, PlanAct.EXTEND, verdicts, now, extra_soak_minutes=plan.extra_soak_minutes + more)


def _begin_anew(reading: Reading, now: datetime) -> None:
    """A stage that begins in the future was entered by a clock that was wrong, and would last until then."""
    sentence = "This stage began at a time that has not come yet, so a clock was wrong. Its time is counted anew."
    evidence = {"entered_at": reading.facts.entered_at.isoformat()}
    fields: dict[str, Any] = {"stage_entered_at": now, "next_look_at": now}
    step(reading.plan, PlanAct.EXTEND, actor=ENGINE, now=now, reason=sentence, evidence=evidence, **fields)


def _pause(reading: Reading, now: datetime) -> None:
    told = tell_about(
        reading.plan,
        what="paused, a person has to look",
        lines=[reading.decision.sentence, "What is served stays as it is until somebody resumes it or goes back."],
    )
    _step(reading, PlanAct.PAUSE, _verdicts(reading, now), now, {"told": told}, next_look_at=None)


def _roll_back(reading: Reading, now: datetime) -> None:
    plan, verdicts = reading.plan, _verdicts(reading, now)
    to_stage = reading.decision.to_stage or 0
    where = f"stage {to_stage}" if to_stage else "how it was before"
    told = tell_about(
        plan,
        what="rolled back by itself",
        lines=[
            reading.decision.sentence,
            f"Went back from stage {plan.stage} to {where}. It stays there until somebody has looked at why.",
        ],
    )
    evidence = {**_evidence(reading, verdicts), "told": told}
    sentence = reading.decision.sentence
    go_back(plan, to_stage=to_stage, actor=ENGINE, reason=sentence, now=now, verdicts=verdicts, evidence=evidence)


def _complete(reading: Reading, now: datetime) -> None:
    refuse_other_plan_content(reading.plan)
    fields: dict[str, Any] = {"ended_at": now, "next_look_at": None, "blocked_code": "", "blocked_detail": {}}
    _step(reading, PlanAct.COMPLETE, _verdicts(reading, now), now, good_stage=_good_stage(reading), **fields)


def _good_stage(reading: Reading) -> int:
    """The last stage that its guards found good, once the present one is left."""
    return reading.plan.stage if reading.is_good else reading.plan.good_stage


_DEEDS: Mapping[Move, Deed] = {
    Move.ADVANCE: _advance,
    Move.EXTEND: _extend,
    Move.PAUSE: _pause,
    Move.ROLL_BACK: _roll_back,
    Move.COMPLETE: _complete,
}


def _step(
    reading: Reading,
    act: PlanAct,
    verdicts: list[GuardVerdict],
    now: datetime,
    more: Mapping[str, Any] | None = None,
    **fields: Any,
) -> None:
    evidence = {**_evidence(reading, verdicts), **(more or {})}
    step(reading.plan, act, actor=ENGINE, now=now, reason=reading.decision.sentence, evidence=evidence, **fields)


def _verdicts(reading: Reading, now: datetime) -> list[GuardVerdict]:
    """What every guard says now, kept: something is decided on it."""
    return [keep_verdict(reading.plan, one, now=now) for one in reading.guards]


def _ids(verdicts: list[GuardVerdict]) -> list[str]:
    return [str(verdict.pk) for verdict in verdicts]


def _evidence(reading: Reading, verdicts: list[GuardVerdict]) -> dict[str, Any]:
    """What the decision rests on."""
    gates = reading.decision.gates
    return {
        "gates": [{"name": gate.name, "is_met": gate.is_met, "sentence": gate.sentence} for gate in gates],
        "samples": {one.spec.metric: one.judgement.samples._asdict() for one in reading.guards},
        "verdict_ids": _ids(verdicts),
    }
