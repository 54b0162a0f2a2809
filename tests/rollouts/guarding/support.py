from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from rollouts.guarding.counts import Interval
from rollouts.guarding.eprocess import Accumulated, add, start
from rollouts.guarding.judging import Judgement, judge_guard
from rollouts.plans.definition import GuardSpec, MetricKind

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def spec(**fields) -> GuardSpec:
    usual = {
        "metric": "errors",
        "name": "Errors",
        "kind": MetricKind.ERROR_RATE,
        "flag_key": "checkout",
        "treatment": "on",
        "control": "off",
    }
    return GuardSpec(**{**usual, **fields})


def minutes(rows: Iterable[tuple[Any, ...]], *, after: int = 0) -> list[Interval]:
    """Intervals of (n_control, x_control, n_treatment, x_treatment[, weight_control, weight_treatment[, stage]])."""
    return [Interval(BEGIN + (after + number) * MINUTE, *row) for number, row in enumerate(rows)]


def counted(guard: GuardSpec, rows: Iterable[tuple[Any, ...]]) -> Accumulated:
    known = start(guard)
    for interval in minutes(rows):
        known = add(known, interval)
    return known


def judged(guard: GuardSpec, rows: Iterable[tuple[Any, ...]], **facts) -> Judgement:
    """The judgement right after the last of these minutes."""
    known = counted(guard, rows)
    last = known.through or BEGIN
    usual = {"alpha_m": 0.05, "now": last + MINUTE, "sampled_at": known.through, "started_at": BEGIN}
    return judge_guard(guard, known, **{**usual, **facts})


def judged_at_end(known: Accumulated, started_at: datetime = BEGIN) -> Judgement:
    """The judgement right after the last counted minute, in a stage that began at an instant."""
    last = known.through or BEGIN
    return judge_guard(spec(), known, alpha_m=0.05, now=last + MINUTE, sampled_at=known.through, started_at=started_at)
