"""The time at which a change is applied, as people choose it in a form."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from django.utils import timezone
from django.utils.dateparse import parse_datetime

from flags.services.keys import problem


@dataclass(frozen=True, slots=True)
class ScheduleFields:
    """What stands in the form: `when` is "approved" or "time"; `at` is wall time in the zone of the installation."""

    when: str
    at: str


def fields_of(apply_at: datetime | None) -> ScheduleFields:
    """The form's fields for a stored instant."""
    if apply_at is None:
        return ScheduleFields("approved", "")
    return ScheduleFields("time", timezone.localtime(apply_at).strftime("%Y-%m-%dT%H:%M"))


def typed(fields: Mapping[str, str]) -> ScheduleFields:
    """The fields as posted."""
    return ScheduleFields("time" if fields.get("when") == "time" else "approved", fields.get("apply_at", ""))


def instant_of(fields: ScheduleFields) -> datetime | None:
    """The instant the fields name, None for as soon as approved. Raises InvalidInput."""
    if fields.when != "time":
        return None
    try:
        wall = parse_datetime(fields.at)
    except ValueError:
        wall = None
    if wall is None:
        raise problem("apply_at", "Choose the day and time at which the change is to be applied.")
    if timezone.is_aware(wall):
        return wall
    local = wall.replace(tzinfo=timezone.get_current_timezone())
    if _is_skipped(local):
        raise problem("apply_at", "The clocks skip this time on that day. Choose an earlier or later one.")
    return local


def _is_skipped(local: datetime) -> bool:
    """Whether clocks that are put forward leave a wall time out: it does not survive the way to UTC and back.

    Raises InvalidInput for a time at either end of the calendar, which is none in UTC.
    """
    try:
        back = local.astimezone(UTC).astimezone(local.tzinfo)
    except OverflowError:
        raise problem(
            "apply_at", "The calendar does not reach this time. Choose one within the next 366 days."
        ) from None
    return back.replace(tzinfo=None) != local.replace(tzinfo=None)
