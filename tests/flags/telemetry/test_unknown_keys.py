"""Keys that are no flag's: which may be kept, how many, how long, and that nothing else reaches a table or a log."""

import threading
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, transaction
from hypothesis import example, given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from flags import snapshots
from flags.api.unanswered import Unanswered, unanswered
from flags.models import FlagUse, QuarantinedRow, UnknownKey
from flags.services.asked_in_vain import AskedInVain
from flags.services.telemetry import accept
from flags.services.telemetry_ages import forget_old
from flags.services.unknown_keys import (
    KEPT_FOR,
    MOST_ASKING,
    STAYS_FOR,
    Asked,
    AskedKey,
    keep_unknown_keys,
)
from flags.telemetry.labels import EVALUATED_HERE, OTHER, TEST_TRAFFIC
from flags.telemetry.packing import Delivery, pack, unpack
from flags.telemetry.reading import read_batch
from flags.telemetry.unknown_keys import FURTHER, HIDDEN, MOST_KEYS, Keeping, may_be_kept
from tests.factories import NOW, World
from tests.flags.api.plane import plane_of_its_own
from tests.flags.telemetry.reports import document, evaluation, metric

DAY = timedelta(days=1)
LETTERS = "bdfhjlnprt"


def word(number: int) -> str:
    """Another key for every number, which may be kept."""
    return "-".join(f"{LETTERS[int(digit)]}o" for digit in str(number))


@pytest.mark.parametrize(
    "key",
    [
        "checkout-redesign",
        "sticky-haeder",
        "new_search",
        "checkout.redesign",
        "searchV2",
        "enableNewCheckoutFlowForEverybody",
        "useHTTPSRedirect",
        "DARK_MODE",
        "2fa-login",
        "summer-2026",
        "release-24.11",
        "ab-test-17",
        "facade",
        "rhythm-game",
        "o" * 24,
    ],
)
def test_may_be_kept__what_a_flag_could_be_called__may(key: str) -> None:
    assert may_be_kept(key)


@pytest.mark.parametrize(
    "key",
    [
        "",
        "-x",
        "a b",
        "a/b",
        "a\nb",
        "ключ",
        "x" * 101,
        "anna@example.org",
        "user-17",
        "userId",
        "newUserPage",
        "e-mail",
        "session-x",
        "id-7",
        "my.ip",
        "customName",
        "550e8400-e29b-41d4-a716-446655440000",
        "550E8400E29B41D4A716446655440000",
        "abcdefab-cdef-abcd-efab-cdefabcdefab",
        "order-12345",
        "order-1987-03-12",
        "order-1234-567",
        "10.0.0.17",
        "aa-bb-cc-dd-ee-ff",
        "DE89370400440532013000",
        "shop-9f86d081",
        "deadbeefdeadbeef",
        "a1b2c3d4",
        "eyJhbGciOiJIUzI1NiJ9",
        "dGhpcyBpcyBhIHRlc3Q",
        "jbswy3dpehpk3pxp",
        "xkqzvbnmplk",
        "a" * 25,
    ],
)
def test_may_be_kept__what_may_name_somebody__may_not(key: str) -> None:
    assert not may_be_kept(key)


@given(st.uuids(), st.sampled_from(["{}", "shop-{}", "{}.beta", "a_{}_b"]))
def test_may_be_kept__uuid_anywhere__may_not(number: Any, frame: str) -> None:
    assert not may_be_kept(frame.format(number))
    assert not may_be_kept(frame.format(number.hex))


def test_keeping__many_keys__looks_at_some_only() -> None:
    keeping = Keeping()

    found = [keeping.kept(word(number)) for number in range(MOST_KEYS + 3)]

    assert found[-4:] == [word(MOST_KEYS - 1), FURTHER, FURTHER, FURTHER]
    assert keeping.kept(word(0)) == word(0)


def report(
    world: World, *keys: str, at: datetime = NOW, service: str = "shop", version: str = "7", count: int = 5
) -> None:
    rows = [evaluation(flag=key, minute=at.isoformat(), count=count) for key in keys]
    found = read_batch(document(evaluations=rows, service=service, version=version), known={}, now=at)
    delivery = unpack(pack(Delivery(found, world.production.pk, None, at)))
    accept(delivery.batch, world.production.pk, None, now=at)


def kept(**only: Any) -> dict[tuple[str, str], int]:
    return {(row.key, row.service): row.count for row in UnknownKey.objects.filter(**only)}


@pytest.mark.django_db
def test_report__key_of_no_flag__says_who_asks_since_when_and_how_often(world: World) -> None:
    report(world, "sticky-haeder", "anna@example.org", "+49 171 2345678")
    report(world, "sticky-haeder", at=NOW + DAY, count=2)

    assert kept() == {("sticky-haeder", "shop"): 7, (HIDDEN, "shop"): 10}
    row = UnknownKey.objects.get(key="sticky-haeder")
    assert (row.environment, row.version, row.first_at, row.last_at) == (world.production, "7", NOW, NOW + DAY)


@pytest.mark.django_db
def test_report__flag_that_is_not_set_up_or_of_test_traffic__is_no_unknown_key(world: World) -> None:
    world.flag("old-basket")

    report(world, "old-basket")
    report(world, "sticky-haeder", service=TEST_TRAFFIC)

    assert not UnknownKey.objects.exists()
    assert FlagUse.objects.get().is_unknown


@pytest.mark.django_db
@pytest.mark.parametrize(("count", "kept_count"), [(-5, 0), (10**15, 10**9)])
def test_report__count_that_cannot_be__is_bounded(count: int, kept_count: int, world: World) -> None:
    report(world, "sticky-haeder", count=count)

    assert kept() == {("sticky-haeder", "shop"): kept_count}


@pytest.mark.django_db
def test_report__metric_of_no_flag__names_the_key(world: World) -> None:
    rows = [metric(flag="sticky-haeder")]
    accept(read_batch(document(metrics=rows), known={}, now=NOW), world.production.pk, None, now=NOW)

    assert kept() == {("sticky-haeder", "shop"): 0}


@pytest.mark.django_db
def test_report__sent_again__counts_once(world: World) -> None:
    found = read_batch(document(evaluations=[evaluation(flag="sticky-haeder")]), known={}, now=NOW)
    for _ in range(2):
        accept(found, world.production.pk, None, now=NOW)

    assert kept() == {("sticky-haeder", "shop"): 3}


@given(st.text(max_size=120) | st.emails() | st.uuids().map(str) | st.from_regex(r"[\w.@+-]{1,60}", fullmatch=True))
@example("MARKER@example.org")
@example("MARKER-user")
def test_delivery__any_key__carries_it_only_if_it_may_be_kept(key: str) -> None:
    with capture_logs() as logs:
        rows = [evaluation(flag=key)]
        packed = pack(Delivery(read_batch(document(evaluations=rows), known={}, now=NOW), uuid4(), None, NOW))

    for row in unpack(packed).batch.rejected:
        assert row.asked_key in ({key} if may_be_kept(key) else {HIDDEN, ""})
        assert not row.row or len(key) < 8 or key not in row.row
    assert not logs


@pytest.mark.django_db
def test_report__keys_that_may_not_be_kept__reach_no_table_and_no_log(world: World) -> None:
    with capture_logs() as logs:
        report(world, "MARKER@example.org", "MARKER-user", "MARKER-12345", "MARKER 1")

    tables = [*UnknownKey.objects.values(), *QuarantinedRow.objects.values(), *FlagUse.objects.values()]
    assert "MARKER" not in repr((tables, logs))
    assert kept() == {(HIDDEN, "shop"): 20}


@pytest.mark.django_db
def test_evaluation__key_of_no_flag__is_written_every_minute() -> None:
    plane = plane_of_its_own()
    snapshots.store.reset()
    snapshots.store.refresh()
    unanswered.forget()
    for key in ("sticky-haeder", "sticky-haeder", "MARKER-user", "MARKER@example.org"):
        assert plane.post(key, {"targetingKey": "x"}).status_code == 404

    with capture_logs() as logs:
        AskedInVain(unanswered.take).write_if_due(snapshots.store, NOW)

    assert kept() == {("sticky-haeder", EVALUATED_HERE): 2, (HIDDEN, EVALUATED_HERE): 2}
    assert not logs
    snapshots.store.reset()


@pytest.mark.django_db
def test_evaluation__client_token__leaves_nothing() -> None:
    plane = plane_of_its_own()
    token = plane.issue(scope="client")
    snapshots.store.reset()
    snapshots.store.refresh()
    unanswered.forget()

    assert plane.post("sticky-haeder", {}, headers={"X-API-Key": token.secret}).status_code == 404

    assert not unanswered.take()
    snapshots.store.reset()


@pytest.mark.django_db
def test_flood__hundred_thousand_keys__stay_within_the_bound_with_few_queries(
    world: World, django_assert_max_num_queries: Any
) -> None:
    asks = {AskedKey(word(number), "shop", "7"): Asked(NOW, NOW, 1) for number in range(100_000)}

    with django_assert_max_num_queries(5):
        keep_unknown_keys(world.production.pk, asks, now=NOW)
    with django_assert_max_num_queries(5):
        keep_unknown_keys(world.production.pk, {AskedKey("late", "shop", "7"): Asked(NOW, NOW, 1)}, now=NOW)

    assert UnknownKey.objects.count() == MOST_KEYS + 1
    assert kept(key=FURTHER) == {(FURTHER, "shop"): 100_001 - MOST_KEYS}


@pytest.mark.django_db
def test_flood__many_services__are_counted_together(world: World, django_assert_max_num_queries: Any) -> None:
    for turn in range(2):
        asks = {AskedKey("beta", f"service-{number}", str(turn)): Asked(NOW, NOW, 1) for number in range(50)}
        with django_assert_max_num_queries(5):
            keep_unknown_keys(world.production.pk, asks, now=NOW)

    assert UnknownKey.objects.count() == MOST_ASKING + 1
    assert kept(service=OTHER) == {("beta", OTHER): 100 - MOST_ASKING}


@pytest.mark.django_db
@pytest.mark.parametrize(("age", "makes_room"), [(STAYS_FOR - DAY, False), (STAYS_FOR + DAY, True)])
def test_full__key_nobody_asked_for_of_late__makes_room(age: timedelta, makes_room: bool, world: World) -> None:
    rows = [(word(number), NOW if number else NOW - age) for number in range(MOST_KEYS)]
    UnknownKey.objects.bulk_create(
        UnknownKey(environment=world.production, key=key, service="shop", version="", first_at=at, last_at=at, count=1)
        for key, at in rows
    )

    report(world, "latest")

    assert ("latest", "shop") in kept() if makes_room else ("latest", "shop") not in kept()
    assert ((word(0), "shop") in kept()) is not makes_room
    assert UnknownKey.objects.exclude(key=FURTHER).count() == MOST_KEYS


@pytest.mark.django_db
def test_full__another_environment__has_room_of_its_own(world: World) -> None:
    asks = {AskedKey(word(number), "shop", ""): Asked(NOW, NOW, 1) for number in range(MOST_KEYS)}
    keep_unknown_keys(world.staging.pk, asks, now=NOW)

    report(world, "latest")

    assert kept(environment=world.production) == {("latest", "shop"): 5}


@pytest.mark.django_db
@pytest.mark.parametrize(("age", "stays"), [(KEPT_FOR, True), (KEPT_FOR + timedelta(seconds=1), False)])
def test_sweep__not_asked_for_in_thirty_days__is_forgotten(age: timedelta, stays: bool, world: World) -> None:
    report(world, "sticky-haeder")

    forget_old(now=NOW + age)

    assert UnknownKey.objects.exists() is stays


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_race__two_writers_with_different_keys__stay_within_the_bound(world: World) -> None:
    together, failures = threading.Barrier(2), list[Exception]()

    def write(first: int) -> None:
        asks = {AskedKey(word(first + number), "shop", ""): Asked(NOW, NOW, 1) for number in range(150)}
        try:
            together.wait(10)
            with transaction.atomic():
                keep_unknown_keys(world.production.pk, asks, now=NOW)
        except Exception as error:
            failures.append(error)
        finally:
            connection.close()

    writers = [threading.Thread(target=write, args=(first,)) for first in (0, 500)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    assert not failures
    assert UnknownKey.objects.exclude(key=FURTHER).count() == MOST_KEYS
    assert UnknownKey.objects.get(key=FURTHER).count == 100


def test_unanswered__flood_in_one_environment__hides_no_key_of_another() -> None:
    noted, flooded, other = Unanswered(), uuid4(), uuid4()
    for number in range(MOST_KEYS + 5):
        noted.note(flooded, word(number))
    noted.note(other, "checkout-redesing")

    assert {each.key for each in noted.take()[other].values()} == {"checkout-redesing"}
