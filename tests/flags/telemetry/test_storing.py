"""Counting batches: once each, in their minutes, late apart, within limits, and once under many deliveries at once."""

import threading
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection, connections, transaction

from flags.models import EvaluationCount, MetricCount, QuarantinedRow, TelemetryBatch
from flags.selectors.telemetry import VariantCount, evaluations_of, metric_minutes, newest_minutes
from flags.services import telemetry as service
from flags.services.telemetry import DUPLICATE, Accepted, accept, store
from flags.services.telemetry_places import forget_places
from flags.telemetry.labels import MOST_METRICS, MOST_SOURCES, OTHER
from flags.telemetry.packing import Delivery
from flags.telemetry.rows import Batch, RejectedRow
from tests.factories import NOW, World, make_world
from tests.flags.telemetry.reports import MINUTE, batch, evaluated, measured, minutes

TOKEN = uuid.uuid4()


def take(world: World, given: Batch, now: datetime = NOW) -> Accepted:
    return accept(given, world.production.pk, TOKEN, now=now)


def test_accept__id_that_another_token_used__counts(world: World):
    given, others = batch(measured()), (uuid.uuid4(), None)
    take(world, replace(given, metrics=()))
    done = [accept(given, world.production.pk, token, now=NOW) for token in (TOKEN, *others, *others)]

    assert done == [DUPLICATE, Accepted(1, 0, 0), Accepted(1, 0, 0), DUPLICATE, DUPLICATE]
    assert only_metric().count == 20


def only_metric(**where: Any) -> MetricCount:
    return MetricCount.objects.get(**where)


def test_accept__batch__is_counted_in_its_minutes(world: World):
    rows = [evaluated(3), evaluated(4), evaluated(1, variant="off"), evaluated(5, at=MINUTE - minutes(2))]

    done = take(world, batch(*rows))

    assert done == Accepted(4, 0, 1)
    found = EvaluationCount.objects.filter(environment=world.production)
    assert set(found.values_list("at", "variant", "count", "service", "version")) == {
        (MINUTE, "on", 7, "shop", "1.0"),
        (MINUTE, "off", 1, "shop", "1.0"),
        (MINUTE - minutes(2), "on", 5, "shop", "1.0"),
    }


def test_accept__metric_rows__add_up(world: World):
    take(world, batch(measured(10, 2, units=5, bad_units=1, total=1.5, total_squares=2.5, sketch={1: 4, 2: 6})))
    take(world, batch(measured(20, 3, total=0.5, sketch={2: 1, -3: 7})))
    take(world, batch(measured(1, 1, units=1, bad_units=1)))

    row = only_metric()

    assert (row.count, row.bad, row.units, row.bad_units) == (31, 6, 6, 2)
    assert (row.without_units, row.bad_without_units) == (20, 3)
    assert (row.total, row.total_squares) == (2.0, 2.5)
    assert row.sketch == {"-3": 7, "1": 4, "2": 7}
    assert (row.late_count, row.late_bad) == (0, 0)


def test_accept__the_same_batch_again__counts_nothing(world: World):
    given = batch(measured(), evaluated(), rejected=(RejectedRow("negative", "A count is negative.", "{}"),))

    assert take(world, given) == Accepted(2, 1, 0)
    assert take(world, given, NOW + minutes(1)) == DUPLICATE

    assert only_metric().count == 10
    assert EvaluationCount.objects.get().count == 1
    assert QuarantinedRow.objects.count() == 1


def test_accept__the_same_id_in_another_environment__is_another_batch(world: World):
    given = batch(measured())

    take(world, given)
    accept(given, world.staging.pk, TOKEN, now=NOW)

    assert MetricCount.objects.count() == 2


def test_store__one_batch_twice_at_once__counts_once(world: World):
    delivery = Delivery(batch(measured()), world.production.pk, TOKEN, NOW)

    assert store([delivery, delivery], now=NOW) == [Accepted(1, 0, 0), DUPLICATE]
    assert only_metric().count == 10


@pytest.mark.parametrize(
    ("seconds", "late"), [(0, False), (60, False), (76.9, False), (77, True), (3600, True), (72 * 3600, True)]
)
def test_accept__after_the_minute_is_closed__decides_nothing(world: World, seconds: float, late: bool):
    take(world, batch(measured(10, 2, units=5, bad_units=1, total=3.0, sketch={1: 10})))
    closed = only_metric()

    done = take(
        world,
        batch(measured(7, 4, units=7, bad_units=4, total=9.0, sketch={1: 7})),
        MINUTE + timedelta(seconds=seconds),
    )

    row = only_metric()
    if late:
        assert (done.late, row.late_count, row.late_bad) == (1, 7, 4)
        for name in ("count", "bad", "units", "bad_units", "without_units", "total", "sketch"):
            assert getattr(row, name) == getattr(closed, name), name
    else:
        assert (done.late, row.late_count, row.count, row.bad) == (0, 0, 17, 6)


def test_store__minute_closes_meanwhile__is_counted_again_as_late(world: World, monkeypatch: pytest.MonkeyPatch):
    passed = iter([0.0, 0.0, 5.0, 5.0, 5.0])
    monkeypatch.setattr(service, "monotonic", lambda: next(passed))
    just_before = MINUTE + timedelta(seconds=76)

    done = store([Delivery(batch(measured()), world.production.pk, TOKEN, MINUTE)], now=just_before)

    assert done == [Accepted(1, 0, 1)]
    row = only_metric()
    assert (row.count, row.late_count) == (0, 10)


def test_accept__more_sources_than_there_are_places__are_counted_together(world: World):
    for number in range(MOST_SOURCES + 5):
        take(world, batch(evaluated(), version=f"1.{number}"))
    take(world, batch(evaluated(), version="1.0"))

    counts = dict(EvaluationCount.objects.values_list("version", "count"))
    assert len(counts) == MOST_SOURCES + 1
    assert (counts[OTHER], counts["1.0"]) == (5, 2)
    service_names = set(TelemetryBatch.objects.filter(version=OTHER).values_list("service", flat=True))
    assert service_names == {OTHER}


def test_accept__another_process_or_day__has_the_same_places(world: World):
    for number in range(MOST_SOURCES):
        take(world, batch(evaluated(), version=f"1.{number}"))
    forget_places()

    take(world, batch(evaluated(), version="2.0"))
    take(world, batch(evaluated(at=MINUTE + minutes(1440)), version="3.0"), NOW + minutes(1440))

    assert set(TelemetryBatch.objects.filter(version__in=["2.0", "3.0", OTHER]).values_list("version", flat=True)) == {
        "3.0",
        OTHER,
    }


def test_accept__more_metrics_than_there_are_places__are_refused(world: World):
    names = [measured(name=f"m{number}") for number in range(MOST_METRICS)]

    assert take(world, batch(*names)).rejected == 0
    assert take(world, batch(measured(name="one-more"), measured(name="m7"))) == Accepted(1, 1, 0)

    assert QuarantinedRow.objects.get().code == "too_many_metrics"
    assert not MetricCount.objects.filter(metric="one-more").exists()


def test_accept__metrics_of_minutes_before_today__have_their_places(world: World):
    old = MINUTE - minutes(71 * 60)
    take(world, batch(*(measured(name=f"m{number}", at=old) for number in range(MOST_METRICS))))
    forget_places()

    assert take(world, batch(measured(name="one-more"))) == Accepted(0, 1, 0)


def test_accept__many_refused_rows__some_of_each_reason_are_kept(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(service, "MOST_KEPT_OF_A_DAY", 12)
    junk = tuple(RejectedRow("x" * 60, "m" * 600, "r" * 1200) for _ in range(25))
    real = RejectedRow("unknown_flag", "The flag is not set up.", "")

    for _ in range(3):
        assert take(world, batch(rejected=junk)).rejected == 25
    assert take(world, batch(rejected=(*junk, real))).rejected == 26
    take(world, batch(rejected=junk, service="basket"))

    kept = Counter(QuarantinedRow.objects.values_list("service", "code"))
    assert kept == {("shop", "x" * 50): 12, ("shop", "unknown_flag"): 1, ("basket", "x" * 50): 5}
    row = QuarantinedRow.objects.filter(code__startswith="x")[0]
    assert (len(row.message), len(row.row)) == (500, 1000)


@pytest.mark.parametrize(("configured", "waits"), [(20, 17), (3, 0), (0, 0)])
def test_lateness__leaves_guards_time_until_all_is_committed(configured: int, waits: int, settings: Any):
    settings.TELEMETRY_LATENESS_SECONDS = configured

    assert service.lateness() == timedelta(seconds=waits)


def test_selectors__what_is_asked_for__is_found_in_one_query(world: World, django_assert_num_queries: Any):
    now = NOW + minutes(1)
    take(world, batch(measured(), measured(3, 0, variant="off", at=MINUTE + minutes(1)), measured(name="other")), now)
    take(world, batch(measured(9, 9, at=MINUTE - minutes(9)), evaluated(4), evaluated(2, variant="off")), now)
    key = (world.production.pk, "errors", "checkout")
    elsewhere = (world.staging.pk, "other", "checkout")

    with django_assert_num_queries(1):
        found = metric_minutes([key, elsewhere], since=MINUTE, until=MINUTE + minutes(2))
    with django_assert_num_queries(1):
        newest = newest_minutes([key, elsewhere], since=MINUTE - minutes(60))
    with django_assert_num_queries(1):
        counted = evaluations_of("checkout", world.production, MINUTE, MINUTE + minutes(1))

    assert [(row.at, row.variant, row.count) for row in found] == [(MINUTE, "on", 10), (MINUTE + minutes(1), "off", 3)]
    assert newest == {key: MINUTE + minutes(1)}
    assert counted == (VariantCount(MINUTE, "off", 2), VariantCount(MINUTE, "on", 4))
    assert metric_minutes([], since=MINUTE, until=now) == ()
    assert newest_minutes([], since=MINUTE) == {}


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """Results of calls that begin together, each on a connection of its own."""
    barrier, results = threading.Barrier(len(calls)), list[Any]([None] * len(calls))

    def run(index: int) -> None:
        barrier.wait(timeout=20)
        try:
            results[index] = calls[index]()
        except Exception as error:
            results[index] = error
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    return results


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_store__eight_deliveries_of_the_same_batches__count_once():
    world = make_world()
    given = [Delivery(batch(measured(), evaluated(2)), world.production.pk, TOKEN, NOW) for _ in range(20)]
    orders = [given[shift:] + given[:shift] for shift in range(8)]

    done = at_once(*[lambda order=order: store(order, now=NOW) for order in orders])

    counted = [each for result in done for each in result if not each.is_duplicate]
    assert len(counted) == 20
    assert only_metric().count == 200
    assert EvaluationCount.objects.get().count == 40
    assert TelemetryBatch.objects.count() == 20


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_store__different_batches_of_the_same_series__all_count():
    world = make_world()
    names = [f"m{number}" for number in range(30)]

    def deliver(turn: int) -> Any:
        rows = [measured(1, 0, name=name, sketch={1: 1}) for name in (names if turn % 2 else reversed(names))]
        return store([Delivery(batch(*rows), world.production.pk, TOKEN, NOW) for _ in range(5)], now=NOW)

    done = at_once(*[lambda turn=turn: deliver(turn) for turn in range(8)])

    assert [isinstance(each, list) for each in done] == [True] * 8, done
    assert set(MetricCount.objects.values_list("count", flat=True)) == {40}
    assert all(row.sketch == {"1": 40} for row in MetricCount.objects.all())


@pytest.mark.django_db(transaction=True)
def test_store__process_dies_before_the_end__nothing_is_half_counted():
    world = make_world()
    given = Delivery(batch(measured(), evaluated()), world.production.pk, TOKEN, NOW)

    def die() -> None:
        with transaction.atomic():
            store([given], now=NOW)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        die()

    assert [model.objects.count() for model in (TelemetryBatch, MetricCount, EvaluationCount)] == [0, 0, 0]
    assert store([given], now=NOW) == [Accepted(2, 0, 0)]
    assert connection.in_atomic_block is False
