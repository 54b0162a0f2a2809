import json
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollouts.guarding.counts import Interval
from rollouts.guarding.eprocess import add, start
from rollouts.guarding.judging import (
    ERRORS_TOLERATED,
    GuardOutcome,
    alpha_shares,
    judge_guard,
    parameters_of,
    replay,
)
from rollouts.guarding.outcomes import action_of
from rollouts.plans.definition import GuardAction, GuardSource

from .support import BEGIN, MINUTE, counted, judged, minutes, spec

HALVES = (50_000, 50_000)
CALM, BAD, BETTER = (500, 5, 500, 5), (500, 5, 500, 20), (500, 10, 500, 5)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("rows", "outcome", "sentence"),
    [
        ([], "collecting", "Errors: no data yet."),
        (
            [(500, 5, 0, 0)] * 3,
            "collecting",
            "Errors: nothing was reported for “on” yet, so “off” has nothing to be compared with.",
        ),
        (
            [(0, 0, 500, 9)] * 3,
            "collecting",
            "Errors: nothing was reported for “off” yet, so “on” has nothing to be compared with.",
        ),
        (
            [(900, 9, 49, 15)],
            "collecting",
            "Errors: 49 reports with “on” and 900 with “off” so far; 50 of each are needed before anything is said.",
        ),
        (
            [CALM],
            "collecting",
            "Errors: 1.0 % with “on” against 1.0 % with “off” among 1,000 reports, "
            "each person once a minute; x1. It is not shown yet that it is "
            "worse than tolerated, nor that x2 is ruled out.",
        ),
        (
            [CALM] * 12,
            "healthy",
            "Errors: 1.0 % with “on” against 1.0 % with “off” among 12,000 reports, "
            "each person once a minute; x1, at most x1.8 with 95 % "
            "certainty. So x2 is ruled out.",
        ),
        (
            [BAD],
            "at_risk",
            "Errors: 4.0 % with “on” against 1.0 % with “off” among 1,000 reports, "
            "each person once a minute; x4. That may be worse than "
            "tolerated; it is not shown yet.",
        ),
        (
            [BAD] * 6,
            "breach",
            "Errors: 4.0 % with “on” against 1.0 % with “off” among 6,000 reports, "
            "each person once a minute; x4, at least x2 with 95 % certainty. "
            "That is worse than tolerated.",
        ),
        (
            [(950, 2, 50, 0)] * 3 + [(100, 20, 900, 220)] * 30,
            "healthy",
            "Errors: 24.3 % with “on” against 10.4 % with “off” among 33,000 reports, "
            "each person once a minute; x1.2 (compared minute by minute, "
            "as the shares changed on the way), at most x1.6 with 95 % certainty. So x2 is ruled out.",
        ),
        (
            [CALM] * 10 + [(500, 5, 500, 300)],
            "hard_break",
            "Errors: “on” is broken: 300 of 500 reports are bad, against 5 of 500 with “off”.",
        ),
        (
            [CALM] * 10 + [(500, 60, 500, 62)] * 5,
            "shared_incident",
            "Errors: both variants got worse at the same time, from 1.0 % to 12.2 %. Something that they share is "
            "wrong, so this is no reason to roll back.",
        ),
        (
            [(600, 6, 400, 4, *HALVES)],
            "sample_ratio",
            "Errors: “on” has 40.0 % of the 1,000 reports of both variants and should have 50.0 %. Reports are lost or "
            "doubled somewhere, so the variants cannot be compared.",
        ),
    ],
)
def test_judgement__what_was_counted__has_its_outcome_and_sentence(rows, outcome, sentence):
    found = judged(spec(), rows)

    assert (found.outcome, found.sentence) == (outcome, sentence)


@pytest.mark.parametrize(
    ("rows", "outcome", "sentence"),
    [
        (
            [(1_000, 970, 1_000, 985)] * 30,
            "breach",
            "1.5 % with “on” against 3.0 % with “off” among 60,000 reports, "
            "each person once a minute; success with “off” x2, "
            "at least x1.6 with 95 % certainty.",
        ),
        (
            [(1_000, 30, 1_000, 60)] * 30,
            "breach",
            "94.0 % with “on” against 97.0 % with “off” among 60,000 reports, "
            "each person once a minute; no success with “on” x2, "
            "at least x1.6 with 95 % certainty.",
        ),
        (
            [(1_000, 970, 1_000, 940)] * 30,
            "healthy",
            "6.0 % with “on” against 3.0 % with “off” among 60,000 reports, "
            "each person once a minute; success with “off” x0.5, "
            "at most x0.7 with 95 % certainty.",
        ),
    ],
)
def test_judgement__conversion__speaks_of_success(rows, outcome, sentence):
    found = judged(spec(name="Conversion", is_success_metric=True), rows)

    assert found.outcome == outcome
    assert found.sentence.startswith(f"Conversion: {sentence} ")


@pytest.mark.parametrize(
    ("silent", "sampled", "outcome", "sentence"),
    [
        (timedelta(minutes=14), True, "healthy", None),
        (timedelta(minutes=15), True, "stale", "the newest data are 15 minutes old; it is judged again"),
        (timedelta(minutes=59), True, "stale", None),
        (timedelta(minutes=60), True, "missing", "no data for 60 minutes. Check that"),
        (timedelta(minutes=59), False, "collecting", None),
        (timedelta(hours=3), False, "missing", "no data for 3 hours since the rollout began. Check that"),
        (timedelta(days=3), False, "missing", "no data for 3 days since the rollout began. Check that"),
    ],
)
def test_judgement__silence__is_stale_then_missing(silent, sampled, outcome, sentence):
    rows = [CALM] * 20 if sampled else []
    ended = BEGIN + 20 * MINUTE if sampled else BEGIN

    found = judged(spec(), rows, now=ended + silent)

    assert found.outcome == outcome
    assert sentence is None or found.sentence.startswith(f"Errors: {sentence} ")


def test_judgement__one_arm_never_reported__names_it():
    found = judged(spec(), [(0, 0, 500, 5)] * 60, sampled_at=None)

    assert found.sentence.startswith("Errors: no data for “off” for 60 minutes since the rollout began. Check")


@pytest.mark.parametrize(
    ("errors", "source", "outcome"),
    [
        (ERRORS_TOLERATED, GuardSource.PROMETHEUS, "healthy"),
        (ERRORS_TOLERATED + 1, GuardSource.PROMETHEUS, "probe_error"),
        (ERRORS_TOLERATED + 1, GuardSource.TELEMETRY, "healthy"),
    ],
)
def test_judgement__source_that_fails__is_a_probe_error_after_a_few(errors, source, outcome):
    assert judged(spec(source=source), [CALM] * 20, errors_in_a_row=errors).outcome == outcome


@pytest.mark.parametrize(
    ("rows", "facts", "outcome"),
    [
        pytest.param([BAD] * 6, {"now": BEGIN + 5 * HOUR}, "breach", id="proven before data stopped"),
        pytest.param([(500, 5, 500, 300)], {"now": BEGIN + 5 * HOUR}, "hard_break", id="broken before data stopped"),
        pytest.param([(400, 4, 600, 60, *HALVES)] * 6, {}, "sample_ratio", id="bad reports in excess may be invented"),
        pytest.param([(600, 6, 400, 40, *HALVES)] * 6, {}, "breach", id="reports lost from a bad treatment"),
        pytest.param([(600, 6, 400, 40)] * 6, {}, "breach", id="nothing was split, no shares to compare"),
        pytest.param([(0, 0, 600, 9, *HALVES)] * 6, {}, "sample_ratio", id="only the treatment reports"),
        pytest.param([(0, 0, 600, 600, *HALVES)] * 6, {}, "sample_ratio", id="only the treatment reports, all bad"),
        pytest.param([CALM] * 9 + [(500, 60, 500, 140)] * 5, {}, "breach", id="both worse, but the treatment more"),
        pytest.param([(950, 19, 50, 1, 95_000, 5_000)] * 40, {}, "healthy", id="a ramp keeps to its shares"),
        pytest.param([(600, 6, 400, 4, *HALVES)] * 30, {"now": BEGIN + HOUR}, "stale", id="shares of old data"),
        pytest.param([(9, 0, 9, 9)], {}, "collecting", id="too few for a hard break"),
        pytest.param([(100, 10, 100, 50)] * 2, {}, "breach", id="control not sound enough for a hard break"),
    ],
)
def test_judgement__two_things_at_once__the_graver_one_is_told(rows, facts, outcome):
    assert judged(spec(), rows, **facts).outcome == outcome


@pytest.mark.parametrize("fewer", [(500, 5, 49, 19), (49, 0, 500, 120)])
def test_judgement__too_few_in_either_arm__neither_fails_nor_passes(fewer):
    assert judged(spec(), [fewer]).outcome == "collecting"
    assert judged(spec(minimum_sample=40), [fewer]).outcome != "collecting"


@pytest.mark.parametrize(
    "previous", ["breach", "hard_break", "missing", "stale", "probe_error", "sample_ratio", "shared_incident"]
)
def test_judgement__trouble_that_is_over__is_recovered_once(previous):
    first = judged(spec(), [CALM] * 12, previous=previous)
    second = judged(spec(), [CALM] * 12, previous=first.outcome)

    assert (first.outcome, first.action, second.outcome) == ("recovered", None, "healthy")
    assert first.sentence.endswith("What was wrong before no longer holds.")


@pytest.mark.parametrize("previous", [None, "collecting", "healthy", "at_risk", "recovered"])
def test_judgement__no_trouble_before__is_not_recovered(previous):
    assert judged(spec(), [CALM] * 12, previous=previous).outcome == "healthy"


def test_judgement__trouble_that_lasts__is_not_recovered():
    assert judged(spec(), [BAD] * 6, previous="stale").outcome == "breach"


ACTIONS = {
    (GuardOutcome.COLLECTING, "guardrail"): None,
    (GuardOutcome.HEALTHY, "guardrail"): None,
    (GuardOutcome.RECOVERED, "guardrail"): None,
    (GuardOutcome.AT_RISK, "guardrail"): "warn",
    (GuardOutcome.BREACH, "guardrail"): "roll_back",
    (GuardOutcome.BREACH, "signal"): "hold",
    (GuardOutcome.HARD_BREAK, "guardrail"): "roll_back",
    (GuardOutcome.HARD_BREAK, "signal"): "pause",
    (GuardOutcome.MISSING, "guardrail"): "pause",
    (GuardOutcome.STALE, "guardrail"): "hold",
    (GuardOutcome.PROBE_ERROR, "guardrail"): "hold",
    (GuardOutcome.SAMPLE_RATIO, "guardrail"): "hold",
    (GuardOutcome.SHARED_INCIDENT, "guardrail"): "hold",
}


@pytest.mark.parametrize(("case", "action"), ACTIONS.items())
def test_action__each_outcome__has_its_own(case, action):
    outcome, role = case

    assert action_of(outcome, spec(is_guardrail=role == "guardrail")) == action


def test_action__all_outcomes__are_in_the_table():
    assert {outcome for outcome, _ in ACTIONS} == set(GuardOutcome)


@pytest.mark.parametrize("outcome", [GuardOutcome.MISSING, GuardOutcome.STALE, GuardOutcome.PROBE_ERROR])
@pytest.mark.parametrize(
    ("is_critical", "is_guardrail", "action"),
    [(True, True, "roll_back"), (False, True, "pause"), (True, False, "pause"), (False, False, "pause")],
)
def test_action__silence_that_should_roll_back__does_for_critical_guardrails_only(
    outcome, is_critical, is_guardrail, action
):
    wish = dict.fromkeys(("on_missing", "on_stale", "on_probe_error"), GuardAction.ROLL_BACK)

    assert action_of(outcome, spec(is_critical=is_critical, is_guardrail=is_guardrail, **wish)) == action


@pytest.mark.parametrize("wish", list(GuardAction))
def test_action__breach_of_a_guardrail__is_what_the_plan_says(wish):
    assert action_of(GuardOutcome.BREACH, spec(on_breach=wish)) == wish


@pytest.mark.parametrize("wish", list(GuardAction))
def test_action__breach_of_a_signal__never_goes_back(wish):
    found = action_of(GuardOutcome.BREACH, spec(on_breach=wish, is_guardrail=False))

    assert found == (GuardAction.WARN if wish == GuardAction.WARN else GuardAction.HOLD)


def test_alpha_shares__weights__share_all_of_it():
    guards = [spec(weight=2.0), spec(weight=1.0), spec(weight=1.0)]

    assert alpha_shares(guards, 0.05) == pytest.approx([0.025, 0.0125, 0.0125])


def test_judgement__a_smaller_share_of_alpha__asks_for_more():
    rows = [BAD] * 2

    assert judged(spec(), rows, alpha_m=0.05).outcome == "breach"
    strict = judged(spec(), rows, alpha_m=0.0005)
    assert strict.outcome == "at_risk"
    assert strict.threshold == pytest.approx(2_000)


@pytest.mark.parametrize("alpha", [0, 1, -0.05, 1.5])
def test_judgement__no_level__is_refused(alpha):
    with pytest.raises(ValueError, match="no level"):
        judged(spec(), [CALM], alpha_m=alpha)


MINUTE_ROWS = st.lists(
    st.tuples(st.integers(0, 300), st.integers(0, 300), st.integers(0, 300), st.integers(0, 300)).map(
        lambda row: (row[0], min(row[0], row[1]), row[2], min(row[2], row[3]), 50_000, 50_000)
    ),
    max_size=12,
)


@given(
    rows=MINUTE_ROWS,
    is_success=st.booleans(),
    silent=st.integers(0, 90),
    previous=st.sampled_from([None, *GuardOutcome]),
    alpha=st.floats(0.001, 0.2),
)
@settings(max_examples=40)
def test_replay__of_what_was_stored__is_the_same_to_the_last_bit(rows, is_success, silent, previous, alpha):
    guard = spec(is_success_metric=is_success, margin=0.07)
    known, intervals = counted(guard, rows), minutes(rows)
    facts = {
        "now": BEGIN + (len(rows) + silent) * MINUTE,
        "sampled_at": known.through,
        "started_at": BEGIN,
        "previous": previous,
    }
    given_then = judge_guard(guard, known, alpha_m=alpha, **facts)

    parameters = json.loads(json.dumps(parameters_of(guard, alpha), allow_nan=False))
    stored = json.loads(json.dumps([interval.as_json() for interval in intervals]))
    again = replay(parameters, map(Interval.from_json, stored), **facts)

    assert again == given_then
    assert json.loads(json.dumps(given_then.statistics, allow_nan=False)) == again.statistics
    assert again.e_fail.hex() == given_then.e_fail.hex()


def test_replay__another_interval__has_other_statistics():
    guard = spec()

    one, other = (
        replay(parameters_of(guard, 0.05), minutes([row]), now=BEGIN, sampled_at=BEGIN, started_at=BEGIN)
        for row in (CALM, BETTER)
    )

    assert one.statistics["log_e_fail"] != other.statistics["log_e_fail"]


def test_replay__another_version_of_the_method__is_refused():
    with pytest.raises(ValueError, match="version 2"):
        replay({**parameters_of(spec(), 0.05), "method": 2}, [], now=BEGIN, sampled_at=None, started_at=BEGIN)


def test_statistics__of_a_breach__are_the_evidence():
    found = judged(spec(), [BAD] * 6, fresh=6)

    assert found.samples == (3_000, 3_000)
    assert found.statistics["control"] == {"units": 3_000, "bad": 30}
    assert found.statistics["treatment"] == {"units": 3_000, "bad": 120}
    assert float.fromhex(found.statistics["ratio"]) == pytest.approx(4)
    assert float.fromhex(found.statistics["log_e_fail"]) >= float.fromhex(found.statistics["log_threshold"])
    assert (found.statistics["method"], found.statistics["fresh_minutes"]) == (1, 6)
    assert found.e_fail > found.threshold == pytest.approx(20)


@pytest.mark.parametrize(
    ("rows", "fields", "outcome", "action"),
    [
        pytest.param([(1, 0, 60, 60)], {"minimum_sample": 1}, "collecting", None, id="one unit of control"),
        pytest.param([(60, 1, 45, 40)], {}, "collecting", None, id="below the minimum sample"),
        pytest.param([(60, 1, 60, 40)], {}, "hard_break", "roll_back", id="enough of both"),
        pytest.param([(2, 1, 38, 26, 5_000, 95_000)] * 40, {"is_success_metric": True}, None, None, id="conversion"),
        pytest.param([(60, 0, 60, 60)], {"is_success_metric": True}, "breach", "roll_back", id="no conversion at all"),
        pytest.param(
            [(900, 9, 100, 1, 90_000, 10_000)] * 40 + [(900, 9, 10_100, 10_001, 90_000, 10_000)],
            {},
            "sample_ratio",
            "hold",
            id="ten thousand invented in one minute",
        ),
        pytest.param(
            [(900, 9, 100, 1, 90_000, 10_000)] * 40 + [(900, 9, 210, 111, 90_000, 10_000)],
            {},
            "sample_ratio",
            "hold",
            id="one key, 110 errors, one minute",
        ),
        pytest.param(
            [(900, 9, 100, 1, 90_000, 10_000)] * 40
            + [(900, 9, 210, 111, 90_000, 10_000)]
            + [(900, 9, 100, 1, 90_000, 10_000)] * 15,
            {},
            "healthy",
            None,
            id="a quarter of an hour after it",
        ),
    ],
)
def test_judgement__what_may_be_invented_or_chance__never_goes_back(rows, fields, outcome, action):
    found = judged(spec(**fields), rows)

    assert found.action == action
    assert outcome is None or found.outcome == outcome


def test_judgement__hard_break_of_events_that_nobody_is_known_for__pauses():
    interval = Interval(BEGIN, 900, 9, 150, 100, has_events=True)
    known = add(start(spec()), interval)

    found = judge_guard(spec(), known, alpha_m=0.05, now=BEGIN + MINUTE, sampled_at=BEGIN, started_at=BEGIN)

    assert (found.outcome, found.action) == ("hard_break", "pause")
    assert "each person" not in found.sentence


@pytest.mark.parametrize(("effect", "outcome"), [(1.0, "at_risk"), (20.0, "collecting")])
def test_judgement__events_with_a_design_effect__need_as_many_more(effect, outcome):
    guard = spec(design_effect=effect)
    known = add(start(guard), Interval(BEGIN, 500, 5, 500, 20, has_events=True))

    found = judge_guard(guard, known, alpha_m=0.05, now=BEGIN + MINUTE, sampled_at=BEGIN, started_at=BEGIN)

    assert found.outcome == outcome
