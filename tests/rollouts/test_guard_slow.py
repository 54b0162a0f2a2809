"""A guard on slow answers reads the sketches that services report, and its verdicts can be given again."""

import uuid
from datetime import datetime, timedelta
from typing import Any

import pytest

from flags.models import Environment
from flags.services.telemetry import accept
from flags.telemetry.latency import sketch_of
from flags.telemetry.rows import Batch, MetricRow
from rollouts.models import GuardVerdict, GuardWatch
from rollouts.plans.definition import MetricKind
from rollouts.selectors.guard_replay import differences_of, replayed
from rollouts.services.guarding import keep_verdict, refresh_guards
from tests.factories import NOW
from tests.rollouts.guard_support import guard, minutes
from tests.rollouts.plans.support import PlanBench, definition_of, stages_of

pytestmark = pytest.mark.django_db

END = NOW + timedelta(minutes=10, seconds=20)


@pytest.fixture
def bench(world: Any) -> PlanBench:
    return PlanBench(world, world.first_flag)


def report(environment: Environment, at: list[datetime], *, slow_on: int, slow_off: int) -> None:
    """Two hundred answers a minute with each variant, some of which took a second; nobody marks any as bad."""
    for minute in at:
        rows = tuple(
            MetricRow(
                "slow",
                "checkout-redesign",
                variant,
                minute,
                200,
                0,
                sketch=sketch_of([1_000] * slow + [90] * (200 - slow)),
            )
            for variant, slow in (("on", slow_on), ("off", slow_off))
        )
        accept(Batch(uuid.uuid4().hex, "shop", "1.0", metrics=rows), environment.pk, None, now=minute)


@pytest.mark.parametrize(
    ("limit", "slow_on", "outcome", "bad"),
    [
        (800.0, 80, "breach", 80),
        (800.0, 10, "healthy", 10),
        (1_200.0, 80, "collecting", 0),
        (None, 80, "collecting", 0),
    ],
)
def test_guard__slow_answers_in_sketches__are_judged_by_its_limit(
    bench: PlanBench, limit: float | None, slow_on: int, outcome: str, bad: int
) -> None:
    spec = guard("slow", kind=MetricKind.LATENCY, limit=limit)
    plan = bench.started(definition_of(stages=stages_of(shares=((50_000, 30),)), guards=(spec,)))
    report(plan.environment, minutes(NOW, 10), slow_on=slow_on, slow_off=10)

    [reading] = refresh_guards([plan.pk], now=END)[plan.pk]

    assert reading.judgement.outcome.value == outcome
    watch = GuardWatch.objects.get()
    kept = [item for row in (watch.pending, *GuardVerdict.objects.values_list("intervals", flat=True)) for item in row]
    assert {(item[3], item[4]) for item in kept} == {(200, bad)}


def test_verdict_on_sketches__is_given_again_from_what_is_kept_and_counted_anew_to_the_same(bench: PlanBench) -> None:
    spec = guard("slow", kind=MetricKind.LATENCY, limit=800.0)
    plan = bench.started(definition_of(stages=stages_of(shares=((50_000, 30),)), guards=(spec,)))
    report(plan.environment, minutes(NOW, 10), slow_on=80, slow_off=10)
    [reading] = refresh_guards([plan.pk], now=END)[plan.pk]
    verdict = keep_verdict(plan, reading, now=END)

    assert verdict.parameters["guard"]["limit"] == 800.0
    assert differences_of(verdict, replayed(verdict)) == []

    GuardWatch.objects.all().delete()
    [again] = refresh_guards([plan.pk], now=END)[plan.pk]
    assert again.judgement.statistics == reading.judgement.statistics
