"""Evidence that begins anew: what came before must neither hide a regression nor vouch for a stage it has not seen."""

import json
from math import exp, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import hypergeom

from rollouts.guarding.counts import Interval
from rollouts.guarding.eprocess import Accumulated, add, log_e_fail, log_e_fail_here, log_e_pass, start
from rollouts.guarding.judging import GuardOutcome
from rollouts.guarding.starting import FIRST, HOURS, STAGES, hour_weight, stage_weight, unspent

from .support import BEGIN, MINUTE, counted, judged_at_end, minutes, spec

HEALTHY, WORSE = (450, 5, 50, 0), (250, 2, 250, 7)


def rows_of(row, count, stage):
    return [(*row, 0, 0, stage)] * count


def look_of_breach(before, after):
    """How many minutes of `after` it takes."""
    known = counted(spec(), before)
    for look, interval in enumerate(minutes(after, after=len(before)), 1):
        known = add(known, interval)
        if log_e_fail(known) >= log(20):
            return look
    return None


def test_weights__of_all_starts__are_one():
    spent = FIRST + sum(map(stage_weight, range(1, 31))) + sum(map(hour_weight, range(1, 201)))

    assert pytest.approx(1) == FIRST + STAGES + HOURS
    assert spent + unspent(30, 200) == pytest.approx(1)


@pytest.mark.parametrize("margin", [0.0, 0.1])
@pytest.mark.parametrize("stages", [(1, 1, 1), (1, 2, 2), (1, 2, 3)])
@pytest.mark.parametrize("gap", [1, 61])
def test_fail__one_more_minute_wherever_it_begins__expects_no_growth(margin, stages, gap):
    before = [(12, 1, 9, 3), (12, 3, 9, 0), (10, 1, 10, 2)]
    known = start(spec(margin=margin))
    for number, (row, stage) in enumerate(zip(before, stages, strict=True)):
        known = add(known, Interval(BEGIN + number * gap * MINUTE, *row, 0, 0, stage))

    for bad in range(12):
        split = hypergeom(20, bad, 8)
        expected = 0.0
        for stage in {stages[-1], stages[-1] + 1}:
            expected = sum(
                split.pmf(x)
                * exp(log_e_fail(add(known, Interval(BEGIN + 3 * gap * MINUTE, 12, bad - x, 8, x, 0, 0, stage))))
                for x in range(max(0, bad - 12), min(bad, 8) + 1)
            )
            assert expected <= exp(log_e_fail(known)) * (1 + 1e-9)


def test_starts__kept_as_their_sum__are_the_mixture_of_each_alone():
    random = np.random.default_rng(8)
    found = [
        (80, int(random.binomial(80, 0.1)), 60, int(random.binomial(60, 0.2)), 0, 0, 1 + n // 100) for n in range(250)
    ]
    # The first minutes of the stages, and an hour after each.
    begun = {0: FIRST, 100: stage_weight(1), 200: stage_weight(2), 60: hour_weight(1), 160: hour_weight(2)}

    whole = counted(spec(), found)

    expected = unspent(2, 2)
    for first, weight in begun.items():
        expected += weight * exp(_one_start(found[first:]))
    assert exp(log_e_fail(whole)) == pytest.approx(expected, rel=1e-9)
    assert (whole.stages, whole.hours) == (2, 2)


def _one_start(found):
    """Log e-value of one start: the rows in one stage."""
    return log_e_fail_here(counted(spec(), [row[:4] for row in found]))


@pytest.mark.parametrize(
    ("before", "stage", "at_most"),
    [(0, 1, 8), (360, 2, 14), (1_440, 2, 14), (360, 1, 25), (1_440, 1, 30)],
)
def test_regression__after_hours_of_health__is_seen_nearly_as_soon(before, stage, at_most):
    look = look_of_breach(rows_of(HEALTHY, before, 1), rows_of(WORSE, 60, stage))

    assert look is not None
    assert look <= at_most


def test_regression__within_a_long_stage__is_told_by_its_last_hour():
    known = counted(spec(), rows_of(HEALTHY, 600, 1) + rows_of((250, 2, 250, 6), 60, 1))

    said = judged_at_end(known)

    assert said.outcome is GuardOutcome.BREACH
    assert "reports of the last hour, each person once a minute; x3" in said.sentence


def test_pass__of_a_stage__needs_its_own_minutes():
    rows = rows_of((500, 10, 500, 10), 60, 1)
    here = counted(spec(), rows)
    further = counted(spec(), [*rows, *rows_of((500, 10, 500, 10), 2, 2)])
    entered = BEGIN + 60 * MINUTE

    assert judged_at_end(here).outcome is GuardOutcome.HEALTHY
    entering = judged_at_end(here, entered)
    assert entering.outcome is GuardOutcome.COLLECTING
    assert entering.sentence.startswith("Errors: nothing is counted yet since this stage began or went on")
    assert judged_at_end(further, entered).outcome is GuardOutcome.COLLECTING
    assert log_e_pass(further) < log(20)


def test_pass__of_a_stage_that_goes_on__keeps_what_it_counted_before():
    known = counted(spec(), rows_of((500, 10, 500, 10), 60, 1))

    assert judged_at_end(known, BEGIN + 59 * MINUTE).outcome is GuardOutcome.HEALTHY


def test_pass__new_stage_whose_first_minute_is_over_its_share__is_not_that_of_the_stage_before():
    rows = [(500, 10, 500, 10, 50_000, 50_000, 1)] * 60 + [(100, 2, 900, 9, 50_000, 50_000, 2)]
    known = counted(spec(), rows)

    assert judged_at_end(known, BEGIN + 60 * MINUTE).outcome is GuardOutcome.SAMPLE_RATIO
    assert log_e_pass(known) == pytest.approx(0)


def test_breach__of_the_stage_before__stands_at_the_entry_of_the_next():
    known = counted(spec(), rows_of((500, 5, 500, 20), 6, 1))

    assert judged_at_end(known, BEGIN + 6 * MINUTE).outcome is GuardOutcome.BREACH


@given(
    found=st.lists(
        st.tuples(st.integers(0, 90), st.integers(0, 90), st.integers(0, 90), st.integers(0, 90), st.integers(0, 1)),
        max_size=8,
    ),
    gap=st.sampled_from([1, 25, 70]),
    is_success=st.booleans(),
)
@settings(max_examples=30)
def test_counting_on__over_stages_and_hours__is_the_same_to_the_last_bit(found, gap, is_success):
    guard, stage = spec(is_success_metric=is_success, design_effect=1.7), 1
    whole = part = start(guard)
    for number, (n_c, x_c, n_t, x_t, step) in enumerate(found):
        stage += step
        minute = BEGIN + number * gap * MINUTE
        interval = Interval(minute, n_c, min(n_c, x_c), n_t, min(n_t, x_t), 50_000, 50_000, stage, bool(step))
        whole = add(whole, interval)
        part = add(Accumulated.from_json(json.loads(json.dumps(part.as_json(), allow_nan=False))), interval)

    assert part == whole
    assert log_e_fail(part).hex() == log_e_fail(whole).hex()


def test_design_effect__small_arm__loses_nothing_to_rounding():
    """A regression to x3 where a twentieth gets the treatment, and events of which three belong together."""
    random, guard = np.random.default_rng(2), spec(design_effect=3.0)
    known, looks = start(guard), 0
    while log_e_fail(known) < log(20) and looks < 600:
        looks += 1
        counts = (950, int(random.binomial(950, 0.01)), 50, int(random.binomial(50, 0.03)))
        known = add(known, Interval(BEGIN + looks * MINUTE, *counts, 0, 0, 1, True))

    assert looks < 200
    assert log_e_pass(known) < log(20)


def test_design_effect__of_events_alone__divides_what_they_show():
    rows = [(500, 5, 500, 20)] * 5
    plain, events = (start(spec(design_effect=4.0)) for _ in range(2))
    for number, row in enumerate(rows):
        plain = add(plain, Interval(BEGIN + number * MINUTE, *row))
        events = add(events, Interval(BEGIN + number * MINUTE, *row, has_events=True))

    assert np.array(events.failures.logs) * 4 == pytest.approx(np.array(plain.failures.logs))
