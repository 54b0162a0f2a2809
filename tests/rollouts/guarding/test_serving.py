"""Which people a guard may compare: those whom only the lot tells apart."""

import pytest

from rollouts.guarding.serving import ArmCounts, Weights, interval_of, weights_in
from rollouts.plans.patches import RULE_ID

from .support import BEGIN, spec

SPLIT = {
    "id": RULE_ID,
    "condition": None,
    "serve": {"split": [{"variant": "on", "weight": 5_000}, {"variant": "off", "weight": 95_000}]},
}


def rule(serve):
    return {"id": "other", "condition": {"in_segment": "enterprise"}, "serve": serve}


@pytest.mark.parametrize(
    ("fields", "is_randomised"),
    [
        ({"rules": [SPLIT]}, True),
        ({"rules": [rule({"variant": "off"}), SPLIT]}, False),
        ({"rules": [rule({"variant": "on"}), SPLIT]}, False),
        ({"rules": [rule({"variant": "third"}), SPLIT]}, True),
        ({"rules": [rule({"split": [{"variant": "off", "weight": 100_000}]}), SPLIT]}, False),
        ({"rules": [rule({"split": [{"variant": "off", "weight": 0}]}), SPLIT]}, True),
        ({"rules": [SPLIT, rule({"variant": "off"})]}, True),
        ({"rules": [{**SPLIT, "condition": {"in_segment": "beta"}}]}, False),
        ({"rules": [SPLIT], "targets": [{"variant": "on", "keys": ["anna"]}]}, False),
        ({"rules": [SPLIT], "targets": [{"variant": "third", "keys": ["anna"]}]}, True),
        ({"rules": [SPLIT], "prerequisites": [{"flag": "other"}]}, False),
        ({"rules": [SPLIT], "deprecation": {"withdrawal": {"weight": 1_000, "serves": "off"}}}, False),
        ({"rules": [SPLIT], "deprecation": {"deprecated_at": "2027-03-03T09:00:00Z"}}, True),
        ({"rules": [SPLIT], "enabled": False}, False),
        ({"rules": []}, False),
    ],
)
def test_weights__ways_to_the_arms__are_comparable_only_where_all_are_drawn(fields, is_randomised):
    assert weights_in({"enabled": True, **fields}, spec(), stage=2).is_randomised is is_randomised


def test_interval__events_without_units__are_kept_whole_and_marked():
    weights = Weights(95_000, 5_000, is_comparable=True, stage=3)

    found = interval_of(BEGIN, ArmCounts(900, 9), ArmCounts(0, 0, 50, 2), spec=spec(design_effect=3.0), weights=weights)

    assert (found.n_treatment, found.x_treatment, found.has_events, found.stage) == (50, 2, True, 3)
    assert (found.weight_control, found.weight_treatment) == (95_000, 5_000)
