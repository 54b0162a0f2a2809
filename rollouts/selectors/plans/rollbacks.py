"""What is known of the rollbacks of plans: which were not looked at afterwards, and what a look found."""

from datetime import datetime, timedelta

from django.db.models import QuerySet

from audits.actions import Action
from audits.models import AuditEvent
from rollouts.models import PlanStep
from rollouts.plans.transitions import PlanAct, PlanState

_LOOKS = (Action.ROLLBACK_VERIFIED.value, Action.ROLLBACK_MISMATCH.value)
# Whoever rolled back looks at once; only where its process ended before that does somebody else.
_LEFT_AFTER = timedelta(minutes=1)
_FURTHEST = timedelta(days=1)


def unverified_rollbacks(now: datetime) -> QuerySet[PlanStep]:
    """Steps that rolled a plan back where nobody looked at what is served since: two queries."""
    steps = PlanStep.objects.filter(
        act=PlanAct.ROLL_BACK.value,
        at__gt=now - _FURTHEST,
        at__lte=now - _LEFT_AFTER,
        plan__state=PlanState.ROLLED_BACK.value,
    )
    waiting = list(steps.values_list("pk", "plan_id", "at"))
    events = _looks().filter(target_id__in=[str(plan_id) for _, plan_id, _ in waiting])
    looked = list(events.values_list("target_id", "occurred_at")) if waiting else []
    done = [
        step_id for step_id, plan_id, at in waiting if any(who == str(plan_id) and when >= at for who, when in looked)
    ]
    return steps.exclude(pk__in=done)


def verification_of(step: PlanStep) -> AuditEvent | None:
    """The event that says whether what a rollback meant was served afterwards; None until somebody looked."""
    events = _looks().filter(target_id=str(step.plan_id), occurred_at__gte=step.at)
    return events.order_by("occurred_at", "sequence").first()


def _looks() -> QuerySet[AuditEvent]:
    return AuditEvent.objects.filter(target_type="plan", action__in=_LOOKS)
