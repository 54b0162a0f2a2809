"""What a person may do with a request now, and if not, why: the answers the services give, without trying."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.contrib.auth.models import AbstractUser

from flags import permissions
from flags.permissions import Role
from rollouts.models import ChangeRequest
from rollouts.policies import Case, may_abstain, may_approve, may_lift, may_object
from rollouts.transitions import AWAITING_STATES, Act, is_possible, refusal

PEOPLES_ACTS = (
    Act.SUBMIT,
    Act.APPROVE,
    Act.APPLY,
    Act.ROLL_BACK,
    Act.EDIT,
    Act.SCHEDULE,
    Act.REQUEST_CHANGES,
    Act.LIFT_CHANGES,
    Act.ABSTAIN,
    Act.REJECT,
    Act.WITHDRAW,
    Act.COMMENT,
    Act.RESOLVE,
    Act.REOPEN,
)
_ENDING_WITH_TIME = frozenset(
    {Act.APPROVE, Act.APPLY, Act.EDIT, Act.SCHEDULE, Act.REQUEST_CHANGES, Act.LIFT_CHANGES, Act.ABSTAIN}
)

# What is done with the plan or timeline that a request asks for, and not with the request.
_PLANNED = {
    Act.EDIT: "It asks for a rollout plan. Take the plan back and edit it instead.",
    Act.ROLL_BACK: "It started a rollout plan. Roll back the plan instead.",
}
_OF_TIMELINE = {
    Act.EDIT: "It asks for a deprecation timeline. Take the timeline back and edit it instead.",
    Act.ROLL_BACK: "It started a deprecation timeline. Undo the timeline instead.",
}


@dataclass(frozen=True, slots=True)
class ActView:
    """One act and, where the person may not do it now, the sentence that says why."""

    act: Act
    refusal: str | None

    @property
    def is_allowed(self) -> bool:
        """Whether the person may do it now."""
        return self.refusal is None


@dataclass(frozen=True, slots=True)
class _Viewer:
    id: UUID
    roles: frozenset[Role]
    may_look: bool


def acts_for(
    request: ChangeRequest, user: AbstractUser, case: Case, *, now: datetime, waits: str = ""
) -> tuple[ActView, ...]:
    """Every act of people on `request`, in the order in which a page shows them. `waits`: what its bundle waits for."""
    roles = frozenset(permissions.roles_of(user, request.environment)) if user.is_active else frozenset()
    viewer = _Viewer(user.pk, roles, user.is_active and bool(user.is_superuser or roles))
    refusals = {act: _refusal(request, act, viewer, case, now) for act in PEOPLES_ACTS}
    refusals[Act.APPLY] = refusals[Act.APPLY] or waits or None
    return tuple(ActView(act, reason) for act, reason in refusals.items())


def _refusal(request: ChangeRequest, act: Act, viewer: _Viewer, case: Case, now: datetime) -> str | None:
    if reason := _ROLE_CHECKS[act](request, viewer):
        return reason
    if not is_possible(request.current_state, act):
        return refusal(request.current_state, act)
    if request.plan_digest and act in _PLANNED:
        return _OF_TIMELINE[act] if request.asks_for_timeline else _PLANNED[act]
    over = request.current_state in AWAITING_STATES and request.has_expired(now)
    if over and act in _ENDING_WITH_TIME:
        return "This request has expired. Ask for a new change instead."
    if check := _CASE_CHECKS.get(act):
        return check(case, str(viewer.id))
    if act is Act.APPLY and request.apply_at is not None and not request.is_due(now):
        return f"It was approved for {request.apply_at:%d %B %Y at %H:%M} UTC. Wait, or change its schedule."
    return None


def _needs(role: Role) -> Callable[[ChangeRequest, _Viewer], str | None]:
    def check(request: ChangeRequest, viewer: _Viewer) -> str | None:
        if role in viewer.roles:
            return None
        name = request.environment.name
        return f"You do not have the role {role.label.lower()} in {name}. Ask an administrator of {name} for it."

    return check


def _may_look(request: ChangeRequest, viewer: _Viewer) -> str | None:
    return None if viewer.may_look else "You may not look at this environment. Ask an administrator for a role."


def _may_reject(request: ChangeRequest, viewer: _Viewer) -> str | None:
    if reason := _needs(Role.APPROVER)(request, viewer):
        return reason
    is_requester = request.requester_id == viewer.id and is_possible(request.current_state, Act.REJECT)
    return "You asked for this change yourself. Withdraw it instead of rejecting it." if is_requester else None


def _may_withdraw(request: ChangeRequest, viewer: _Viewer) -> str | None:
    if Role.RELEASE_MANAGER in viewer.roles:
        return None
    if request.requester_id == viewer.id and Role.EDITOR in viewer.roles:
        return None
    return "Only the person who asked for it and release managers withdraw a request."


def _may_roll_back(request: ChangeRequest, viewer: _Viewer) -> str | None:
    if viewer.roles & {Role.EDITOR, Role.RELEASE_MANAGER}:
        return None
    return f"Editors and release managers of {request.environment.name} roll a change back. Ask one of them."


def _may_schedule(request: ChangeRequest, viewer: _Viewer) -> str | None:
    if Role.RELEASE_MANAGER in viewer.roles:
        return None
    if str(viewer.id) in request.contributor_ids and Role.EDITOR in viewer.roles:
        return None
    return "Only the people who prepared it and release managers choose its time."


_ROLE_CHECKS: Mapping[Act, Callable[[ChangeRequest, _Viewer], str | None]] = {
    Act.EDIT: _needs(Role.EDITOR),
    Act.SUBMIT: _needs(Role.EDITOR),
    Act.ROLL_BACK: _may_roll_back,
    Act.APPROVE: _needs(Role.APPROVER),
    Act.APPLY: _needs(Role.RELEASE_MANAGER),
    Act.REJECT: _may_reject,
    Act.WITHDRAW: _may_withdraw,
    Act.SCHEDULE: _may_schedule,
    Act.COMMENT: _may_look,
    Act.RESOLVE: _may_look,
    Act.REOPEN: _may_look,
    Act.REQUEST_CHANGES: _needs(Role.APPROVER),
    Act.LIFT_CHANGES: _needs(Role.APPROVER),
    Act.ABSTAIN: _needs(Role.APPROVER),
}
_CASE_CHECKS: Mapping[Act, Callable[[Case, str], str | None]] = {
    Act.APPROVE: may_approve,
    Act.REQUEST_CHANGES: may_object,
    Act.LIFT_CHANGES: may_lift,
    Act.ABSTAIN: may_abstain,
}
