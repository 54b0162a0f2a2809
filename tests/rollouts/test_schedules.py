"""Windows on real clocks: both edges of daylight-saving time, month ends, leap days, and what holds a change back."""

import itertools
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollouts.schedules import (
    Recurrence,
    Span,
    UnusableSchedule,
    Window,
    active_windows,
    holds,
    instant_in,
    is_covered_by,
    is_looser,
    next_change,
    next_occurrence,
    occurrences,
    parse_rule,
    refuse_unusable,
    window_as_json,
    window_from_json,
    zone_of,
)

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
ZONES = [
    "Europe/Berlin",
    "Europe/London",
    "America/New_York",
    "America/Sao_Paulo",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "Pacific/Auckland",
    "Asia/Tokyo",
]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def wall(text: str) -> datetime:
    return datetime.fromisoformat(text)


def once(starts: str, ends: str, *, kind: Literal["freeze", "allow"] = "freeze", **scope: Any) -> Window:
    return Window("w", kind, "Window", "Why", Span(at(starts), at(ends)), **scope)


def recurring(
    start: str, hours: float, rule: str, zone: str, *, kind: Literal["freeze", "allow"] = "freeze", **scope: Any
) -> Window:
    timing = Recurrence(zone, wall(start), timedelta(hours=hours), parse_rule(rule))
    return Window("w", kind, "Window", "Why", timing, **scope)


def spans(window: Window, starts: str, ends: str) -> list[tuple[str, str]]:
    """What runs between two instants, as UTC text."""
    found = occurrences(window, at(starts), at(ends))
    return [(f"{one.starts_at:%Y-%m-%dT%H:%M}", f"{one.ends_at:%Y-%m-%dT%H:%M}") for one in found]


@pytest.mark.parametrize(
    ("zone", "shown", "instant"),
    [
        # Skipped: the first instant after the gap.
        ("Europe/Berlin", "2026-03-29T02:30", "2026-03-29T01:00"),
        ("Europe/London", "2026-03-29T01:00", "2026-03-29T01:00"),
        ("America/New_York", "2026-03-08T02:59", "2026-03-08T07:00"),
        ("America/Sao_Paulo", "2018-11-04T00:30", "2018-11-04T03:00"),
        ("Australia/Lord_Howe", "2026-10-04T02:15", "2026-10-03T15:30"),
        ("Pacific/Auckland", "2026-09-27T02:30", "2026-09-26T14:00"),
        ("Pacific/Apia", "2011-12-30T12:00", "2011-12-30T10:00"),
        # Shown twice: the first time.
        ("Europe/Berlin", "2026-10-25T02:30", "2026-10-25T00:30"),
        ("Europe/London", "2026-10-25T01:30", "2026-10-25T00:30"),
        ("America/New_York", "2026-11-01T01:30", "2026-11-01T05:30"),
        ("America/Sao_Paulo", "2018-02-17T23:30", "2018-02-18T01:30"),
        ("Australia/Lord_Howe", "2026-04-05T01:45", "2026-04-04T14:45"),
        ("Pacific/Auckland", "2026-04-05T02:30", "2026-04-04T13:30"),
        # Zones without edges.
        ("Asia/Kolkata", "2026-03-29T02:30", "2026-03-28T21:00"),
        ("Asia/Tokyo", "2026-10-25T02:30", "2026-10-24T17:30"),
        ("UTC", "2026-10-25T02:30", "2026-10-25T02:30"),
    ],
)
def test_instant__wall_time_at_an_edge__is_the_one_that_is_promised(zone: str, shown: str, instant: str) -> None:
    assert instant_in(zone_of(zone), wall(shown)) == at(instant)


@settings(max_examples=300, deadline=None)
@given(
    zone=st.sampled_from(ZONES),
    earlier=st.datetimes(datetime(2015, 1, 1), datetime(2030, 1, 1)),  # noqa: DTZ001 - wall times
    minutes=st.integers(1, 3000),
)
def test_instant__later_on_the_clock__is_never_earlier_in_time(zone: str, earlier: datetime, minutes: int) -> None:
    earlier = earlier.replace(second=0, microsecond=0)
    place, later = zone_of(zone), earlier + timedelta(minutes=minutes)

    assert instant_in(place, earlier) <= instant_in(place, later)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("hour", [0, 1, 2, 3, 12, 23])
def test_daily_windows_that_meet_on_the_clock__any_zone_and_edge__meet_in_time(zone: str, hour: int) -> None:
    """Two years of days, each split into two windows: whatever the clocks do, there is no hole and no overlap."""
    cut = f"2025-12-30T{hour:02}:30"
    other = f"2025-12-30T{(hour + 6) % 24:02}:30" if hour + 6 < 24 else f"2025-12-31T{(hour + 6) % 24:02}:30"
    windows = [recurring(cut, 6, "FREQ=DAILY", zone), recurring(other, 18, "FREQ=DAILY", zone)]
    edges = sorted(
        (one.starts_at, one.ends_at)
        for window in windows
        for one in occurrences(window, at("2026-01-01T00:00"), at("2028-01-01T00:00"))
    )

    assert len(edges) > 1400
    assert all(first[1] == second[0] for first, second in itertools.pairwise(edges))


@pytest.mark.parametrize(
    ("zone", "start", "hours", "day", "expected"),
    [
        # The night in which clocks go forward is shorter, the other longer; the ends stay where the clock says.
        ("Europe/Berlin", "2026-03-01T22:00", 8, "2026-03-28", ("2026-03-28T21:00", "2026-03-29T04:00")),
        ("Europe/Berlin", "2026-03-01T22:00", 8, "2026-10-24", ("2026-10-24T20:00", "2026-10-25T05:00")),
        ("America/New_York", "2026-03-01T22:00", 8, "2026-03-07", ("2026-03-08T03:00", "2026-03-08T10:00")),
        ("America/New_York", "2026-03-01T22:00", 8, "2026-10-31", ("2026-11-01T02:00", "2026-11-01T11:00")),
        ("Europe/London", "2026-03-01T22:00", 8, "2026-03-28", ("2026-03-28T22:00", "2026-03-29T05:00")),
        ("Europe/London", "2026-03-01T22:00", 8, "2026-10-24", ("2026-10-24T21:00", "2026-10-25T06:00")),
        ("Australia/Lord_Howe", "2026-03-01T22:00", 8, "2026-10-03", ("2026-10-03T11:30", "2026-10-03T19:00")),
        ("Australia/Lord_Howe", "2026-03-01T22:00", 8, "2026-04-04", ("2026-04-04T11:00", "2026-04-04T19:30")),
        ("Pacific/Auckland", "2026-03-01T22:00", 8, "2026-09-26", ("2026-09-26T10:00", "2026-09-26T17:00")),
        ("Pacific/Auckland", "2026-03-01T22:00", 8, "2026-04-04", ("2026-04-04T09:00", "2026-04-04T18:00")),
        ("America/Sao_Paulo", "2018-01-01T22:00", 8, "2018-11-03", ("2018-11-04T01:00", "2018-11-04T08:00")),
        ("America/Sao_Paulo", "2018-01-01T22:00", 8, "2018-02-17", ("2018-02-18T00:00", "2018-02-18T09:00")),
        ("Asia/Kolkata", "2026-03-01T22:00", 8, "2026-03-28", ("2026-03-28T16:30", "2026-03-29T00:30")),
        ("Asia/Tokyo", "2026-03-01T22:00", 8, "2026-10-24", ("2026-10-24T13:00", "2026-10-24T21:00")),
    ],
)
def test_nightly_window__night_of_an_edge__keeps_to_the_clock(
    zone: str, start: str, hours: float, day: str, expected: tuple[str, str]
) -> None:
    window = recurring(start, hours, "FREQ=DAILY", zone)
    local_day = wall(f"{day}T00:00")

    found = [
        one
        for one in occurrences(window, at(f"{day}T00:00") - 24 * HOUR, at(f"{day}T00:00") + 48 * HOUR)
        if one.starts_at.astimezone(ZoneInfo(zone)).date() == local_day.date()
    ]

    assert [(f"{one.starts_at:%Y-%m-%dT%H:%M}", f"{one.ends_at:%Y-%m-%dT%H:%M}") for one in found] == [expected]


def test_window__wholly_in_a_gap__does_not_take_place_that_day() -> None:
    window = recurring("2026-03-27T02:10", 0.5, "FREQ=DAILY", "Europe/Berlin")

    assert spans(window, "2026-03-28T00:00", "2026-03-31T00:00") == [
        ("2026-03-28T01:10", "2026-03-28T01:40"),
        ("2026-03-30T00:10", "2026-03-30T00:40"),
    ]


@pytest.mark.parametrize(
    ("rule", "start", "expected"),
    [
        ("FREQ=MONTHLY", "2026-01-31T10:00", ["2026-01-31", "2026-03-31", "2026-05-31"]),
        ("FREQ=MONTHLY;BYMONTHDAY=-1", "2026-01-31T10:00", ["2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30"]),
        ("FREQ=YEARLY", "2024-02-29T10:00", ["2024-02-29", "2028-02-29"]),
        ("FREQ=WEEKLY;UNTIL=20260115T103000Z", "2026-01-01T10:00", ["2026-01-01", "2026-01-08", "2026-01-15"]),
        ("FREQ=WEEKLY;UNTIL=20260115T100000", "2026-01-01T10:00", ["2026-01-01", "2026-01-08", "2026-01-15"]),
        ("FREQ=WEEKLY;UNTIL=20260115T095959", "2026-01-01T10:00", ["2026-01-01", "2026-01-08"]),
        ("FREQ=WEEKLY;UNTIL=20260115", "2026-01-01T10:00", ["2026-01-01", "2026-01-08", "2026-01-15"]),
        ("FREQ=DAILY;COUNT=2", "2026-01-01T10:00", ["2026-01-01", "2026-01-02"]),
    ],
)
def test_occurrences__month_ends_leap_days_and_ends_of_rules(rule: str, start: str, expected: list[str]) -> None:
    window, begin = recurring(start, 1, rule, "UTC"), at(start) - HOUR
    horizon = begin + timedelta(days=1600 if "YEARLY" in rule else 140)

    found = [f"{one.starts_at:%Y-%m-%d}" for one in occurrences(window, begin, horizon)]

    assert found[: len(expected)] == expected
    assert len(found) == len(expected) or "UNTIL" not in rule


def test_window__its_edges__are_half_open() -> None:
    window = once("2026-03-02T09:00", "2026-03-02T10:00")

    assert [bool(active_windows([window], NOW + shift)) for shift in (-timedelta(microseconds=1), 0 * HOUR)] == [
        False,
        True,
    ]
    assert [bool(active_windows([window], NOW + HOUR + shift)) for shift in (-timedelta(microseconds=1), 0 * HOUR)] == [
        True,
        False,
    ]


FREEZE, FREEZE_OVER = once("2026-03-01T00:00", "2026-03-03T00:00"), once("2026-02-01T00:00", "2026-03-02T09:00")
OPEN = once("2026-03-02T08:00", "2026-03-02T18:00", kind="allow")
CLOSED = once("2026-03-03T08:00", "2026-03-03T18:00", kind="allow")
ENDED = once("2026-02-03T08:00", "2026-02-03T18:00", kind="allow")


@pytest.mark.parametrize(
    ("windows", "held"),
    [
        ([], []),
        ([FREEZE], ["freeze"]),
        ([FREEZE_OVER], []),
        ([OPEN], []),
        ([CLOSED], ["allow"]),
        ([ENDED], []),
        ([OPEN, CLOSED], []),
        ([OPEN, FREEZE], ["freeze"]),
        ([CLOSED, FREEZE], ["freeze", "allow"]),
        ([FREEZE, FREEZE], ["freeze", "freeze"]),
    ],
)
def test_holds__composition__freeze_wins_and_allow_windows_shut(windows: list[Window], held: list[str]) -> None:
    assert [hold.window.kind for hold in holds(windows, "production", [], NOW)] == held


def test_holds__closed_allow_window__names_the_next_opening() -> None:
    (hold,) = holds([CLOSED, once("2026-03-02T12:00", "2026-03-02T13:00", kind="allow")], "production", [], NOW)

    assert hold.ends_at == at("2026-03-02T12:00")
    assert not hold.is_freeze


@pytest.mark.parametrize(
    ("environments", "tags", "asked", "applies"),
    [
        (set(), set(), [], True),
        ({"production"}, set(), [], True),
        ({"staging"}, set(), [], False),
        (set(), {"checkout"}, ["checkout", "web"], True),
        (set(), {"checkout"}, ["web"], False),
        (set(), {"checkout"}, [], False),
        ({"production"}, {"checkout"}, ["checkout"], True),
        ({"staging"}, {"checkout"}, ["checkout"], False),
    ],
)
def test_applies__scope(environments: set[str], tags: set[str], asked: list[str], applies: bool) -> None:
    window = once("2026-03-01T00:00", "2026-03-03T00:00", environments=frozenset(environments), tags=frozenset(tags))

    assert bool(holds([window], "production", asked, NOW)) is applies


def test_next_change__is_the_nearest_edge_of_all() -> None:
    ends_first = once("2026-03-01T00:00", "2026-03-02T11:00")
    begins_first = once("2026-03-02T10:00", "2026-03-02T12:00")

    assert next_change([ends_first, begins_first], NOW) == at("2026-03-02T10:00")
    assert next_change([ends_first, begins_first], at("2026-03-02T10:00")) == at("2026-03-02T11:00")
    assert next_change([FREEZE_OVER], NOW) is None
    assert next_change([], NOW) is None


def test_next_occurrence__leap_day_over_a_century_that_has_none__is_found() -> None:
    window = recurring("2096-02-29T10:00", 1, "FREQ=YEARLY", "UTC")

    found = next_occurrence(window, at("2096-03-01T00:00"))

    assert found is not None
    assert found.starts_at == at("2104-02-29T10:00")


@pytest.mark.parametrize(
    ("rule", "opens"),
    [
        ("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=29", True),
        ("FREQ=DAILY;UNTIL=20260301T000000Z", False),
        ("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=29;UNTIL=20260301T000000Z", False),
        ("FREQ=YEARLY;BYDAY=20MO;COUNT=2", False),
    ],
)
def test_holds__calendar_full_of_rare_or_ended_allow_windows__is_quick(rule: str, opens: bool) -> None:
    windows = [recurring("2024-02-29T22:00", 8, rule, "Europe/Berlin", kind="allow")] * 200
    began = time.process_time()

    found = holds(windows, "production", [], NOW)

    assert time.process_time() - began < 1
    assert [hold.ends_at for hold in found] == [at("2028-02-29T21:00")] * opens


NIGHTS = recurring("2026-01-01T22:00", 8, "FREQ=DAILY", "Europe/Berlin")
BASE = once("2026-03-01T00:00", "2026-03-10T00:00", environments=frozenset({"production"}))


@pytest.mark.parametrize(
    ("before", "after", "covered"),
    [
        (BASE, BASE, True),
        (BASE, once("2026-03-01T00:00", "2026-03-12T00:00", environments=frozenset({"production"})), True),
        (BASE, once("2026-03-01T00:01", "2026-03-10T00:00", environments=frozenset({"production"})), False),
        (BASE, once("2026-03-01T00:00", "2026-03-09T23:59", environments=frozenset({"production"})), False),
        (BASE, once("2026-03-01T00:00", "2026-03-10T00:00"), True),
        (BASE, once("2026-03-01T00:00", "2026-03-10T00:00", environments=frozenset({"staging"})), False),
        (BASE, once("2026-03-01T00:00", "2026-03-10T00:00", tags=frozenset({"web"})), False),
        (once("2026-03-01T00:00", "2026-03-10T00:00"), BASE, False),
        (NIGHTS, recurring("2026-01-01T22:00", 9, "FREQ=DAILY", "Europe/Berlin"), True),
        (NIGHTS, recurring("2026-01-01T22:00", 7, "FREQ=DAILY", "Europe/Berlin"), False),
        (NIGHTS, recurring("2026-01-01T22:00", 8, "FREQ=DAILY", "Europe/London"), False),
        (NIGHTS, recurring("2026-01-01T22:00", 8, "FREQ=WEEKLY", "Europe/Berlin"), False),
        (NIGHTS, BASE, False),
        (BASE, NIGHTS, False),
    ],
)
def test_is_covered__freeze_that_is_changed(before: Window, after: Window, covered: bool) -> None:
    assert is_covered_by(before, after) is covered


@settings(max_examples=200, deadline=None)
@given(
    numbers=st.tuples(*[st.integers(0, 200)] * 4),
    scopes=st.tuples(*[st.sampled_from([frozenset(), frozenset({"a"}), frozenset({"a", "b"})])] * 2),
    moment=st.integers(0, 220),
)
def test_is_covered__whatever_is_allowed_afterwards__was_allowed_before(
    numbers: tuple[int, int, int, int], scopes: tuple[frozenset[str], frozenset[str]], moment: int
) -> None:
    first, second, third, fourth = (NOW + number * HOUR for number in numbers)
    before = Window("w", "freeze", "", "", Span(min(first, second), max(first, second) + HOUR), scopes[0])
    after = Window("w", "freeze", "", "", Span(min(third, fourth), max(third, fourth) + HOUR), scopes[1])
    instant = NOW + moment * HOUR

    if is_covered_by(before, after):
        for environment in ("a", "b", "c"):
            assert bool(holds([before], environment, [], instant)) <= bool(holds([after], environment, [], instant))


RELEASES = recurring("2026-01-05T09:00", 8, "FREQ=WEEKLY", "Europe/Berlin", kind="allow")


@pytest.mark.parametrize(
    ("before", "after", "looser"),
    [
        (None, BASE, False),
        (BASE, None, True),
        (None, RELEASES, True),
        (RELEASES, None, True),
        (RELEASES, RELEASES, False),
        (RELEASES, replace(RELEASES, title="Another title", reason="Another reason"), False),
        (RELEASES, replace(RELEASES, environments=frozenset({"production"})), True),
        (BASE, replace(BASE, title="Another title"), False),
        (BASE, replace(BASE, kind="allow"), True),
        (replace(BASE, kind="allow"), BASE, True),
        (BASE, once("2026-03-01T00:00", "2026-03-09T00:00", environments=frozenset({"production"})), True),
        (None, None, False),
    ],
)
def test_is_looser__change_of_the_calendar(before: Window | None, after: Window | None, looser: bool) -> None:
    assert is_looser(before, after) is looser


@pytest.mark.parametrize("window", [BASE, RELEASES, NIGHTS, replace(BASE, tags=frozenset({"web", "checkout"}))])
def test_window__as_json__reads_back_as_it_was(window: Window) -> None:
    assert window_from_json(window.id, window_as_json(window)) == window


@pytest.mark.parametrize(
    "timing",
    [
        Span(NOW, NOW),
        Span(NOW, NOW - HOUR),
        Span(NOW, NOW + timedelta(days=367)),
        Span(at("1999-01-01T00:00"), at("1999-01-02T00:00")),
        Recurrence("UTC", wall("2026-01-01T10:00"), timedelta(0), parse_rule("FREQ=DAILY")),
        Recurrence("UTC", wall("2026-01-01T10:00"), timedelta(days=32), parse_rule("FREQ=DAILY")),
        Recurrence("UTC", wall("2300-01-01T10:00"), HOUR, parse_rule("FREQ=DAILY")),
        Recurrence("UTC", wall("2026-01-01T10:00"), HOUR, parse_rule("FREQ=DAILY;UNTIL=20251231")),
        Recurrence("UTC", wall("2026-01-01T10:00"), HOUR, parse_rule("FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=30")),
        Recurrence("Mars/Olympus", wall("2026-01-01T10:00"), HOUR, parse_rule("FREQ=DAILY")),
        Recurrence("../../etc/passwd", wall("2026-01-01T10:00"), HOUR, parse_rule("FREQ=DAILY")),
    ],
)
def test_refuse__unusable_timing(timing: Span | Recurrence) -> None:
    with pytest.raises(UnusableSchedule):
        refuse_unusable(timing)


def test_refuse__usable_timing__passes() -> None:
    for window in (BASE, NIGHTS):
        refuse_unusable(window.timing)

        assert next(iter(occurrences(window, NOW - timedelta(days=400), NOW + timedelta(days=400))), None)
