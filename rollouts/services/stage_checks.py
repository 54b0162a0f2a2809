"""Outside checks of the stage that a plan is in: asked now and then, the last answer kept."""

import operator
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from rollouts.models import RolloutPlan, StageCheck
from rollouts.plans.codec import from_json
from rollouts.plans.definition import Check, CheckKind, PlanDefinition
from rollouts.services import probes
from rollouts.services.outside import Address, NotAsked, Outside, Query, Question

# Sweeps come more often; what was asked so lately is not asked again.
ASKED_EVERY = timedelta(seconds=30)
PASSED, FAILED, ERROR = "passed", "failed", "error"
_OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


@dataclass(frozen=True, slots=True)
class Found:
    """What one check came to now."""

    outcome: str
    sentence: str


@dataclass(frozen=True, slots=True)
class _Due:
    """A check whose last answer, if any, is too old."""

    plan: RolloutPlan
    check: Check
    row: StageCheck | None
    question: Question

    @property
    def asked_at(self) -> datetime:
        """When it was asked last; what was never asked comes first."""
        return self.row.checked_at if self.row else datetime.min.replace(tzinfo=UTC)


def has_checks(plan: RolloutPlan) -> bool:
    """Whether the plan's stage asks the outside."""
    return bool(plan.stage and plan.definition["stages"][plan.stage - 1]["gates"]["checks"])


def refresh_checks(plans: Collection[RolloutPlan], outside: Outside, *, now: datetime) -> set[uuid.UUID]:
    """Ask the checks of the plans' stages again where that is long enough ago, and keep the answers: two queries.

    Gives the plans of which something was not asked; its last answer is an old one. Talks to the outside, so not to be
    called inside a transaction.
    """
    due = sorted(_due(plans, now=now), key=lambda each: each.asked_at)
    outside.ask(each.question for each in due)
    answered, left_out = [], set()
    for each in due:
        try:
            answered.append(_row(each, _found(each, outside), now=now))
        except NotAsked:
            left_out.add(each.plan.pk)
    StageCheck.objects.bulk_create(
        answered,
        update_conflicts=True,
        unique_fields=["plan", "attempt", "stage", "name"],
        update_fields=["outcome", "sentence", "errors_in_a_row", "checked_at"],
    )
    return left_out


def check_problems(definition: PlanDefinition) -> Sequence[tuple[str, str]]:
    """Path and sentence of every check whose address may not be asked; nobody is asked."""
    found = []
    for number, stage in enumerate(definition.stages):
        for place, check in enumerate(stage.gates.checks):
            if check.kind is CheckKind.HTTP:
                try:
                    probes.target_of(check.url)
                except probes.ProbeError as error:
                    found.append((f"stages.{number}.gates.checks.{place}.url", str(error)))
    return found


def _due(plans: Collection[RolloutPlan], *, now: datetime) -> list[_Due]:
    asking = [plan for plan in plans if has_checks(plan)]
    rows = StageCheck.objects.filter(plan__in=asking) if asking else ()
    known = {(row.plan_id, row.attempt, row.stage, row.name): row for row in rows}
    found = []
    for plan in asking:
        for check in from_json(plan.definition).stages[plan.stage - 1].gates.checks:
            row = known.get((plan.pk, plan.attempt, plan.stage, check.name))
            if row is None or not timedelta() <= now - row.checked_at < ASKED_EVERY:
                is_http = check.kind is CheckKind.HTTP
                found.append(_Due(plan, check, row, Address(check.url) if is_http else Query(check.query, now)))
    return found


def _found(due: _Due, outside: Outside) -> Found:
    check = due.check
    try:
        said = outside.said(due.question)
    except probes.ProbeError as error:
        return Found(ERROR, f"{check.name}: {error}")
    return _of_status(check, said) if check.kind is CheckKind.HTTP else _of_value(check, said)


def _row(due: _Due, found: Found, *, now: datetime) -> StageCheck:
    before = due.row.errors_in_a_row if due.row else 0
    return StageCheck(
        plan=due.plan,
        attempt=due.plan.attempt,
        stage=due.plan.stage,
        name=due.check.name,
        outcome=found.outcome,
        sentence=found.sentence[:500],
        errors_in_a_row=before + 1 if found.outcome == ERROR else 0,
        checked_at=now,
    )


def _of_status(check: Check, status: float | None) -> Found:
    is_good = status is not None and 200 <= status <= 299
    return Found(PASSED if is_good else FAILED, f"{check.name}: {probes.target_of(check.url).host} answers {status}.")


def _of_value(check: Check, value: float | None) -> Found:
    if value is None:
        return Found(ERROR, f"{check.name}: Prometheus has no data for the query.")
    is_good = _OPERATORS[check.operator](value, check.threshold)
    wanted = f"{check.operator} {check.threshold:g} is asked for"
    return Found(PASSED if is_good else FAILED, f"{check.name}: {value:g}, and {wanted}.")
