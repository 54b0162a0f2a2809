"""Pure: windows as JSON, in which form they are proposed, confirmed and recorded."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from rollouts.schedules.recurrences import Recurrence
from rollouts.schedules.windows import Span, Window, recurring
from rollouts.schedules.zones import UnusableSchedule

_MINUTE = timedelta(minutes=1)


def window_as_json(window: Window) -> dict[str, Any]:
    """The window without its id, always the same for the same window."""
    return {
        "kind": window.kind,
        "title": window.title,
        "reason": window.reason,
        "environments": sorted(window.environments),
        "tags": sorted(window.tags),
        "timing": _timing_as_json(window.timing),
    }


def window_from_json(id: str, value: Mapping[str, Any]) -> Window:
    """The window in a document. Raises UnusableSchedule for what is missing or no window can have."""
    try:
        kind, timing = value["kind"], value["timing"]
        if kind not in ("freeze", "allow"):
            raise UnusableSchedule("Choose whether the window is a freeze or an allow window.")
        return Window(
            id,
            kind,
            str(value["title"]),
            str(value["reason"]),
            _timing_from_json(timing),
            frozenset(map(str, value.get("environments", ()))),
            frozenset(map(str, value.get("tags", ()))),
        )
    except (KeyError, TypeError, AttributeError):
        raise UnusableSchedule("Say what the window is called, why it is there and when it runs.") from None


def _timing_as_json(timing: Span | Recurrence) -> dict[str, Any]:
    if isinstance(timing, Span):
        return {"starts_at": timing.starts_at.isoformat(), "ends_at": timing.ends_at.isoformat()}
    return {
        "zone": timing.zone,
        "local_start": timing.local_start.isoformat(timespec="minutes"),
        "duration_minutes": timing.duration // _MINUTE,
        "rrule": timing.rule.text,
    }


def _timing_from_json(value: Mapping[str, Any]) -> Span | Recurrence:
    if "starts_at" in value:
        return Span(_instant(value["starts_at"]), _instant(value["ends_at"]))
    start, minutes = _read(value["local_start"]), value["duration_minutes"]
    if start.tzinfo is not None or not isinstance(minutes, int) or not 0 < minutes < 10**6:
        raise UnusableSchedule("Say when a recurring window begins by its own clocks, and how long it lasts.")
    return recurring(str(value["zone"]), start, minutes * _MINUTE, str(value["rrule"]))


def _instant(text: Any) -> datetime:
    instant = _read(text)
    if instant.tzinfo is None:
        raise UnusableSchedule("Say in which time zone the window begins and ends.")
    try:
        return instant.astimezone(UTC)
    except OverflowError:
        raise UnusableSchedule("The calendar does not reach this time.") from None


def _read(text: Any) -> datetime:
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        raise UnusableSchedule("Choose the day and time at which the window begins and ends.") from None
