"""What is slow: told from the sketches of services that report events, and by services where these report units."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flags.telemetry.latency import RELATIVE_ERROR, sketch_of
from rollouts.guarding.serving import ArmCounts, Weights, interval_of
from rollouts.plans.codec import as_json, from_json
from rollouts.plans.definition import MetricKind, PlanDefinition, Strategy

from .support import BEGIN, spec

LIMIT = 800.0
SLOW = spec(kind=MetricKind.LATENCY, limit=LIMIT)
HALVES = Weights(50_000, 50_000, is_comparable=True, stage=1)
LATENCIES = st.lists(st.floats(0.01, 100_000), max_size=50)


def sketched(values, *, bad=0):
    """An arm of which a service reports events with their sketch, `bad` of them marked by itself."""
    return ArmCounts(0, 0, len(values), bad, sketch_of(values))


def counts(control, treatment, guard=SLOW):
    found = interval_of(BEGIN, control, treatment, spec=guard, weights=HALVES)
    return (found.n_control, found.x_control, found.n_treatment, found.x_treatment)


QUICK_AND_SLOW = sketched([100.0, 790.0, 900.0])
ALL_SLOW = sketched([5_000.0, 6_000.0], bad=1)
NOBODY = ArmCounts()
BY_UNITS = ArmCounts(10, 3, sketch=sketch_of([900.0] * 10))


@pytest.mark.parametrize(
    ("control", "treatment", "guard", "expected"),
    [
        (QUICK_AND_SLOW, ALL_SLOW, SLOW, (3, 1, 2, 2)),
        (NOBODY, ALL_SLOW, SLOW, (0, 0, 2, 2)),
        (QUICK_AND_SLOW, NOBODY, SLOW, (3, 1, 0, 0)),
        # No limit, units, or a sketch that lacks an event: services say what is slow, in both arms.
        (QUICK_AND_SLOW, ALL_SLOW, spec(kind=MetricKind.LATENCY), (3, 0, 2, 1)),
        (BY_UNITS, ALL_SLOW, SLOW, (10, 3, 2, 1)),
        (QUICK_AND_SLOW, BY_UNITS, SLOW, (3, 0, 10, 3)),
        (ArmCounts(0, 0, 4, 2, QUICK_AND_SLOW.sketch), ALL_SLOW, SLOW, (4, 2, 2, 1)),
        (ArmCounts(0, 0, 4, 2), ALL_SLOW, SLOW, (4, 2, 2, 1)),
        (ArmCounts(5, 1, 3, 0, QUICK_AND_SLOW.sketch), ALL_SLOW, SLOW, (8, 1, 2, 1)),
    ],
)
def test_interval__limit_and_sketches__say_what_is_slow_in_both_arms_or_in_none(control, treatment, guard, expected):
    assert counts(control, treatment, guard) == expected


@given(LATENCIES, LATENCIES, st.floats(0.1, 50_000))
@settings(max_examples=100)
def test_interval__any_latencies__count_what_is_over_the_limit_within_the_error_of_the_sketch(
    control, treatment, limit
):
    found = counts(sketched(control), sketched(treatment), spec(kind=MetricKind.LATENCY, limit=limit))

    width = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR) * (1 + 1e-9)
    for slow, values in ((found[1], control), (found[3], treatment)):
        assert sum(value > limit * width for value in values) <= slow <= sum(value > limit for value in values)


def test_limit__is_stored_only_where_there_is_one():
    plain, limited = (
        PlanDefinition(("checkout",), Strategy.CUSTOM, (), (guard,)) for guard in (spec(kind=MetricKind.LATENCY), SLOW)
    )

    assert "limit" not in as_json(plain)["guards"][0]
    assert as_json(limited)["guards"][0]["limit"] == LIMIT
    assert [from_json(as_json(one)) for one in (plain, limited)] == [plain, limited]
