"""Snoozes: somebody says that a flag is wanted until a day, so it does not count as stale until then."""

from datetime import datetime, timedelta
from typing import Final

LONGEST: Final = timedelta(days=180)
SHORTEST: Final = timedelta(days=1)


def holds(until: datetime, ended_at: datetime | None, now: datetime) -> bool:
    """Whether a snooze is in force."""
    return now < until and ended_at is None


def problem_of(until: datetime, now: datetime) -> str:
    """What is wrong with an end, empty where nothing is. A snooze that never ends would be forgotten like the flag."""
    if until < now + SHORTEST:
        return "Choose an end that is at least a day away."
    if until > now + LONGEST:
        latest = now + LONGEST
        return f"Choose an end within {LONGEST.days} days, by {latest:%Y-%m-%d}. It can be snoozed again after that."
    return ""
