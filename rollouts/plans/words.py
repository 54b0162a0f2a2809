"""Times and amounts as sentences about plans say them."""

from datetime import UTC, datetime, timedelta


def instant(at: datetime, *, now: datetime | None = None) -> str:
    """“3 May 2026 14:05 UTC”, or “14:05 UTC” for a time on the day of `now`."""
    at = at.astimezone(UTC)
    time = f"{at:%H:%M} UTC"
    is_today = now is not None and at.date() == now.astimezone(UTC).date()
    return time if is_today else f"{at.day} {at:%B %Y} {time}"


def span(duration: timedelta) -> str:
    """“5 minutes”, “1 hour 30 minutes” or “2 days 4 hours”, rounded up to minutes."""
    minutes = max(0, -(-duration // timedelta(minutes=1)))
    days, hours, rest = minutes // 1_440, minutes % 1_440 // 60, minutes % 60
    parts = [_counted(days, "day"), _counted(hours, "hour"), _counted(0 if days else rest, "minute")]
    return " ".join(part for part in parts if part) or "0 minutes"


def amount(number: int) -> str:
    """A number with its thousands apart: 12,500."""
    return f"{number:,}"


def people(number: int) -> str:
    """“1 person” or “12,500 people”."""
    return "1 person" if number == 1 else f"{amount(number)} people"


def _counted(number: int, unit: str) -> str:
    return f"{number} {unit}{'' if number == 1 else 's'}" if number else ""
