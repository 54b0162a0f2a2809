"""Who may do what with a timeline: which role an act takes, and why a person may not do it now."""

from collections.abc import Mapping
from dataclasses import dataclass

from django.contrib.auth.models import AbstractUser

from audits.context import Actor
from flags import permissions
from flags.permissions import Role
from rollouts.deprecations.transitions import TimelineAct, TimelineState, is_possible, refusal
from rollouts.models import DeprecationTimeline
from rollouts.selectors.timelines.consents import asks_about_figures, milestone_refusal

_EITHER = (permissions.PROPOSE, permissions.APPLY)
PERMISSIONS: Mapping[TimelineAct, tuple[str, ...]] = {
    TimelineAct.EDIT: (permissions.PROPOSE,),
    TimelineAct.PROPOSE: (permissions.PROPOSE,),
    TimelineAct.RECALL: _EITHER,
    TimelineAct.START: _EITHER,
    TimelineAct.APPROVE: (permissions.APPROVE,),
    TimelineAct.POSTPONE: _EITHER,
    TimelineAct.PAUSE: _EITHER,
    TimelineAct.RESUME: _EITHER,
    TimelineAct.UNDO: _EITHER,
    TimelineAct.END: _EITHER,
}
# What was latched or approved takes a release manager.
_RELEASED = {
    (TimelineState.UNDONE, TimelineAct.RESUME): (permissions.APPLY,),
    (TimelineState.PROPOSED, TimelineAct.START): (permissions.APPLY,),
}
NEEDS_REASON = frozenset({TimelineAct.POSTPONE, TimelineAct.UNDO, TimelineAct.END})


@dataclass(frozen=True, slots=True)
class PossibleAct:
    """One act of people on a timeline; `why_not` is the sentence that says why this person may not do it now."""

    act: TimelineAct
    is_allowed: bool
    why_not: str
    needs_reason: bool


def permissions_for(timeline: DeprecationTimeline, act: TimelineAct) -> tuple[str, ...]:
    """What a person must hold in the timeline's environment for this act now; one of these will do.

    Postponing tells services another sunset. Where that takes approval and nobody gave any, a release manager answers
    for it.
    """
    if act is TimelineAct.POSTPONE and timeline.environment.is_protected and timeline.request_id is None:
        return (permissions.APPLY,)
    return _RELEASED.get((timeline.current_state, act), PERMISSIONS[act])


def needs_reason(timeline: DeprecationTimeline, act: TimelineAct) -> bool:
    """Whether the act takes a reason. A yes that may stand for missing figures does: it is all there is instead.

    A proposal takes one where the draft has none.
    """
    if act is TimelineAct.PROPOSE:
        return not timeline.reason
    if act is TimelineAct.APPROVE:
        return is_possible(timeline.current_state, act) and asks_about_figures(timeline)
    return act in NEEDS_REASON or (timeline.current_state, act) == (TimelineState.UNDONE, TimelineAct.RESUME)


def require_right(timeline: DeprecationTimeline, act: TimelineAct, actor: Actor) -> None:
    """Raise PermissionMissing unless the actor holds the role that the act takes."""
    permissions.require_any(actor, permissions_for(timeline, act), timeline.environment)


def possible_acts(timeline: DeprecationTimeline, user: AbstractUser) -> list[PossibleAct]:
    """Every act of people in the order in which a page shows them, with why this person may not do it now."""
    roles = permissions.roles_of(user, timeline.environment) if user.is_active else set()
    found = [(act, _why_not(timeline, act, user, roles)) for act in PERMISSIONS]
    return [PossibleAct(act, not why_not, why_not, needs_reason(timeline, act)) for act, why_not in found]


def _why_not(timeline: DeprecationTimeline, act: TimelineAct, user: AbstractUser, roles: set[Role]) -> str:
    if not is_possible(timeline.current_state, act):
        return refusal(timeline.current_state, act)
    wanted = [permissions.PERMISSION_ROLE[permission] for permission in permissions_for(timeline, act)]
    name = timeline.environment.name
    if not roles.intersection(wanted):
        words = " or ".join(role.label.lower() for role in wanted)
        return f"This takes the role {words} in {name}. Ask an administrator of {name} for it."
    if act is TimelineAct.APPROVE:
        return milestone_refusal(timeline, str(user.pk))
    if act is TimelineAct.START and timeline.current_state is TimelineState.DRAFT and timeline.environment.is_protected:
        return f"{name} is protected, so this timeline is proposed for approval first."
    if act is TimelineAct.UNDO and timeline.milestone == 0:
        return "No milestone was reached yet, so there is nothing to undo. Pause or end the timeline instead."
    return ""
