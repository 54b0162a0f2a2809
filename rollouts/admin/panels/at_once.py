"""Whether the person may apply the request at once, because it only narrows."""

from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import AbstractUser

from flags import permissions
from flags.directions import Direction, Movement
from flags.selectors.movements import movement_of_change_set
from rollouts.models import BundleMember
from rollouts.policies import may_apply_at_once
from rollouts.selectors import RequestPage
from rollouts.transitions import Act, is_possible


@dataclass(frozen=True, slots=True)
class AtOnce:
    """Why no approval is needed: what happens to each flag."""

    movement: Movement

    @property
    def is_neutral(self) -> bool:
        """Whether nobody's answer differs at all."""
        return self.movement.direction is Direction.NEUTRAL


def at_once_panel(page: RequestPage, user: AbstractUser, now: datetime) -> AtOnce | None:
    """Five queries at most; None where the person has to wait for approvals."""
    request = page.request
    if not is_possible(request.current_state, Act.APPLY_AT_ONCE) or page.has_moved or request.has_expired(now):
        return None
    if request.plan_digest:
        return None
    roles = permissions.roles_of(user, request.environment) if user.is_active else set()
    if may_apply_at_once(page.case, str(user.pk)) or not roles & {
        permissions.Role.EDITOR,
        permissions.Role.RELEASE_MANAGER,
    }:
        return None
    movement = movement_of_change_set(request.content, request.environment)
    if movement.held or BundleMember.objects.filter(request=request).exists():
        return None
    return AtOnce(movement)
