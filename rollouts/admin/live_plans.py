"""What the page of a flag shows of the plans that are at work on it."""

import uuid
from collections.abc import Collection

from django.urls import reverse

from flags.admin.panels import LivePlan
from rollouts.admin.plans.bars import stage_shares
from rollouts.admin.plans.words import state_of
from rollouts.models import PlanFlag, RolloutPlan
from rollouts.plans.codec import from_json


def live_plans(environment_ids: Collection[uuid.UUID], flag_key: str) -> list[LivePlan]:
    """The plan that holds the flag in each of these environments: one query."""
    held = PlanFlag.objects.filter(environment__in=environment_ids, flag__key=flag_key, is_live=True)
    return [_shown(row.plan) for row in held.select_related("plan").defer("plan__documents", "plan__base")]


def share_served(plan: RolloutPlan) -> str:
    """What a plan serves now, in words."""
    if plan.stage == 0:
        return "as before"
    return stage_shares(from_json(plan.definition).stages)[plan.stage - 1][1]


def _shown(plan: RolloutPlan) -> LivePlan:
    state = state_of(plan)
    address = reverse("admin:rollouts_rolloutplan_change", args=[plan.pk])
    return LivePlan(
        environment_id=plan.environment_id,
        label=plan.label,
        share=share_served(plan),
        state=state.text,
        tone=state.tone,
        symbol=state.symbol,
        address=address,
        since=plan.started_at,
    )
