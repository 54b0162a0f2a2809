"""What guards counted is kept for good every hour, and neither a lost watch nor forgotten minutes take it away."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError, transaction

from flags.models import MetricCount
from flags.services.tickets import governed_write
from rollouts.models import GuardSample, GuardVerdict, GuardWatch, RolloutPlan
from rollouts.selectors.guard_pictures import guard_pictures
from rollouts.selectors.guard_replay import differences_of, replayed
from rollouts.selectors.guards import GuardReading
from rollouts.services import guarding
from rollouts.services.guarding import keep_verdict, refresh_guards
from tests.factories import NOW
from tests.rollouts.guard_support import counted, guard, minutes
from tests.rollouts.plans.support import PlanBench, definition_of, stages_of

pytestmark = [pytest.mark.django_db, pytest.mark.engines]


@pytest.fixture
def bench(world: Any) -> PlanBench:
    return PlanBench(world, world.first_flag)


def started(bench: PlanBench) -> RolloutPlan:
    stages = stages_of(shares=((50_000, 10_000), (100_000, 30)))
    return bench.started(definition_of(stages=stages, guards=(guard(),)))


def after(count: int) -> datetime:
    return NOW + timedelta(minutes=count, seconds=20)


def read(plan: RolloutPlan, count: int) -> GuardReading:
    return refresh_guards([plan.pk], now=after(count))[plan.pk][0]


def looked_at(plan: RolloutPlan, hours: int) -> GuardReading:
    """A plan on which everything was counted and that was looked at every twenty minutes."""
    counted(plan.environment, minutes(NOW, hours * 60), on=(50, 1), off=(50, 1))
    for count in range(20, hours * 60, 20):
        read(plan, count)
    return read(plan, hours * 60)


def test_watch__of_many_hours__holds_one_hour_at_most(bench: PlanBench) -> None:
    plan = started(bench)

    looked_at(plan, 5)

    samples = [len(row.intervals) for row in GuardSample.objects.all()]
    verdicts = [len(row.intervals) for row in GuardVerdict.objects.all()]
    pending = len(GuardWatch.objects.get().pending)
    assert len(samples) >= 3
    assert sum(samples) + sum(verdicts) + pending == 300
    assert pending <= 60
    [picture] = guard_pictures(plan, after(300))
    assert sum(bucket.control.units for bucket in picture.buckets if bucket.control) == 300 * 50


def test_watch__lost_after_its_minutes_were_forgotten__is_counted_from_what_is_kept(bench: PlanBench) -> None:
    plan = started(bench)
    looked_at(plan, 4)
    kept_through = GuardWatch.objects.get().kept_through
    assert kept_through is not None
    before = GuardWatch.objects.get().accumulated

    GuardWatch.objects.all().delete()
    MetricCount.objects.filter(at__lte=kept_through).delete()
    read(plan, 240)

    assert GuardWatch.objects.get().accumulated == before


@pytest.mark.parametrize("broken", [{"margin": "much"}, {"failures": {}}, [1, 2], "x"])
def test_watch__that_cannot_be_read__is_counted_anew(broken: Any, bench: PlanBench) -> None:
    plan = started(bench)
    looked_at(plan, 2)
    before = GuardWatch.objects.get().accumulated

    spoilt = {**before, **broken} if isinstance(broken, dict) else broken
    GuardWatch.objects.update(accumulated=spoilt)
    reading = read(plan, 120)

    assert GuardWatch.objects.get().accumulated == before
    assert reading.judgement.samples == (6_000, 6_000)


def test_verdict__after_samples__holds_what_came_since_and_is_given_again_to_the_bit(bench: PlanBench) -> None:
    plan = started(bench)
    reading = looked_at(plan, 3)

    verdict = keep_verdict(plan, reading, now=after(180))

    assert len(verdict.intervals) < 60
    assert differences_of(verdict, replayed(verdict)) == []
    assert verdict.statistics["control"]["units"] == 180 * 50


def test_verdict__on_what_was_read_before_others_kept_a_sample__is_given_again_to_the_bit(bench: PlanBench) -> None:
    plan = started(bench)
    looked_at(plan, 2)
    counted(plan.environment, minutes(after(120).replace(second=0), 80), on=(50, 1), off=(50, 1))
    old = read(plan, 150)
    read(plan, 200)

    verdict = keep_verdict(plan, old, now=after(150))

    assert verdict.statistics["control"]["units"] == 150 * 50
    assert differences_of(verdict, replayed(verdict)) == []


def test_sample__once_kept__cannot_be_changed(bench: PlanBench) -> None:
    plan = started(bench)
    looked_at(plan, 2)

    for act in (lambda rows: rows.update(intervals=[]), lambda rows: rows._raw_delete("default")):
        with pytest.raises(IntegrityError, match="flagsite"), governed_write(plan.environment_id):
            act(GuardSample.objects.all())
    with pytest.raises(IntegrityError, match="flagsite"), transaction.atomic():
        GuardSample.objects.create(
            plan=plan, environment=plan.environment, attempt=1, metric="x", through=NOW, intervals=[], at=NOW
        )


@pytest.mark.django_db(transaction=True)
def test_verdict__that_is_written_again_after_a_collision__loses_nothing(
    bench: PlanBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = started(bench)
    counted(plan.environment, minutes(NOW, 8), on=(500, 60), off=(500, 5))
    forget, tries = guarding._forget_pending, []

    def colliding(*told: Any, **named: Any) -> None:
        forget(*told, **named)
        tries.append(1)
        if len(tries) == 1:
            raise OperationalError("database is locked")

    monkeypatch.setattr(guarding, "_forget_pending", colliding)
    read(plan, 8)

    verdict = GuardVerdict.objects.get()
    assert (len(tries), len(verdict.intervals)) == (2, 8)
    assert verdict.parameters["previous"] is None
    assert differences_of(verdict, replayed(verdict)) == []
