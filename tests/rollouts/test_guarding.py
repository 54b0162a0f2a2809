"""Guards at work: closed minutes into watches, watches into verdicts."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from audits.models import AuditEvent
from flags.models import MetricCount
from rollouts.guarding.judging import GuardOutcome
from rollouts.models import GuardVerdict, GuardWatch, RolloutPlan
from rollouts.plans.definition import GuardAction
from rollouts.selectors.guards import GuardReading
from rollouts.services.guarding import keep_verdict, refresh_guards
from rollouts.services.plans import acting
from tests.factories import NOW, actor_of
from tests.rollouts.guard_support import MINUTE, counted, guard, minutes
from tests.rollouts.plans.support import PlanBench, definition_of, reloaded, stages_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def bench(world: Any) -> PlanBench:
    return PlanBench(world, world.first_flag)


def read(plan: RolloutPlan, now: datetime) -> GuardReading:
    [reading] = refresh_guards([plan.pk], now=now)[plan.pk]
    return reading


def started(bench: PlanBench, flag_key: str = "checkout-redesign", **wanted: Any) -> RolloutPlan:
    """A plan that begins with half of everybody, as the counts below say."""
    stages = stages_of(flag_key, shares=((50_000, 30), (100_000, 30)))
    return bench.started(definition_of(flag_key, stages=stages, guards=wanted.pop("guards")), **wanted)


def after(count: float) -> datetime:
    """When `count` minutes of the plan are closed."""
    return NOW + timedelta(minutes=count, seconds=20)


def skip(bench: PlanBench, plan: RolloutPlan, *, at: datetime) -> None:
    """Rolf takes the plan to its next stage."""
    acting.skip_stage(
        plan.pk, actor=actor_of(bench.world.rolf), now=at, reason="Go on", sequence=reloaded(plan).sequence
    )


def state_of(plan: RolloutPlan) -> list[dict[str, Any]]:
    fields = [f.attname for f in GuardWatch._meta.concrete_fields if f.attname not in {"id", "asked_at"}]
    return list(GuardWatch.objects.filter(plan=plan).order_by("metric").values(*fields))


def test_refresh__nothing_counted__collecting_and_no_verdict(bench: PlanBench) -> None:
    plan = started(bench, guards=(guard(),))

    reading = read(plan, after(3))

    assert reading.judgement.outcome is GuardOutcome.COLLECTING
    assert reading.watch.through == NOW + 2 * MINUTE
    assert not GuardVerdict.objects.exists()


def test_refresh__treatment_five_times_as_bad__breach_with_evidence(bench: PlanBench) -> None:
    plan = started(bench, guards=(guard(),))
    counted(plan.environment, minutes(NOW, 4), on=(500, 25))

    reading = read(plan, after(4))

    assert reading.judgement.outcome is GuardOutcome.BREACH
    assert reading.judgement.action is GuardAction.ROLL_BACK
    verdict = GuardVerdict.objects.get()
    assert (verdict.outcome, verdict.number, verdict.stage, len(verdict.intervals)) == ("breach", 1, 1, 4)
    assert verdict.freshest_at == NOW + 3 * MINUTE
    event = AuditEvent.objects.get(action="guard_verdict.given")
    data = json.loads(event.data)
    assert data["verdict_id"] == str(verdict.pk)
    assert data["treatment"] == {"units": 2000, "bad": 100}
    assert data["log_threshold"] == verdict.statistics["log_threshold"]
    assert event.correlation_id == plan.correlation_id


def test_refresh__healthy_counts__pass_is_shown(bench: PlanBench) -> None:
    plan = started(bench, guards=(guard(),))
    counted(plan.environment, minutes(NOW, 20), on=(500, 5), off=(500, 5))

    assert read(plan, after(20)).judgement.outcome is GuardOutcome.HEALTHY


@pytest.mark.parametrize("minute", [-1, 3])
def test_refresh__minute_before_the_start_or_not_closed__does_not_count(minute: int, bench: PlanBench) -> None:
    plan = started(bench, guards=(guard(),))
    counted(plan.environment, [NOW + minute * MINUTE], on=(500, 400))

    reading = read(plan, after(3))

    assert reading.judgement.samples == (0, 0)


def test_refresh__minute_in_which_the_share_changed__does_not_count(bench: PlanBench) -> None:
    plan = started(bench, guards=(guard(),), now=NOW + timedelta(seconds=30))
    counted(plan.environment, minutes(NOW, 3), on=(100, 1), off=(100, 1))

    assert read(plan, after(3)).judgement.samples == (200, 200)


@pytest.mark.parametrize("seconds", [79, 80])
def test_refresh__first_minute__counts_once_it_is_closed(seconds: int, bench: PlanBench) -> None:
    plan = started(bench, guards=(guard(),))
    counted(plan.environment, [NOW], on=(100, 1), off=(100, 1))

    reading = read(plan, NOW + timedelta(seconds=seconds))

    assert reading.judgement.samples == ((100, 100) if seconds == 80 else (0, 0))


def test_refresh__again_and_again__counts_once(bench: PlanBench) -> None:
    plan = started(bench, guards=(guard(),))
    counted(plan.environment, minutes(NOW, 5))
    read(plan, after(5))
    before = state_of(plan)

    for _ in range(3):
        read(plan, after(5))

    assert state_of(plan) == before


def test_refresh__watch_thrown_away__same_bits_as_counted_minute_by_minute(bench: PlanBench) -> None:
    guards = (guard(), guard("orders", is_success_metric=True), guard("slow", design_effect=3.0))
    plan = started(bench, guards=guards)
    for number, at in enumerate(minutes(NOW, 40)):
        if number % 7 != 3:
            counted(plan.environment, [at], on=(301 + number, number % 9), off=(298 - number, number % 4))
            counted(plan.environment, [at], on=(91, 40 + number % 9), off=(95, 44), metric="orders")
            counted(plan.environment, [at], on=(91, number % 2), off=(95, 1), metric="slow")
        refresh_guards([plan.pk], now=after(number + 1))
    before = state_of(plan)

    GuardWatch.objects.all().delete()
    refresh_guards([plan.pk], now=after(40))

    assert state_of(plan) == before


def test_refresh__minutes_forgotten__verdicts_still_know_them(bench: PlanBench) -> None:
    plan = started(bench, guards=(guard(),))
    counted(plan.environment, minutes(NOW, 4), on=(500, 25))
    read(plan, after(4))
    before = state_of(plan)

    MetricCount.objects.all().delete()
    GuardWatch.objects.all().delete()
    read(plan, after(4))

    assert state_of(plan) == before


def test_refresh__watch_of_a_clock_that_was_ahead__is_counted_anew(bench: PlanBench) -> None:
    plan = started(bench, guards=(guard(),))
    counted(plan.environment, minutes(NOW, 4))
    refresh_guards([plan.pk], now=NOW + timedelta(days=365))

    counted(plan.environment, minutes(NOW + 4 * MINUTE, 4))
    reading = read(plan, after(8))

    assert reading.judgement.samples == (4000, 4000)


def test_refresh__stage_after_stage__minutes_of_all_shares_are_compared_within_themselves(bench: PlanBench) -> None:
    stages = stages_of(shares=((50_000, 30), (90_000, 30)))
    plan = bench.started(definition_of(stages=stages, guards=(guard(),), may_skip=True))
    counted(plan.environment, minutes(NOW, 10), on=(500, 5), off=(500, 5))
    skip(bench, plan, at=NOW + timedelta(minutes=10, seconds=30))
    counted(plan.environment, minutes(NOW + 10 * MINUTE, 10), on=(900, 90), off=(100, 10))

    reading = read(plan, after(20))

    assert reading.judgement.samples == (5000 + 900, 5000 + 8100)
    assert reading.judgement.outcome in (GuardOutcome.COLLECTING, GuardOutcome.SHARED_INCIDENT)
    assert reading.watch.fresh_minutes == 9


def test_refresh__gap_longer_than_stale__clock_of_the_soak_stops(bench: PlanBench) -> None:
    plan = started(bench, guards=(guard(stale_after_minutes=5, missing_after_minutes=30),))
    counted(plan.environment, minutes(NOW, 10))
    counted(plan.environment, minutes(NOW + 30 * MINUTE, 5))

    assert read(plan, after(20)).watch.fresh_minutes == 10 + 5
    assert read(plan, after(20)).judgement.outcome is GuardOutcome.STALE
    assert read(plan, after(35)).watch.fresh_minutes == 10 + 5 + 5


def test_refresh__only_the_treatment_is_reported__missing_never_healthy(bench: PlanBench) -> None:
    plan = started(bench, guards=(guard(),))
    counted(plan.environment, minutes(NOW, 60), on=(5, 0), off=None)

    assert read(plan, after(58)).judgement.outcome is GuardOutcome.COLLECTING
    assert read(plan, after(60)).judgement.outcome is GuardOutcome.MISSING
    assert read(plan, after(60)).watch.fresh_minutes == 0


def test_refresh__went_back__attempt_counts_for_itself(bench: PlanBench) -> None:
    plan = started(bench, guards=(guard(),))
    counted(plan.environment, minutes(NOW, 4), on=(500, 25))
    read(plan, after(4))
    acting.roll_back_plan(
        plan.pk, actor=actor_of(bench.world.rita), now=after(5), reason="Errors", sequence=reloaded(plan).sequence
    )

    assert refresh_guards([plan.pk], now=after(9)) == {}
    assert GuardWatch.objects.get().attempt == 1


def test_keep_verdict__nothing_new__is_the_last_one(bench: PlanBench) -> None:
    plan = started(bench, guards=(guard(),))
    counted(plan.environment, minutes(NOW, 4), on=(500, 25))
    reading = read(plan, after(4))

    kept = keep_verdict(plan, reading, now=after(4))

    assert kept == GuardVerdict.objects.get()


def test_keep_verdict__decided_on_later__holds_what_came_since(bench: PlanBench) -> None:
    plan = started(bench, guards=(guard(),))
    counted(plan.environment, minutes(NOW, 30))
    read(plan, after(20))
    reading = read(plan, after(30))

    keep_verdict(plan, reading, now=after(30))

    first, second = GuardVerdict.objects.order_by("number")
    assert (len(first.intervals), len(second.intervals)) == (20, 10)
    assert GuardWatch.objects.get().pending == []


def test_keep_verdict__reading_older_than_the_last_verdict__is_the_last_one(bench: PlanBench) -> None:
    plan = started(bench, guards=(guard(),))
    counted(plan.environment, minutes(NOW, 30))
    old = read(plan, after(10))
    newest = keep_verdict(plan, read(plan, after(30)), now=after(30))

    assert keep_verdict(plan, old, now=after(30)) == newest


def test_refresh__twice_as_many_plans__as_many_queries(bench: PlanBench) -> None:
    plans = [started(bench, guards=(guard(), guard("slow")))]
    flag = bench.world.flag("second")
    bench.world.serve(flag, bench.staging)
    counted(plans[0].environment, minutes(NOW, 3))
    with CaptureQueriesContext(connection) as one:
        refresh_guards([plans[0].pk], now=after(3))
    GuardWatch.objects.all().delete()

    second = tuple(guard(name, flag_key="second") for name in ("errors", "slow"))
    plans.append(started(bench, "second", guards=second))
    with CaptureQueriesContext(connection) as two:
        refresh_guards([plan.pk for plan in plans], now=after(3))

    assert len(two) == len(one) <= 10
