"""When a minute of telemetry is closed: from then on it never changes, and verdicts rest on it."""

from datetime import datetime, timedelta

MINUTE = timedelta(minutes=1)


def minute_of(instant: datetime) -> datetime:
    """The beginning of the minute that `instant` lies in."""
    return instant.replace(second=0, microsecond=0)


def closed_through(now: datetime, lateness: timedelta) -> datetime:
    """The beginning of the newest minute that is closed. A minute is closed once it has ended and `lateness` has
    passed.
    """
    return minute_of(now - lateness) - MINUTE


def is_closed(minute: datetime, *, now: datetime, lateness: timedelta) -> bool:
    """Whether the minute that begins at `minute` takes nothing more."""
    return minute <= closed_through(now, lateness)
