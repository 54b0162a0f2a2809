"""A plan of which something that is stored cannot be read: it is held, and people are told once."""

import uuid
from datetime import datetime

from audits.context import correlation
from flags.services.tickets import governed_write
from rollouts.models import RolloutPlan
from rollouts.plans.transitions import PlanAct
from rollouts.selectors.plans.due import is_due
from rollouts.services.plans.notices import tell_about
from rollouts.services.plans.writing import ENGINE, lock_plan, step

CODE = "plan_unreadable"
MESSAGE = (
    "What is stored of this plan or of its guards cannot be read, so nobody watches it and it does not go on. Roll it "
    "back or end it; whoever runs Flagsite finds in the log what is wrong."
)


def hold_unreadable(plan_id: uuid.UUID, *, until: datetime, now: datetime) -> None:
    """Hold the plan and look at it again at `until`. It goes on by itself once it can be read."""
    plan = lock_plan(plan_id)
    if not is_due(plan, now=now):
        return
    if plan.blocked_code == CODE:
        with governed_write(plan.environment_id):
            RolloutPlan.objects.filter(pk=plan.pk).update(next_look_at=until)
        return
    with correlation(plan.correlation_id):
        told = tell_about(plan, what="held, it cannot be read", lines=[MESSAGE])
        step(
            plan,
            PlanAct.HOLD,
            actor=ENGINE,
            now=now,
            evidence={"code": CODE, "facts": {}, "told": told},
            blocked_code=CODE,
            blocked_detail={"message": MESSAGE},
            next_look_at=until,
        )
