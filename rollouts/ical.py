"""Pure: windows as iCalendar (RFC 5545), out and in. What a file says and no window can hold is told event by event.

Written are the scope and kind as properties of our own (`X-FLAGSITE-…`), so that a file of ours reads back as it was.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

from icalendar import Calendar, Event, vRecur
from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

from rollouts.schedules import (
    Recurrence,
    Span,
    UnusableSchedule,
    instant_in,
    recurring,
    refuse_unusable,
    zone_of,
)

MAX_BYTES = 256 * 1024
MAX_EVENTS = 500
MAX_DEPTH = 4
LONGEST_UID = 255
BEYOND = "Its time is beyond the calendar."
BROKEN_OFF = "The file breaks off, or its parts do not end where they should. Export it again."
Kind = Literal["freeze", "allow"]
_PRODUCT = "-//Flagsite//Calendar//EN"
_KIND, _ENVIRONMENTS, _TAGS = "X-FLAGSITE-KIND", "X-FLAGSITE-ENVIRONMENTS", "X-FLAGSITE-TAGS"
_FOLD = re.compile(rb"\r?\n[ \t]")
_EDGE = re.compile(rb"^(BEGIN|END):([A-Z0-9-]*)", re.IGNORECASE | re.MULTILINE)
_MINUTE = timedelta(minutes=1)
_LEFT_OUT = {
    "EXDATE": "leaves single days out",
    "RDATE": "adds single days",
    "RECURRENCE-ID": "moves one repetition of another event",
    "EXRULE": "leaves days out by a rule",
}


class UnusableCalendar(ValueError):
    """A file that cannot be read as a calendar; its text says why and what to do."""


@dataclass(frozen=True, slots=True)
class CalendarEntry:
    """A window as calendars carry it; environments by key. `stamp` is when it was last changed."""

    uid: str
    kind: Kind
    title: str
    reason: str
    timing: Span | Recurrence
    stamp: datetime
    environments: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An event that is not taken over, and why."""

    title: str
    why: str


@dataclass(frozen=True, slots=True)
class ReadCalendar:
    """What a file holds."""

    entries: tuple[CalendarEntry, ...]
    left_out: tuple[LeftOut, ...]


def write_calendar(entries: Iterable[CalendarEntry], *, name: str) -> bytes:
    """The windows as a calendar that others subscribe to or import."""
    calendar = Calendar()
    calendar.add("prodid", _PRODUCT)
    calendar.add("version", "2.0")
    calendar.add("x-wr-calname", name)
    for entry in entries:
        calendar.add_component(_event(entry))
    calendar.add_missing_timezones()
    written: bytes = calendar.to_ical()
    return written


def read_calendar(data: bytes, *, zone: str, kind: Kind, now: datetime) -> ReadCalendar:
    """The windows in a file. `zone` is that of days and of times without one, `kind` of events that name none.

    Raises UnusableCalendar for a file that is too large, nested too deep, broken off or no calendar at all.
    """
    text = _unfolded(data)
    try:
        calendar = Calendar.from_ical(text)
        events = [event for event in calendar.walk("VEVENT") if isinstance(event, Event)]
        if calendar.name != "VCALENDAR":
            raise ValueError(calendar.name)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
        raise UnusableCalendar("This is no calendar file. Export it as iCalendar (.ics) and try again.") from None
    if len(events) > MAX_EVENTS:
        raise UnusableCalendar(f"The file holds {len(events)} events; {MAX_EVENTS} are the most. Split it up.")
    entries: dict[str, CalendarEntry] = {}
    left_out: list[LeftOut] = []
    for event in events:
        try:
            entry = _entry(event, zone=zone, kind=kind, now=now)
            if entry.uid in entries:
                raise UnusableSchedule("Another event of the file has the same UID.")
            entries[entry.uid] = entry
        except UnusableSchedule as error:
            left_out.append(LeftOut(_text(event, "SUMMARY")[:120] or "An event without a title", str(error)))
    return ReadCalendar(tuple(entries.values()), tuple(left_out))


def _event(entry: CalendarEntry) -> Event:
    event = Event()
    event.add("uid", entry.uid)
    event.add("dtstamp", entry.stamp.astimezone(UTC))
    # Readers disagree on what a backslash before another character means, so none is written.
    event.add("summary", entry.title.replace("\\", "/"))
    event.add("description", entry.reason.replace("\\", "/"))
    event.add("categories", [entry.kind.upper()])
    event.add(_KIND, entry.kind)
    if entry.environments:
        event.add(_ENVIRONMENTS, ",".join(entry.environments))
    if entry.tags:
        event.add(_TAGS, ",".join(entry.tags))
    if isinstance(entry.timing, Span):
        event.add("dtstart", entry.timing.starts_at.astimezone(UTC))
        event.add("dtend", entry.timing.ends_at.astimezone(UTC))
        return event
    zone = UTC if entry.timing.zone == "UTC" else zone_of(entry.timing.zone)
    event.add("dtstart", entry.timing.local_start.replace(tzinfo=zone))
    event.add("dtend", (entry.timing.local_start + entry.timing.duration).replace(tzinfo=zone))
    event.add("rrule", vRecur.from_ical(entry.timing.rule.text))
    return event


def _unfolded(data: bytes) -> str:
    """The lines of a file as its author meant them: a fold may lie in the middle of a letter."""
    if len(data) > MAX_BYTES:
        raise UnusableCalendar(f"The file is larger than {MAX_BYTES // 1024} kB. Export fewer events.")
    data = _FOLD.sub(b"", data.removeprefix(b"\xef\xbb\xbf"))
    _refuse_hostile(data)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise UnusableCalendar("The file is not in UTF-8, so its titles could be garbled. Save it as UTF-8.") from None


def _refuse_hostile(data: bytes) -> None:
    """Look at depth and end before anything is built from the file."""
    begun: list[bytes] = []
    for edge in _EDGE.finditer(data):
        if edge[1].upper() == b"BEGIN":
            begun.append(edge[2].upper())
        elif not begun or begun.pop() != edge[2].upper():
            raise UnusableCalendar(BROKEN_OFF)
        if len(begun) > MAX_DEPTH:
            raise UnusableCalendar("The file nests its parts deeper than calendars do. Export it again.")
    if begun or not data.strip():
        raise UnusableCalendar(BROKEN_OFF)


def _entry(event: Event, *, zone: str, kind: Kind, now: datetime) -> CalendarEntry:
    for name, words in _LEFT_OUT.items():
        if name in event:
            raise UnusableSchedule(f"It {words} ({name}), which windows cannot. Make separate events.")
    for name, _ in event.errors:
        raise UnusableSchedule(f"Its {name or 'line'} cannot be read, so it may mean another time. Export it again.")
    if _text(event, "STATUS").upper() == "CANCELLED":
        raise UnusableSchedule("It is cancelled.")
    uid, title = _text(event, "UID"), _text(event, "SUMMARY")
    if not uid or len(uid) > LONGEST_UID:
        raise UnusableSchedule(f"It has no UID of at most {LONGEST_UID} characters, so it could not be found again.")
    if not title:
        raise UnusableSchedule("It has no title.")
    timing = _timing(event, zone)
    refuse_unusable(timing)
    stamp = getattr(event.get("DTSTAMP"), "dt", None)
    return CalendarEntry(
        uid=uid,
        kind=_kind(event, kind),
        title=title,
        reason=_text(event, "DESCRIPTION") or "Taken over from a calendar.",
        timing=timing,
        stamp=stamp if isinstance(stamp, datetime) and stamp.tzinfo else now,
        environments=tuple(_listed(event, _ENVIRONMENTS)),
        tags=tuple(_listed(event, _TAGS)),
    )


def _kind(event: Event, otherwise: Kind) -> Kind:
    named = _text(event, _KIND).lower()
    categories = getattr(event.get("CATEGORIES"), "cats", ())
    for name in (named, *(str(category).lower() for category in categories)):
        if name == "freeze":
            return "freeze"
        if name == "allow":
            return "allow"
    return otherwise


def _timing(event: Event, zone: str) -> Span | Recurrence:
    """When an event is, in whole minutes: one that begins or ends within a minute has all of it."""
    start, place = _moment(event, "DTSTART", zone)
    end = _end(event, zone)
    begin = start.replace(second=0)
    if "RRULE" not in event:
        ends_at = _after(start, place, end) if isinstance(end, timedelta) else _instant(*end)
        return Span(_instant(begin, place), _whole_minute(ends_at))
    rule = event["RRULE"]
    if not isinstance(rule, vRecur):
        raise UnusableSchedule("Its rule of repetition cannot be read, or it has several. Make separate events.")
    wall = _later(start, end) if isinstance(end, timedelta) else _on_clock(*end, place)
    return recurring(place, begin, _whole_minute(wall) - begin, rule.to_ical().decode())


def _after(start: datetime, place: str, length: timedelta) -> datetime:
    """The instant at which a length is over: its days are counted on the clock, the rest in time."""
    days = timedelta(days=length.days)
    return _later(_instant(_later(start, days), place), length - days)


def _on_clock(wall: datetime, zone: str, place: str) -> datetime:
    """What the clocks of a place show at a time of another zone."""
    if zone == place:
        return wall
    return _instant(wall, zone).astimezone(zone_of(place)).replace(tzinfo=None)


def _whole_minute(moment: datetime) -> datetime:
    whole = moment.replace(second=0, microsecond=0)
    return whole if whole == moment else _later(whole, _MINUTE)


def _end(event: Event, zone: str) -> tuple[datetime, str] | timedelta:
    if "DTEND" in event:
        return _moment(event, "DTEND", zone)
    length = getattr(event.get("DURATION"), "dt", None)
    if isinstance(length, timedelta):
        return length
    if _is_day(event):
        return timedelta(days=1)
    raise UnusableSchedule("It does not say when it ends. Give it an end.")


def _is_day(event: Event) -> bool:
    found = getattr(event.get("DTSTART"), "dt", None)
    return isinstance(found, date) and not isinstance(found, datetime)


def _moment(event: Event, name: str, zone: str) -> tuple[datetime, str]:
    """A time as the clock shows it, and the zone of that clock."""
    value = event.get(name)
    found = getattr(value, "dt", None)
    if isinstance(found, datetime):
        named = str(value.params.get("TZID", ""))
        place = WINDOWS_TO_OLSON.get(named, named) or ("UTC" if found.tzinfo else zone)
        zone_of(place)
        return found.replace(tzinfo=None, microsecond=0, fold=0), place
    if isinstance(found, date):
        zone_of(zone)
        return datetime(found.year, found.month, found.day), zone  # noqa: DTZ001 - wall time
    raise UnusableSchedule("It does not say when it begins." if name == "DTSTART" else "Its end cannot be read.")


def _instant(wall: datetime, zone: str) -> datetime:
    try:
        return instant_in(zone_of(zone), wall)
    except OverflowError:
        raise UnusableSchedule(BEYOND) from None


def _later(instant: datetime, length: timedelta) -> datetime:
    try:
        return instant + length
    except OverflowError:
        raise UnusableSchedule(BEYOND) from None


def _text(event: Event, name: str) -> str:
    value: Any = event.get(name)
    if isinstance(value, list):
        value = value[0] if value else ""
    return "" if value is None else str(value).strip()


def _listed(event: Event, name: str) -> Iterator[str]:
    for item in sorted(set(_text(event, name).split(","))):
        if item.strip():
            yield item.strip()
