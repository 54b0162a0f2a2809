"""What the pages of plans say: states, acts and outcomes in words, with a symbol and a tone beside them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from rollouts.models import RolloutPlan
from rollouts.plans.definition import PlanDefinition, Strategy
from rollouts.plans.transitions import PlanAct, PlanState


@dataclass(frozen=True, slots=True)
class Chip:
    """A short word with a symbol and a tone (quiet, good, wait, bad, accent)."""

    text: str
    symbol: str
    tone: str


STATES: Mapping[PlanState, Chip] = {
    PlanState.DRAFT: Chip("Draft", "edit_note", "quiet"),
    PlanState.PROPOSED: Chip("Waits for approval", "rate_review", "wait"),
    PlanState.RUNNING: Chip("Rolling out", "play_circle", "accent"),
    PlanState.PAUSED: Chip("Paused", "pause_circle", "wait"),
    PlanState.ROLLED_BACK: Chip("Rolled back", "restore", "bad"),
    PlanState.COMPLETED: Chip("Completed", "check_circle", "good"),
    PlanState.ABORTED: Chip("Ended early", "cancel", "quiet"),
}
HELD = Chip("Held", "pan_tool", "wait")
OUTCOMES: Mapping[str, Chip] = {
    "collecting": Chip("Collecting", "hourglass_top", "quiet"),
    "healthy": Chip("Healthy", "check_circle", "good"),
    "recovered": Chip("Healthy again", "healing", "good"),
    "at_risk": Chip("At risk", "warning", "wait"),
    "breach": Chip("Regression", "error", "bad"),
    "hard_break": Chip("Broken", "error", "bad"),
    "shared_incident": Chip("Bad for both", "warning", "wait"),
    "sample_ratio": Chip("Uneven traffic", "balance", "wait"),
    "missing": Chip("No data", "signal_disconnected", "wait"),
    "stale": Chip("Data is late", "schedule", "wait"),
    "probe_error": Chip("Cannot be asked", "cloud_off", "wait"),
}
_WEIGHT = {"bad": 3, "wait": 2, "quiet": 1, "good": 0}
STRATEGY_WORDS: Mapping[Strategy, str] = {
    Strategy.LINEAR: "Even steps, such as 10 % more every hour.",
    Strategy.EXPONENTIAL: "Small first, then faster: 1, 5, 10, 25, 50 and 100 %.",
    Strategy.CANARY: "A few people for a long while, then everybody at once.",
    Strategy.RING: "Group after group: colleagues, beta users, regions, everybody.",
    Strategy.BLUE_GREEN: "Everybody at once, and back at once if it does not hold.",
    Strategy.CUSTOM: "Write every stage yourself.",
}
ACT_SYMBOLS: Mapping[str, tuple[str, str]] = {
    PlanAct.EDIT: ("edit", "quiet"),
    PlanAct.PROPOSE: ("send", "accent"),
    PlanAct.RECALL: ("undo", "quiet"),
    PlanAct.START: ("rocket_launch", "accent"),
    PlanAct.ADVANCE: ("trending_up", "good"),
    PlanAct.APPROVE_STAGE: ("thumb_up", "good"),
    PlanAct.EXTEND: ("more_time", "quiet"),
    PlanAct.SKIP: ("skip_next", "accent"),
    PlanAct.PAUSE: ("pause", "quiet"),
    PlanAct.RESUME: ("play_arrow", "accent"),
    PlanAct.JUMP_BACK: ("skip_previous", "bad"),
    PlanAct.ROLL_BACK: ("restore", "bad"),
    PlanAct.HOLD: ("pan_tool", "quiet"),
    PlanAct.CLEAR: ("check", "good"),
    PlanAct.REBASE: ("sync", "quiet"),
    PlanAct.ABORT: ("cancel", "bad"),
    PlanAct.COMPLETE: ("check_circle", "good"),
}


def state_of(plan: RolloutPlan) -> Chip:
    """What a plan is at, a hold included."""
    if plan.current_state is PlanState.RUNNING and plan.is_blocked:
        return HELD
    return STATES[plan.current_state]


def gravest(outcomes: list[str]) -> Chip | None:
    """The outcome that matters most among those of all guards."""
    chips = [OUTCOMES.get(outcome, OUTCOMES["collecting"]) for outcome in outcomes if outcome]
    return max(chips, key=lambda chip: _WEIGHT[chip.tone], default=None)


def duration(minutes: int) -> str:
    """A number of minutes as people say it: “2 hours”, “1 day 6 hours”."""
    days, rest = divmod(minutes, 24 * 60)
    hours, left = divmod(rest, 60)
    parts = [(days, "day"), (hours, "hour"), (left, "minute")]
    said = [f"{count} {name}{'' if count == 1 else 's'}" for count, name in parts if count]
    return " ".join(said[:2]) or "no time"


def soaks_until(plan: RolloutPlan, definition: PlanDefinition) -> datetime | None:
    """When the time of the present stage is over, if nothing stops the clock; None outside of a stage."""
    if plan.stage_entered_at is None or not 0 < plan.stage <= len(definition.stages):
        return None
    gates = definition.stages[plan.stage - 1].gates
    over = plan.stage_entered_at + timedelta(minutes=gates.soak_minutes + plan.extra_soak_minutes)
    return max(over, gates.not_before) if gates.not_before else over


def next_in_short(plan: RolloutPlan, definition: PlanDefinition) -> tuple[str, datetime | None]:
    """What comes next, for a line of a list, and when at the earliest."""
    state = plan.current_state
    if state is PlanState.RUNNING and plan.is_blocked:
        return str(plan.blocked_detail.get("message", "")) or "Something stands in its way.", None
    if state is not PlanState.RUNNING:
        return _STANDING[state], plan.ended_at if state in {PlanState.COMPLETED, PlanState.ABORTED} else None
    after = "then it is completed"
    if plan.stage < len(definition.stages):
        after = f"then “{definition.stages[plan.stage].name}”"
    approvals = definition.stages[plan.stage - 1].gates.approvals if plan.stage else 0
    if approvals:
        after = f"{after}, after {approvals} approval{'' if approvals == 1 else 's'}"
    return f"Next look at its gates, {after}.", soaks_until(plan, definition)


_STANDING = {
    PlanState.DRAFT: "A draft: what is served stays as it is for now.",
    PlanState.PROPOSED: "Starts when its change request is approved and applied.",
    PlanState.PAUSED: "Stays as it is until somebody resumes it.",
    PlanState.ROLLED_BACK: "Waits for somebody to look, then resume or end it.",
    PlanState.COMPLETED: "Everybody gets what the last stage says.",
    PlanState.ABORTED: "What was served at the end stays served.",
}
