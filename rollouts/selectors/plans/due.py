"""Which running plans to look at now. Due times live in rows; a tick only asks."""

import uuid
from collections.abc import Collection
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet

from rollouts.models import RolloutPlan
from rollouts.plans.transitions import PlanState

# No look is put off for longer, so one that lies further ahead was set by a clock that was wrong.
LONGEST_WAIT = timedelta(hours=1)


def due_plans(now: datetime) -> QuerySet[RolloutPlan]:
    """Running plans whose next look has come."""
    has_come = Q(next_look_at__isnull=True) | Q(next_look_at__lte=now) | Q(next_look_at__gt=now + LONGEST_WAIT)
    return RolloutPlan.objects.filter(has_come, state=PlanState.RUNNING.value)


def is_due(plan: RolloutPlan, *, now: datetime) -> bool:
    """Whether a row at hand belongs to `due_plans`."""
    if plan.current_state is not PlanState.RUNNING:
        return False
    look = plan.next_look_at
    return look is None or look <= now or look > now + LONGEST_WAIT


def plans_with_all(plan_ids: Collection[uuid.UUID]) -> list[RolloutPlan]:
    """Plans with what belongs to them, the same order every time: one query."""
    rows = RolloutPlan.objects.filter(pk__in=plan_ids).order_by("pk")
    return list(rows.select_related("environment__project", "project", "request"))
