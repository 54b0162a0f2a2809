"""Who used a flag at last, and how much by day: kept from what services report and what is evaluated here."""

import uuid
from datetime import date, timedelta
from typing import Any

import pytest

from flags.models import EvaluationCount, FlagUse
from flags.selectors.residual import burn_down, covered, has_figures, last_use, residual_use
from flags.services.flag_use import Use, UseKey, keep_use
from flags.services.telemetry import accept
from flags.services.telemetry_ages import forget_old, roll_up
from flags.telemetry.labels import TEST_TRAFFIC
from flags.telemetry.packing import Delivery, pack, unpack
from flags.telemetry.reading import read_batch
from tests.factories import NOW, make_world

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


@pytest.fixture
def world() -> Any:
    world = make_world()
    world.flag()
    return world


def report(
    world: Any, *keys: str, service: str = "billing-api", version: str = "7", at: Any = NOW, count: int = 5
) -> None:
    rows = [
        {"flag": key, "variant": "on", "reason": "STATIC", "minute": at.isoformat(), "count": count} for key in keys
    ]
    document = {"batch_id": uuid.uuid4().hex, "service": service, "version": version, "evaluations": rows}
    served = {world.first_flag.key: ("on", "off")}
    accept(read_batch(document, known=served, now=at), world.production.pk, None, now=at)


def use(world: Any) -> FlagUse:
    return FlagUse.objects.get(environment=world.production)


def test_use__reported_again__keeps_first_and_last_time(world):
    key = world.first_flag.key
    for at in (NOW + 5 * MINUTE, NOW, NOW + 9 * MINUTE):
        report(world, key, at=at)

    found = use(world)
    assert (found.flag_key, found.service, found.version) == (key, "billing-api", "7")
    assert (found.first_at, found.last_at, found.is_unknown) == (NOW, NOW + 9 * MINUTE, False)


def test_use__flag_that_is_not_served_there__is_unknown(world):
    other = world.flag("old-basket")

    report(world, other.key)

    assert (use(world).flag_key, use(world).is_unknown, use(world).last_at) == ("old-basket", True, NOW)


def test_use__key_of_no_flag__is_kept_nowhere(world):
    report(world, "MARKER-person@example.org")

    assert not FlagUse.objects.exists()


def test_use__no_longer_served_then_served_again__says_what_was_last(world):
    place = UseKey(world.production.pk, "a-flag", "billing-api", "7")

    keep_use({place: Use(NOW, NOW)})
    keep_use({place: Use(NOW + MINUTE, NOW + MINUTE, is_unknown=True)})
    assert use(world).is_unknown
    keep_use({place: Use(NOW, NOW)})
    assert use(world).is_unknown
    keep_use({place: Use(NOW + 2 * MINUTE, NOW + 2 * MINUTE)})
    assert not use(world).is_unknown


def test_refused_row__in_the_buffer__keeps_the_mark_and_not_the_key(world):
    document = {
        "batch_id": "1",
        "service": "billing-api",
        "metrics": [],
        "evaluations": [
            {"flag": "MARKER@x.org", "variant": "on", "reason": "STATIC", "minute": NOW.isoformat(), "count": 1}
        ],
    }
    batch = read_batch(document, known={}, now=NOW)

    packed = pack(Delivery(batch, world.production.pk, None, NOW))

    assert b"MARKER" not in packed
    assert unpack(packed).batch.rejected[0].flag_mark == batch.rejected[0].flag_mark != ""


def test_residual_use__minutes_and_hours__count_each_evaluation_once(world, django_assert_num_queries):
    key, now = world.first_flag.key, NOW + timedelta(days=40)
    for days in (1, 5, 20, 39):
        at = NOW + timedelta(days=days)
        report(world, key, at=at, count=days)
        report(world, key, at=at, count=1, service="shop")
        roll_up(now=at + timedelta(hours=1))
    forget_old(now=now)

    with django_assert_num_queries(2):
        found = residual_use([world.production.pk], [key], since=now - timedelta(days=36), now=now)

    on = {each: (NOW + timedelta(days=each)).date() for each in (5, 20, 39)}
    assert [(row.service, row.count) for row in found] == [("billing-api", 64), ("shop", 3)]
    assert found[0].days == {on[5]: 5, on[20]: 20, on[39]: 39}
    assert found[0].count_since(on[20]) == 59
    assert burn_down(found)["shop"] == {day: 1 for day in on.values()}


def test_residual_use__other_environments_and_flags__are_left_out(world):
    report(world, world.first_flag.key)

    assert not residual_use([world.staging.pk], [world.first_flag.key], since=NOW, now=NOW)
    assert not residual_use([world.production.pk], ["another"], since=NOW, now=NOW)
    assert not last_use(world.first_flag.key, [world.production.pk], since=NOW + MINUTE)
    assert [row.service for row in last_use(world.first_flag.key, [world.production.pk], since=NOW)] == ["billing-api"]


def test_has_figures__nothing_of_any_flag__is_not_zero(world):
    assert not has_figures(world.production.pk, NOW)

    report(world, world.first_flag.key)

    assert has_figures(world.production.pk, NOW)
    assert not has_figures(world.production.pk, NOW + MINUTE)
    assert EvaluationCount.objects.count() == 1


def test_has_figures__test_traffic_alone__is_none(world):
    report(world, world.first_flag.key)
    EvaluationCount.objects.update(service=TEST_TRAFFIC)

    assert not has_figures(world.production.pk, NOW)


@pytest.mark.parametrize(
    ("missing", "is_covered"),
    [
        ([], True),
        ([0, 1, 2, 3], True),
        ([0, 1, 2, 3, 4], False),
        ([10, 11, 12, 13, 14], False),
        ([10, 11, 12, 13, 20, 21, 22, 23], True),
        ([26, 27, 28, 29], True),
        ([25, 26, 27, 28, 29], False),
    ],
)
def test_covered__days_without_figures__four_in_a_row_at_most(world, django_assert_num_queries, missing, is_covered):
    EvaluationCount.objects.bulk_create(
        EvaluationCount(
            environment=world.production, span="minute" if back < 3 else "hour", at=NOW - timedelta(days=back),
            flag_key="another", variant="on", reason="STATIC", service="shop", version="1", count=1,
        )
        for back in range(30)
        if back not in missing
    )  # fmt: skip

    with django_assert_num_queries(1):
        found = covered([world.production.pk, world.staging.pk], days=30, now=NOW)

    assert found == ({world.production.pk} if is_covered else set())


def test_burn_down__several_versions__are_added_up_by_service(world):
    day = date(2026, 3, 2)
    report(world, world.first_flag.key, version="7", count=3)
    report(world, world.first_flag.key, version="8", count=4)

    found = residual_use([world.production.pk], [world.first_flag.key], since=NOW, now=NOW)

    assert burn_down(found) == {"billing-api": {day: 7}}
