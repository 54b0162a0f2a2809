"""A month as the calendar's page shows it: days of one zone, what runs or happens on each, and the months around it."""

import re
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from django.urls import reverse
from django.utils.formats import date_format

from flags.models import Environment
from rollouts.schedules import instant_in
from rollouts.selectors.calendar import calendar_entries
from rollouts.selectors.calendar_kinds import CalendarEntry

MOST_ITEMS = 6
_SHORT = timedelta(hours=24)
FIRST_MONTH, LAST_MONTH = date(2001, 1, 1), date(2198, 12, 1)
SYMBOLS = {
    "freeze": "ac_unit",
    "allow": "door_open",
    "request": "schedule",
    "stage": "trending_up",
    "stage_ahead": "radio_button_unchecked",
    "milestone": "flag_circle",
    "milestone_ahead": "event_upcoming",
    "sunset": "wb_twilight",
}
KINDS = {
    "freeze": "Freeze",
    "allow": "Allow window",
    "request": "Scheduled change",
    "stage": "Stage of a plan",
    "stage_ahead": "Stage to come",
    "milestone": "Milestone of an end",
    "milestone_ahead": "Milestone to come",
    "sunset": "Sunset",
}


@dataclass(frozen=True, slots=True)
class Item:
    """One entry on one day. `when` says from when, until when or that it is all day; `limits` where and for what."""

    entry: CalendarEntry
    when: str
    address: str
    symbol: str
    kind_words: str
    limits: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Day:
    """One day; `hidden` counts what is not listed."""

    date: date
    items: tuple[Item, ...]
    hidden: int
    is_in_month: bool
    is_today: bool


@dataclass(frozen=True, slots=True)
class Month:
    """A month with whole weeks around it, Monday first."""

    first: date
    weeks: tuple[tuple[Day, ...], ...]
    zone: str
    before: str
    after: str

    @property
    def name(self) -> str:
        """Such as “November 2026”."""
        return date_format(self.first, "F Y")


def chosen_month(text: str, *, now: datetime, zone: ZoneInfo) -> date:
    """The first day of the month that a parameter names, else of the present one."""
    if re.fullmatch(r"\d{4}-\d{2}", text):
        try:
            wanted = date(int(text[:4]), int(text[5:]), 1)
        except ValueError:
            wanted = FIRST_MONTH
        if FIRST_MONTH < wanted < LAST_MONTH:
            return wanted
    return now.astimezone(zone).date().replace(day=1)


def month_of(environments: Sequence[Environment], first: date, *, now: datetime, zone: ZoneInfo) -> Month:
    """The month that begins on `first`, by the clocks of `zone`."""
    begin = first - timedelta(days=first.weekday())
    following = (first + timedelta(days=31)).replace(day=1)
    end = following + timedelta(days=(7 - following.weekday()) % 7)
    days = [begin + timedelta(days=number) for number in range((end - begin).days)]
    edges = [_midnight(zone, day) for day in [*days, end]]
    entries = calendar_entries(environments, edges[0], edges[-1]) if environments else []
    names = {place.pk: place.name for place in environments}
    today = now.astimezone(zone).date()
    shown = [
        _day(day, edges[number], edges[number + 1], entries, zone=zone, names=names, first=first, today=today)
        for number, day in enumerate(days)
    ]
    return Month(
        first,
        tuple(tuple(shown[start : start + 7]) for start in range(0, len(shown), 7)),
        zone.key,
        f"{first - timedelta(days=1):%Y-%m}",
        f"{following:%Y-%m}",
    )


def _midnight(zone: ZoneInfo, day: date) -> datetime:
    return instant_in(zone, datetime(day.year, day.month, day.day))  # noqa: DTZ001 - wall time


def _day(
    day: date,
    starts_at: datetime,
    ends_at: datetime,
    entries: Iterable[CalendarEntry],
    *,
    zone: ZoneInfo,
    names: dict[uuid.UUID, str],
    first: date,
    today: date,
) -> Day:
    found = [entry for entry in entries if _touches(entry, starts_at, ends_at)]
    items = [
        Item(
            entry,
            _when(entry, starts_at, ends_at, zone),
            reverse(entry.route, args=entry.arguments),
            SYMBOLS.get(entry.kind, "event"),
            KINDS.get(entry.kind, entry.kind.capitalize()),
            _limits(entry, names),
        )
        for entry in found[:MOST_ITEMS]
    ]
    is_in_month = (day.year, day.month) == (first.year, first.month)
    return Day(day, tuple(items), len(found) - len(items), is_in_month, day == today)


def _limits(entry: CalendarEntry, names: dict[uuid.UUID, str]) -> tuple[str, ...]:
    places = [names[pk] for pk in names if pk in entry.environment_ids]
    return (*(places if len(places) < len(names) else ()), *(f"only {tag}" for tag in entry.tags))


def _touches(entry: CalendarEntry, starts_at: datetime, ends_at: datetime) -> bool:
    """Whether an entry stands on a day: a night stands on the day it begins on, anything longer on all of its days."""
    if entry.is_instant or entry.ends_at - entry.starts_at < _SHORT:
        return starts_at <= entry.starts_at < ends_at
    return entry.starts_at < ends_at and starts_at < entry.ends_at


def _when(entry: CalendarEntry, starts_at: datetime, ends_at: datetime, zone: ZoneInfo) -> str:
    begins, ends = entry.starts_at >= starts_at, entry.ends_at < ends_at
    start, end = (f"{instant.astimezone(zone):%H:%M}" for instant in (entry.starts_at, entry.ends_at))
    if entry.is_instant:
        return f"at {start}"
    if begins and (ends or entry.ends_at - entry.starts_at < _SHORT):
        return f"{start}–{end}"
    if begins and entry.starts_at > starts_at:
        return f"from {start}"
    return f"until {end}" if ends else "all day"
