"""Outside checks of the stage that a plan is in: asked now and then, the last answer kept."""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from rollouts.models import RolloutPlan, StageCheck
from rollouts.plans.codec import from_json
from rollouts.plans.definition import Check, CheckKind, PlanDefinition
from rollouts.services import probes

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


def refresh_checks(plan: RolloutPlan, *, now: datetime) -> tuple[StageCheck, ...]:
    """The checks of the plan's stage with their last answers, asked again where that is long enough ago.

    Talks to the outside, so not to be called inside a transaction.
    """
    stages = from_json(plan.definition).stages
    checks = stages[plan.stage - 1].gates.checks if 1 <= plan.stage <= len(stages) else ()
    rows = StageCheck.objects.filter(plan=plan, attempt=plan.attempt, stage=plan.stage)
    known = {row.name: row for row in rows} if checks else {}
    return tuple(_refreshed(plan, check, known.get(check.name), now=now) for check in checks)


def ask(check: Check, *, now: datetime) -> Found:
    """What a check says now."""
    try:
        return _ask_http(check) if check.kind is CheckKind.HTTP else _ask_prometheus(check, now=now)
    except probes.ProbeError as error:
        return Found(ERROR, f"{check.name}: {error}")


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


def _refreshed(plan: RolloutPlan, check: Check, row: StageCheck | None, *, now: datetime) -> StageCheck:
    if row is not None and timedelta() <= now - row.checked_at < ASKED_EVERY:
        return row
    found = ask(check, now=now)
    errors = (row.errors_in_a_row if row else 0) + 1 if found.outcome == ERROR else 0
    kept, _ = StageCheck.objects.update_or_create(
        plan=plan,
        attempt=plan.attempt,
        stage=plan.stage,
        name=check.name,
        defaults={
            "outcome": found.outcome,
            "sentence": found.sentence[:500],
            "errors_in_a_row": errors,
            "checked_at": now,
        },
    )
    return kept


def _ask_http(check: Check) -> Found:
    status = probes.get(check.url)
    is_good = 200 <= status <= 299
    return Found(PASSED if is_good else FAILED, f"{check.name}: {probes.target_of(check.url).host} answers {status}.")


def _ask_prometheus(check: Check, *, now: datetime) -> Found:
    value = probes.query(check.query, at=now)
    if value is None:
        return Found(ERROR, f"{check.name}: Prometheus has no data for the query.")
    is_good = _OPERATORS[check.operator](value, check.threshold)
    wanted = f"{check.operator} {check.threshold:g} is asked for"
    return Found(PASSED if is_good else FAILED, f"{check.name}: {value:g}, and {wanted}.")
