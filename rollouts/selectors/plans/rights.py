"""Who may do what with a plan: which role an act takes, and why a person may not do it now."""

from collections.abc import Mapping
from dataclasses import dataclass

from django.contrib.auth.models import AbstractUser

from audits.context import Actor
from flags import permissions
from flags.permissions import Role
from rollouts.models import RolloutPlan
from rollouts.plans.codec import from_json
from rollouts.plans.transitions import PlanAct, PlanState, is_possible, refusal
from rollouts.selectors.plans.consents import stage_refusal, used_up_refusal

_EITHER = (permissions.PROPOSE, permissions.APPLY)
PERMISSIONS: Mapping[PlanAct, tuple[str, ...]] = {
    PlanAct.EDIT: (permissions.PROPOSE,),
    PlanAct.REBASE: (permissions.PROPOSE,),
    PlanAct.PROPOSE: (permissions.PROPOSE,),
    PlanAct.RECALL: _EITHER,
    PlanAct.START: _EITHER,
    PlanAct.APPROVE_STAGE: (permissions.APPROVE,),
    PlanAct.SKIP: (permissions.APPLY,),
    PlanAct.PAUSE: _EITHER,
    PlanAct.RESUME: _EITHER,
    PlanAct.JUMP_BACK: _EITHER,
    PlanAct.ROLL_BACK: _EITHER,
    PlanAct.ABORT: _EITHER,
}
# What was latched or approved takes a release manager.
_RELEASED = {
    (PlanState.ROLLED_BACK, PlanAct.RESUME): (permissions.APPLY,),
    (PlanState.PROPOSED, PlanAct.START): (permissions.APPLY,),
}
NEEDS_REASON = frozenset({PlanAct.SKIP, PlanAct.JUMP_BACK, PlanAct.ROLL_BACK, PlanAct.ABORT})


@dataclass(frozen=True, slots=True)
class PossibleAct:
    """One act of people on a plan; `why_not` is the sentence that says why this person may not do it now."""

    act: PlanAct
    is_allowed: bool
    why_not: str
    needs_reason: bool


def permissions_for(plan: RolloutPlan, act: PlanAct) -> tuple[str, ...]:
    """What a person must hold in the plan's environment for this act now; one of these will do."""
    return _RELEASED.get((plan.current_state, act), PERMISSIONS[act])


def needs_reason(plan: RolloutPlan, act: PlanAct) -> bool:
    """Whether the act takes a reason."""
    return act in NEEDS_REASON or (plan.current_state, act) == (PlanState.ROLLED_BACK, PlanAct.RESUME)


def require_right(plan: RolloutPlan, act: PlanAct, actor: Actor) -> None:
    """Raise PermissionMissing unless the actor holds the role that the act takes."""
    permissions.require_any(actor, permissions_for(plan, act), plan.environment)


def possible_acts(plan: RolloutPlan, user: AbstractUser) -> list[PossibleAct]:
    """Every act of people in the order in which a page shows them, with why this person may not do it now."""
    roles = permissions.roles_of(user, plan.environment) if user.is_active else set()
    found = [(act, _why_not(plan, act, user, roles)) for act in PERMISSIONS]
    return [PossibleAct(act, not why_not, why_not, needs_reason(plan, act)) for act, why_not in found]


def _why_not(plan: RolloutPlan, act: PlanAct, user: AbstractUser, roles: set[Role]) -> str:
    if not is_possible(plan.current_state, act):
        return refusal(plan.current_state, act)
    wanted = [permissions.PERMISSION_ROLE[permission] for permission in permissions_for(plan, act)]
    name = plan.environment.name
    if not roles.intersection(wanted):
        words = " or ".join(role.label.lower() for role in wanted)
        return f"This takes the role {words} in {name}. Ask an administrator of {name} for it."
    return _refusal_in_case(plan, act, user)


def _refusal_in_case(plan: RolloutPlan, act: PlanAct, user: AbstractUser) -> str:
    name = plan.environment.name
    if act is PlanAct.APPROVE_STAGE:
        return stage_refusal(plan, str(user.pk))
    if act is PlanAct.START and plan.current_state is PlanState.DRAFT and plan.environment.is_protected:
        return f"{name} is protected, so this plan is proposed for approval first."
    if act is PlanAct.RESUME:
        return used_up_refusal(plan)
    if act is PlanAct.SKIP:
        return skip_refusal(plan)
    if act is PlanAct.JUMP_BACK and plan.stage <= (1 if plan.current_state is PlanState.RUNNING else 0):
        return "There is no earlier stage to go back to. Roll the plan back instead."
    return ""


def skip_refusal(plan: RolloutPlan) -> str:
    """Why nobody leaves the present stage early, by what the plan says; empty where it may be left."""
    definition = from_json(plan.definition)
    if not definition.options.may_skip:
        return "This plan does not allow leaving a stage early. Pause it, or make a new plan."
    if plan.stage >= len(definition.stages):
        return "This is the last stage. The plan is completed when its gates are met."
    return ""
