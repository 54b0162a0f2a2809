"""What programs read about plans: pages of them, and everything about one."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from rollouts.models import GuardVerdict, PlanStep, RolloutPlan
from rollouts.plans.transitions import LIVE_STATES
from rollouts.selectors.guards import GuardReading
from rollouts.selectors.plans.consents import StageConsents, stage_consents
from rollouts.selectors.plans.facts import Reading
from rollouts.selectors.plans.stored import reading_of, stored_guards

LIVE = "live"
MOST_STEPS = 200
MOST_VERDICTS = 100


@dataclass(frozen=True, slots=True)
class PlanPart:
    """Some plans, newest first. `next_number`: where the next part begins; None at the end."""

    plans: Sequence[RolloutPlan]
    next_number: int | None


@dataclass(frozen=True, slots=True)
class PlanFacts:
    """One plan with what it waits for and what happened to it, newest first."""

    plan: RolloutPlan
    reading: Reading | None
    guards: Sequence[GuardReading]
    consents: StageConsents
    steps: Sequence[PlanStep]
    verdicts: Sequence[GuardVerdict]


def plans_in(
    environment_id: UUID, *, state: str = "", flag_key: str = "", below: int | None = None, size: int
) -> PlanPart:
    """Plans of one environment with numbers below `below`: one query. `state` "live": all that may still act."""
    rows = RolloutPlan.objects.filter(environment=environment_id).select_related("environment", "created_by")
    if state:
        rows = rows.filter(state__in=[one.value for one in LIVE_STATES] if state == LIVE else [state])
    if flag_key:
        rows = rows.filter(flags__flag__key=flag_key)
    if below is not None:
        rows = rows.filter(number__lt=below)
    found = list(rows.order_by("-number")[: size + 1])
    shown = found[:size]
    return PlanPart(shown, shown[-1].number if len(found) > size else None)


def plan_facts(environment_id: UUID, plan_id: UUID, *, now: datetime) -> PlanFacts | None:
    """One plan of an environment; None where it holds no such plan: a constant number of queries."""
    rows = RolloutPlan.objects.select_related("environment__project", "project", "request", "created_by")
    plan = rows.filter(environment=environment_id, pk=plan_id).first()
    if plan is None:
        return None
    guards = stored_guards(plan, now=now)
    return PlanFacts(
        plan,
        reading_of(plan, guards, now=now),
        guards,
        stage_consents(plan),
        list(PlanStep.objects.filter(plan=plan).order_by("-sequence")[:MOST_STEPS]),
        list(GuardVerdict.objects.filter(plan=plan).order_by("-at", "metric", "-number")[:MOST_VERDICTS]),
    )
