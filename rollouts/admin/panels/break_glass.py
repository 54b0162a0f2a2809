"""Uses of break-glass that nobody has reviewed, for the flags and segments of the request."""

from collections.abc import Sequence
from datetime import datetime

from django.contrib.auth.models import AbstractUser

from rollouts.models import BreakGlassUse
from rollouts.selectors import RequestPage
from rollouts.selectors.emergencies import open_uses_of
from rollouts.transitions import OPEN_STATES


def break_glass_panel(page: RequestPage, user: AbstractUser, now: datetime) -> Sequence[BreakGlassUse]:
    """One query while the request is open."""
    if page.request.current_state not in OPEN_STATES:
        return ()
    return open_uses_of(page.request.environment_id, [edit.key for edit in page.edits])
