import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flags.telemetry.latency import (
    FIRST_BUCKET,
    LARGEST,
    LAST_BUCKET,
    RELATIVE_ERROR,
    SMALLEST,
    bucket_of,
    count_above,
    merged,
    quantile,
    sketch_of,
    value_of,
)

LATENCIES = st.floats(SMALLEST, LARGEST)
SKETCHES = st.dictionaries(st.integers(FIRST_BUCKET, LAST_BUCKET), st.integers(1, 10_000), max_size=20)


@given(LATENCIES)
def test_bucket__any_latency__is_told_within_the_relative_error(value):
    assert abs(value_of(bucket_of(value)) - value) <= value * RELATIVE_ERROR * (1 + 1e-9)


@given(LATENCIES, LATENCIES)
def test_bucket__longer_latency__is_in_no_lower_bucket(one, other):
    assert (bucket_of(one) <= bucket_of(other)) or one > other


@pytest.mark.parametrize(("value", "bucket"), [(0, FIRST_BUCKET), (1e-9, FIRST_BUCKET), (1e300, LAST_BUCKET), (1, 0)])
def test_bucket__outside_the_range__is_the_first_or_last(value, bucket):
    assert bucket_of(value) == bucket


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), -0.001])
def test_bucket__no_latency__is_refused(value):
    with pytest.raises(ValueError, match="no latency"):
        bucket_of(value)


@given(SKETCHES, SKETCHES, SKETCHES)
@settings(max_examples=40)
def test_merge__any_order_and_grouping__is_the_same(one, two, three):
    assert merged([one, two, three]) == merged([merged([three, one]), two])
    assert sum(merged([one, two, three]).values()) == sum(map(sum, (one.values(), two.values(), three.values())))


def test_merge__of_parts__is_the_sketch_of_all():
    values = np.random.default_rng(7).lognormal(4, 1.5, 5_000)

    assert merged(map(sketch_of, np.split(values, 10))) == dict(sorted(sketch_of(values).items()))


@pytest.mark.parametrize("shape", ["lognormal", "pareto", "uniform", "two humps"])
@pytest.mark.parametrize("part", [0, 0.5, 0.9, 0.95, 0.99, 0.999, 1])
def test_quantile__shapes_of_latency__agrees_with_numpy_within_the_relative_error(shape, part):
    random = np.random.default_rng(11)
    values = {
        "lognormal": random.lognormal(4, 1, 4_001),
        "pareto": 5 * (1 + random.pareto(1.2, 4_001)),
        "uniform": random.uniform(1, 500, 4_001),
        "two humps": np.concatenate([random.normal(20, 2, 3_000), random.normal(900, 30, 1_001)]),
    }[shape]

    exact = float(np.quantile(values, part, method="inverted_cdf"))

    assert quantile(sketch_of(values), part) == pytest.approx(exact, rel=RELATIVE_ERROR * (1 + 1e-9))


def test_quantile__nothing_counted__is_unknown():
    assert quantile({}, 0.5) is None


def test_count_above__a_limit__misses_only_what_lies_next_to_it():
    values = np.random.default_rng(3).lognormal(5, 1, 20_000)
    limit = 300.0

    found = count_above(sketch_of(values), limit)

    assert (values > limit * (1 + 2.1 * RELATIVE_ERROR)).sum() <= found <= (values > limit).sum()
