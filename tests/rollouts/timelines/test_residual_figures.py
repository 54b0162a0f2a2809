"""Figures that stopped on the way are missing, not zero."""

from datetime import timedelta
from typing import Any

import pytest
from django.core import mail

from flags.models import FlagUse
from flags.telemetry.labels import ALL_AT_ONCE, TEST_TRAFFIC
from rollouts.admin.timelines.use import use_of
from rollouts.models import TimelineStep
from rollouts.selectors.timelines.residual import residual_evaluations
from rollouts.services.timelines.engine import advance_due
from tests.factories import NOW
from tests.rollouts.timelines.support import DAY, TimelineBench, at_day

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("hours_ago", "found"), [(None, None), (13 * 24, None), (25, None), (24, 0), (1, 0)], ids=lambda value: str(value)
)
def test_figures__of_another_flag__count_as_zero_for_this_one_only_within_a_day(
    bench: TimelineBench, hours_ago: int | None, found: int | None
) -> None:
    now = at_day(28)
    if hours_ago is not None:
        bench.report_all_along(14, now - timedelta(hours=hours_ago))

    assert residual_evaluations(bench.staging.pk, "checkout-redesign", days=14, now=now) == found


@pytest.mark.parametrize(
    ("reported", "found"),
    [
        ([0], None),
        ([0, 5, 10], 0),
        # Five days in a row of which nothing is known.
        ([0, 6, 10], None),
        ([0, 4, 8], None),
    ],
)
def test_gaps__in_the_figures__are_not_zero(bench: TimelineBench, reported: list[int], found: int | None) -> None:
    now = at_day(28)
    for back in reported:
        bench.report(5, now - back * DAY, key="another")

    assert residual_evaluations(bench.staging.pk, "checkout-redesign", days=14, now=now) == found


@pytest.mark.parametrize(("at_most", "found"), [(0, 12), (11, 12), (12, None)])
def test_gaps__where_more_is_known_than_may_be__do_not_hide_it(
    bench: TimelineBench, at_most: int, found: int | None
) -> None:
    now = at_day(28)
    bench.report(12, now)

    assert residual_evaluations(bench.staging.pk, "checkout-redesign", days=14, now=now, at_most=at_most) == found


@pytest.mark.parametrize("services", [[ALL_AT_ONCE], [ALL_AT_ONCE, "shop"]])
def test_all_flags_at_once__counts_as_use_and_is_named(
    bench: TimelineBench, services: list[str], django_capture_on_commit_callbacks: Any
) -> None:
    for service in services:
        bench.report(6, NOW - DAY, service=service)
    timeline = bench.started()

    with django_capture_on_commit_callbacks(execute=True):
        advance_due(NOW)

    left = residual_evaluations(bench.staging.pk, "checkout-redesign", days=14, now=NOW)
    told = " ".join(mail.outbox[0].body.split())
    bulk_alone = "Clients that ask for all flags at once got checkout-redesign here in the last 14 days"
    assert left == 6 * len(services)
    assert (bulk_alone in told) is (len(services) == 1)
    assert ("14 days: clients that ask for all flags at once, shop." in told) is (len(services) == 2)
    assert TimelineStep.objects.get(timeline=timeline, act="reach").evidence["services"] == services


@pytest.mark.parametrize(
    ("services", "words"),
    [
        ([ALL_AT_ONCE], "by clients that ask for all flags at once."),
        ([ALL_AT_ONCE, "billing-api"], "by 1 service and clients that ask for all flags at once."),
    ],
)
def test_use_of__all_flags_at_once__is_no_service(bench: TimelineBench, services: list[str], words: str) -> None:
    timeline = bench.started()
    seen = {"environment": bench.staging, "flag_key": bench.flag.key, "first_at": NOW, "last_at": NOW}
    for service in services:
        bench.report(600, NOW - timedelta(hours=2), service=service)
        FlagUse.objects.create(service=service, version="1", **seen)

    use = use_of(timeline, now=NOW)

    assert use.sentence.endswith(f"evaluations in the last 7 days {words}")
    assert [line.name for line in use.services] == services


def test_test_traffic__is_nobodys_use(bench: TimelineBench) -> None:
    now = at_day(28)
    bench.report_all_along(14, now)
    bench.report(12, now, service=TEST_TRAFFIC)

    assert residual_evaluations(bench.staging.pk, "checkout-redesign", days=14, now=now) == 0
