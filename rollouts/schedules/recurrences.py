"""Pure: on which days a window begins again, as the recurrence rules of calendars (RFC 5545) say it.

Taken are rules that repeat by days, weeks, months or years, by weekday, day of the month and month. The days are found
month by month inside the span that is asked for, and only in months that the rule names. So no rule, also none that
never comes true, costs more than that: a general implementation goes on looking for 30 February until the year 9999.
"""

import calendar
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
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
        if self.rule.until is not None:
            until = min(until, (self.rule.until + timedelta(days=2)).date())
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
    rule, seen = _with_defaults(rule, first), 0
    earliest, begin, end = first.toordinal(), since.toordinal(), until.toordinal()
    for days in _periods(rule, first, first if rule.count is not None else max(first, since), until):
        for day in days:
            if day < earliest:
                continue
            seen += 1
            if day > end:
                return
            if day >= begin:
                yield date.fromordinal(day)
            if seen == rule.count:
                return


def _is_over(until: datetime | None, wall: datetime, start: datetime) -> bool:
    if until is None:
        return False
    return start > until if until.tzinfo else wall > until


def _with_defaults(rule: Rule, first: date) -> Rule:
    """What a rule leaves open comes from its first day."""
    if rule.month_days or rule.weekdays:
        return rule
    match rule.frequency:
        case Frequency.DAILY:
            return rule
        case Frequency.WEEKLY:
            return replace(rule, weekdays=((0, first.weekday()),))
        case Frequency.MONTHLY:
            return replace(rule, month_days=(first.day,))
        case Frequency.YEARLY:
            return replace(rule, month_days=(first.day,), months=rule.months or (first.month,))


def _periods(rule: Rule, first: date, since: date, until: date) -> Iterator[list[int]]:
    """The days of the rule by year or month, from that of `since` to that of `until`; days and months are numbers.

    Rules by days and weeks go by months too: they choose no positions, so nothing depends on where a period ends.
    """
    is_yearly = rule.frequency is Frequency.YEARLY
    size = 12 if is_yearly else 1
    step = size * rule.interval if is_yearly or rule.frequency is Frequency.MONTHLY else 1
    origin = first.year * 12 + (0 if is_yearly else first.month - 1)
    begin = origin + (since.year * 12 + since.month - 1 - origin) // step * step
    end = min(until.year, LAST_YEAR) * 12 + (until.month if until.year <= LAST_YEAR else 12)
    for period in range(begin, end, step):
        months = [month for month in range(period, period + size) if not rule.months or month % 12 + 1 in rule.months]
        found = [day for month in months for day in _days_in(rule, first, month)]
        yield _at_positions(rule, found) if rule.positions else found


def _at_positions(rule: Rule, days: list[int]) -> list[int]:
    wanted = {number - 1 if number > 0 else len(days) + number for number in rule.positions}
    return [day for index, day in enumerate(days) if index in wanted]


def _days_in(rule: Rule, first: date, month: int) -> list[int]:
    """The days of one month that the rule chooses."""
    year, index = divmod(month, 12)
    length, begin = calendar.monthrange(year, index + 1)[1], date(year, index + 1, 1).toordinal()
    chosen: Iterable[int] = range(length)
    if rule.frequency is Frequency.DAILY:
        chosen = range((first.toordinal() - begin) % rule.interval, length, rule.interval)
    if rule.month_days:
        chosen = sorted({day - 1 if day > 0 else length + day for day in rule.month_days if abs(day) <= length})
    days = [begin + day for day in chosen]
    if rule.weekdays:
        if rule.frequency is Frequency.YEARLY and not rule.months:
            length, begin = 366 if calendar.isleap(year) else 365, date(year, 1, 1).toordinal()
        days = _on_weekdays(rule, days, begin, length)
    if rule.interval == 1:
        return days
    return [day for day in days if _is_in_turn(rule, first, day)]


def _on_weekdays(rule: Rule, days: list[int], begin: int, length: int) -> list[int]:
    """Those of the days that are, say, the second Tuesday of the month or year that begins with the day `begin`."""
    weekdays = {weekday for _, weekday in rule.weekdays}
    days = [day for day in days if (day - 1) % 7 in weekdays]
    if not any(ordinal for ordinal, _ in rule.weekdays):
        return days
    wanted, found = set(rule.weekdays), []
    for day in days:
        weekday, index = (day - 1) % 7, day - begin
        ordinals = (0, index // 7 + 1, -((length - 1 - index) // 7 + 1))
        if any((ordinal, weekday) in wanted for ordinal in ordinals):
            found.append(day)
    return found


def _is_in_turn(rule: Rule, first: date, day: int) -> bool:
    """Whether the interval of a rule by days or weeks does not skip the day."""
    match rule.frequency:
        case Frequency.DAILY:
            return (day - first.toordinal()) % rule.interval == 0
        case Frequency.WEEKLY:
            weeks = (_week_of(day, rule.week_start) - _week_of(first.toordinal(), rule.week_start)) // 7
            return weeks % rule.interval == 0
    return True


def _week_of(day: int, week_start: int) -> int:
    return day - (day - 1 - week_start) % 7
