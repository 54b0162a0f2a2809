"""What a point of an OTLP metric comes to: events, bad ones, their sum, and a latency sketch from a histogram."""

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from flags.telemetry.latency import bucket_of

# Units of time (UCUM, as the conventions ask) in milliseconds.
_MILLISECONDS = {"s": 1_000.0, "ms": 1.0, "us": 0.001, "µs": 0.001, "ns": 0.000_001}
_SCALES = range(-10, 21)
_MOST_BINARY_DIGITS = 60.0


class PointRefused(ValueError):
    """A record that is not counted; says why, and repeats nothing that was sent."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Values:
    """Events of a point. `total` is in milliseconds where the metric is a time; the sketch is of times only."""

    count: int
    bad: int = 0
    total: float = 0.0
    sketch: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Bin:
    """Events between two values, as a histogram knows them."""

    above: float
    up_to: float
    count: int


def buckets_of(kind: str, point: Any) -> tuple[Any, ...]:
    """The lists of numbers that a point holds."""
    if kind == "histogram":
        return point.bucket_counts, point.explicit_bounds
    if kind == "exponential_histogram":
        return point.positive.bucket_counts, point.negative.bucket_counts
    return ()


def values_of(kind: str, point: Any, *, unit: str, limit: float | None) -> Values:
    """What a point of a sum or a histogram comes to; events entirely above `limit` (in its unit) are bad.

    Raises PointRefused.
    """
    if kind == "sum":
        return Values(_whole(point))
    bins = list(_explicit(point) if kind == "histogram" else _exponential(point))
    if not math.isfinite(point.sum) or sum(each.count for each in bins) not in {point.count, 0}:
        raise PointRefused("invalid_histogram", "The buckets of a histogram do not add up to its count.")
    factor = _MILLISECONDS.get(unit)
    bad = 0 if limit is None else sum(each.count for each in bins if each.above >= limit)
    sketch = {} if factor is None else _sketch(bins, factor)
    return Values(point.count, bad, point.sum * (factor or 1.0), sketch)


def _whole(point: Any) -> int:
    value = getattr(point, point.WhichOneof("value") or "as_int")
    if not (math.isfinite(value) and value >= 0 and value == int(value)):
        raise PointRefused("invalid_value", "A sum is no whole number of events.")
    return int(value)


def _explicit(point: Any) -> Iterator[_Bin]:
    bounds, counts = list(point.explicit_bounds), list(point.bucket_counts)
    if not counts:
        return
    if len(counts) != len(bounds) + 1 or any(not low < high for low, high in itertools.pairwise(bounds)):
        raise PointRefused("invalid_histogram", "The bounds of a histogram are not in order.")
    # What lies beyond the last bound is told by it, if the largest value is not known.
    highest = point.max if point.HasField("max") else -math.inf
    edges = [0.0, *bounds, max(highest, bounds[-1] if bounds else 0.0)]
    for place, count in enumerate(counts):
        if count:
            yield _Bin(edges[place], edges[place + 1], count)


def _exponential(point: Any) -> Iterator[_Bin]:
    if point.scale not in _SCALES or any(point.negative.bucket_counts):
        raise PointRefused("invalid_histogram", "A histogram has negative values or an unusual scale.")
    if point.zero_count:
        yield _Bin(0.0, point.zero_threshold, point.zero_count)
    for place, count in enumerate(point.positive.bucket_counts):
        if count:
            index = point.positive.offset + place
            yield _Bin(_power(index, point.scale), _power(index + 1, point.scale), count)


def _power(index: int, scale: int) -> float:
    digits = index * 2.0**-scale
    return float(2.0 ** min(max(digits, -_MOST_BINARY_DIGITS), _MOST_BINARY_DIGITS))


def _sketch(bins: Iterable[_Bin], factor: float) -> dict[int, int]:
    """Each bin's events at its upper bound: never told faster than they were."""
    counts: dict[int, int] = {}
    for each in bins:
        if not math.isfinite(each.up_to):
            raise PointRefused("invalid_histogram", "A bound of a histogram is no number.")
        bucket = bucket_of(max(each.up_to, 0.0) * factor)
        counts[bucket] = counts.get(bucket, 0) + each.count
    return counts
