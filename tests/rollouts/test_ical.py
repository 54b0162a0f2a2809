"""Windows as iCalendar: what goes out comes back, what others write is taken as meant, what is hostile is refused."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollouts.ical import MAX_BYTES, MAX_EVENTS, CalendarEntry, UnusableCalendar, read_calendar, write_calendar
from rollouts.schedules import Recurrence, Span, recurring
from tests.rollouts.test_schedules import ZONES, at, wall

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]) | st.sampled_from(' ,;:\\"'), max_size=60)
TITLES = TEXT.map(lambda text: text.replace("\\", "/").strip()).filter(bool)
KEYS = st.lists(st.sampled_from(["development", "staging", "production", "eu-west.1"]), unique=True, max_size=3)
SPANS = st.builds(
    lambda start, minutes: Span(
        start.replace(second=0, microsecond=0, tzinfo=UTC),
        start.replace(second=0, microsecond=0, tzinfo=UTC) + timedelta(minutes=minutes),
    ),
    st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1)),  # noqa: DTZ001 - made aware above
    st.integers(1, 400_000),
)
RULES = [
    "FREQ=DAILY",
    "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,FR",
    "FREQ=MONTHLY;BYDAY=-1FR",
    "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
    "FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=24,25;COUNT=5",
    "FREQ=WEEKLY;UNTIL=20400101",
    "FREQ=WEEKLY;WKST=SU;UNTIL=20400101T100000Z",
]
RECURRENCES = st.builds(
    lambda zone, start, minutes, rule: recurring(
        zone, start.replace(second=0, microsecond=0), timedelta(minutes=minutes), rule
    ),
    st.sampled_from([*ZONES, "UTC"]),
    st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1)),  # noqa: DTZ001 - wall times
    st.integers(1, 31 * 24 * 60),
    st.sampled_from(RULES),
)
ENTRIES = st.builds(
    CalendarEntry,
    uid=st.uuids().map(str),
    kind=st.sampled_from(["freeze", "allow"]),
    title=TITLES,
    reason=TITLES,
    timing=SPANS | RECURRENCES,
    stamp=st.just(NOW),
    environments=KEYS.map(sorted).map(tuple),
    tags=KEYS.map(sorted).map(tuple),
)


@settings(max_examples=120, deadline=None)
@given(entries=st.lists(ENTRIES, max_size=4, unique_by=lambda entry: entry.uid))
def test_round_trip__any_windows__come_back_as_they_were(entries: list[CalendarEntry]) -> None:
    written = write_calendar(entries, name="Shop")

    found = read_calendar(written, zone="Asia/Tokyo", kind="allow", now=NOW + timedelta(days=1))

    assert found.left_out == ()
    assert list(found.entries) == entries
    assert write_calendar(found.entries, name="Shop") == written


def test_write__backslash__goes_out_as_a_slash() -> None:
    entry = CalendarEntry("one", "freeze", "C:\\new", "Why\\not", span("2026-11-27T00:00", "2026-11-28T00:00"), NOW)

    (found,) = read(write_calendar([entry], name="Shop")).entries

    assert (found.title, found.reason) == ("C:/new", "Why/not")


def file(*lines: str, uid: str = "one", title: str = "Sale") -> bytes:
    """A calendar with one event as other programs write it."""
    event = ["BEGIN:VEVENT", f"UID:{uid}", f"SUMMARY:{title}", *lines, "END:VEVENT"]
    return "\r\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:other", *event, "END:VCALENDAR", ""]).encode()


def read(data: bytes, *, zone: str = "Europe/Berlin") -> Any:
    return read_calendar(data, zone=zone, kind="freeze", now=NOW)


def span(starts: str, ends: str) -> Span:
    return Span(at(starts), at(ends))


@pytest.mark.parametrize(
    ("lines", "timing"),
    [
        (("DTSTART:20261127T000000Z", "DTEND:20261201T080000Z"), span("2026-11-27T00:00", "2026-12-01T08:00")),
        (("DTSTART:20261127T000000Z", "DURATION:P1D"), span("2026-11-27T00:00", "2026-11-28T00:00")),
        (
            ("DTSTART;TZID=America/New_York:20261127T000000", "DTEND;TZID=America/New_York:20261127T120000"),
            span("2026-11-27T05:00", "2026-11-27T17:00"),
        ),
        (
            ("DTSTART;TZID=W. Europe Standard Time:20261127T000000", "DURATION:PT1H"),
            span("2026-11-26T23:00", "2026-11-27T00:00"),
        ),
        # Days, and times without a zone, are those of the zone that was chosen.
        (("DTSTART;VALUE=DATE:20261224", "DTEND;VALUE=DATE:20261227"), span("2026-12-23T23:00", "2026-12-26T23:00")),
        (("DTSTART;VALUE=DATE:20261224",), span("2026-12-23T23:00", "2026-12-24T23:00")),
        # A day lasts from midnight to midnight, also one of 25 or 23 hours; hours are hours.
        (("DTSTART;VALUE=DATE:20261025",), span("2026-10-24T22:00", "2026-10-25T23:00")),
        (("DTSTART;VALUE=DATE:20260329", "DURATION:P1D"), span("2026-03-28T23:00", "2026-03-29T22:00")),
        (
            ("DTSTART;TZID=Europe/Berlin:20261024T180000", "DURATION:P1W"),
            span("2026-10-24T16:00", "2026-10-31T17:00"),
        ),
        (
            ("DTSTART;TZID=Europe/Berlin:20261024T230000", "DURATION:PT5H"),
            span("2026-10-24T21:00", "2026-10-25T02:00"),
        ),
        # One that begins or ends within a minute has all of it.
        (("DTSTART:20261127T000000Z", "DTEND:20261127T235959Z"), span("2026-11-27T00:00", "2026-11-28T00:00")),
        (("DTSTART:20261127T100030Z", "DURATION:PT1H"), span("2026-11-27T10:00", "2026-11-27T11:01")),
        (
            ("DTSTART:20261127T000000Z", "DTEND:20261127T235959Z", "RRULE:FREQ=WEEKLY"),
            recurring("UTC", wall("2026-11-27T00:00"), timedelta(days=1), "FREQ=WEEKLY"),
        ),
        (("DTSTART:20261127T100000", "DTEND:20261127T110000"), span("2026-11-27T09:00", "2026-11-27T10:00")),
        (
            (
                "DTSTART;TZID=Europe/Berlin:20260102T180000",
                "DTEND;TZID=Europe/Berlin:20260105T080000",
                "RRULE:FREQ=WEEKLY",
            ),
            recurring("Europe/Berlin", wall("2026-01-02T18:00"), timedelta(hours=62), "FREQ=WEEKLY"),
        ),
        (
            ("DTSTART;VALUE=DATE:20261224", "RRULE:FREQ=YEARLY"),
            recurring("Europe/Berlin", wall("2026-12-24T00:00"), timedelta(days=1), "FREQ=YEARLY"),
        ),
        (
            ("DTSTART:20260102T180000Z", "DURATION:PT2H", "RRULE:FREQ=DAILY;COUNT=3"),
            recurring("UTC", wall("2026-01-02T18:00"), timedelta(hours=2), "FREQ=DAILY;COUNT=3"),
        ),
    ],
)
def test_read__as_other_programs_write__is_taken_as_meant(lines: tuple[str, ...], timing: Span | Recurrence) -> None:
    found = read(file(*lines))

    assert found.left_out == ()
    assert [entry.timing for entry in found.entries] == [timing]


@pytest.mark.parametrize(
    ("lines", "kind"),
    [
        ((), "freeze"),
        (("CATEGORIES:ALLOW",), "allow"),
        (("CATEGORIES:Team,Freeze",), "freeze"),
        (("X-FLAGSITE-KIND:allow",), "allow"),
    ],
)
def test_read__kind__is_named_or_the_chosen_one(lines: tuple[str, ...], kind: str) -> None:
    (entry,) = read(file("DTSTART:20261127T000000Z", "DURATION:PT1H", *lines)).entries

    assert entry.kind == kind


USUAL = ("DTSTART:20261127T000000Z", "DTEND:20261127T080000Z")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (file("DTSTART:20261127T000000Z"), "when it ends"),
        (file("DTEND:20261127T000000Z"), "when it begins"),
        (file("DTSTART:soon", "DTEND:20261127T000000Z"), "Its DTSTART cannot be read"),
        (file(*USUAL, "RRULE:FREQ=DAILY;COUNT=abc"), "Its RRULE cannot be read"),
        (file(*USUAL, "RRULE:FREQ=DAILY", "EXDATE:soon"), "Its EXDATE cannot be read"),
        (file("DTSTART:20261127T000000Z", "DURATION:P1X"), "Its DURATION cannot be read"),
        (file(*USUAL, "nothing that is a line"), "Its line cannot be read"),
        (file(*USUAL, "RRULE:FREQ=SECONDLY"), "cannot repeat secondly"),
        (file(*USUAL, "RRULE:FREQ=DAILY;BYHOUR=1,2"), "BYHOUR"),
        (file(*USUAL, "RRULE:FREQ=DAILY", "RRULE:FREQ=WEEKLY"), "several"),
        (file(*USUAL, "RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"), "never runs"),
        (file(*USUAL, "RRULE:FREQ=DAILY", "EXDATE:20261128T000000Z"), "leaves single days out"),
        (file(*USUAL, "RDATE:20261128T000000Z"), "adds single days"),
        (file(*USUAL, "RECURRENCE-ID:20261128T000000Z"), "moves one repetition"),
        (file(*USUAL, "STATUS:CANCELLED"), "cancelled"),
        (file(*USUAL, uid=""), "no UID"),
        (file(*USUAL, uid="x" * 256), "no UID"),
        (file(*USUAL, title=""), "no title"),
        (file("DTSTART:20261127T000000Z", "DTEND:20261126T000000Z"), "before it begins"),
        (file("DTSTART:20261127T000000Z", "DTEND:20291127T000000Z"), "366 days"),
        (file("DTSTART:99991231T235959Z", "DURATION:P300D"), "beyond"),
        (file("DTSTART:00010101T000000Z", "DTEND:00010102T000000Z"), "between the years"),
        (file("DTSTART;TZID=Mars/Olympus:20261127T000000", "DURATION:PT1H"), "no time zone"),
        (file("DTSTART;TZID=../../etc/passwd:20261127T000000", "DURATION:PT1H"), "no time zone"),
    ],
)
def test_read__event_no_window_can_hold__is_left_out_with_a_sentence(data: bytes, why: str) -> None:
    found = read(data)

    assert found.entries == ()
    (left_out,) = found.left_out
    assert why in left_out.why


def test_read__mark_at_the_start_and_a_letter_that_is_folded__are_no_obstacle() -> None:
    data = b"\xef\xbb\xbf" + file(*USUAL, title="J\xe4hrlich").replace(b"\xc3\xa4", b"\xc3\r\n \xa4")

    (entry,) = read(data).entries

    assert entry.title == "J\xe4hrlich"


def test_read__file_full_of_rules_that_never_come_true__is_answered_soon() -> None:
    lines = ("DTSTART:20240101T220000Z", "DURATION:PT8H", "RRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30")
    event = file(*lines).split(b"PRODID:other\r\n")[1].removesuffix(b"END:VCALENDAR\r\n")
    events = b"".join(event.replace(b"UID:one", b"UID:%d" % number) for number in range(MAX_EVENTS))
    began = time.process_time()

    found = read(file(*USUAL).split(b"BEGIN:VEVENT")[0] + events + b"END:VCALENDAR\r\n")

    assert time.process_time() - began < 5
    assert len(found.left_out) == MAX_EVENTS


def test_read__same_uid_twice__keeps_the_first() -> None:
    both = file(*USUAL).replace(b"END:VCALENDAR\r\n", b"") + file(*USUAL, title="Again").split(b"PRODID:other\r\n")[1]

    found = read(both)

    assert [entry.title for entry in found.entries] == ["Sale"]
    assert [item.title for item in found.left_out] == ["Again"]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "breaks off"),
        (b"hello", "no calendar"),
        (b"\xff\xfe\x00", "not in UTF-8"),
        (file(*USUAL, title="J\xe4hrlich").decode().encode("latin-1"), "not in UTF-8"),
        (b"BEGIN:VCALENDAR\r\n" + b"BEGIN:VEV\r\n ENT\r\n" * 9 + b"END:VEVENT\r\n" * 9, "nests"),
        (file(*USUAL)[:-20], "breaks off"),
        (b"BEGIN:VCALENDAR\r\n" * 9_000, "nests"),
        (b"BEGIN:VCALENDAR\r\n" + b"BEGIN:VEVENT\r\n" * 9 + b"END:VEVENT\r\n" * 9 + b"END:VCALENDAR\r\n", "nests"),
        (b"END:VCALENDAR\r\nBEGIN:VCALENDAR\r\n", "breaks off"),
        (b"x" * (MAX_BYTES + 1), "larger"),
        (b"BEGIN:VCALENDAR\r\n" + b"BEGIN:VEVENT\r\nEND:VEVENT\r\n" * 501 + b"END:VCALENDAR\r\n", "501 events"),
        (b"BEGIN:VEVENT\r\nEND:VCALENDAR\r\n", "breaks off"),
        (b"BEGIN:VEVENT\r\nEND:VEVENT\r\n", "no calendar"),
    ],
    ids=[f"file {number}" for number in range(13)],
)
def test_read__hostile_file__is_refused_with_a_sentence(data: bytes, why: str) -> None:
    with pytest.raises(UnusableCalendar, match=why):
        read(data)


@settings(max_examples=150, deadline=None)
@given(data=st.binary(max_size=300), position=st.integers(0, 400))
def test_read__spoiled_file__is_read_or_refused_and_nothing_else(data: bytes, position: int) -> None:
    whole = file(*USUAL, "RRULE:FREQ=DAILY")
    try:
        found = read(whole[:position] + data + whole[position:])
    except UnusableCalendar:
        return
    assert len(found.entries) + len(found.left_out) <= 3
