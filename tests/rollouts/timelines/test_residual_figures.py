"""Figures that stopped on the way are missing, not zero."""

from datetime import timedelta

import pytest

from flags.telemetry.labels import TEST_TRAFFIC
from rollouts.selectors.timelines.residual import residual_evaluations
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


def test_test_traffic__is_nobodys_use(bench: TimelineBench) -> None:
    now = at_day(28)
    bench.report_all_along(14, now)
    bench.report(12, now, service=TEST_TRAFFIC)

    assert residual_evaluations(bench.staging.pk, "checkout-redesign", days=14, now=now) == 0
