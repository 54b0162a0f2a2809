"""Where a plan stands: what happens next and when, what its gates say, and who is waited for."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from flags import permissions
from flags.models import Environment
from rollouts.admin.plans.ahead import Expected, expected_of
from rollouts.admin.plans.words import next_in_short
from rollouts.models import RolloutPlan
from rollouts.plans.deciding import GateState, Move
from rollouts.plans.definition import PlanDefinition
from rollouts.plans.transitions import PlanState
from rollouts.selectors.plans.consents import stage_consents
from rollouts.selectors.plans.facts import Reading
from rollouts.selectors.verdicts import name_of, verdict_of

_NAMES_SHOWN = 6


@dataclass(frozen=True, slots=True)
class Waits:
    """Who is waited for, and for what."""

    words: str
    people: Sequence[str]
    more: int = 0


@dataclass(frozen=True, slots=True)
class Standing:
    """What the head of the page says. `expected`: when stages ahead begin at the earliest, and what they wait for."""

    sentence: str
    at: datetime | None
    look: str
    detail: str = ""
    gates: Sequence[GateState] = ()
    stage_name: str = ""
    waits: Sequence[Waits] = ()
    expected: Expected = field(default_factory=dict)


_SOON = {
    Move.ADVANCE: "It happens at the next look, within seconds.",
    Move.EXTEND: "It happens at the next look, within seconds.",
    Move.PAUSE: "It pauses at the next look, within seconds.",
    Move.ROLL_BACK: "It goes back at the next look, within seconds.",
    Move.COMPLETE: "It happens at the next look, within seconds.",
}
_LOOKS = {
    PlanState.RUNNING: "now",
    PlanState.PAUSED: "held",
    PlanState.ROLLED_BACK: "bad",
    PlanState.COMPLETED: "good",
}


def standing_of(plan: RolloutPlan, definition: PlanDefinition, reading: Reading | None, *, now: datetime) -> Standing:
    """Where the plan stands at `now`. `reading`: what the engine would do, for a plan that it looks at."""
    sentence, at = next_in_short(plan, definition)
    detail = ""
    is_running = plan.current_state is PlanState.RUNNING
    if is_running and plan.is_blocked:
        # Why it is held stands above, on its own.
        here = f" at “{definition.stages[plan.stage - 1].name}”" if plan.stage else ""
        sentence, detail = f"Held{here}", "It goes on by itself once nothing is in the way."
    elif reading is not None and is_running:
        sentence, at, detail = _next(definition, plan, reading)
    expected = expected_of(plan, definition, now=now, next_at=at)
    begins_at, _ = expected.get(plan.stage + 1, (None, ""))
    if at is not None and begins_at is not None and at < begins_at:
        at, detail = begins_at, f"{detail} Until then a freeze of the calendar is in the way."
    return Standing(
        sentence,
        at,
        "held" if plan.is_blocked else _LOOKS.get(plan.current_state, "next"),
        detail=detail,
        gates=reading.decision.gates if reading is not None else (),
        stage_name=definition.stages[plan.stage - 1].name if plan.stage else "",
        waits=_waits(plan),
        expected=expected,
    )


def _next(definition: PlanDefinition, plan: RolloutPlan, reading: Reading) -> tuple[str, datetime | None, str]:
    """What comes next in one sentence, from when at the earliest, and why not now."""
    decision = reading.decision
    waiting = [gate for gate in decision.gates if not gate.is_met]
    if decision.move is Move.WAIT:
        ahead = definition.stages[plan.stage].name if plan.stage < len(definition.stages) else ""
        times = [gate.due_at for gate in waiting if gate.due_at]
        target = f"Next comes “{ahead}”" if ahead else "Next the plan is completed"
        when = ", at the earliest" if times else ", once its gates are met"
        return f"{target}{when}", max(times, default=None), decision.sentence
    return decision.sentence, None, _SOON.get(decision.move, "")


def _waits(plan: RolloutPlan) -> list[Waits]:
    state = plan.current_state
    if state is PlanState.PROPOSED and plan.request is not None:
        verdict = verdict_of(plan.request)
        people = [one.name for one in verdict.may_still_approve]
        return [_names(f"{_approvals(verdict.missing)} of", people)] if verdict.missing else []
    if state in {PlanState.RUNNING, PlanState.PAUSED}:
        consents = stage_consents(plan)
        found = []
        if consents.missing:
            people = [one.name for one in consents.waiting_for]
            found.append(_names(f"{_approvals(consents.missing)} to leave this stage, of", people))
        if state is PlanState.PAUSED:
            found.append(
                _names(
                    "somebody to resume or end it:", _people(plan.environment, permissions.PROPOSE, permissions.APPLY)
                )
            )
        return found
    if state is PlanState.ROLLED_BACK:
        return [_names("somebody to look, then resume or end it:", _people(plan.environment, permissions.APPLY))]
    return []


def _approvals(missing: int) -> str:
    return f"{missing} approval{'' if missing == 1 else 's'}"


def _people(environment: Environment, *wanted: str) -> list[str]:
    found = {person.pk: name_of(person) for one in wanted for person in permissions.people_with(environment, one)}
    return list(found.values())


def _names(words: str, people: Sequence[str]) -> Waits:
    return Waits(words, people[:_NAMES_SHOWN], max(0, len(people) - _NAMES_SHOWN))
