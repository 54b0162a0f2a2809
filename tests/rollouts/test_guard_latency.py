"""How long it takes from a report at the door to the verdict and the way back: under 90 seconds at any phase."""

import uuid
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.conf import settings

from flags.models import Environment
from flags.services.telemetry import accept
from flags.telemetry.rows import Batch, MetricRow
from rollouts.models import GuardVerdict
from rollouts.plans.transitions import PlanState
from rollouts.services.plans.engine import advance_due
from tests.factories import NOW
from tests.rollouts.guard_support import guard
from tests.rollouts.plans.support import PlanBench, definition_of, reloaded, stages_of

pytestmark = pytest.mark.django_db

SWEEP = timedelta(seconds=5)
PROMISED = timedelta(seconds=90)


@pytest.fixture
def bench(world: Any) -> PlanBench:
    return PlanBench(world, world.first_flag)


def report(environment: Environment, *, at: datetime) -> None:
    """Half of those with the new variant failed, in the minute that `at` lies in."""
    minute = at.replace(second=0, microsecond=0)
    rows = (
        MetricRow("errors", "checkout-redesign", "on", minute, 200, 100, 200, 100),
        MetricRow("errors", "checkout-redesign", "off", minute, 200, 2, 200, 2),
    )
    accept(Batch(uuid.uuid4().hex, "checkout", "1.0", metrics=rows), environment.pk, None, now=at)


def test_lateness__as_it_is_set_without_anybody_choosing__leaves_room_for_a_sweep() -> None:
    worst = timedelta(seconds=60 + settings.TELEMETRY_LATENESS_SECONDS) + SWEEP

    assert worst == timedelta(seconds=85)


@pytest.mark.parametrize(("second", "phase"), [(0, 0.0), (0, 4.999), (0.5, 2.5), (30, 1.0), (59.9, 4.9)])
def test_report__any_second_any_phase_of_the_sweep__verdict_and_way_back_in_time(
    second: float, phase: float, bench: PlanBench
) -> None:
    plan = bench.started(definition_of(stages=stages_of(shares=((50_000, 30), (100_000, 30))), guards=(guard(),)))
    arrived = NOW + timedelta(minutes=5, seconds=second)
    look = NOW + timedelta(seconds=phase)
    while look < arrived:
        advance_due(look)
        look += SWEEP
    report(plan.environment, at=arrived)

    while reloaded(plan).current_state is PlanState.RUNNING and look < arrived + 2 * PROMISED:
        advance_due(look)
        look += SWEEP

    verdict = GuardVerdict.objects.get()
    assert verdict.outcome in {"breach", "hard_break"}
    assert verdict.at - arrived < PROMISED
    after = reloaded(plan)
    assert (after.current_state, after.stage) == (PlanState.ROLLED_BACK, 0)
    assert after.steps.get(act="roll_back").at - arrived < PROMISED
