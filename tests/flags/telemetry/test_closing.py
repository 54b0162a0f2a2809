"""When a minute of telemetry is closed."""

from datetime import UTC, datetime, timedelta

import pytest

from flags.telemetry.closing import closed_through, is_closed

TEN = datetime(2026, 3, 2, 10, tzinfo=UTC)
LATENESS = timedelta(seconds=20)


@pytest.mark.parametrize(
    ("seconds", "closed"),
    [(0, -2), (19.999, -2), (20, -1), (59, -1), (79.999, -1), (80, 0), (139, 0), (140, 1), (3620, 59)],
)
def test_closed_through__seconds_after_ten__newest_minute_that_ended_and_waited(seconds: float, closed: int) -> None:
    now = TEN + timedelta(seconds=seconds)

    assert closed_through(now, LATENESS) == TEN + timedelta(minutes=closed)


@pytest.mark.parametrize("lateness", [0, 1, 20, 59, 60, 61, 120])
def test_is_closed__any_lateness__minute_end_and_lateness_later(lateness: int) -> None:
    waits = timedelta(seconds=lateness)
    edge = TEN + timedelta(minutes=1) + waits

    assert is_closed(TEN, now=edge, lateness=waits)
    assert not is_closed(TEN, now=edge - timedelta(microseconds=1), lateness=waits)
