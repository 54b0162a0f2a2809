"""What plans and timelines share while people shape them, and while a change request asks for them."""

from datetime import datetime

from audits.context import Actor
from flags import permissions
from flags.errors import PermissionMissing
from rollouts.models import ChangeRequest, DeprecationTimeline, RolloutPlan
from rollouts.services.reviewing import may_withdraw, withdraw_change_request
from rollouts.services.writing import require_person
from rollouts.transitions import OPEN_STATES


def shapers(shaped: RolloutPlan | DeprecationTimeline, actor: Actor) -> list[str]:
    """Who shaped it or asked for it, this person included; none of them approves it, also after a recall."""
    return list(dict.fromkeys([*shaped.contributors, str(require_person(actor))]))


def end_request(asked_for: RolloutPlan | DeprecationTimeline, *, actor: Actor, now: datetime, reason: str) -> None:
    """Withdraw the open request of something proposed. Raises PermissionMissing for those who may not."""
    if asked_for.request_id is None:
        return
    request = ChangeRequest.objects.select_related("environment").filter(pk=asked_for.request_id).first()
    if request is None or request.current_state not in OPEN_STATES:
        return
    if not may_withdraw(request, actor):
        raise PermissionMissing(
            f"#{request.number} asks for {asked_for.label}. Only the person who asked for it and release managers of "
            f"{asked_for.environment.name} take it back.",
            permission=permissions.APPLY,
            environment=asked_for.environment.key,
        )
    withdraw_change_request(request.pk, actor=actor, reason=reason, now=now)
