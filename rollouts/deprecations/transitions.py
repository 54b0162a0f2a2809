"""The states of a deprecation timeline and every legal move between them, as one table."""

from enum import StrEnum

from audits.errors import GovernanceError


class TimelineState(StrEnum):
    """Where a deprecation timeline stands. `PROPOSED`: a change request asks for it. `UNDONE` is latched until a person
    acts. `DONE`: the flag is archived in the environment. `ENDED`: given up, nothing of it is served any more.
    """

    DRAFT = "draft"
    PROPOSED = "proposed"
    RUNNING = "running"
    PAUSED = "paused"
    UNDONE = "undone"
    DONE = "done"
    ENDED = "ended"

    @property
    def label(self) -> str:
        """The state in words."""
        return self.value.capitalize()


class TimelineAct(StrEnum):
    """What can happen to a timeline. `REACH` writes the next milestone, `MISS` passes a brownout over whose announced
    window is past, `END_BROWNOUT` tidies the document after one. `HOLD` and `CLEAR` say that something stands in the
    way of the next milestone, or no more. `END` gives the timeline up and undoes all of it; `COMPLETE` follows the
    archiving.
    """

    EDIT = "edit"
    PROPOSE = "propose"
    RECALL = "recall"
    START = "start"
    REACH = "reach"
    MISS = "miss"
    END_BROWNOUT = "end_brownout"
    HOLD = "hold"
    CLEAR = "clear"
    POSTPONE = "postpone"
    PAUSE = "pause"
    RESUME = "resume"
    APPROVE = "approve"
    UNDO = "undo"
    END = "end"
    COMPLETE = "complete"


_S, _A = TimelineState, TimelineAct

TRANSITIONS: dict[tuple[TimelineState, TimelineAct], TimelineState] = {
    (_S.DRAFT, _A.EDIT): _S.DRAFT,
    (_S.DRAFT, _A.PROPOSE): _S.PROPOSED,
    (_S.DRAFT, _A.START): _S.RUNNING,
    (_S.DRAFT, _A.END): _S.ENDED,
    (_S.PROPOSED, _A.RECALL): _S.DRAFT,
    (_S.PROPOSED, _A.START): _S.RUNNING,
    (_S.PROPOSED, _A.END): _S.ENDED,
    (_S.RUNNING, _A.REACH): _S.RUNNING,
    (_S.RUNNING, _A.MISS): _S.RUNNING,
    (_S.RUNNING, _A.END_BROWNOUT): _S.RUNNING,
    (_S.RUNNING, _A.HOLD): _S.RUNNING,
    (_S.RUNNING, _A.CLEAR): _S.RUNNING,
    (_S.RUNNING, _A.POSTPONE): _S.RUNNING,
    (_S.RUNNING, _A.APPROVE): _S.RUNNING,
    (_S.RUNNING, _A.PAUSE): _S.PAUSED,
    (_S.RUNNING, _A.UNDO): _S.UNDONE,
    (_S.RUNNING, _A.END): _S.ENDED,
    (_S.RUNNING, _A.COMPLETE): _S.DONE,
    # A brownout that runs when somebody pauses is over at its announced end all the same.
    (_S.PAUSED, _A.END_BROWNOUT): _S.PAUSED,
    (_S.PAUSED, _A.POSTPONE): _S.PAUSED,
    (_S.PAUSED, _A.APPROVE): _S.PAUSED,
    (_S.PAUSED, _A.RESUME): _S.RUNNING,
    (_S.PAUSED, _A.UNDO): _S.UNDONE,
    (_S.PAUSED, _A.END): _S.ENDED,
    (_S.UNDONE, _A.POSTPONE): _S.UNDONE,
    (_S.UNDONE, _A.RESUME): _S.RUNNING,
    (_S.UNDONE, _A.UNDO): _S.UNDONE,
    (_S.UNDONE, _A.END): _S.ENDED,
}

LIVE_STATES = frozenset({_S.RUNNING, _S.PAUSED, _S.UNDONE})
ENDED_STATES = frozenset({_S.DONE, _S.ENDED})
# There is one already: from the draft until it is over.
STANDING_STATES = frozenset(_S) - ENDED_STATES

_DONE = {
    _A.EDIT: "edited",
    _A.PROPOSE: "proposed",
    _A.RECALL: "taken back",
    _A.START: "started",
    _A.REACH: "moved on",
    _A.MISS: "moved on past a brownout",
    _A.END_BROWNOUT: "tidied after a brownout",
    _A.HOLD: "held",
    _A.CLEAR: "let go on",
    _A.POSTPONE: "postponed",
    _A.PAUSE: "paused",
    _A.RESUME: "resumed",
    _A.APPROVE: "approved",
    _A.UNDO: "undone",
    _A.END: "ended",
    _A.COMPLETE: "completed",
}
_SITUATION = {
    _S.DRAFT: "it is still a draft. Start or propose it first",
    _S.PROPOSED: "it waits for the approval of its change request. Take it back to change it",
    _S.RUNNING: "it is running",
    _S.PAUSED: "it is paused. Resume it first",
    _S.UNDONE: "it was undone. Give the next milestone a new date, then resume it, or end it",
    _S.DONE: "the flag is archived. Revive the flag to use it again",
    _S.ENDED: "it was ended. Make a new timeline instead",
}


class InvalidTimelineTransition(GovernanceError):
    """The timeline is in a state in which this act is not possible."""

    code = "invalid_timeline_transition"
    status = 409
    title = "This is not possible in the timeline's present state"


def next_timeline_state(state: TimelineState, act: TimelineAct) -> TimelineState:
    """The state that `act` leads to. Raises InvalidTimelineTransition where the table has no such move."""
    try:
        return TRANSITIONS[state, act]
    except KeyError:
        raise InvalidTimelineTransition(refusal(state, act), state=state.value, act=act.value) from None


def is_possible(state: TimelineState, act: TimelineAct) -> bool:
    """Whether the table has the move."""
    return (state, act) in TRANSITIONS


def refusal(state: TimelineState, act: TimelineAct) -> str:
    """Why the table has no such move, in a sentence."""
    return f"This timeline cannot be {_DONE[act]}: {_SITUATION[state]}."
