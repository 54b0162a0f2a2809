"""Months as a strip of time: where an instant stands on it, and which days and months are named along it."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from django.utils.formats import date_format

from rollouts.schedules.zones import instant_in

ZOOMS = (1, 3, 12)
USUAL_ZOOM = 3
FIRST_YEAR, LAST_YEAR = 2001, 2198
# Narrower than this, in percent, nobody could see or hit it.
LEAST_WIDTH = 0.6


@dataclass(frozen=True, slots=True)
class Mark:
    """A line across the strip with its words: a month, a week."""

    left: float
    words: str
    is_month: bool


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of the strip in percent; it goes on beyond an edge where `is_cut_before` or `is_cut_after`."""

    left: float
    width: float
    is_cut_before: bool
    is_cut_after: bool


@dataclass(frozen=True, slots=True)
class Frame:
    """The time that is shown, from `starts_at` until before `ends_at`, by the clocks of `zone`."""

    first: date
    months: int
    starts_at: datetime
    ends_at: datetime
    zone: ZoneInfo

    def place(self, at: datetime) -> float | None:
        """Where an instant stands, in percent from the left; None outside."""
        if not self.starts_at <= at < self.ends_at:
            return None
        return self._percent(at)

    def part(self, starts_at: datetime, ends_at: datetime) -> Part | None:
        """What is seen of a stretch of time; None where nothing is."""
        if ends_at <= self.starts_at or starts_at >= self.ends_at:
            return None
        left, right = self._percent(max(starts_at, self.starts_at)), self._percent(min(ends_at, self.ends_at))
        width = max(LEAST_WIDTH, right - left)
        return Part(
            round(min(left, 100 - width), 3), round(width, 3), starts_at < self.starts_at, ends_at > self.ends_at
        )

    def _percent(self, at: datetime) -> float:
        return round(100 * ((at - self.starts_at) / (self.ends_at - self.starts_at)), 3)

    @property
    def name(self) -> str:
        """Such as “October to December 2026”."""
        last = _later(self.first, self.months - 1)
        if self.months == 1:
            return date_format(self.first, "F Y")
        start = "F" if last.year == self.first.year else "F Y"
        return f"{date_format(self.first, start)} to {date_format(last, 'F Y')}"

    @property
    def before(self) -> str:
        """The month to begin with for one step back."""
        return f"{_later(self.first, -max(1, self.months // 3)):%Y-%m}"

    @property
    def after(self) -> str:
        """The month to begin with for one step on."""
        return f"{_later(self.first, max(1, self.months // 3)):%Y-%m}"

    @property
    def marks(self) -> Sequence[Mark]:
        """Every month, and with few of them every week."""
        return tuple(_marks(self))


def frame_of(months: str, begins: str, *, now: datetime, zone: ZoneInfo) -> Frame:
    """The frame that parameters name; without them three months, the present one in the middle."""
    count = int(months) if months in {str(one) for one in ZOOMS} else USUAL_ZOOM
    today = now.astimezone(zone).date().replace(day=1)
    first = _month(begins) or _later(today, 0 if count == 1 else -1)
    return Frame(first, count, _midnight(zone, first), _midnight(zone, _later(first, count)), zone)


def _month(text: str) -> date | None:
    found = re.fullmatch(r"(\d{4})-(\d{2})", text, re.ASCII)
    if not found or not FIRST_YEAR <= int(found[1]) <= LAST_YEAR or not 1 <= int(found[2]) <= 12:
        return None
    return date(int(found[1]), int(found[2]), 1)


def _later(first: date, months: int) -> date:
    years, month = divmod(first.month - 1 + months, 12)
    return date(first.year + years, month + 1, 1)


def _midnight(zone: ZoneInfo, day: date) -> datetime:
    return instant_in(zone, datetime(day.year, day.month, day.day))  # noqa: DTZ001 - wall time


def _marks(frame: Frame) -> Iterator[Mark]:
    for number in range(frame.months):
        month = _later(frame.first, number)
        pattern = "M" if frame.months > USUAL_ZOOM and number and month.month > 1 else "F Y"
        yield Mark(frame.place(_midnight(frame.zone, month)) or 0.0, date_format(month, pattern), True)
    if frame.months > USUAL_ZOOM:
        return
    day = frame.first + timedelta(days=(7 - frame.first.weekday()) % 7)
    while (left := frame.place(_midnight(frame.zone, day))) is not None:
        yield Mark(left, date_format(day, "j"), False)
        day += timedelta(days=7)
