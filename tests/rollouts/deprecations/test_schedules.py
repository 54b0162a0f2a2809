"""Dates by the clock: templates in eight zones, clocks that are changed and clocks that jump, and postponed dates."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from rollouts.deprecations.checking import schedule_problems
from rollouts.deprecations.codec import InvalidTimeline, as_json, from_json
from rollouts.deprecations.deciding import MilestoneFacts, Move, Reached, decide
from rollouts.deprecations.definition import TimelineDefinition
from rollouts.deprecations.documents import document_at
from rollouts.deprecations.schedules import dates_of, fill, postponed
from rollouts.deprecations.templates import BUILT_IN, TemplateStep, TimelineTemplate
from rollouts.schedules.zones import UnusableSchedule, instant_in
from tests.flags.evaluation.documents import document

from .shapes import USUAL, K, day, milestone, timeline

MINUTE, HOUR, YEAR = timedelta(minutes=1), timedelta(hours=1), timedelta(days=365)
ZONES = (
    "Europe/Berlin",
    "Europe/London",
    "America/New_York",
    "America/Santiago",
    "Asia/Jerusalem",
    "Australia/Lord_Howe",
    "Pacific/Chatham",
    "Antarctica/Troll",
)
JUMPS = (-2 * HOUR, timedelta(0), YEAR)


def _edges(zone: ZoneInfo) -> list[datetime]:
    """The two instants of 2027 at which the zone's clocks are changed."""
    hours = [datetime(2027, 1, 1, tzinfo=UTC) + number * HOUR / 2 for number in range(365 * 48)]
    offsets = [hour.astimezone(zone).utcoffset() for hour in hours]
    return [hours[number] for number in range(1, len(hours)) if offsets[number] != offsets[number - 1]]


EDGES = [(name, edge) for name in ZONES for edge in _edges(ZoneInfo(name))]
ACROSS = pytest.mark.parametrize(("name", "edge"), EDGES, ids=[f"{name}-{edge:%b}" for name, edge in EDGES])


def wall(at: datetime, name: str) -> datetime:
    return at.astimezone(ZoneInfo(name)).replace(tzinfo=None)


def around(name: str, edge: datetime) -> TimelineDefinition:
    """A timeline whose brownout is announced for a time that the clocks skip, or for one that they show twice."""
    shown = wall(edge - MINUTE, name)
    is_gap = wall(edge, name) > shown + 2 * MINUTE
    on, at = (shown + (16 if is_gap else -14) * MINUTE).date(), (shown + (16 if is_gap else -14) * MINUTE).time()
    steps = (
        TemplateStep(K.ANNOUNCE, 0, at),
        TemplateStep(K.WARN, 1, at),
        TemplateStep(K.BROWNOUT, 7, at, minutes=60),
        TemplateStep(K.SUNSET, 8, at),
        TemplateStep(K.ARCHIVE, 9, at),
    )
    template = TimelineTemplate("edge", "Edge", "", (), steps)
    return fill(template, flag_key="old-checkout", starts_on=on - timedelta(days=7), zone=name)


@ACROSS
@pytest.mark.parametrize("jump", JUMPS, ids=str)
def test_brownout__around_a_change_of_clocks__runs_once_in_its_window_whatever_the_clock_does(
    name: str, edge: datetime, jump: timedelta
) -> None:
    definition = around(name, edge)
    at = definition.milestones[2].at
    moves: list[tuple[Move, datetime]] = []
    number, in_brownout, last = 2, False, Reached(2, definition.milestones[1].at)

    for minute in range(8 * 60):
        true = edge - 3 * HOUR + minute * MINUTE
        shown = true + (jump if true >= edge - HOUR else timedelta(0))
        found = decide(definition, number, MilestoneFacts(shown, last, in_brownout))
        if found.move is Move.WAIT:
            continue
        moves.append((found.move, true))
        number = found.to_milestone or number
        in_brownout = found.move is Move.ADVANCE and definition.milestones[number - 1].kind is K.BROWNOUT
        if found.move is Move.ADVANCE:
            last = Reached(number, shown)

    assert schedule_problems(definition) == []
    if jump > timedelta(0):
        # Nobody can tell that the clock is wrong: the window is over by it, and what follows is due.
        assert moves[:2] == [(Move.SKIP_MISSED, edge - HOUR), (Move.ADVANCE, edge - HOUR + MINUTE)]
        assert len(moves) == 2
    else:
        assert moves == [(Move.ADVANCE, at - jump), (Move.END_BROWNOUT, at - jump + HOUR)]


@ACROSS
def test_dates_of__a_time_near_a_change_of_clocks__is_what_the_clock_shows_or_the_end_of_the_gap(
    name: str, edge: datetime
) -> None:
    definition = around(name, edge)

    at = [item.at for item in definition.milestones]
    assert {instant.utcoffset() for instant in at} == {timedelta(0)}
    shown = [wall(instant, name).time() for instant in at]
    assert len({*shown[:2], *shown[3:]}) == 1
    assert shown[2] == shown[0] or at[2] == edge
    assert from_json(as_json(definition)) == definition
    until = document_at(definition, document(), 3, now=at[2])["deprecation"]["withdrawal"]["until"]
    assert datetime.fromisoformat(until) == at[2] + HOUR


@pytest.mark.parametrize("name", ZONES)
@pytest.mark.parametrize("template", BUILT_IN, ids=[template.key for template in BUILT_IN])
def test_fill__template_on_any_day_of_a_year__keeps_its_wall_times(template: TimelineTemplate, name: str) -> None:
    for starts_on in (date(2027, 1, 4) + timedelta(days=13 * step) for step in range(28)):
        found = fill(template, flag_key="old-checkout", starts_on=starts_on, zone=name)

        shown = [wall(item.at, name) for item in found.milestones]
        planned = [datetime.combine(starts_on + timedelta(days=step.after_days), step.at) for step in template.steps]
        assert shown == planned
        assert schedule_problems(found) == []


def test_dates_of__unknown_zone__is_refused() -> None:
    with pytest.raises(UnusableSchedule, match="no time zone"):
        dates_of(BUILT_IN[0], date(2026, 3, 2), "Europe/Atlantis")


@ACROSS
def test_postponed__with_later_across_a_change_of_clocks__keeps_wall_times(name: str, edge: datetime) -> None:
    starts_on = wall(edge, name).date() - timedelta(days=30)
    usual = fill(BUILT_IN[0], flag_key="old-checkout", starts_on=starts_on, zone=name)
    to = instant_in(ZoneInfo(name), wall(usual.milestones[2].at, name) + timedelta(days=10))

    found = postponed(usual, 3, to, with_later=True)

    before, after = ([wall(item.at, name) for item in one.milestones] for one in (usual, found))
    assert after[:2] == before[:2]
    assert [new - old for old, new in zip(before[2:], after[2:], strict=True)] == [timedelta(days=10)] * 5


def test_postponed__alone__moves_nothing_else() -> None:
    found = postponed(timeline(), 7, day(65))

    moved = [item.at for item in found.milestones]
    assert moved == [*(item.at for item in USUAL[:6]), day(65), day(90)]
    assert found.milestones[6].kind is K.SUNSET


def test_postponed__time_of_day__is_moved_for_the_later_ones_too() -> None:
    found = postponed(timeline(), 7, day(61) + HOUR / 2, with_later=True)

    assert [item.at for item in found.milestones[6:]] == [day(61) + HOUR / 2, day(91) + HOUR / 2]


@pytest.mark.parametrize(
    ("number", "to", "options", "path", "words"),
    [
        (7, day(60), {}, "milestones.6.at", "Sunset is due on 1 May 2026, 09:00. Choose a later date to postpone it"),
        (7, day(59), {"with_later": True}, "milestones.6.at", "Choose a later date to postpone it"),
        (7, day(90), {}, "milestones.7.at", "Archiving has to come later than sunset on 31 May 2026, 09:00"),
        (3, day(37) - 5 * MINUTE, {}, "milestones.3.at", "The brownout before it runs until 8 April 2026, 09:05"),
        (8, datetime(2300, 1, 1, tzinfo=UTC), {}, "milestones.7.at", "2000 to 2199"),
    ],
)
def test_postponed__date_that_cannot_be__is_refused(
    number: int, to: datetime, options: dict[str, Any], path: str, words: str
) -> None:
    with pytest.raises(InvalidTimeline, match=words) as refused:
        postponed(timeline(), number, to, **options)

    assert [problem["path"] for problem in refused.value.facts["problems"]] == [path]


def test_postponed__gates_and_amounts__stay() -> None:
    gated = timeline(
        *USUAL[:4], milestone(K.RAMP_DOWN, 45, weight=7, residual_days=3, residual_at_most=9), *USUAL[6:], link="x"
    )

    found = postponed(gated, 5, day(50))

    assert as_json(found) | {"milestones": None} == as_json(gated) | {"milestones": None}
    assert as_json(found)["milestones"][4] == as_json(gated)["milestones"][4] | {"at": "2026-04-21T09:00:00Z"}
