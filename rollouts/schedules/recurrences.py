"""Pure: on which days a window begins again, as the recurrence rules of calendars (RFC 5545) say it.

Taken are rules that repeat by days, weeks, months or years, by weekday, day of the month and month. The days are found
period by period inside the span that is asked for, so no rule, also none that never comes true, costs more than that
span: a general implementation goes on looking for 30 February until the year 9999.
"""

import calendar
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum

from rollouts.schedules.zones import instant_in, zone_of

FIRST_YEAR, LAST_YEAR = 2000, 2199
WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


class Frequency(StrEnum):
    """How a rule counts."""

    DAILY = "DAILY"
    WEEKLY = "WEEKLY"
    MONTHLY = "MONTHLY"
    YEARLY = "YEARLY"


@dataclass(frozen=True, slots=True)
class Rule:
    """A recurrence rule. `weekdays` are pairs of ordinal (0: every one) and weekday (Monday is 0).

    `until` is the last instant at which an occurrence may begin: aware, or naive by the clocks of the window's zone.
    """

    frequency: Frequency
    interval: int = 1
    weekdays: tuple[tuple[int, int], ...] = ()
    month_days: tuple[int, ...] = ()
    months: tuple[int, ...] = ()
    positions: tuple[int, ...] = ()
    week_start: int = 0
    count: int | None = None
    until: datetime | None = None

    @property
    def text(self) -> str:
        """The rule as calendars write it, always the same for the same rule."""
        parts = [f"FREQ={self.frequency.value}"]
        if self.interval != 1:
            parts.append(f"INTERVAL={self.interval}")
        for name, numbers in (("BYMONTH", self.months), ("BYMONTHDAY", self.month_days)):
            if numbers:
                parts.append(f"{name}={','.join(map(str, numbers))}")
        if self.weekdays:
            names = (f"{ordinal or ''}{WEEKDAYS[day]}" for ordinal, day in self.weekdays)
            parts.append(f"BYDAY={','.join(names)}")
        if self.positions:
            parts.append(f"BYSETPOS={','.join(map(str, self.positions))}")
        if self.week_start:
            parts.append(f"WKST={WEEKDAYS[self.week_start]}")
        if self.count is not None:
            parts.append(f"COUNT={self.count}")
        if self.until is not None:
            parts.append(f"UNTIL={self.until:%Y%m%dT%H%M%S}{'Z' if self.until.tzinfo else ''}")
        return ";".join(parts)


@dataclass(frozen=True, slots=True)
class Recurrence:
    """When a recurring window runs, by the clocks of `zone`: from `local_start` on every day of the rule.

    `duration` is counted on the clock too: from 22:00 for eight hours ends at 06:00, also in the night in which the
    clocks change. An occurrence that lies wholly in a gap of the clocks does not take place.
    """

    zone: str
    local_start: datetime
    duration: timedelta
    rule: Rule

    def spans(self, starts_at: datetime, ends_at: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Start and end of every occurrence that touches [starts_at, ends_at), in UTC, earliest first."""
        zone = zone_of(self.zone)
        # A day more on both sides than any zone can be away.
        since = (starts_at.astimezone(UTC) - self.duration - timedelta(days=2)).date()
        until = (ends_at.astimezone(UTC) + timedelta(days=2)).date()
        for day in days_of(self.rule, self.local_start.date(), since=since, until=until):
            wall = self.local_start + timedelta(days=(day - self.local_start.date()).days)
            start = instant_in(zone, wall)
            if _is_over(self.rule.until, wall, start):
                return
            end = instant_in(zone, wall + self.duration)
            if start < end and start < ends_at and starts_at < end:
                yield start, end


def days_of(rule: Rule, first: date, *, since: date, until: date) -> Iterator[date]:
    """The days of a rule that begins on `first`, from `since` up to and with `until`."""
    number, seen = 0 if rule.count is not None else _period_number(rule, first, since), 0
    while True:
        days = _period(rule, first, number)
        if not days or days[0] > until:
            return
        for day in _chosen(rule, first, days):
            if day < first:
                continue
            seen += 1
            if day > until or (rule.count is not None and seen > rule.count):
                return
            if day >= since:
                yield day
        number += 1


def _is_over(until: datetime | None, wall: datetime, start: datetime) -> bool:
    if until is None:
        return False
    return start > until if until.tzinfo else wall > until


def _period_number(rule: Rule, first: date, since: date) -> int:
    """The number of the last period that begins on `since` or earlier, 0 at least; periods count by the interval."""
    match rule.frequency:
        case Frequency.DAILY:
            passed = (since - first).days
        case Frequency.WEEKLY:
            passed = (since - _week_of(first, rule.week_start)).days // 7
        case Frequency.MONTHLY:
            passed = (since.year - first.year) * 12 + since.month - first.month
        case Frequency.YEARLY:
            passed = since.year - first.year
    return max(passed // rule.interval, 0)


def _period(rule: Rule, first: date, number: int) -> list[date]:
    """All days of one period; none beyond the years that windows may have."""
    steps = number * rule.interval
    match rule.frequency:
        case Frequency.DAILY:
            begin, length = first + timedelta(days=steps), 1
        case Frequency.WEEKLY:
            begin, length = _week_of(first, rule.week_start) + timedelta(weeks=steps), 7
        case Frequency.MONTHLY:
            year, month = divmod(first.year * 12 + first.month - 1 + steps, 12)
            if year > LAST_YEAR:
                return []
            begin, length = date(year, month + 1, 1), calendar.monthrange(year, month + 1)[1]
        case Frequency.YEARLY:
            year = first.year + steps
            if year > LAST_YEAR:
                return []
            begin, length = date(year, 1, 1), 366 if calendar.isleap(year) else 365
    if begin.year > LAST_YEAR:
        return []
    return [begin + timedelta(days=offset) for offset in range(length)]


def _week_of(day: date, week_start: int) -> date:
    return day - timedelta(days=(day.weekday() - week_start) % 7)


def _chosen(rule: Rule, first: date, days: list[date]) -> list[date]:
    months, month_days, weekdays = _with_defaults(rule, first)
    found = [
        day
        for day in days
        if (not months or day.month in months)
        and (not month_days or day.day in month_days or day.day - 1 - _month_length(day) in month_days)
        and (not weekdays or any(_is_weekday(rule, day, *wanted) for wanted in weekdays))
    ]
    if not rule.positions:
        return found
    wanted = {number - 1 if number > 0 else len(found) + number for number in rule.positions}
    return [day for index, day in enumerate(found) if index in wanted]


def _with_defaults(rule: Rule, first: date) -> tuple[tuple[int, ...], tuple[int, ...], tuple[tuple[int, int], ...]]:
    """What a rule leaves open comes from its first day."""
    months, month_days, weekdays = rule.months, rule.month_days, rule.weekdays
    if not month_days and not weekdays:
        if rule.frequency is Frequency.WEEKLY:
            weekdays = ((0, first.weekday()),)
        if rule.frequency in (Frequency.MONTHLY, Frequency.YEARLY):
            month_days = (first.day,)
        if rule.frequency is Frequency.YEARLY:
            months = months or (first.month,)
    return months, month_days, weekdays


def _is_weekday(rule: Rule, day: date, ordinal: int, weekday: int) -> bool:
    """Whether a day is, say, the second Tuesday: of its month, or of its year where a yearly rule names no month."""
    if day.weekday() != weekday or not ordinal:
        return day.weekday() == weekday
    index, length = day.day - 1, _month_length(day)
    if rule.frequency is Frequency.YEARLY and not rule.months:
        index, length = day.timetuple().tm_yday - 1, 366 if calendar.isleap(day.year) else 365
    return index // 7 + 1 == ordinal if ordinal > 0 else -((length - 1 - index) // 7 + 1) == ordinal


def _month_length(day: date) -> int:
    return calendar.monthrange(day.year, day.month)[1]
