"""Sample ratio, shared incidents and hard breaks: what is seen beside the comparison of the arms."""

from math import log

import numpy as np
import pytest
from scipy.stats import binom

from rollouts.guarding.breaks import MINUTES, hard_break, is_hard_break
from rollouts.guarding.likelihoods import Arms, summed
from rollouts.guarding.ratio import LOG_THRESHOLD, ShareEvidence, Skew, has_excess, log_skews, skew_of, with_shares
from rollouts.guarding.shared import shared_incident

from .support import minutes

HALVES = (50_000, 50_000)


def shares(rows) -> ShareEvidence:
    evidence = ShareEvidence()
    for interval in minutes([(n_c, 0, n_t, 0, *weights) for n_c, n_t, weights in rows]):
        evidence = with_shares(evidence, interval)
    return evidence


@pytest.mark.parametrize(
    ("rows", "skew"),
    [
        ([(500, 500, HALVES)] * 60, None),
        ([(520, 480, HALVES)] * 60, None),
        ([(600, 400, HALVES)], Skew.FEWER),
        ([(400, 600, HALVES)], Skew.MORE),
        ([(60, 40, HALVES)] * 30, None),
        ([(60, 40, HALVES)] * 240, Skew.FEWER),
        ([(500, 0, HALVES)], Skew.FEWER),
        ([(0, 500, HALVES)], Skew.MORE),
        ([(950, 50, (95_000, 5_000)), (500, 500, HALVES)] * 30, None),
        ([(950, 50, HALVES)] * 2, Skew.FEWER),
        ([(900, 100, (99_000, 1_000))] * 2, Skew.MORE),
        ([(500, 500, (90_000, 10_000)), (500, 500, (90_000, 10_000))], Skew.MORE),
        ([(500, 500, (20_000, 20_000))] * 30, None),
        ([(0, 500, (0, 100_000))] * 30, None),
        ([(500, 0, (0, 0))] * 30, None),
        ([], None),
    ],
)
def test_sample_ratio__promised_and_seen_shares__are_told_apart(rows, skew):
    assert skew_of(log_skews(shares(rows))) == skew


@pytest.mark.parametrize("part", [1 / 2.1, 0.49, 0.5, 0.51, 1.1 / 2.1])
def test_sample_ratio__first_minute_of_tolerated_shares__is_an_e_value(part):
    expected = [0.0, 0.0]
    for treated in range(201):
        chance = binom.pmf(treated, 200, part)
        for side, value in enumerate(log_skews(shares([(200 - treated, treated, HALVES)]))):
            expected[side] += chance * np.exp(value)

    assert max(expected) <= 1 + 1e-9


@pytest.mark.parametrize(
    ("row", "effect", "is_excess"),
    [
        ((900, 100, (90_000, 10_000)), 1, False),
        ((900, 130, (90_000, 10_000)), 1, False),
        ((900, 210, (90_000, 10_000)), 1, True),
        ((900, 210, (90_000, 10_000)), 3, False),
        ((900, 10_100, (90_000, 10_000)), 3, True),
        ((9_900, 100, (90_000, 10_000)), 1, False),
        ((0, 500, HALVES), 1, True),
        ((500, 0, HALVES), 1, False),
        ((0, 500, (0, 0)), 1, False),
        ((0, 0, HALVES), 1, False),
    ],
)
def test_excess__one_minute_far_over_the_share_of_treatment__is_told(row, effect, is_excess):
    n_control, n_treatment, weights = row

    assert has_excess(minutes([(n_control, 0, n_treatment, 0, *weights)])[0], effect) is is_excess


def test_excess__shares_as_promised__is_never_told():
    drawn = np.random.default_rng(4).binomial(200, 0.1, 20_000).tolist()

    found = [has_excess(one) for one in minutes([(200 - n, 0, n, 0, 90_000, 10_000) for n in drawn])]

    assert not any(found)


def test_sample_ratio__the_level__is_one_in_a_thousand():
    assert log(2_000) < LOG_THRESHOLD < log(2_002)


def test_sample_ratio__the_same_people_all_day__count_about_once():
    once, all_day = (max(log_skews(shares([(540, 460, HALVES)] * times))) for times in (1, 30))

    assert all_day == pytest.approx(once, abs=1e-9)


@pytest.mark.parametrize(
    ("arms", "is_broken"),
    [
        (Arms(100, 9, 40, 20), True),
        (Arms(100, 10, 40, 20), False),
        (Arms(100, 9, 41, 20), False),
        (Arms(100, 9, 19, 19), False),
        (Arms(0, 0, 40, 40), False),
        (Arms(1, 0, 40, 40), False),
        (Arms(19, 0, 40, 40), False),
        (Arms(20, 0, 40, 40), True),
    ],
)
def test_hard_break__its_limits__are_those_of_the_rule(arms, is_broken):
    assert is_hard_break(arms) is is_broken


@pytest.mark.parametrize(
    ("bad_minutes", "row", "is_broken"),
    [
        (1, Arms(50, 0, 50, 40), True),
        (MINUTES, Arms(50, 0, 3, 2), True),
        (MINUTES - 7, Arms(50, 0, 3, 2), False),
        (MINUTES, Arms(50, 9, 50, 40), False),
        (MINUTES, Arms(50, 0, 50, 20), False),
    ],
)
def test_hard_break__after_a_calm_day__is_seen_in_the_last_minutes(bad_minutes, row, is_broken):
    recent = [Arms(500, 1, 500, 1)] * 60 + [row] * bad_minutes

    found = hard_break(summed([Arms(100_000, 100, 100_000, 100), *recent]), recent)

    assert (found is not None) is is_broken


CALM, STORM = Arms(500, 5, 500, 5), Arms(500, 60, 500, 55)


@pytest.mark.parametrize(
    ("recent", "is_shared"),
    [
        ([CALM] * 60, False),
        ([CALM] * 20 + [STORM] * 5, True),
        ([CALM] * 20 + [STORM] * 40, True),
        ([CALM] * 20 + [STORM] * 10 + [CALM] * 5, False),
        ([STORM] * 65, False),
        ([Arms(500, 1, 500, 1)] * 20 + [Arms(500, 2, 500, 2)] * 5, False),
        ([CALM] * 20 + [Arms(500, 5, 500, 60)] * 5, False),
        ([CALM] * 20 + [Arms(500, 60, 500, 5)] * 5, False),
        ([CALM] * 20 + [Arms(500, 9, 500, 9)] * 5, False),
        ([Arms(50, 0, 50, 0)] * 20 + [Arms(50, 1, 50, 1)] * 5, False),
        ([Arms(50, 0, 50, 0)] * 20 + [Arms(50, 9, 50, 9)] * 5, True),
        ([CALM] * 4 + [STORM] * 5, False),
        ([STORM] * 5, False),
        ([], False),
        ([Arms(500, 5, 0, 0)] * 20 + [STORM] * 5, False),
    ],
)
def test_shared_incident__both_arms_against_their_past__is_told(recent, is_shared):
    assert (shared_incident(recent) is not None) is is_shared
