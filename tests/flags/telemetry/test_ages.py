"""Minutes become hours and go; twice is like once, and what is counted late is not lost on the way."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from flags.models import EvaluationCount, MetricCount, QuarantinedRow, TelemetryBatch
from flags.services.telemetry import accept
from flags.services.telemetry_ages import BATCHES_KEPT, HOUR, HOURS_KEPT, MINUTES_KEPT, forget_old, roll_up
from flags.telemetry.rows import RejectedRow
from tests.factories import NOW, World
from tests.flags.telemetry.reports import batch, evaluated, measured, minutes

START = NOW.replace(minute=0)


def report(world: World, at: datetime, *, received_at: datetime | None = None) -> None:
    refused = RejectedRow("negative", "A count is negative.", "{}")
    metric = measured(10, 2, at=at, units=4, bad_units=1, total=0.5, sketch={3: 10})
    accept(batch(evaluated(2, at=at), metric, rejected=(refused,)), world.production.pk, None, now=received_at or at)


def hours() -> list[Any]:
    sums = ("at", "count", "bad", "units", "total", "sketch", "late_count")
    return list(MetricCount.objects.filter(span="hour").order_by("at").values_list(*sums))


def test_roll_up__hour_that_ended__is_written_once_and_kept_up(world: World):
    for number in (0, 1, 59, 60):
        report(world, START + minutes(number))

    assert roll_up(now=START + HOUR) == 1
    assert roll_up(now=START + HOUR) == 1
    assert hours() == [(START, 30, 6, 12, 1.5, {"3": 30}, 0)]

    report(world, START, received_at=START + HOUR + minutes(5))
    roll_up(now=START + HOUR + minutes(10))
    assert hours() == [(START, 30, 6, 12, 1.5, {"3": 30}, 10)]
    assert EvaluationCount.objects.get(span="hour").count == 8


def test_roll_up__minute_late_by_days__is_in_its_hour_before_it_goes(world: World):
    report(world, START)
    roll_up(now=START + HOUR)
    report(world, START, received_at=START + BATCHES_KEPT)

    roll_up(now=START + BATCHES_KEPT + 2 * HOUR)

    assert hours()[0][-1] == 10


def test_forget__minutes_nobody_rolled_up__become_hours_first(world: World):
    report(world, START)
    report(world, START + minutes(59))
    report(world, START + HOUR)
    then = START + HOUR + MINUTES_KEPT

    assert forget_old(now=then) > 0
    assert forget_old(now=then) == 0
    roll_up(now=then)

    assert hours() == [(START, 20, 4, 8, 1.0, {"3": 20}, 0)]
    assert set(MetricCount.objects.filter(span="minute").values_list("at", flat=True)) == {START + HOUR}
    assert forget_old(now=START + HOURS_KEPT + timedelta(seconds=1)) > 0
    assert [at for at, *_ in hours()] == [START + HOUR]


@pytest.mark.parametrize(("age", "kept"), [(BATCHES_KEPT, 1), (BATCHES_KEPT + timedelta(seconds=1), 0)])
def test_forget__batches_and_refused_rows__are_kept_for_72_hours(world: World, age: timedelta, kept: int):
    report(world, NOW)

    forget_old(now=NOW + age)

    assert (TelemetryBatch.objects.count(), QuarantinedRow.objects.count()) == (kept, kept)
