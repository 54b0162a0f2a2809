import json
from math import exp, inf, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, hypergeom
from statsmodels.stats.contingency_tables import StratifiedTable

from rollouts.guarding.counts import MOST_UNITS, InvalidInterval
from rollouts.guarding.eprocess import Accumulated, add, bounds, log_e_fail, log_e_fail_here, log_e_pass, start
from rollouts.guarding.likelihoods import FACTORS, LOG_WEIGHTS, Arms, ladder_of, log_fail, log_pass, with_minute
from rollouts.guarding.starting import FIRST

from .support import counted, minutes, spec

ROUNDING = 1 + 1e-9


@st.composite
def rows(draw, most=400, size=8):
    """Minutes of counts that can be."""
    found = []
    for _ in range(draw(st.integers(1, size))):
        n_control, n_treatment = draw(st.integers(0, most)), draw(st.integers(0, most))
        found.append((n_control, draw(st.integers(0, n_control)), n_treatment, draw(st.integers(0, n_treatment))))
    return found


# Every state that one more minute may meet: nothing yet, a treatment that looks bad, one that looks good.
STATES = [[], [(50, 1, 50, 6), (40, 0, 60, 5)], [(50, 6, 50, 1)]]


@pytest.mark.parametrize("before", STATES)
@pytest.mark.parametrize(("n_control", "n_treatment"), [(1, 1), (5, 5), (12, 3), (2, 18), (40, 25)])
def test_fail__randomised_split_of_any_number_of_bad_units__expects_no_growth(before, n_control, n_treatment):
    ladder = ladder_of(1.0, 2.0)
    logs = counted(spec(margin=0.0), before).failures.logs
    units = n_control + n_treatment

    for bad in range(units + 1):
        split = hypergeom(units, bad, n_treatment)
        expected = sum(
            split.pmf(x) * exp(log_fail(with_minute(logs, ladder, Arms(n_control, bad - x, n_treatment, x))))
            for x in range(max(0, bad - n_control), min(bad, n_treatment) + 1)
        )

        assert expected <= exp(log_fail(logs)) * ROUNDING


def expectation(read, logs, ladder, sizes, rates) -> float:
    """Of the e-value after one more minute of independent units, by adding up all that may be counted."""
    (n_control, n_treatment), (control, treatment) = sizes, rates
    return float(
        sum(
            binom.pmf(x_c, n_control, control)
            * binom.pmf(x_t, n_treatment, treatment)
            * exp(read(with_minute(logs, ladder, Arms(n_control, x_c, n_treatment, x_t))))
            for x_c in range(n_control + 1)
            for x_t in range(n_treatment + 1)
        )
    )


@pytest.mark.parametrize("before", STATES)
@pytest.mark.parametrize("margin", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("base", [0.01, 0.2, 0.6])
def test_fail__independent_units_up_to_the_tolerated_ratio__expects_no_growth(before, margin, base):
    ladder = ladder_of(1 + margin, 2.0)
    logs = counted(spec(margin=margin), before).failures.logs

    for ratio in (0.3, 1.0, 1 + margin):
        expected = expectation(log_fail, logs, ladder, (9, 6), (base, min(1.0, base * ratio)))
        assert expected <= exp(log_fail(logs)) * ROUNDING


@pytest.mark.parametrize("before", STATES)
@pytest.mark.parametrize("base", [0.01, 0.2, 0.45])
def test_pass__independent_units_at_what_it_rules_out_or_worse__expects_no_growth(before, base):
    ladder = ladder_of(1.1, 2.0)
    logs = counted(spec(), before).failures.logs

    for ratio in (2.0, 2.2):
        expected = expectation(log_pass, logs, ladder, (6, 9), (base, base * ratio))
        assert expected <= exp(log_pass(logs)) * ROUNDING


def test_fail__a_treatment_that_is_worse__expects_growth():
    ladder = ladder_of(1.0, 2.0)

    assert expectation(log_fail, ladder.nothing_yet, ladder, (9, 6), (0.2, 0.5)) > 1.1


@pytest.mark.parametrize("is_success", [False, True])
@given(found=rows(), cut=st.integers(0, 8))
@settings(max_examples=30)
def test_counting_on__from_stored_json__is_the_same_to_the_last_bit(is_success, found, cut):
    guard = spec(is_success_metric=is_success)
    whole = counted(guard, found)

    part = counted(guard, found[:cut])
    stored = json.dumps(part.as_json(), allow_nan=False)
    for interval in minutes(found[cut:], after=len(found[:cut])):
        part = add(Accumulated.from_json(json.loads(json.dumps(part.as_json()))), interval)

    assert Accumulated.from_json(json.loads(stored)) == counted(guard, found[:cut])
    assert part == whole
    assert part.as_json() == whole.as_json()
    assert log_e_fail(part).hex() == log_e_fail(whole).hex()


@given(found=rows())
@settings(max_examples=30)
def test_e_values__any_counts__follow_the_published_formula(found):
    known = counted(spec(), found)
    n_c, x_c, n_t, x_t = np.array([row for row in found if row[0] and row[2]], dtype=float).reshape(-1, 4).T

    def log_product(ratio, against):
        theta, theta_0 = (n_t * value / (n_t * value + n_c) for value in (ratio, against))
        return float((x_t * np.log(theta / theta_0) + x_c * np.log((1 - theta) / (1 - theta_0))).sum())

    tolerated, ruled_out = 1.1, 2.0
    weighed = list(zip(LOG_WEIGHTS, FACTORS, strict=True))
    fail = np.logaddexp.reduce([weight + log_product(tolerated * factor, tolerated) for weight, factor in weighed])
    passed = np.logaddexp.reduce([weight + log_product(ruled_out / factor, ruled_out) for weight, factor in weighed])
    assert log_e_fail_here(known) == pytest.approx(fail, abs=1e-8, rel=1e-8)
    assert log_e_fail(known) == pytest.approx(np.logaddexp(log(FIRST) + fail, log(1 - FIRST)), abs=1e-8, rel=1e-8)
    assert log_e_pass(known) == pytest.approx(passed, abs=1e-8, rel=1e-8)


def test_weights__of_the_mixture__are_one_altogether():
    assert sum(map(exp, LOG_WEIGHTS)) == pytest.approx(1)


@given(found=rows(), at=st.integers(0, 7), more=st.integers(1, 50))
@settings(max_examples=50)
def test_monotonic__more_bad_units_in_treatment__never_speak_for_it(found, at, more):
    at %= len(found)
    n_control, x_control, n_treatment, x_treatment = found[at]
    worse = [*found]
    worse[at] = (n_control, x_control, n_treatment, min(n_treatment, x_treatment + more))

    before, after = counted(spec(), found), counted(spec(), worse)

    assert log_e_fail(after) >= log_e_fail(before) - 1e-9
    assert log_e_pass(after) <= log_e_pass(before) + 1e-9


@given(found=rows(), at=st.integers(0, 7), more=st.integers(1, 50))
@settings(max_examples=30)
def test_monotonic__more_success_in_treatment__never_speaks_against_it(found, at, more):
    guard, at = spec(is_success_metric=True), at % len(found)
    n_control, x_control, n_treatment, x_treatment = found[at]
    better = [*found]
    better[at] = (n_control, x_control, n_treatment, max(0, x_treatment - more))

    assert log_e_fail(counted(guard, better)) <= log_e_fail(counted(guard, found)) + 1e-9
    assert log_e_pass(counted(guard, better)) >= log_e_pass(counted(guard, found)) - 1e-9


def test_ratio__shares_that_change__agrees_with_mantel_and_haenszel():
    found = [(950, 10, 50, 2), (500, 9, 500, 13), (100, 6, 900, 70)]

    tables = [np.array([[x_t, n_t - x_t], [x_c, n_c - x_c]]) for n_c, x_c, n_t, x_t in found]

    assert counted(spec(), found).failures.ratio == pytest.approx(StratifiedTable(tables).riskratio_pooled)


@pytest.mark.parametrize("rest", [(0, 0), (100, 0), (0, 0, 100, 50)])
def test_add__a_minute_with_one_arm_or_none__says_nothing(rest):
    row = (*rest, 0, 0)[:4]
    known = counted(spec(), [(100, 3, 100, 9), row])

    assert known.failures.logs == counted(spec(), [(100, 3, 100, 9)]).failures.logs
    assert known.minutes == 1


def test_add__the_largest_counts_for_a_day__stays_finite():
    known = counted(spec(), [(MOST_UNITS, MOST_UNITS // 2, MOST_UNITS, MOST_UNITS)] * 1_440)

    assert 0 < log_e_fail(known) < inf
    assert -inf < log_e_pass(known) < 0
    assert Accumulated.from_json(json.loads(json.dumps(known.as_json(), allow_nan=False))) == known


@pytest.mark.parametrize("late", [0, 1])
def test_add__a_minute_that_was_counted__is_refused(late):
    known = counted(spec(), [(10, 0, 10, 0), (10, 0, 10, 0)])

    with pytest.raises(InvalidInterval, match="does not come after"):
        add(known, minutes([(10, 0, 10, 10)], after=late)[0])


@pytest.mark.parametrize("fields", [{"margin": -0.1}, {"tolerable": 1.1}, {"margin": 1.0}])
def test_start__ratios_that_leave_nothing__are_refused(fields):
    with pytest.raises(ValueError, match="tolerates a ratio"):
        start(spec(**fields))


@pytest.mark.parametrize(
    "change",
    [
        {"failures": None},
        {"failures": {"logs": "0x0p+0", "above": "0x0p+0", "below": "0x0p+0"}},
        {"margin": "nan"},
        {"margin": 0.1},
        {"total": [1, 2]},
        {"shares": {}},
        {"recent": [[1, 2]]},
        {"through": 5},
    ],
)
def test_from_json__rubbish__is_refused(change):
    with pytest.raises(InvalidInterval, match="count it anew"):
        Accumulated.from_json({**start(spec()).as_json(), **change})


@pytest.mark.parametrize(
    ("control", "treatment", "is_worse", "is_safe"),
    [
        (970, 985, True, False),
        (970, 970, False, True),
        (970, 955, False, True),
        (30, 60, True, False),
        (30, 30, False, True),
        (500, 600, True, True),
        (500, 500, False, True),
        (500, 400, False, True),
    ],
)
def test_conversion__any_base_rate__is_judged_by_the_rare_event(control, treatment, is_worse, is_safe):
    """At 970 bad of 1,000 three in a hundred convert; 985 is half of that, 60 without success are twice 30."""
    known = counted(spec(is_success_metric=True), [(1_000, control, 1_000, treatment)] * 30)

    assert (log_e_fail(known) >= log(20)) is is_worse
    assert (log_e_pass(known) >= log(20)) is is_safe


@pytest.mark.parametrize("ratio", [1.0, 1.5, 3.0])
def test_bounds__many_runs__hold_the_true_ratio_at_every_look(ratio):
    random, missed = np.random.default_rng(5), 0
    for _ in range(100):
        x_c, x_t = random.binomial(400, 0.05, 12), random.binomial(400, 0.05 * ratio, 12)
        known, is_missed = start(spec(margin=0.0)), False
        for interval in minutes(zip([400] * 12, x_c.tolist(), [400] * 12, x_t.tolist(), strict=True)):
            known = add(known, interval)
            lower, upper = bounds(known, 0.05)
            is_missed |= (lower or 0) > ratio or (upper or inf) < ratio
        missed += is_missed

    # 10 of 100 are allowed on both sides together; 20 is beyond what chance adds to that.
    assert missed < 20


def test_bounds__a_plain_regression__close_in_on_it():
    known = counted(spec(), [(500, 10, 500, 40)] * 20)

    lower, upper = bounds(known, 0.05)

    assert lower is not None
    assert 2.9 < lower < 4
    assert upper is None
