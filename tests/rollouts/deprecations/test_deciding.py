"""What a running timeline does next: a table of facts, and outages of any length."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollouts.deprecations.deciding import LONGEST_WAIT, MilestoneFacts, Move, Reached, decide, least_rest
from rollouts.deprecations.definition import TimelineDefinition
from rollouts.deprecations.documents import brownout_ends_at

from .engine import Engine
from .shapes import USUAL, K, day, milestone, timeline
from .strategies import timelines

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
FREE = timeline()
GATED = timeline(
    *USUAL[:2],
    milestone(K.BROWNOUT, 30, minutes=30, residual_days=7, residual_at_most=1_000),
    milestone(K.RAMP_DOWN, 45, weight=25_000, not_before_rest_minutes=4 * 1_440),
    milestone(K.SUNSET, 60, residual_days=1, residual_at_most=0, approvals=2),
    *USUAL[7:],
)

# The ramp-down comes two hours after a brownout.
SHORT = timeline(*USUAL[:3], milestone(K.RAMP_DOWN, 30 + 2 / 24, weight=25_000), *USUAL[6:])


def facts(on_day: float, *, reached: tuple[int, float] | None = None, **more: Any) -> MilestoneFacts:
    return MilestoneFacts(day(on_day), None if reached is None else Reached(reached[0], day(reached[1])), **more)


M = 1 / 1_440
# Definition, milestone, facts, move, the milestone it leads to, words of the sentence, the next look in days.
DECIDED: list[tuple[TimelineDefinition, int, MilestoneFacts, Move, int | None, str, float | None]] = [
    # Dates.
    (FREE, 0, facts(-3), Move.WAIT, None, "Announcement is due on 2 March 2026, 09:00 (UTC)", -3 + 1 / 24),
    (FREE, 0, facts(-5 * M), Move.WAIT, None, "is due on 2 March", 0),
    (FREE, 0, facts(0), Move.ADVANCE, 1, "On to milestone 1: announcement.", 0),
    (FREE, 0, facts(3), Move.ADVANCE, 1, "announcement, 3 days after its date.", 3),
    (FREE, 0, facts(4 * M), Move.ADVANCE, 1, "On to milestone 1: announcement.", 4 * M),
    (FREE, 1, facts(13, reached=(1, 0)), Move.WAIT, None, "Warning to services is due on 16 March", 13 + 1 / 24),
    (FREE, 1, facts(14, reached=(1, 0)), Move.ADVANCE, 2, "On to milestone 2: warning to services.", 14),
    (FREE, 7, facts(89.99, reached=(7, 60)), Move.WAIT, None, "Archiving is due", 90),
    (FREE, 7, facts(90, reached=(7, 60)), Move.ADVANCE, 8, "On to milestone 8: archiving.", 90),
    (FREE, 8, facts(90, reached=(8, 90)), Move.COMPLETE, None, "the timeline is done", None),
    # The milestone before was late: people get some time first.
    (FREE, 1, facts(14, reached=(1, 13.5)), Move.WAIT, None, "people get time until 16 March 2026, 21:00", 14 + 1 / 24),
    (
        FREE,
        1,
        facts(14.49, reached=(1, 13.5)),
        Move.WAIT,
        None,
        "The last milestone came on 15 March 2026, 21:00",
        14.5,
    ),
    (FREE, 1, facts(14.5, reached=(1, 13.5)), Move.ADVANCE, 2, "12 hours after its date", 14.5),
    (FREE, 1, facts(14, reached=(1, 13)), Move.ADVANCE, 2, "On to", 14),
    (FREE, 1, facts(14, reached=(1, 400)), Move.ADVANCE, 2, "On to", 14),
    (FREE, 1, facts(14, reached=(1, 14 + M)), Move.WAIT, None, "people get time", 14 + 1 / 24),
    (GATED, 3, facts(45, reached=(3, 42)), Move.WAIT, None, "people get time until 17 April 2026, 09:00", 45 + 1 / 24),
    (GATED, 3, facts(46, reached=(3, 42)), Move.ADVANCE, 4, "25 %", 46),
    # Brownouts.
    (FREE, 2, facts(30, reached=(2, 14)), Move.ADVANCE, 3, "brownout of 10 minutes.", 30),
    (FREE, 2, facts(30 + 9 * M, reached=(2, 14)), Move.ADVANCE, 3, "9 minutes after its date", 30 + 9 * M),
    (FREE, 2, facts(30 + 10 * M, reached=(2, 14)), Move.SKIP_MISSED, 3, "over on 1 April 2026, 09:10", 30 + 10 * M),
    (FREE, 2, facts(30 + 10 * M, reached=(2, 30)), Move.SKIP_MISSED, 3, "It is not made up for", 30 + 10 * M),
    (FREE, 2, facts(31, blocked_by="Frozen."), Move.SKIP_MISSED, 3, "was missed", 31),
    (FREE, 2, facts(30 + M, reached=(2, 30)), Move.WAIT, None, "people get time", 30 + 10 * M),
    (FREE, 3, facts(30 + M, in_brownout=True), Move.WAIT, None, "runs until 1 April 2026, 09:10", 30 + 10 * M),
    (FREE, 4, facts(37 + M, in_brownout=True), Move.WAIT, None, "runs until 8 April 2026, 10:00", 37 + 60 * M),
    (FREE, 3, facts(30 + 10 * M, in_brownout=True), Move.END_BROWNOUT, None, "ended on 1 April", 30 + 10 * M),
    (FREE, 3, facts(99, in_brownout=True, blocked_by="Frozen."), Move.END_BROWNOUT, None, "they had before", 99),
    (FREE, 3, facts(36, reached=(3, 30)), Move.WAIT, None, "Brownout of 1 hour is due on 8 April", 36 + 1 / 24),
    # What stands in the way counts once the date has come.
    (FREE, 1, facts(13, blocked_by="Frozen."), Move.WAIT, None, "is due on", 13 + 1 / 24),
    (FREE, 1, facts(14, blocked_by="Frozen."), Move.HOLD, None, "Frozen.", 14 + M),
    (FREE, 1, facts(14, blocked_by="?", look_again_at=day(14.01)), Move.HOLD, None, "?", 14.01),
    (FREE, 1, facts(14, blocked_by="?", look_again_at=day(20)), Move.HOLD, None, "?", 14 + 1 / 24),
    (FREE, 2, facts(30 + 9 * M, blocked_by="?", look_again_at=day(31)), Move.HOLD, None, "?", 30 + 10 * M),
    # A brownout that was missed gives nobody rest: it counts from the milestone before it.
    (SHORT, 3, facts(30.1, reached=(2, 29.9)), Move.WAIT, None, "came on 1 April 2026, 06:36", 30.1 + 1 / 24),
    (SHORT, 3, facts(30.9, reached=(2, 29.9)), Move.ADVANCE, 4, "25 %", 30.9),
    (SHORT, 3, facts(30.1, reached=(3, 30)), Move.ADVANCE, 4, "25 %", 30.1),
    # Residual use. No figures are not zero: somebody has to say so.
    (GATED, 2, facts(30, residual=1_001), Move.HOLD, None, "1,001 evaluations in the last 7 days; 1,000", 30 + M),
    (GATED, 2, facts(30, residual=1_000), Move.ADVANCE, 3, "brownout", 30),
    (GATED, 2, facts(30), Move.HOLD, None, "Nothing was reported here in the last 7 days", 30 + M),
    (GATED, 2, facts(30, approvals=1), Move.ADVANCE, 3, "brownout", 30),
    (GATED, 2, facts(30, residual=1_001, approvals=5), Move.HOLD, None, "1,001", 30 + M),
    (GATED, 2, facts(29, residual=9_999), Move.WAIT, None, "is due", 29 + 1 / 24),
    (GATED, 4, facts(60, residual=1, approvals=2), Move.HOLD, None, "1 evaluation in the last day; 0 may", 60 + M),
    # Approval comes last.
    (GATED, 4, facts(60, residual=0), Move.HOLD, None, "0 of 2 approvals to go on", 60 + M),
    (GATED, 4, facts(60, residual=0, approvals=1), Move.HOLD, None, "1 of 2 approvals", 60 + M),
    (GATED, 4, facts(60, approvals=1), Move.HOLD, None, "1 of 2 approvals", 60 + M),
    (GATED, 4, facts(60, approvals=2), Move.ADVANCE, 5, "sunset", 60),
    (GATED, 4, facts(60, residual=0, approvals=2), Move.ADVANCE, 5, "On to milestone 5: sunset.", 60),
    (GATED, 4, facts(59, residual=0, approvals=2), Move.WAIT, None, "Sunset is due", 59 + 1 / 24),
]


@pytest.mark.parametrize(
    ("definition", "number", "known", "move", "to", "words", "next_look"), DECIDED, ids=range(len(DECIDED))
)
def test_decide__facts__lead_to_this_move(
    definition: TimelineDefinition,
    number: int,
    known: MilestoneFacts,
    move: Move,
    to: int | None,
    words: str,
    next_look: float | None,
) -> None:
    found = decide(definition, number, known)

    assert (found.move, found.to_milestone) == (move, to), found.sentence
    assert words in found.sentence
    if next_look is None:
        assert found.next_look_at is None
    else:
        assert found.next_look_at is not None
        assert abs(found.next_look_at - day(next_look)) < timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("known", "code", "met"),
    [
        (facts(60, blocked_by="?", residual=0), "", [True, True, False]),
        (facts(60, residual=5), "residual", [True, False, False]),
        (facts(60), "residual", [True, False, False]),
        (facts(60, residual=0), "approval", [True, True, False]),
        (facts(50, residual=0, approvals=2), "", [False, True, True]),
    ],
)
def test_decide__gates__are_all_shown_and_the_one_that_holds_is_named(
    known: MilestoneFacts, code: str, met: list[bool]
) -> None:
    found = decide(GATED, 4, known)

    assert found.code == code
    assert [gate.name for gate in found.gates] == ["date", "residual", "approval"]
    assert [gate.is_met for gate in found.gates] == met
    assert all(gate.sentence.endswith(".") for gate in found.gates)


def test_least_rest__planned_distance__is_half_of_it_a_day_at_most_or_what_is_asked() -> None:
    close = timeline(*USUAL[:2], milestone(K.BROWNOUT, 14 + 10 * M, minutes=5), *USUAL[4:])

    assert least_rest(close, 1, 0) == timedelta(0)
    assert least_rest(close, 3, 2) == 5 * MINUTE
    assert least_rest(close, 4, 3) == DAY
    assert least_rest(close, 4, 2) == DAY
    assert least_rest(GATED, 4, 3) == 4 * DAY


@given(timelines())
def test_timeline__looked_at_when_it_asks__comes_to_every_milestone_at_its_time(definition: TimelineDefinition) -> None:
    """Where milestones follow each other within minutes the one worker may be late by one look."""
    starts_at, ends_at = definition.milestones[0].at, definition.milestones[-1].at
    engine = Engine(definition)

    engine.run(starts_at - HOUR, ends_at + 2 * DAY)

    late = [at - definition.milestones[number - 1].at for number, at in engine.reached()]
    assert engine.is_done
    assert min(late) >= timedelta(0)
    assert max(late) <= len(late) * 2 * MINUTE
    assert [number for number, _ in engine.reached()] + engine.missed() == list(range(1, len(late) + 1))


OUTAGES = [HOUR, DAY, 31 * DAY]


@given(timelines(), st.sampled_from(OUTAGES), st.integers(0, 100))
def test_timeline__outage_of_any_length__never_brings_two_milestones_at_once(
    definition: TimelineDefinition, length: timedelta, percent: int
) -> None:
    starts_at, ends_at = definition.milestones[0].at, definition.milestones[-1].at
    begins_at = starts_at + (ends_at - starts_at) * percent / 100
    engine = Engine(definition)

    engine.run(starts_at, ends_at + length + 30 * DAY, outage=(begins_at, begins_at + length))

    assert engine.is_done
    passed = {number for number, _ in engine.reached()} | set(engine.missed())
    assert passed == set(range(1, len(definition.milestones) + 1))
    assert all(definition.milestones[number - 1].kind is K.BROWNOUT for number in engine.missed())
    for (last, before), (number, after) in pairwise(engine.reached()):
        assert after - before >= least_rest(definition, number, last)
    for number, at in engine.reached():
        reached = definition.milestones[number - 1]
        assert at >= reached.at
        assert reached.kind is not K.BROWNOUT or at < brownout_ends_at(reached)


@pytest.mark.parametrize("length", OUTAGES, ids=str)
def test_timeline__outage_from_right_before_the_first_brownout__does_not_make_up_for_it(length: timedelta) -> None:
    engine = Engine(FREE)

    engine.run(day(0), day(150), outage=(day(30) - MINUTE, day(30) - MINUTE + length))

    missed = {HOUR: [3], DAY: [3], 31 * DAY: [3, 4]}[length]
    dates = dict(engine.reached())
    assert engine.missed() == missed
    assert dates[2] == day(14)
    if length == 31 * DAY:
        back = day(61) - MINUTE
        assert dates[5] == back + 2 * MINUTE
        assert dates[6] == dates[5] + DAY
        assert dates[7] == dates[6] + DAY
    assert dates[8] == day(90)


@pytest.mark.parametrize("stage", range(len(USUAL)))
def test_timeline__held_at_a_milestone__goes_on_from_it_once_nothing_is_in_the_way(stage: int) -> None:
    engine = Engine(FREE, blocked_by="Frozen.")
    engine.number, engine.last = stage, None
    at = USUAL[stage].at

    assert engine.look(at).move is Move.HOLD
    engine.known = {}
    assert engine.look(at + MINUTE).to_milestone == stage + 1


@given(timelines(), st.data())
def test_decide__any_facts__looks_again_within_an_hour(definition: TimelineDefinition, data: st.DataObject) -> None:
    number = data.draw(st.integers(0, len(definition.milestones)))
    spread = st.timedeltas(timedelta(days=-40), timedelta(days=40))
    near = definition.milestones[min(number, len(definition.milestones) - 1)].at
    now = near + data.draw(spread)
    known = MilestoneFacts(
        now,
        data.draw(st.none() | spread.map(lambda distance: Reached(number, now + distance))),
        bool(number) and definition.milestones[number - 1].kind is K.BROWNOUT and data.draw(st.booleans()),
        blocked_by=data.draw(st.sampled_from(["", "Frozen."])),
    )

    found = decide(definition, number, known)

    if found.next_look_at is not None:
        assert now <= found.next_look_at <= now + LONGEST_WAIT
    assert found.sentence.endswith(".")
    if found.move in (Move.WAIT, Move.HOLD):
        assert decide(definition, number, replace(known, now=now)) == found
