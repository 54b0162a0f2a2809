"""Reads about plans that pages and the API share."""

import uuid

from django.contrib.auth.models import AbstractUser, AnonymousUser
from django.db.models import QuerySet

from flags import permissions
from flags.errors import NotFound
from flags.models import Environment, Flag
from rollouts.models import PlanFlag, RolloutPlan
from rollouts.plans.codec import from_json
from rollouts.plans.definition import PlanDefinition
from rollouts.selectors.plans.consents import StageConsents, stage_consents
from rollouts.selectors.plans.rights import PossibleAct, possible_acts

__all__ = [
    "PossibleAct",
    "StageConsents",
    "definition_of",
    "live_plan_of",
    "plan_of",
    "possible_acts",
    "stage_consents",
    "visible_plans",
]


def visible_plans(user: AbstractUser | AnonymousUser) -> QuerySet[RolloutPlan]:
    """Plans in environments the person may look at, newest first, with what their labels need."""
    rows = RolloutPlan.objects.filter(environment__in=permissions.visible_environments(user))
    return rows.select_related("environment", "project", "request", "created_by").order_by("-created_at", "-number")


def plan_of(plan_id: uuid.UUID, user: AbstractUser | AnonymousUser | None = None) -> RolloutPlan:
    """The plan; with `user` only where that person may look at it. Raises NotFound."""
    rows = RolloutPlan.objects.select_related("environment__project", "project", "request", "created_by")
    if user is not None:
        rows = rows.filter(environment__in=permissions.visible_environments(user))
    plan = rows.filter(pk=plan_id).first()
    if plan is None:
        raise NotFound("There is no such plan, or you have no role in its environment.", plan_id=str(plan_id))
    return plan


def definition_of(plan: RolloutPlan) -> PlanDefinition:
    """What the plan says, as a value."""
    return from_json(plan.definition)


def live_plan_of(flag: Flag, environment: Environment) -> RolloutPlan | None:
    """The plan that is at work on a flag in an environment, None for none."""
    held = PlanFlag.objects.filter(flag=flag, environment=environment, is_live=True).select_related("plan").first()
    return held.plan if held else None
