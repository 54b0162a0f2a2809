from math import inf

import pytest
from scipy.stats import entropy

from rollouts.guarding.planning import divergence, events_needed, hours_until, need_for


@pytest.mark.parametrize(("ratio", "events"), [(1.5, 225), (2, 80), (3, 34), (5, 18)])
def test_events_needed__published_ratios__are_as_published(ratio, events):
    assert events_needed(ratio) == pytest.approx(events, rel=0.03, abs=1)


@pytest.mark.parametrize("part", [0, 0.1, 0.5, 0.9, 1])
@pytest.mark.parametrize("other", [0.05, 0.5, 0.7])
def test_divergence__any_parts__agrees_with_scipy(part, other):
    assert divergence(part, other) == pytest.approx(entropy([part, 1 - part], [other, 1 - other]), abs=1e-12)


def test_events_needed__harder_questions__need_more():
    plain = events_needed(2)

    assert events_needed(1.5) > plain
    assert events_needed(2, margin=0.1) > plain
    assert events_needed(2, alpha=0.01) > plain
    assert events_needed(2, weight=5_000) > plain


@pytest.mark.parametrize("facts", [{"ratio": 1.0}, {"ratio": 1.1, "margin": 0.1}, {"ratio": 2, "weight": 0}])
def test_events_needed__nothing_to_look_for__is_refused(facts):
    with pytest.raises(ValueError, match=r"tolerated|nothing or everything"):
        events_needed(facts.pop("ratio"), **facts)


@pytest.mark.parametrize(
    ("facts", "hours"),
    [((80, 0.005, 1_000), 16), ((80, 0.01, 2_000), 4), ((80, 0, 1_000), inf), ((80, 0.01, 0), inf), ((0, 0.01, 10), 0)],
)
def test_hours_until__a_rate_and_traffic__are_divided(facts, hours):
    assert hours_until(*facts) == pytest.approx(hours)


def test_hours_until__treatment_that_much_worse__is_sooner():
    assert hours_until(80, 0.01, 1_000, ratio=2) == pytest.approx(80 / 0.015 / 1_000)
    assert hours_until(80, 0.01, 1_000, 5_000, ratio=2) == pytest.approx(80 / 0.0105 / 1_000)


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        (
            {"base_rate": 0.00335, "units_per_hour": 1_000},
            "To see x2 it needs about 8,000 people with each variant; at 1,000 people an hour that is 16 hours.",
        ),
        (
            {"base_rate": 0.001, "units_per_hour": 1_000, "margin": 0.1},
            "To see x2 it needs about 36,000 people with each variant; at 1,000 people an hour that is 3 days.",
        ),
        (
            {"base_rate": 0.05, "units_per_hour": 90_000},
            "To see x2 it needs about 530 people with each variant; at 90,000 people an hour that is 1 minute.",
        ),
        (
            {"base_rate": 0.1, "units_per_hour": 0},
            "To see x2 it needs about 270 people with each variant; nobody comes now.",
        ),
        (
            {"base_rate": 0.0, "units_per_hour": 10},
            "To see x2 it needs bad units, and at a rate of nothing there are none.",
        ),
    ],
)
def test_need_for__a_form__says_it_in_words(facts, sentence):
    assert need_for(2, **facts).sentence == sentence


def test_need_for__variants_of_unequal_share__says_that_the_smaller_one_takes_at_least_that():
    sentence = need_for(2, base_rate=0.01, units_per_hour=0, weight=10_000).sentence

    assert sentence == "To see x2 it needs at least 1,300 people with each variant; nobody comes now."
