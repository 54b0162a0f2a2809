"""Which timelines to look at now. Due times live in rows; a tick only asks."""

from datetime import datetime

from django.db.models import Q, QuerySet

from rollouts.deprecations.deciding import LONGEST_WAIT
from rollouts.deprecations.transitions import TimelineState
from rollouts.models import DeprecationTimeline


def due_timelines(now: datetime) -> QuerySet[DeprecationTimeline]:
    """Running timelines whose next look has come, and paused ones with a brownout to tidy up after.

    A look further ahead than any is put off was set by a clock that was wrong.
    """
    has_come = Q(next_look_at__isnull=True) | Q(next_look_at__lte=now) | Q(next_look_at__gt=now + LONGEST_WAIT)
    moves = Q(state=TimelineState.RUNNING.value) | Q(state=TimelineState.PAUSED.value, in_brownout=True)
    return DeprecationTimeline.objects.filter(has_come, moves)
