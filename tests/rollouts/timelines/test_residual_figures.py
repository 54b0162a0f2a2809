"""Figures that stopped on the way are missing, not zero."""

from datetime import timedelta

import pytest

from rollouts.selectors.timelines.residual import residual_evaluations
from tests.rollouts.timelines.support import TimelineBench, at_day

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("hours_ago", "found"), [(None, None), (13 * 24, None), (25, None), (24, 0), (1, 0)], ids=lambda value: str(value)
)
def test_figures__of_another_flag__count_as_zero_for_this_one_only_within_a_day(
    bench: TimelineBench, hours_ago: int | None, found: int | None
) -> None:
    now = at_day(28)
    if hours_ago is not None:
        bench.report(5, now - timedelta(hours=hours_ago), key="another")

    assert residual_evaluations(bench.staging.pk, "checkout-redesign", days=14, now=now) == found
