"""What a running plan does next: a table of facts, and that bad news never makes it go on earlier."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollouts.guarding.outcomes import GuardOutcome as Out
from rollouts.guarding.outcomes import action_of
from rollouts.plans.deciding import (
    CheckFacts,
    CheckOutcome,
    GuardFacts,
    Move,
    StageFacts,
    decide,
    fold,
    gates_of,
    is_good,
    last_good,
)
from rollouts.plans.definition import Check, CheckKind, Gates, GuardAction, Options, PlanDefinition, Stage, Strategy
from tests.rollouts.plans.shapes import KEY, guard, share

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
SMOKE, SLOW = Check("Smoke", CheckKind.HTTP, url="https://example.org"), Check("Slow", CheckKind.PROMETHEUS, query="up")
PASSED, FAILED, ERROR = (CheckFacts(outcome) for outcome in CheckOutcome)

TIMED = Gates(soak_minutes=30)
MONITORED = Gates(soak_minutes=30, is_monitored=True)
DATED = Gates(not_before=NOON + timedelta(hours=1))
ASKED = Gates(soak_minutes=30, approvals=2)
SAMPLED = Gates(minimum_sample=100)
CHECKED = Gates(checks=(SMOKE, SLOW))
EVERYTHING = Gates(30, NOON + timedelta(hours=1), 2, 100, True, (SMOKE, SLOW))
FREE = Gates()


def plan_of(*gates: Gates, **options: Any) -> PlanDefinition:
    stages = tuple(Stage(str(number), (share(number),), one) for number, one in enumerate(gates, start=1))
    return PlanDefinition((KEY,), Strategy.CUSTOM, stages, (guard(),), Options(**options))


def says(outcome: Out, action: GuardAction | None = None, *, sample: int = 500, **spec: Any) -> GuardFacts:
    return GuardFacts("Errors", outcome, action or action_of(outcome, guard(**spec)), "", sample, sample)


def facts_at(minutes: float, **fields: Any) -> StageFacts:
    """A stage entered at noon, all of whose minutes had fresh data."""
    values = {"now": NOON + timedelta(minutes=minutes), "entered_at": NOON, "fresh_minutes": max(0, int(minutes))}
    return StageFacts(**{**values, **fields})


def advises(one: GuardFacts) -> GuardFacts:
    """The same guard where its arms are not drawn by lot."""
    return replace(one, is_randomised=False)


SAFE, OPEN = says(Out.HEALTHY), says(Out.COLLECTING)
BAD, BROKEN = says(Out.BREACH), says(Out.HARD_BREAK)
SIGNAL = says(Out.BREACH, is_guardrail=False)
LOST = says(Out.MISSING)
CRITICAL = says(Out.MISSING, is_critical=True, on_missing=GuardAction.ROLL_BACK)
MET = {"Smoke": PASSED, "Slow": PASSED}
ALL_MET: dict[str, Any] = {"guards": (SAFE,), "approvals": 2, "checks": MET}

# Gates of the present stage, facts, the move, words of its sentence.
DECIDED: list[tuple[Gates, StageFacts, Move, str]] = [
    # Time.
    (FREE, facts_at(0), Move.ADVANCE, "On to stage 2"),
    (TIMED, facts_at(4), Move.WAIT, "Served for 4 of 30 minutes; next at 12:30 UTC"),
    (TIMED, facts_at(29.99), Move.WAIT, "29 of 30 minutes"),
    (TIMED, facts_at(30), Move.ADVANCE, "Every gate is met"),
    (TIMED, facts_at(30, fresh_minutes=0), Move.ADVANCE, "Every gate is met"),
    (TIMED, facts_at(-120), Move.WAIT, "0 of 30 minutes"),
    (TIMED, facts_at(30, extra_soak_minutes=30), Move.WAIT, "Served for 30 of 60 minutes; next at 13:00 UTC"),
    (TIMED, facts_at(60, extra_soak_minutes=30), Move.ADVANCE, "Every gate is met"),
    (DATED, facts_at(59), Move.WAIT, "Not before 13:00 UTC"),
    (DATED, facts_at(60), Move.ADVANCE, "Every gate is met"),
    (Gates(not_before=NOON + timedelta(days=2)), facts_at(59), Move.WAIT, "Not before 6 May 2026 12:00 UTC"),
    # Monitored: fresh minutes count, and guards have to say that it is safe.
    (MONITORED, facts_at(45, fresh_minutes=20, guards=(SAFE,)), Move.WAIT, "20 of 30 minutes with fresh data"),
    (MONITORED, facts_at(45, fresh_minutes=20, guards=(SAFE,)), Move.WAIT, "at 12:55 UTC if data keeps coming"),
    (MONITORED, facts_at(10, fresh_minutes=90, guards=(SAFE,)), Move.WAIT, "10 of 30 minutes with fresh data"),
    (MONITORED, facts_at(30, guards=(SAFE,)), Move.ADVANCE, "Every gate is met"),
    (MONITORED, facts_at(29, guards=(SAFE,)), Move.WAIT, "29 of 30"),
    (MONITORED, facts_at(29, guards=(OPEN,)), Move.WAIT, "29 of 30"),
    (MONITORED, facts_at(30, guards=(OPEN,)), Move.EXTEND, "undecided: Errors. The stage is served for its time once"),
    (MONITORED, facts_at(45, guards=(OPEN,), extra_soak_minutes=30), Move.WAIT, "45 of 60"),
    (MONITORED, facts_at(60, guards=(OPEN,), extra_soak_minutes=30, is_extended=True), Move.PAUSE, "Its time is over"),
    (MONITORED, facts_at(31, guards=(OPEN,), extra_soak_minutes=1), Move.EXTEND, "served for its time once more"),
    (MONITORED, facts_at(30, guards=(OPEN,), is_extended=True), Move.PAUSE, "Its time is over, so a person"),
    (MONITORED, facts_at(60, guards=(SAFE,), extra_soak_minutes=30), Move.ADVANCE, "Every gate is met"),
    (MONITORED, facts_at(30, guards=(says(Out.AT_RISK),)), Move.EXTEND, "undecided"),
    (MONITORED, facts_at(30, guards=(says(Out.RECOVERED),)), Move.EXTEND, "undecided"),
    (MONITORED, facts_at(30, guards=(SAFE, OPEN)), Move.EXTEND, "1 of 2 guards found this safe"),
    (MONITORED, facts_at(30), Move.EXTEND, "0 guards"),
    (MONITORED, facts_at(30, guards=(advises(OPEN),)), Move.ADVANCE, "Every gate is met"),
    (MONITORED, facts_at(30, guards=(says(Out.BREACH, on_breach=GuardAction.WARN),)), Move.ADVANCE, "Every gate"),
    # A breach comes first, whatever else there is.
    (TIMED, facts_at(1, guards=(BAD,)), Move.ROLL_BACK, "Errors: Breach"),
    (TIMED, facts_at(30, guards=(BAD,)), Move.ROLL_BACK, "Errors: Breach"),
    (FREE, facts_at(0, guards=(BAD,)), Move.ROLL_BACK, "Errors: Breach"),
    (MONITORED, facts_at(1, guards=(SAFE, BAD)), Move.ROLL_BACK, "Errors: Breach"),
    (MONITORED, facts_at(1, guards=(BAD,), reversals=1), Move.PAUSE, "rolled itself back before"),
    (MONITORED, facts_at(1, guards=(advises(BAD),)), Move.PAUSE, "not drawn by lot"),
    (MONITORED, facts_at(1, guards=(BAD,), blocked_by="Frozen."), Move.ROLL_BACK, "Errors: Breach"),
    (MONITORED, facts_at(1, guards=(LOST, BAD)), Move.ROLL_BACK, "Errors: Breach"),
    (TIMED, facts_at(1, guards=(says(Out.BREACH, on_breach=GuardAction.PAUSE),)), Move.PAUSE, "Errors: Breach"),
    (TIMED, facts_at(30, guards=(says(Out.BREACH, on_breach=GuardAction.HOLD),)), Move.HOLD, "Errors: Breach"),
    (TIMED, facts_at(30, guards=(says(Out.BREACH, on_breach=GuardAction.WARN),)), Move.ADVANCE, "Every gate"),
    (TIMED, facts_at(1, guards=(BROKEN,)), Move.ROLL_BACK, "Hard break"),
    (TIMED, facts_at(1, guards=(advises(BROKEN),)), Move.ROLL_BACK, "Hard break"),
    (TIMED, facts_at(1, guards=(BROKEN,), reversals=1), Move.PAUSE, "a person decides now"),
    (TIMED, facts_at(1, guards=(advises(BROKEN),), reversals=1), Move.PAUSE, "a person decides now"),
    (TIMED, facts_at(1, guards=(says(Out.HARD_BREAK, is_guardrail=False),)), Move.PAUSE, "Hard break"),
    # Silence is bad news where guards have to have an opinion.
    (MONITORED, facts_at(1, guards=(LOST,)), Move.PAUSE, "No data"),
    (TIMED, facts_at(30, guards=(LOST,)), Move.ADVANCE, "Every gate is met"),
    (TIMED, facts_at(29, guards=(LOST,)), Move.WAIT, "29 of 30"),
    (MONITORED, facts_at(1, guards=(CRITICAL,)), Move.ROLL_BACK, "No data"),
    (MONITORED, facts_at(1, guards=(CRITICAL,), reversals=1), Move.PAUSE, "No data"),
    (MONITORED, facts_at(1, guards=(advises(CRITICAL),)), Move.PAUSE, "No data"),
    (TIMED, facts_at(1, guards=(CRITICAL,)), Move.WAIT, "1 of 30"),
    (MONITORED, facts_at(30, guards=(says(Out.STALE),)), Move.HOLD, "Data out of date"),
    (MONITORED, facts_at(30, guards=(says(Out.STALE, on_stale=GuardAction.PAUSE),)), Move.PAUSE, "out of date"),
    (MONITORED, facts_at(30, guards=(says(Out.STALE, on_stale=GuardAction.WARN),)), Move.EXTEND, "undecided"),
    (MONITORED, facts_at(30, guards=(says(Out.PROBE_ERROR),)), Move.HOLD, "Cannot be asked"),
    (MONITORED, facts_at(30, guards=(LOST, says(Out.STALE))), Move.PAUSE, "No data"),
    # Signals and what is no guard's fault hold.
    (TIMED, facts_at(30, guards=(SIGNAL,)), Move.HOLD, "Errors: Breach"),
    (MONITORED, facts_at(30, guards=(says(Out.SHARED_INCIDENT), SAFE)), Move.HOLD, "Shared incident"),
    (TIMED, facts_at(30, guards=(says(Out.SAMPLE_RATIO),)), Move.HOLD, "Shares are off"),
    (TIMED, facts_at(30, guards=(advises(says(Out.SAMPLE_RATIO)),)), Move.ADVANCE, "Every gate"),
    # A guard of a flag that is not split in this stage neither decides nor keeps the others from it.
    (MONITORED, facts_at(30, guards=(advises(OPEN), OPEN)), Move.EXTEND, "0 of 1 guard found this safe"),
    (MONITORED, facts_at(30, guards=(advises(OPEN), SAFE)), Move.ADVANCE, "Every gate is met"),
    (MONITORED, facts_at(30, guards=(advises(LOST), SAFE)), Move.ADVANCE, "Every gate is met"),
    (MONITORED, facts_at(30, guards=(advises(LOST), says(Out.STALE))), Move.HOLD, "Data out of date"),
    (MONITORED, facts_at(1, guards=(advises(OPEN), BAD)), Move.ROLL_BACK, "Errors: Breach"),
    (MONITORED, facts_at(1, guards=(advises(BAD), SAFE)), Move.PAUSE, "not drawn by lot"),
    (SAMPLED, facts_at(9, guards=(advises(GuardFacts("E", Out.COLLECTING)), SAFE)), Move.ADVANCE, "Every gate"),
    (SAMPLED, facts_at(9, guards=(advises(SAFE), says(Out.COLLECTING, sample=3))), Move.WAIT, "3 of 100"),
    # What stands in the way holds whatever would go on, and hides no pause.
    (TIMED, facts_at(30, blocked_by="Frozen until Monday."), Move.HOLD, "Frozen until Monday."),
    (TIMED, facts_at(1, blocked_by="Frozen until Monday."), Move.HOLD, "Frozen until Monday."),
    (MONITORED, facts_at(30, guards=(OPEN,), blocked_by="Frozen."), Move.HOLD, "Frozen."),
    (MONITORED, facts_at(30, guards=(LOST,), blocked_by="Frozen."), Move.PAUSE, "No data"),
    # Sample, checks and approvals.
    (SAMPLED, facts_at(0), Move.WAIT, "0 of 100 people seen with each variant"),
    (SAMPLED, facts_at(9, guards=(says(Out.COLLECTING, sample=99),)), Move.WAIT, "99 of 100"),
    (SAMPLED, facts_at(9, guards=(says(Out.COLLECTING, sample=100),)), Move.ADVANCE, "Every gate"),
    (SAMPLED, facts_at(9, guards=(SAFE, says(Out.COLLECTING, sample=3))), Move.WAIT, "3 of 100"),
    (SAMPLED, facts_at(9, guards=(GuardFacts("E", Out.COLLECTING, None, "", 3, 900),)), Move.WAIT, "3 of 100"),
    (SAMPLED, facts_at(9, guards=(advises(GuardFacts("E", Out.COLLECTING, None, "", 0, 900)),)),
     Move.ADVANCE, "Every gate"),
    (CHECKED, facts_at(0), Move.WAIT, "Smoke: not asked yet"),
    (CHECKED, facts_at(0, checks={"Smoke": PASSED}), Move.WAIT, "Slow: not asked yet"),
    (CHECKED, facts_at(0, checks={"Smoke": PASSED, "Slow": FAILED}), Move.WAIT, "Slow failed"),
    (CHECKED, facts_at(0, checks={"Smoke": ERROR, "Slow": PASSED}), Move.WAIT, "Smoke could not be asked"),
    (CHECKED, facts_at(0, checks=MET), Move.ADVANCE, "Every gate"),
    (ASKED, facts_at(30), Move.WAIT, "0 of 2 approvals to leave this stage"),
    (ASKED, facts_at(30, approvals=1), Move.WAIT, "1 of 2 approvals"),
    (ASKED, facts_at(29, approvals=2), Move.WAIT, "29 of 30"),
    (ASKED, facts_at(30, approvals=2), Move.ADVANCE, "Every gate"),
    # Everything, each gate in its turn.
    (EVERYTHING, facts_at(29, **ALL_MET), Move.WAIT, "29 of 30"),
    (EVERYTHING, facts_at(59, **ALL_MET), Move.WAIT, "Not before 13:00"),
    (EVERYTHING, facts_at(60, **{**ALL_MET, "guards": (says(Out.HEALTHY, sample=9),)}), Move.WAIT, "9 of 100"),
    (EVERYTHING, facts_at(60, **{**ALL_MET, "guards": (OPEN,)}), Move.EXTEND, "undecided"),
    (EVERYTHING, facts_at(60, **{**ALL_MET, "checks": {}}), Move.WAIT, "Smoke"),
    (EVERYTHING, facts_at(60, **{**ALL_MET, "approvals": 1}), Move.WAIT, "1 of 2"),
    (EVERYTHING, facts_at(60, **ALL_MET), Move.ADVANCE, "Every gate is met: on to stage 2 “2”."),
]  # fmt: skip


@pytest.mark.parametrize(("gates", "facts", "move", "words"), DECIDED)
def test_decide__facts_of_a_stage__lead_to_the_move(gates, facts, move, words):
    decision = decide(plan_of(gates, MONITORED), 1, facts)

    assert decision.move is move
    assert words in decision.sentence
    assert decision.sentence.endswith(".")


@pytest.mark.parametrize(("gates", "facts", "move", "words"), DECIDED)
def test_decide__last_stage__completes_where_another_goes_on(gates, facts, move, words):
    decision = decide(plan_of(gates), 1, facts)

    assert decision.move is (Move.COMPLETE if move is Move.ADVANCE else move)
    assert decision.next_look_at is None or decision.next_look_at >= facts.now


@pytest.mark.parametrize(("gates", "facts", "move", "words"), DECIDED)
def test_decide__undecided_without_a_second_time__pauses(gates, facts, move, words):
    decision = decide(plan_of(gates, extends_once=False), 1, facts)

    assert decision.move is not Move.EXTEND
    assert move is not Move.EXTEND or decision.move is Move.PAUSE


BACK = [
    (3, 2, "last_good", 2),
    (3, 0, "last_good", 0),
    (3, 2, "start", 0),
    (2, 3, "last_good", 1),
    (1, 1, "last_good", 0),
]


@pytest.mark.parametrize(("stage", "good", "option", "to_stage"), BACK)
def test_decide__roll_back__leads_to_an_earlier_stage(stage, good, option, to_stage):
    definition = plan_of(TIMED, TIMED, TIMED, rollback_to=option)

    decision = decide(definition, stage, facts_at(1, guards=(BAD,), good_stage=good))

    assert (decision.move, decision.to_stage) == (Move.ROLL_BACK, to_stage)
    assert last_good(definition, good) == (0 if option == "start" else good)


def test_decide__before_the_first_stage__goes_there_unless_something_stands_in_the_way():
    definition = plan_of(TIMED, TIMED)

    assert decide(definition, 0, facts_at(9_000, guards=(BAD,))).to_stage == 1
    assert decide(definition, 0, facts_at(9_000, blocked_by="Frozen.")).move is Move.HOLD


def test_decide__waiting_for_time_alone__looks_again_when_it_is_up_or_within_the_hour():
    long = Gates(soak_minutes=600)

    assert decide(plan_of(TIMED), 1, facts_at(4)).next_look_at == NOON + timedelta(minutes=30)
    assert decide(plan_of(long), 1, facts_at(4)).next_look_at == NOON + timedelta(minutes=64)
    assert decide(plan_of(long), 1, facts_at(4, guards=(OPEN,))).next_look_at == NOON + timedelta(minutes=5)


def test_decide__guards_that_know_more_sooner__are_looked_at_then():
    soon = NOON + timedelta(seconds=250)

    assert decide(plan_of(TIMED), 1, facts_at(4, guards=(OPEN,), look_again_at=soon)).next_look_at == soon


@pytest.mark.parametrize(
    ("wanted", "seen", "sentence"),
    [
        (200, 0, "0 of 200 people seen with each variant."),
        (200, 199, "199 of 200 people seen with each variant."),
        (200, 200, "200 people seen with each variant; 200 were asked for."),
        (200, 8_467, "8,467 people seen with each variant; 200 were asked for."),
        (1, 1, "1 person seen with each variant; 1 was asked for."),
    ],
)
def test_gates_of__sample__says_how_many_of_how_many_until_it_is_met(wanted, seen, sentence):
    guards = (says(Out.COLLECTING, sample=seen),)

    [gate] = gates_of(Stage("one", (), Gates(minimum_sample=wanted)), facts_at(9, guards=guards))

    assert (gate.is_met, gate.sentence) == (seen >= wanted, sentence)


@pytest.mark.parametrize(
    ("gates", "minutes", "sentence"),
    [
        (TIMED, 4, "Served for 4 of 30 minutes; next at 12:30 UTC."),
        (TIMED, 90, "Served for 30 of 30 minutes."),
        (Gates(soak_minutes=30, is_monitored=True), 90, "Served for 30 of 30 minutes with fresh data."),
    ],
)
def test_gates_of__time__says_it_in_plain_words(gates, minutes, sentence):
    assert gates_of(Stage("one", (), gates), facts_at(minutes))[0].sentence == sentence


@pytest.mark.parametrize(
    ("count", "sentence"),
    [(1, "1 guard found this safe."), (2, "Both guards found this safe."), (3, "All 3 guards found this safe.")],
)
def test_gates_of__guards__are_told_as_people_count(count, sentence):
    assert gates_of(Stage("one", (), MONITORED), facts_at(30, guards=(SAFE,) * count))[1].sentence == sentence


def test_gates_of__every_gate__comes_in_order_with_approval_last():
    gates = gates_of(Stage("all", (), EVERYTHING), facts_at(10))

    assert [gate.name for gate in gates] == ["soak", "not_before", "sample", "guards", "check", "check", "approval"]
    assert [gate.due_at is not None for gate in gates] == [True, True, False, False, False, False, False]


GOOD = [
    ((SAFE,), True),
    ((SAFE, SAFE), True),
    ((SAFE, OPEN), False),
    ((), False),
    ((advises(SAFE),), False),
    ((SAFE, advises(OPEN)), True),
    ((SAFE, advises(says(Out.BREACH, on_breach=GuardAction.WARN))), False),
    ((says(Out.BREACH, on_breach=GuardAction.WARN),), False),
]


@pytest.mark.parametrize(("guards", "expected"), GOOD)
def test_is_good__guards__have_all_shown_that_it_is_safe(guards, expected):
    assert is_good(facts_at(30, guards=guards)) is expected


HOUR, DAY, MONTH = 60, 1_440, 30 * 1_440
# Gates of five stages, the minute of the look after an outage in stage 1, the stage that is reached.
FOLDED = [
    ([TIMED] * 5, 30, 2),
    ([TIMED] * 5, 59, 2),
    ([TIMED] * 5, HOUR, 3),
    ([TIMED] * 5, 2 * HOUR - 1, 4),
    ([TIMED] * 5, DAY, 5),
    ([TIMED] * 5, MONTH, 5),
    ([TIMED, MONITORED, TIMED, TIMED, TIMED], MONTH, 2),
    ([TIMED, TIMED, ASKED, TIMED, TIMED], DAY, 3),
    ([TIMED, TIMED, SAMPLED, TIMED, TIMED], MONTH, 3),
    ([TIMED, TIMED, TIMED, CHECKED, TIMED], MONTH, 4),
    ([TIMED, DATED, TIMED, TIMED, TIMED], 59, 2),
    ([TIMED, DATED, TIMED, TIMED, TIMED], 60, 3),
    ([TIMED, DATED, TIMED, TIMED, TIMED], 90, 4),
    ([TIMED, FREE, FREE, TIMED, TIMED], 30, 4),
    ([MONITORED, TIMED, TIMED, TIMED, TIMED], MONTH, 2),
    ([ASKED, TIMED, TIMED, TIMED, TIMED], MONTH, 2),
    ([SAMPLED, FREE, TIMED, TIMED, TIMED], MONTH, 3),
]


@pytest.mark.parametrize(("gates", "minute", "reached"), FOLDED)
def test_fold__missed_time__passes_over_stages_whose_own_time_is_over(gates, minute, reached):
    definition, facts = plan_of(*gates), facts_at(minute, **ALL_MET)

    decision = decide(definition, 1, facts)

    assert fold(definition, 1, facts) == reached
    assert (decision.move, decision.to_stage) == (Move.ADVANCE, reached)


def test_fold__held_until_now__is_no_missed_time():
    definition = plan_of(*[TIMED] * 5)

    held = facts_at(DAY, able_since=NOON + timedelta(minutes=DAY))
    held_until_an_hour_ago = facts_at(DAY, able_since=NOON + timedelta(minutes=DAY - 60))
    held_at_first = facts_at(HOUR, able_since=NOON + timedelta(minutes=10))

    assert [fold(definition, 1, one) for one in (held, held_until_an_hour_ago, held_at_first)] == [2, 4, 3]


def test_fold__stage_given_more_time__counts_that_too():
    definition = plan_of(*[TIMED] * 5)

    assert fold(definition, 1, facts_at(DAY // 24, extra_soak_minutes=30)) == 2


def gates_drawn() -> st.SearchStrategy[Gates]:
    return st.builds(
        Gates,
        soak_minutes=st.sampled_from([0, 30, 60]),
        not_before=st.sampled_from([None, NOON + timedelta(hours=1)]),
        approvals=st.sampled_from([0, 0, 2]),
        minimum_sample=st.sampled_from([0, 0, 100]),
        is_monitored=st.booleans(),
        checks=st.sampled_from([(), (SMOKE,)]),
    )


def guards_drawn() -> st.SearchStrategy[tuple[GuardFacts, ...]]:
    said = st.builds(says, st.sampled_from(Out), sample=st.sampled_from([0, 99, 500]), is_guardrail=st.booleans())
    return st.lists(st.builds(replace, said, is_randomised=st.booleans()), max_size=3).map(tuple)


@st.composite
def facts_drawn(draw: st.DrawFn) -> StageFacts:
    minute = draw(st.sampled_from([-120, 0, 29, 30, 60, 90, DAY, MONTH, 365 * DAY]))
    return facts_at(
        minute,
        fresh_minutes=draw(st.sampled_from([0, 29, 30, 60, 10**6])),
        extra_soak_minutes=draw(st.sampled_from([0, 30])),
        approvals=draw(st.integers(0, 2)),
        guards=draw(guards_drawn()),
        checks=draw(st.sampled_from([{}, {"Smoke": PASSED}, {"Smoke": FAILED}])),
        blocked_by=draw(st.sampled_from(["", "", "Frozen."])),
        reversals=draw(st.integers(0, 1)),
        is_extended=draw(st.booleans()),
        good_stage=draw(st.integers(0, 4)),
    )


WORSE: dict[str, Any] = {
    "less fresh data": lambda facts: replace(facts, fresh_minutes=facts.fresh_minutes // 2),
    "an approval less": lambda facts: replace(facts, approvals=max(0, facts.approvals - 1)),
    "a check fails": lambda facts: replace(facts, checks={"Smoke": FAILED}),
    "blocked": lambda facts: replace(facts, blocked_by="Frozen."),
    "rolled back before": lambda facts: replace(facts, reversals=1),
    "entered later": lambda facts: replace(facts, entered_at=facts.entered_at + timedelta(minutes=20)),
    "fewer people": lambda facts: replace(
        facts, guards=tuple(replace(one, control=one.control // 2, treatment=0) for one in facts.guards)
    ),
    **{
        f"one more guard says {outcome.value}": lambda facts, outcome=outcome: replace(
            facts, guards=(*facts.guards, says(outcome, sample=0))
        )
        for outcome in Out
        if outcome is not Out.HEALTHY
    },
    **{
        f"no longer healthy but {outcome.value}": lambda facts, outcome=outcome: replace(
            facts,
            guards=tuple(
                replace(says(outcome, sample=min(one.control, one.treatment)), is_randomised=one.is_randomised)
                if one.outcome is Out.HEALTHY
                else one
                for one in facts.guards
            ),
        )
        for outcome in Out
    },
}
_FORWARD = (Move.ADVANCE, Move.COMPLETE)


@settings(max_examples=200, deadline=None)
@given(st.lists(gates_drawn(), min_size=1, max_size=4), facts_drawn(), st.sampled_from(sorted(WORSE)), st.data())
def test_decide__more_bad_news__never_goes_on_earlier(gates, facts, worse, data):
    definition, stage = plan_of(*gates), data.draw(st.integers(1, len(gates)))

    before, after = decide(definition, stage, facts), decide(definition, stage, WORSE[worse](facts))

    if before.move not in _FORWARD:
        assert after.move not in _FORWARD
    elif after.move in _FORWARD:
        assert (after.to_stage or 99) <= (before.to_stage or 99)


@settings(max_examples=100, deadline=None)
@given(st.lists(gates_drawn(), min_size=2, max_size=5), facts_drawn(), st.data())
def test_decide__going_on__passes_over_no_approval_and_no_monitored_stage(gates, facts, data):
    definition, stage = plan_of(*gates), data.draw(st.integers(0, len(gates)))

    decision = decide(definition, stage, facts)

    if decision.move is Move.ADVANCE:
        assert decision.to_stage is not None
        assert stage < decision.to_stage <= len(gates)
        for passed in gates[stage : decision.to_stage - 1]:
            asked = (passed.approvals, passed.is_monitored, passed.minimum_sample, passed.checks)
            assert not any(asked)
            assert passed.not_before is None or passed.not_before <= facts.now
        soaked = sum(passed.soak_minutes for passed in gates[max(stage - 1, 0) : decision.to_stage - 1])
        assert not soaked or stage == 0 or facts.entered_at + timedelta(minutes=soaked) <= facts.now
    if decision.move is Move.ROLL_BACK:
        assert decision.to_stage is not None
        assert decision.to_stage < stage
        assert not facts.reversals
