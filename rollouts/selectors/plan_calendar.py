"""Stages of rollout plans in the month: those that were entered, and the next one where time alone decides."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from flags.models import Environment
from rollouts.models import PlanStep, RolloutPlan
from rollouts.plans.codec import from_json
from rollouts.plans.dry_run import timeline
from rollouts.plans.gating import time_is_up_at
from rollouts.plans.transitions import PlanAct, PlanState
from rollouts.selectors.calendar_kinds import CalendarEntry

PLAN = "admin:rollouts_rolloutplan_change"
STAGE, AHEAD = "stage", "stage_ahead"
_MOVES = (PlanAct.START, PlanAct.ADVANCE, PlanAct.SKIP, PlanAct.JUMP_BACK, PlanAct.ROLL_BACK)
_BACK = frozenset({PlanAct.JUMP_BACK.value, PlanAct.ROLL_BACK.value})


def plan_stages(environments: Sequence[Environment], starts_at: datetime, ends_at: datetime) -> Iterable[CalendarEntry]:
    """What plans did and will do in [starts_at, ends_at): two queries."""
    names = {environment.pk: environment.name for environment in environments}
    steps = PlanStep.objects.filter(
        environment__in=environments, at__gte=starts_at, at__lt=ends_at, act__in=[act.value for act in _MOVES]
    )
    for step in steps.select_related("plan").defer("plan__documents", "plan__base"):
        if step.from_stage != step.to_stage:
            yield _entry(step.plan, STAGE, _did(step), names[step.environment_id], step.at)
    running = RolloutPlan.objects.filter(environment__in=environments, state=PlanState.RUNNING.value)
    for plan in running.filter(blocked_code="", stage__gt=0).defer("documents", "base"):
        for number, name, at in _ahead(plan):
            if starts_at <= at < ends_at:
                text = f"{names[plan.environment_id]}, at the earliest"
                yield _entry(plan, AHEAD, f"stage {number} “{name}”", text, at)


def _entry(plan: RolloutPlan, kind: str, what: str, text: str, at: datetime) -> CalendarEntry:
    return CalendarEntry(
        kind=kind,
        title=f"#{plan.number} {plan.title}: {what}",
        text=text,
        starts_at=at,
        ends_at=at,
        environment_ids=frozenset([plan.environment_id]),
        route=PLAN,
        arguments=(plan.pk,),
    )


def _did(step: PlanStep) -> str:
    if step.to_stage == 0:
        return "back to how it was before"
    name = step.plan.definition["stages"][step.to_stage - 1]["name"]
    return f"{'back to ' if step.act in _BACK else ''}stage {step.to_stage} “{name}”"


def _ahead(plan: RolloutPlan) -> Iterable[tuple[int, str, datetime]]:
    """The stages ahead of a running plan and when each is entered at the earliest."""
    definition = from_json(plan.definition)
    if plan.stage_entered_at is None or plan.stage >= len(definition.stages):
        return
    gates = definition.stages[plan.stage - 1].gates
    over = time_is_up_at(gates, entered_at=plan.stage_entered_at, extra_soak_minutes=plan.extra_soak_minutes)
    rest = type(definition)(
        definition.flags, definition.strategy, definition.stages[plan.stage :], definition.guards, definition.options
    )
    for entry in timeline(rest, starts_at=over):
        yield plan.stage + entry.stage, entry.name, entry.earliest_at
