"""Watches that are counted on together, and by two at the same moment."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from rollouts.errors import ConcurrentUpdate
from rollouts.guarding.eprocess import Accumulated
from rollouts.models import GuardVerdict, GuardWatch, RolloutPlan
from rollouts.services.guard_rows import CountedOn, write_counted
from rollouts.services.guarding import keep_verdict, refresh_guards
from tests.factories import NOW
from tests.rollouts.guard_support import MINUTE, counted, guard, minutes
from tests.rollouts.plans.support import PlanBench, definition_of, stages_of

pytestmark = [pytest.mark.django_db, pytest.mark.engines]


@pytest.fixture
def bench(world: Any) -> PlanBench:
    return PlanBench(world, world.first_flag)


@pytest.fixture
def plan(bench: PlanBench) -> RolloutPlan:
    """One that begins with half of everybody and counts for 30 minutes, two guards watching."""
    stages = stages_of(shares=((50_000, 30), (100_000, 30)))
    plan = bench.started(definition_of(stages=stages, guards=(guard(), guard("slow", minimum_sample=10**9))))
    for metric in ("errors", "slow"):
        counted(plan.environment, minutes(NOW, 30), metric=metric)
    return plan


def after(count: float) -> datetime:
    """When `count` minutes of the plan are closed."""
    return NOW + timedelta(minutes=count, seconds=20)


def slow() -> GuardWatch:
    """The watch that never has enough, so that no verdict empties it."""
    return GuardWatch.objects.get(metric="slow")


def moments(watch: GuardWatch) -> list[str]:
    return [item[0] for item in watch.pending]


def test_counted_on__look_by_look__holds_every_minute_once_and_in_order(plan: RolloutPlan) -> None:
    for count in (2, 3, 12, 13):
        refresh_guards([plan.pk], now=after(count))

    assert moments(slow()) == [at.isoformat() for at in minutes(NOW, 13)]
    assert Accumulated.from_json(slow().accumulated).minutes == 13


def test_counted_on__by_two_at_once__the_slower_one_writes_nothing(plan: RolloutPlan) -> None:
    refresh_guards([plan.pk], now=after(2))
    read = slow()
    refresh_guards([plan.pk], now=after(5))
    faster = slow()
    was, read.through, read.fresh_minutes = read.through, NOW + 2 * MINUTE, 99

    write_counted([CountedOn(read, was, [[(NOW + 2 * MINUTE).isoformat(), 1, 0, 1, 0, 0, 0]])])

    fields = [field.attname for field in GuardWatch._meta.concrete_fields]
    assert [getattr(slow(), name) for name in fields] == [getattr(faster, name) for name in fields]


def test_verdict__of_a_look_that_others_overtook__rests_on_the_minutes_of_that_look(plan: RolloutPlan) -> None:
    refresh_guards([plan.pk], now=after(2))
    reading = refresh_guards([plan.pk], now=after(4))[plan.pk][1]
    refresh_guards([plan.pk], now=after(9))

    kept = keep_verdict(plan, reading, now=after(9))

    assert [item[0] for item in kept.intervals] == [at.isoformat() for at in minutes(NOW, 4)]
    assert kept.statistics["minutes"] == 4
    assert moments(slow()) == [at.isoformat() for at in minutes(NOW, 9)[4:]]


def test_verdict__while_its_watch_is_counted_anew__is_refused(plan: RolloutPlan) -> None:
    refresh_guards([plan.pk], now=after(2))
    reading = refresh_guards([plan.pk], now=after(9))[plan.pk][1]
    GuardWatch.objects.all().delete()
    refresh_guards([plan.pk], now=after(5))

    with pytest.raises(ConcurrentUpdate):
        keep_verdict(plan, reading, now=after(9))

    assert not GuardVerdict.objects.filter(metric="slow").exists()


def test_counted_on__nothing__asks_nothing(plan: RolloutPlan, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        write_counted([])
