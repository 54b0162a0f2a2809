from datetime import UTC, datetime

import pytest

from rollouts.guarding.counts import MOST_UNITS, Interval, InvalidInterval

from .support import BEGIN


@pytest.mark.parametrize(
    "counts",
    [
        (-1, 0, 10, 0),
        (10, -1, 10, 0),
        (10, 11, 10, 0),
        (10, 0, 10, 11),
        (10, 0, -5, -6),
        (MOST_UNITS + 1, 0, 10, 0),
        (10, 0, 10**30, 0),
        (10.0, 0, 10, 0),
        (10, 0, 10, 0.5),
        (True, 0, 10, 0),
        (10, 0, float("nan"), 0),
        (10, 0, float("inf"), 0),
        ("10", 0, 10, 0),
        (10, None, 10, 0),
        (10, 0, 10, 0, -1, 5),
        (10, 0, 10, 0, 60_000, 40_001),
        (10, 0, 10, 0, 0.5, 0.5),
        (10, 0, 10, 0, 0, 0, -1),
        (10, 0, 10, 0, 0, 0, 1.5),
        (10, 0, 10, 0, 0, 0, 1, 1),
    ],
)
def test_interval__impossible_counts__are_refused(counts):
    with pytest.raises(InvalidInterval):
        Interval(BEGIN, *counts)


@pytest.mark.parametrize(
    "minute",
    [BEGIN.replace(tzinfo=None), datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC), datetime(2026, 1, 1, 0, 0, 0, 1, UTC)],
)
def test_interval__no_beginning_of_a_minute__is_refused(minute):
    with pytest.raises(InvalidInterval):
        Interval(minute, 1, 0, 1, 0)


def test_interval__as_json_and_back__is_the_same():
    interval = Interval(BEGIN, 10, 1, MOST_UNITS, 2, 95_000, 5_000, 3, True)

    assert Interval.from_json(interval.as_json()) == interval


@pytest.mark.parametrize(
    "stored",
    [[], ["2026-01-01T00:00:00+00:00", 1, 0, 1], "abcde", ["then", 1, 0, 1, 0], [None, 1, 0, 1, 0], [5, 1, 0, 1, 0]],
)
def test_interval__other_json__is_refused(stored):
    with pytest.raises(InvalidInterval):
        Interval.from_json(stored)
