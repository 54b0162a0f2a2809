"""Telemetry that lies, repeats itself or tells one side only, through the door, and what it can do to a rollout."""

import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import pytest

from flags.models import Environment
from flags.services.telemetry import accept
from flags.telemetry.rows import Batch, MetricRow
from rollouts.guarding.judging import GuardOutcome
from rollouts.models import GuardVerdict, RolloutPlan
from rollouts.plans.definition import GuardAction
from rollouts.selectors.guards import GuardReading
from rollouts.services.guarding import refresh_guards
from tests.factories import NOW
from tests.rollouts.guard_support import MINUTE, guard
from tests.rollouts.plans.support import PlanBench, definition_of, reloaded, stages_of

pytestmark = pytest.mark.django_db

FLAG = "checkout-redesign"
# What honest services see in a minute: units and bad ones, at one percent.
SHARES = {"on": (100, 1), "off": (900, 9)}


@pytest.fixture
def bench(world: Any) -> PlanBench:
    return PlanBench(world, world.first_flag)


@pytest.fixture
def plan(bench: PlanBench) -> RolloutPlan:
    stages = stages_of(shares=((10_000, 30), (50_000, 30)))
    return bench.started(definition_of(stages=stages, guards=(guard(),)))


def row(variant: str, minute: datetime, units: int, bad: int) -> MetricRow:
    return MetricRow("errors", FLAG, variant, minute, units, bad, units, bad)


def deliver(
    environment: Environment, rows: Iterable[MetricRow], *, now: datetime, batch_id: str = "", times: int = 1
) -> None:
    batch = Batch(batch_id or uuid.uuid4().hex, "checkout", "1.0", metrics=tuple(rows))
    for _ in range(times):
        accept(batch, environment.pk, None, now=now)


def honest(plan: RolloutPlan, minute: datetime, *, on: tuple[int, int] = SHARES["on"], times: int = 1) -> None:
    rows = [row("on", minute, *on), row("off", minute, *SHARES["off"])]
    deliver(plan.environment, rows, now=minute + timedelta(seconds=61), times=times)


def said(plan: RolloutPlan, minute: datetime) -> GuardReading:
    """What the guard says when the minute is closed."""
    return refresh_guards([plan.pk], now=minute + timedelta(seconds=80))[plan.pk][0]


def minutes(count: int, first: int = 0) -> list[datetime]:
    return [NOW + number * MINUTE for number in range(first, first + count)]


def test_honest__no_difference__is_healthy_in_the_end(plan: RolloutPlan) -> None:
    for minute in minutes(60):
        honest(plan, minute)

    assert said(plan, minutes(60)[-1]).judgement.outcome is GuardOutcome.HEALTHY


def test_invented_errors__hundredfold__hold_and_never_roll_back(plan: RolloutPlan) -> None:
    actions = []
    for minute in minutes(30):
        honest(plan, minute)
        deliver(plan.environment, [row("on", minute, 10_000, 900)], now=minute + timedelta(seconds=62))
        actions.append(said(plan, minute).judgement.action)

    assert GuardAction.ROLL_BACK not in actions
    assert set(actions[1:]) == {GuardAction.HOLD}
    assert {verdict.outcome for verdict in GuardVerdict.objects.all()} == {"sample_ratio"}


@pytest.mark.parametrize("invented", [(10_000, 10_000), (110, 110)])
def test_invented_bad_minute__after_honest_ones__holds_and_is_over_in_a_quarter_of_an_hour(
    invented: tuple[int, int], plan: RolloutPlan
) -> None:
    judgements = []
    for number, minute in enumerate(minutes(24)):
        honest(plan, minute)
        if number == 5:
            deliver(plan.environment, [row("on", minute, *invented)], now=minute + timedelta(seconds=62))
        judgements.append(said(plan, minute).judgement)

    actions = [judgement.action for judgement in judgements]
    assert GuardAction.ROLL_BACK not in actions
    assert GuardAction.PAUSE not in actions
    assert actions[5] is GuardAction.HOLD
    assert judgements[5].samples == judgements[4].samples


def test_events_of_one_key__without_units__never_roll_back(plan: RolloutPlan) -> None:
    """What OTLP senders report: 110 errors, of which nobody says whose they are."""
    actions = []
    for number, minute in enumerate(minutes(10)):
        honest(plan, minute)
        if number == 5:
            events = [MetricRow("errors", FLAG, "on", minute, 110, 110)]
            deliver(plan.environment, events, now=minute + timedelta(seconds=62))
        actions.append(said(plan, minute).judgement.action)

    assert GuardAction.ROLL_BACK not in actions
    assert actions[5] is GuardAction.HOLD


def test_broken_events__without_units__pause(plan: RolloutPlan) -> None:
    minute = NOW
    rows = [MetricRow("errors", FLAG, "on", minute, 100, 60), MetricRow("errors", FLAG, "off", minute, 900, 9)]
    deliver(plan.environment, rows, now=minute + timedelta(seconds=61))

    judgement = said(plan, minute).judgement

    assert judgement.outcome is GuardOutcome.HARD_BREAK
    assert judgement.action is GuardAction.PAUSE


def test_invented_successes__hundredfold__a_regression_is_not_called_healthy(plan: RolloutPlan) -> None:
    outcomes = []
    for minute in minutes(30):
        honest(plan, minute, on=(100, 20))
        deliver(plan.environment, [row("on", minute, 10_000, 0)], now=minute + timedelta(seconds=62))
        outcomes.append(said(plan, minute).judgement.outcome)

    assert GuardOutcome.HEALTHY not in outcomes
    assert outcomes[-1] is GuardOutcome.SAMPLE_RATIO


def test_invented_bad_control__hundredfold__a_regression_is_not_called_healthy(plan: RolloutPlan) -> None:
    outcomes = []
    for minute in minutes(30):
        honest(plan, minute, on=(100, 20))
        deliver(plan.environment, [row("off", minute, 90_000, 60_000)], now=minute + timedelta(seconds=62))
        outcomes.append(said(plan, minute).judgement.outcome)

    assert GuardOutcome.HEALTHY not in outcomes


def test_every_batch_three_times__counts_once(plan: RolloutPlan) -> None:
    for minute in minutes(10):
        honest(plan, minute, times=3)

    assert said(plan, minutes(10)[-1]).judgement.samples == (9_000, 1_000)


@pytest.mark.parametrize("variant", ["on", "off"])
def test_one_side_only__holds_then_pauses_and_is_never_healthy(variant: str, plan: RolloutPlan) -> None:
    units, bad = SHARES[variant]
    actions, outcomes = [], []
    for minute in minutes(61):
        deliver(plan.environment, [row(variant, minute, units, bad)], now=minute + timedelta(seconds=61))
        judgement = said(plan, minute).judgement
        actions.append(judgement.action)
        outcomes.append(judgement.outcome)

    assert set(actions) <= {None, GuardAction.HOLD, GuardAction.PAUSE}
    assert GuardAction.HOLD in actions
    assert outcomes[-1] is GuardOutcome.MISSING
    assert actions[-1] is GuardAction.PAUSE
    assert GuardOutcome.HEALTHY not in outcomes


def test_sent_after_the_minute_was_closed__decides_nothing(plan: RolloutPlan) -> None:
    for minute in minutes(10):
        honest(plan, minute)
    before = said(plan, minutes(10)[-1])

    for minute in minutes(10):
        deliver(plan.environment, [row("on", minute, 10_000, 10_000)], now=NOW + timedelta(hours=1))
    after = refresh_guards([plan.pk], now=NOW + timedelta(minutes=10, seconds=20))[plan.pk][0]

    assert after.judgement.statistics == before.judgement.statistics
    assert reloaded(plan).stage == 1


def test_real_regression__fivefold__rolls_back(plan: RolloutPlan) -> None:
    actions = []
    for minute in minutes(30):
        honest(plan, minute, on=(100, 5))
        actions.append(said(plan, minute).judgement.action)

    assert GuardAction.ROLL_BACK in actions
