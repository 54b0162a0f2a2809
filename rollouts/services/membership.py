"""What the members of a bundle do to each other: whoever ends takes the others along."""

from datetime import datetime

from audits.actions import Action
from audits.context import Actor
from rollouts.models import ChangeRequest
from rollouts.selectors.bundles import siblings_of
from rollouts.services.writing import move, record
from rollouts.transitions import OPEN_STATES, Act


def end_siblings(request: ChangeRequest, *, actor: Actor, now: datetime) -> None:
    """End the other requests of the bundle of a request that ended. `lock_request` has locked their environments."""
    why = (
        f"#{request.number} in {request.environment.name} was {request.current_state.label.lower()}. Requests of a "
        "bundle go live together or not at all: propose again what shall go live without it."
    )
    for sibling in siblings_of(request):
        origin = sibling.current_state
        if origin in OPEN_STATES:
            move(sibling, Act.END_TOGETHER, blocked_code="", blocked_detail={})
            record(
                Action.CHANGE_REQUEST_ENDED_TOGETHER,
                sibling,
                actor=actor,
                now=now,
                origin=origin,
                reason=why,
                ended_with=str(request.pk),
            )
