"""When milestones ahead come at the earliest: what is promised is what the engine then does."""

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from rollouts.deprecations.ahead import milestones_ahead
from rollouts.deprecations.deciding import Reached
from rollouts.deprecations.definition import TimelineDefinition
from rollouts.deprecations.words import milestone_sentence

from .engine import Engine
from .shapes import day, timeline
from .strategies import timelines

HOUR = timedelta(hours=1)


def test_milestones_ahead__on_time__are_the_dates() -> None:
    found = milestones_ahead(timeline(), 2, reached=Reached(2, day(14)), now=day(20))

    assert [(one.number, one.earliest_at) for one in found] == [
        (number, timeline().milestones[number - 1].at) for number in range(3, 9)
    ]
    assert [one.sentence for one in found] == [milestone_sentence(timeline(), number) for number in range(3, 9)]
    assert not any(one.is_late for one in found)


def test_milestones_ahead__after_an_outage__are_a_day_apart_until_the_dates_are_caught_up_with() -> None:
    found = milestones_ahead(timeline(), 2, reached=Reached(2, day(14)), now=day(61))

    assert [one.earliest_at for one in found] == [None, None, day(61), day(62), day(63), day(90)]
    assert [one.is_late for one in found] == [True, True, True, True, True, False]
    assert found[0].sentence == (
        "Brownout of 10 minutes was planned for 1 April 2026, 09:00 and will be missed: its announced time is over "
        "before it can come."
    )
    assert found[3].sentence == (
        "Ramp-down of 50 % was planned for 23 April 2026, 09:00 and comes on 3 May 2026, 09:00 at the earliest, "
        "10 days late."
    )


def test_milestones_ahead__before_the_start_and_after_the_end__are_all_and_none() -> None:
    assert len(milestones_ahead(timeline(), 0, reached=None, now=day(-9))) == 8
    assert milestones_ahead(timeline(), 8, reached=Reached(8, day(90)), now=day(91)) == ()


@given(timelines(), st.integers(0, 40 * 24))
def test_milestones_ahead__nothing_in_the_way__is_what_happens(definition: TimelineDefinition, hours: int) -> None:
    now = definition.milestones[0].at + hours * HOUR
    promised = milestones_ahead(definition, 0, reached=None, now=now)
    engine = Engine(definition)

    engine.run(now, max(now, definition.milestones[-1].at) + timedelta(days=30), step=timedelta(seconds=0))

    expected: list[tuple[int, datetime]] = [(one.number, one.earliest_at) for one in promised if one.earliest_at]
    assert engine.reached() == expected
    assert engine.missed() == [one.number for one in promised if one.earliest_at is None]
