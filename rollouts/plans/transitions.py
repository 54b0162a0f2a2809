"""The states of a rollout plan and every legal move between them, as one table."""

from enum import StrEnum

from audits.errors import GovernanceError


class PlanState(StrEnum):
    """Where a rollout plan stands. `PROPOSED`: a change request asks for it. `ROLLED_BACK` is latched until a person
    acts.
    """

    DRAFT = "draft"
    PROPOSED = "proposed"
    RUNNING = "running"
    PAUSED = "paused"
    ROLLED_BACK = "rolled_back"
    COMPLETED = "completed"
    ABORTED = "aborted"

    @property
    def label(self) -> str:
        """The state in words."""
        return self.value.replace("_", " ").capitalize()


class PlanAct(StrEnum):
    """What can happen to a plan. `SKIP` leaves a stage before its gates of time and sample are met; `ABORT` ends the
    plan and leaves what is served as it is; `HOLD` and `CLEAR` say that something stands in the engine's way, or no
    more; `REBASE` takes over what somebody else changed on its flags.
    """

    EDIT = "edit"
    PROPOSE = "propose"
    RECALL = "recall"
    START = "start"
    ADVANCE = "advance"
    APPROVE_STAGE = "approve_stage"
    EXTEND = "extend"
    SKIP = "skip"
    PAUSE = "pause"
    RESUME = "resume"
    JUMP_BACK = "jump_back"
    ROLL_BACK = "roll_back"
    HOLD = "hold"
    CLEAR = "clear"
    REBASE = "rebase"
    ABORT = "abort"
    COMPLETE = "complete"


_S, _A = PlanState, PlanAct

TRANSITIONS: dict[tuple[PlanState, PlanAct], PlanState] = {
    (_S.DRAFT, _A.EDIT): _S.DRAFT,
    (_S.DRAFT, _A.REBASE): _S.DRAFT,
    (_S.DRAFT, _A.PROPOSE): _S.PROPOSED,
    (_S.DRAFT, _A.START): _S.RUNNING,
    (_S.DRAFT, _A.ABORT): _S.ABORTED,
    (_S.PROPOSED, _A.RECALL): _S.DRAFT,
    (_S.PROPOSED, _A.START): _S.RUNNING,
    (_S.PROPOSED, _A.ABORT): _S.ABORTED,
    (_S.RUNNING, _A.ADVANCE): _S.RUNNING,
    (_S.RUNNING, _A.APPROVE_STAGE): _S.RUNNING,
    (_S.RUNNING, _A.EXTEND): _S.RUNNING,
    (_S.RUNNING, _A.SKIP): _S.RUNNING,
    (_S.RUNNING, _A.HOLD): _S.RUNNING,
    (_S.RUNNING, _A.CLEAR): _S.RUNNING,
    (_S.RUNNING, _A.PAUSE): _S.PAUSED,
    (_S.RUNNING, _A.JUMP_BACK): _S.RUNNING,
    (_S.RUNNING, _A.ROLL_BACK): _S.ROLLED_BACK,
    (_S.RUNNING, _A.COMPLETE): _S.COMPLETED,
    (_S.RUNNING, _A.ABORT): _S.ABORTED,
    (_S.PAUSED, _A.RESUME): _S.RUNNING,
    (_S.PAUSED, _A.APPROVE_STAGE): _S.PAUSED,
    (_S.PAUSED, _A.JUMP_BACK): _S.PAUSED,
    (_S.PAUSED, _A.ROLL_BACK): _S.ROLLED_BACK,
    (_S.PAUSED, _A.ABORT): _S.ABORTED,
    (_S.ROLLED_BACK, _A.RESUME): _S.RUNNING,
    (_S.ROLLED_BACK, _A.ROLL_BACK): _S.ROLLED_BACK,
    (_S.ROLLED_BACK, _A.ABORT): _S.ABORTED,
    (_S.COMPLETED, _A.ROLL_BACK): _S.ROLLED_BACK,
}

LIVE_STATES = frozenset({_S.RUNNING, _S.PAUSED, _S.ROLLED_BACK})
ENDED_STATES = frozenset({_S.COMPLETED, _S.ABORTED})

_DONE = {
    _A.EDIT: "edited",
    _A.PROPOSE: "proposed",
    _A.RECALL: "taken back",
    _A.START: "started",
    _A.ADVANCE: "moved on",
    _A.APPROVE_STAGE: "approved",
    _A.EXTEND: "extended",
    _A.SKIP: "moved on early",
    _A.PAUSE: "paused",
    _A.RESUME: "resumed",
    _A.JUMP_BACK: "put back to an earlier stage",
    _A.ROLL_BACK: "rolled back",
    _A.HOLD: "held",
    _A.CLEAR: "let go on",
    _A.REBASE: "based on what is served now",
    _A.ABORT: "ended",
    _A.COMPLETE: "completed",
}
_SITUATION = {
    _S.DRAFT: "it is still a draft. Start or propose it first",
    _S.PROPOSED: "it waits for the approval of its change request",
    _S.RUNNING: "it is running",
    _S.PAUSED: "it is paused. Resume it first",
    _S.ROLLED_BACK: "it was rolled back. Look at why, then resume or end it",
    _S.COMPLETED: "it is completed",
    _S.ABORTED: "it was ended. Make a new plan instead",
}


class InvalidPlanTransition(GovernanceError):
    """The plan is in a state in which this act is not possible."""

    code = "invalid_plan_transition"
    status = 409
    title = "This is not possible in the plan's present state"


def next_plan_state(state: PlanState, act: PlanAct) -> PlanState:
    """The state that `act` leads to. Raises InvalidPlanTransition where the table has no such move."""
    try:
        return TRANSITIONS[state, act]
    except KeyError:
        raise InvalidPlanTransition(refusal(state, act), state=state.value, act=act.value) from None


def is_possible(state: PlanState, act: PlanAct) -> bool:
    """Whether the table has the move."""
    return (state, act) in TRANSITIONS


def refusal(state: PlanState, act: PlanAct) -> str:
    """Why the table has no such move, in a sentence."""
    return f"This plan cannot be {_DONE[act]}: {_SITUATION[state]}."
