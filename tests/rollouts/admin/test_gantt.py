"""Months as a strip: where instants stand, what is cut off, and what is written along it. No database."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from rollouts.admin.timelines.gantt import LEAST_WIDTH, frame_of

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def berlin(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=BERLIN)  # type: ignore[misc,arg-type]


@pytest.mark.parametrize(
    ("months", "begins", "first", "name"),
    [
        ("", "", "2026-10-01", "October to December 2026"),
        ("1", "", "2026-11-01", "November 2026"),
        ("3", "2027-01", "2027-01-01", "January to March 2027"),
        ("12", "2026-11", "2026-11-01", "November 2026 to October 2027"),
        ("7", "2026-13", "2026-10-01", "October to December 2026"),
        ("3", "٢٠٢٦-01", "2026-10-01", "October to December 2026"),
        ("3", "9999-01", "2026-10-01", "October to December 2026"),
    ],
)
def test_frame_of__parameters__name_months_or_the_usual_ones(months, begins, first, name):
    frame = frame_of(months, begins, now=NOW, zone=BERLIN)

    assert (frame.first.isoformat(), frame.name) == (first, name)


def test_frame__place__counts_from_midnight_by_the_clocks():
    frame = frame_of("1", "2026-11", now=NOW, zone=BERLIN)

    assert frame.place(berlin(2026, 11, 1)) == 0
    assert frame.place(berlin(2026, 11, 16)) == 50
    assert frame.place(berlin(2026, 12, 1)) is None
    assert frame.place(berlin(2026, 10, 31, 23, 59)) is None


@pytest.mark.parametrize(
    ("starts", "ends", "left", "width", "cuts"),
    [
        (berlin(2026, 11, 4), berlin(2026, 11, 7), 10, 10, (False, False)),
        (berlin(2026, 10, 4), berlin(2026, 11, 4), 0, 10, (True, False)),
        (berlin(2026, 11, 28), berlin(2026, 12, 4), 90, 10, (False, True)),
        (berlin(2026, 1, 1), berlin(2027, 1, 1), 0, 100, (True, True)),
        (berlin(2026, 11, 16), berlin(2026, 11, 16, 0, 1), 50, LEAST_WIDTH, (False, False)),
        (berlin(2026, 11, 30, 23, 59), berlin(2026, 12, 1), 100 - LEAST_WIDTH, LEAST_WIDTH, (False, False)),
    ],
)
def test_frame__part__is_what_is_seen_and_never_runs_out_of_it(starts, ends, left, width, cuts):
    part = frame_of("1", "2026-11", now=NOW, zone=BERLIN).part(starts, ends)

    assert part is not None
    assert part.left == pytest.approx(left, abs=0.01)
    assert part.width == pytest.approx(width, abs=0.01)
    assert (part.is_cut_before, part.is_cut_after) == cuts


@pytest.mark.parametrize("away", [timedelta(days=-90), timedelta(days=90)])
def test_frame__part__of_another_time__is_nothing(away):
    frame = frame_of("1", "2026-11", now=NOW, zone=BERLIN)

    assert frame.part(NOW + away, NOW + away + timedelta(days=5)) is None


@pytest.mark.parametrize(("months", "named", "weeks"), [("1", 1, 5), ("3", 3, 13), ("12", 12, 0)])
def test_frame__marks__name_months_and_with_few_of_them_weeks(months, named, weeks):
    marks = frame_of(months, "2026-11", now=NOW, zone=BERLIN).marks

    assert sum(mark.is_month for mark in marks) == named
    assert sum(not mark.is_month for mark in marks) == weeks
    assert all(0 <= mark.left < 100 for mark in marks)


def test_frame__steps__go_on_and_back_without_leaving_the_zoom():
    frame = frame_of("12", "2026-11", now=NOW, zone=BERLIN)

    assert (frame.before, frame.after) == ("2026-07", "2027-03")
