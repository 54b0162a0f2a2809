"""What pictures of guards are drawn from."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from flags.models import MetricCount
from rollouts.models import RolloutPlan
from rollouts.selectors.guard_pictures import MOST_BUCKETS, GuardPicture, guard_pictures
from rollouts.services.guarding import refresh_guards
from rollouts.services.plans import acting
from tests.factories import NOW, actor_of
from tests.rollouts.guard_support import MINUTE, counted, guard, minutes
from tests.rollouts.plans.support import PlanBench, definition_of, reloaded, stages_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def bench(world: Any) -> PlanBench:
    return PlanBench(world, world.first_flag)


def started(bench: PlanBench, **spec: Any) -> RolloutPlan:
    stages = stages_of(shares=((50_000, 30), (100_000, 30)))
    return bench.started(definition_of(stages=stages, guards=(guard(**spec),)))


def drawn(plan: RolloutPlan, count: int) -> GuardPicture:
    refresh_guards([plan.pk], now=after(count))
    [picture] = guard_pictures(reloaded(plan), after(count))
    return picture


def after(count: int) -> datetime:
    return NOW + timedelta(minutes=count, seconds=20)


def test_pictures__plan_that_serves_nothing__none(bench: PlanBench) -> None:
    plan = bench.plan(environment=bench.staging, guards=(guard(),))

    assert guard_pictures(plan, NOW) == ()


def test_pictures__minutes_without_reports__gaps_and_no_zero(bench: PlanBench) -> None:
    plan = started(bench)
    counted(plan.environment, minutes(NOW, 4), on=(500, 10), off=(500, 5))
    counted(plan.environment, minutes(NOW + 7 * MINUTE, 2), on=(500, 10), off=None)

    picture = drawn(plan, 10)

    shares = [(item.control and item.control.rate, item.treatment and item.treatment.rate) for item in picture.buckets]
    assert shares == [(0.01, 0.02)] * 4 + [(None, None)] * 3 + [(None, 0.02)] * 2 + [(None, None)]
    assert [(gap.since, gap.minutes) for gap in picture.gaps] == [(NOW + 4 * MINUTE, 6)]
    assert picture.freshest_at == NOW + 3 * MINUTE


def test_pictures__breach__evidence_reaches_its_threshold_at_the_same_minute_as_the_verdict(bench: PlanBench) -> None:
    plan = started(bench)
    counted(plan.environment, minutes(NOW, 12), on=(500, 15))

    picture = drawn(plan, 12)

    assert picture.outcome == "breach"
    assert picture.label == "Breach"
    last = picture.buckets[-1]
    assert last.breach is not None
    assert last.breach >= 1
    assert last.ratio == pytest.approx(3.0)
    assert last.at_least is not None
    assert last.at_least > 1.1
    assert (picture.units_control, picture.units_treatment) == (6000, 6000)


def test_pictures__conversion__rate_is_that_of_successes(bench: PlanBench) -> None:
    plan = started(bench, is_success_metric=True)
    counted(plan.environment, minutes(NOW, 3), on=(100, 30), off=(100, 40))

    bucket = drawn(plan, 3).buckets[0]

    assert bucket.control is not None
    assert bucket.treatment is not None
    assert (bucket.control.rate, bucket.treatment.rate) == (0.4, 0.3)


def test_pictures__needed__falls_as_events_come(bench: PlanBench) -> None:
    plan = started(bench, margin=0.0)
    counted(plan.environment, minutes(NOW, 4), on=(500, 5), off=(500, 5))

    needed = {item.ratio: item for item in drawn(plan, 4).needed}

    assert needed[2.0].events - needed[2.0].still == 40
    assert needed[3.0].still == 0
    assert needed[2.0].hours == pytest.approx(needed[2.0].still / 40)


def test_pictures__late_events__are_told(bench: PlanBench) -> None:
    plan = started(bench)
    counted(plan.environment, minutes(NOW, 2))
    MetricCount.objects.filter(variant="on").update(late_count=7)

    assert drawn(plan, 2).late_events == 14


@pytest.mark.parametrize(("count", "width"), [(1, 1), (240, 1), (241, 2), (3_000, 15), (60_000, 360)])
def test_pictures__long_plan__at_most_240_points(count: int, width: int, bench: PlanBench) -> None:
    plan = started(bench)
    counted(plan.environment, [NOW, NOW + (count - 1) * MINUTE] if count > 1 else [NOW])

    picture = drawn(plan, count)

    assert picture.minutes_per_bucket == width
    assert len(picture.buckets) <= MOST_BUCKETS
    assert picture.buckets[-1].treatment is not None


def test_pictures__rolled_back__the_attempt_that_went_wrong(bench: PlanBench) -> None:
    plan = started(bench)
    counted(plan.environment, minutes(NOW, 4), on=(500, 25))
    drawn(plan, 4)
    rita, sequence = actor_of(bench.world.rita), reloaded(plan).sequence
    acting.roll_back_plan(plan.pk, reason="Errors", actor=rita, now=after(5), sequence=sequence)

    [picture] = guard_pictures(reloaded(plan), after(90))

    assert (picture.attempt, picture.outcome, picture.action) == (1, "breach", "roll_back")
    assert len(picture.buckets) == 4


def test_pictures__as_json__is_json(bench: PlanBench) -> None:
    plan = started(bench)
    counted(plan.environment, minutes(NOW, 2))

    assert json.loads(json.dumps(drawn(plan, 3).as_json(), allow_nan=False))["buckets"][2]["control"] is None
