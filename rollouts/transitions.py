"""Pure: the states of a change request and every legal move between them, as one table."""

from enum import StrEnum

from audits.errors import GovernanceError


class RequestState(StrEnum):
    """Where a change request stands."""

    DRAFT = "draft"
    IN_REVIEW = "in_review"
    APPROVED = "approved"
    APPLIED = "applied"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    ROLLED_BACK = "rolled_back"

    @property
    def label(self) -> str:
        """The state in words."""
        return self.value.replace("_", " ").capitalize()


class Act(StrEnum):
    """What can happen to a change request.

    `APPROVE` adds one person's yes; `PASS_REVIEW` follows when the verdict is satisfied. `REFUSE_APPLY` marks an
    approved request as blocked, because what it was based on or who agreed to it has changed. `END_TOGETHER` ends a
    member of a bundle of which another member ended. `APPLY_AT_ONCE` needs no approval: the change only narrows.
    """

    EDIT = "edit"
    SCHEDULE = "schedule"
    SUBMIT = "submit"
    APPROVE = "approve"
    PASS_REVIEW = "pass_review"  # noqa: S105
    REQUEST_CHANGES = "request_changes"
    LIFT_CHANGES = "lift_changes"
    ABSTAIN = "abstain"
    REJECT = "reject"
    WITHDRAW = "withdraw"
    EXPIRE = "expire"
    APPLY = "apply"
    APPLY_AT_ONCE = "apply_at_once"
    REFUSE_APPLY = "refuse_apply"
    ROLL_BACK = "roll_back"
    COMMENT = "comment"
    RESOLVE = "resolve"
    REOPEN = "reopen"
    END_TOGETHER = "end_together"


_S, _A = RequestState, Act

TRANSITIONS: dict[tuple[RequestState, Act], RequestState] = {
    (_S.DRAFT, _A.EDIT): _S.DRAFT,
    (_S.DRAFT, _A.SCHEDULE): _S.DRAFT,
    (_S.DRAFT, _A.SUBMIT): _S.IN_REVIEW,
    (_S.DRAFT, _A.WITHDRAW): _S.WITHDRAWN,
    (_S.IN_REVIEW, _A.EDIT): _S.IN_REVIEW,
    (_S.IN_REVIEW, _A.SCHEDULE): _S.IN_REVIEW,
    (_S.IN_REVIEW, _A.APPROVE): _S.IN_REVIEW,
    (_S.IN_REVIEW, _A.PASS_REVIEW): _S.APPROVED,
    (_S.IN_REVIEW, _A.REQUEST_CHANGES): _S.IN_REVIEW,
    (_S.IN_REVIEW, _A.LIFT_CHANGES): _S.IN_REVIEW,
    (_S.IN_REVIEW, _A.ABSTAIN): _S.IN_REVIEW,
    (_S.IN_REVIEW, _A.REJECT): _S.REJECTED,
    (_S.IN_REVIEW, _A.WITHDRAW): _S.WITHDRAWN,
    (_S.IN_REVIEW, _A.EXPIRE): _S.EXPIRED,
    (_S.APPROVED, _A.EDIT): _S.IN_REVIEW,
    (_S.APPROVED, _A.SCHEDULE): _S.IN_REVIEW,
    (_S.APPROVED, _A.APPROVE): _S.APPROVED,
    (_S.APPROVED, _A.REQUEST_CHANGES): _S.IN_REVIEW,
    (_S.APPROVED, _A.REJECT): _S.REJECTED,
    (_S.APPROVED, _A.WITHDRAW): _S.WITHDRAWN,
    (_S.APPROVED, _A.EXPIRE): _S.EXPIRED,
    (_S.APPROVED, _A.APPLY): _S.APPLIED,
    **{(state, _A.APPLY_AT_ONCE): _S.APPLIED for state in (_S.DRAFT, _S.IN_REVIEW, _S.APPROVED)},
    (_S.APPROVED, _A.REFUSE_APPLY): _S.APPROVED,
    (_S.APPLIED, _A.ROLL_BACK): _S.ROLLED_BACK,
    **{(state, act): state for state in _S for act in (_A.COMMENT, _A.RESOLVE, _A.REOPEN)},
    **{(state, _A.END_TOGETHER): _S.WITHDRAWN for state in (_S.DRAFT, _S.IN_REVIEW, _S.APPROVED)},
}

OPEN_STATES = frozenset({_S.DRAFT, _S.IN_REVIEW, _S.APPROVED})
AWAITING_STATES = frozenset({_S.IN_REVIEW, _S.APPROVED})

_DONE = {
    _A.EDIT: "edited",
    _A.SCHEDULE: "scheduled",
    _A.SUBMIT: "submitted",
    _A.APPROVE: "approved",
    _A.PASS_REVIEW: "approved",
    _A.REQUEST_CHANGES: "sent back for changes",
    _A.LIFT_CHANGES: "cleared of the changes asked for",
    _A.ABSTAIN: "abstained from",
    _A.REJECT: "rejected",
    _A.WITHDRAW: "withdrawn",
    _A.EXPIRE: "expired",
    _A.APPLY: "applied",
    _A.APPLY_AT_ONCE: "applied at once",
    _A.REFUSE_APPLY: "held back",
    _A.ROLL_BACK: "rolled back",
    _A.COMMENT: "commented on",
    _A.RESOLVE: "discussed",
    _A.REOPEN: "discussed",
    _A.END_TOGETHER: "ended with its bundle",
}
_SITUATION = {
    _S.DRAFT: "it is still a draft. Submit it for review first",
    _S.IN_REVIEW: "it is in review. It needs its approvals first",
    _S.APPROVED: "it is approved already. Reload the page to see it",
    _S.APPLIED: "it was applied already. Ask for a new change instead",
    _S.REJECTED: "it was rejected. Ask for a new change instead",
    _S.WITHDRAWN: "it was withdrawn. Ask for a new change instead",
    _S.EXPIRED: "it expired before it was applied. Ask for a new change instead",
    _S.ROLLED_BACK: "it was rolled back. Ask for a new change instead",
}


class InvalidTransition(GovernanceError):
    """The request is in a state in which this act is not possible."""

    code = "invalid_transition"
    status = 409
    title = "This is not possible in the request's present state"


def next_state(state: RequestState, act: Act) -> RequestState:
    """The state that `act` leads to. Raises InvalidTransition where the table has no such move."""
    try:
        return TRANSITIONS[state, act]
    except KeyError:
        raise InvalidTransition(refusal(state, act), state=state.value, act=act.value) from None


def is_possible(state: RequestState, act: Act) -> bool:
    """Whether the table has the move."""
    return (state, act) in TRANSITIONS


def possible_acts(state: RequestState) -> frozenset[Act]:
    """Every act the table allows in a state."""
    return frozenset(act for origin, act in TRANSITIONS if origin is state)


def refusal(state: RequestState, act: Act) -> str:
    """Why `act` is not possible in `state`, and what to do next."""
    situation = _SITUATION[state]
    if state is RequestState.IN_REVIEW and act is Act.SUBMIT:
        situation = "it was submitted already. Reload the page to see it"
    if state is RequestState.DRAFT and act in (Act.REJECT, Act.REQUEST_CHANGES, Act.LIFT_CHANGES, Act.ABSTAIN):
        situation = "it is still a draft. Only submitted requests are reviewed"
    if state is RequestState.APPROVED and act is Act.LIFT_CHANGES:
        situation = "nobody asks for changes to it"
    if act is Act.ROLL_BACK and state is not RequestState.ROLLED_BACK:
        situation = "it is not live, so there is nothing to take back"
    return f"This request cannot be {_DONE[act]}: {situation}."
