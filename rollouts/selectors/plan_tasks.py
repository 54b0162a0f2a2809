"""Rollout plans on the desk: stages that wait for my yes, and plans that stopped and are mine to look at."""

import uuid
from collections.abc import Collection, Sequence
from datetime import datetime

from django.contrib.auth.models import AbstractUser
from django.db.models import Q

from flags import permissions
from rollouts.models import RolloutPlan, StageApproval
from rollouts.plans.trains import WAITS
from rollouts.plans.transitions import PlanState
from rollouts.selectors.desk_kinds import DeskTask
from rollouts.selectors.plans.consents import involved_ids, stage_refusal

PLAN = "admin:rollouts_rolloutplan_change"
MOST_TOLD = 20
_STOPPED = frozenset({PlanState.PAUSED, PlanState.ROLLED_BACK})
_AT_WORK = (PlanState.RUNNING, PlanState.PAUSED)


def plan_tasks(user: AbstractUser, now: datetime) -> Sequence[DeskTask]:
    """Stage approvals that wait for the person, and plans that were stopped, went back or are held.

    Of the latter only those that the person made, started or releases. Five queries, and a few for each stage that asks
    for an approval the person might give.
    """
    approving = permissions.environments_with(user, permissions.APPROVE)
    releasing = permissions.environments_with(user, permissions.APPLY)
    return [*_stages(user, approving), *_stopped(user, releasing)]


def _stages(user: AbstractUser, approving: Collection[uuid.UUID]) -> list[DeskTask]:
    rows = RolloutPlan.objects.filter(
        environment__in=approving, state__in=[state.value for state in _AT_WORK], stage__gt=0
    )
    related = rows.select_related("environment", "request").defer("documents", "base").order_by("stage_entered_at")
    wanted = [plan for plan in related if _asks(plan) and str(user.pk) not in involved_ids(plan)]
    given = _given(wanted, user)
    tasks = []
    for plan in wanted:
        if (plan.pk, plan.attempt, plan.stage) in given or stage_refusal(plan, str(user.pk)):
            continue
        stage = plan.definition["stages"][plan.stage - 1]
        tasks.append(
            DeskTask(
                title=f"#{plan.number} {plan.title} waits for your yes",
                text=f"Leaving “{stage['name']}” in {plan.environment.name} takes {_asks(plan)} "
                f"{'approval' if _asks(plan) == 1 else 'approvals'}. Look at its guards, then say yes.",
                symbol="thumb_up",
                tone="wait",
                route=PLAN,
                arguments=(plan.pk,),
            )
        )
        if len(tasks) == MOST_TOLD:
            break
    return tasks


def _stopped(user: AbstractUser, releasing: Collection[uuid.UUID]) -> list[DeskTask]:
    mine = Q(environment__in=releasing) | Q(created_by=user) | Q(started_by_id=str(user.pk))
    held = Q(state=PlanState.RUNNING.value) & ~Q(blocked_code__in=["", WAITS])
    rows = RolloutPlan.objects.filter(mine, held | Q(state__in=[state.value for state in _STOPPED]))
    seen = rows.filter(environment__in=permissions.visible_environments(user))
    related = seen.select_related("environment").defer("documents", "base").order_by("stage_entered_at")
    return [_stopped_task(plan) for plan in related[:MOST_TOLD]]


def _stopped_task(plan: RolloutPlan) -> DeskTask:
    where, state = plan.environment.name, plan.current_state
    name = f"#{plan.number} {plan.title}"
    if state is PlanState.ROLLED_BACK:
        title, text, tone = (
            f"{name} was rolled back",
            f"Look at why it went back in {where}, then resume or end it.",
            "bad",
        )
    elif state is PlanState.PAUSED:
        title, text, tone = (
            f"{name} is paused",
            f"Everybody in {where} keeps what they get. Resume it, or end it.",
            "wait",
        )
    else:
        title, text, tone = f"{name} is held", str(plan.blocked_detail.get("message", "")), "wait"
    return DeskTask(
        title=title,
        text=text,
        symbol={"bad": "restore", "wait": "pan_tool"}[tone],
        tone="bad" if tone == "bad" else "wait",
        route=PLAN,
        arguments=(plan.pk,),
    )


def _asks(plan: RolloutPlan) -> int:
    """How many approvals the present stage takes."""
    return int(plan.definition["stages"][plan.stage - 1]["gates"].get("approvals", 0))


def _given(plans: Sequence[RolloutPlan], user: AbstractUser) -> set[tuple[uuid.UUID, int, int]]:
    rows = StageApproval.objects.filter(plan__in=plans, approver=user.pk)
    return set(rows.values_list("plan_id", "attempt", "stage"))
