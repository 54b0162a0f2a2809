"""Pure: from the clocks of a place to instants."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_PRECISION = timedelta(seconds=1)


class UnusableSchedule(ValueError):
    """A time, a zone or a rule that no window can have; its text says why and what to do."""


def zone_of(name: str) -> ZoneInfo:
    """The IANA zone of that name, such as Europe/Berlin. Raises UnusableSchedule."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UnusableSchedule(
            f"“{name[:60]}” is no time zone. Use a name such as Europe/Berlin, America/New_York or UTC."
        ) from None


def instant_in(zone: ZoneInfo, wall: datetime) -> datetime:
    """The instant, in UTC, at which the clocks of a zone show the naive time `wall`.

    A time that the clocks skip is the first instant after the gap; of a time that they show twice it is the first.
    So an earlier wall time is never a later instant, and windows that meet on the clock meet in time.
    """
    instant = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if _shown(zone, instant) == wall:
        return instant
    # In a gap, fold 1 counts with the offset after it and so lies before the gap, fold 0 the other way round.
    before, after = wall.replace(tzinfo=zone, fold=1).astimezone(UTC), instant
    offset = before.astimezone(zone).utcoffset()
    while after - before > _PRECISION:
        middle = (before + (after - before) / 2).replace(microsecond=0)
        if middle.astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after


def _shown(zone: ZoneInfo, instant: datetime) -> datetime:
    return instant.astimezone(zone).replace(tzinfo=None, fold=0)
