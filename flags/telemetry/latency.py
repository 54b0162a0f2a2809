"""A sketch of latencies that can be merged: events counted by logarithmic bucket.

Bucket i holds the values in (g^(i-1), g^i] with g = (1 + a) / (1 - a), so that every value is told to within the
relative error a = 1 % (Masson, Rim & Lee, DDSketch, PVLDB 12(12), 2019). Values are milliseconds from 0.001 to about
28 hours; what lies outside counts in the first or the last bucket.
"""

from collections.abc import Iterable, Mapping
from math import ceil, isfinite, log

RELATIVE_ERROR = 0.01
_BASE = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
_LOG_BASE = log(_BASE)
SMALLEST, LARGEST = 0.001, 100_000_000.0
FIRST_BUCKET, LAST_BUCKET = ceil(log(SMALLEST) / _LOG_BASE), ceil(log(LARGEST) / _LOG_BASE)

Sketch = Mapping[int, int]


def bucket_of(value: float) -> int:
    """The bucket of a latency in milliseconds. Raises ValueError for one that is negative or not a number."""
    if not (isfinite(value) and value >= 0):
        raise ValueError(f"{value} is no latency.")
    if value <= SMALLEST:
        return FIRST_BUCKET
    return min(ceil(log(value) / _LOG_BASE), LAST_BUCKET)


def value_of(bucket: int) -> float:
    """The latency in milliseconds that stands for all of a bucket, within the relative error."""
    return float(2 * _BASE**bucket / (_BASE + 1))


def sketch_of(values: Iterable[float]) -> dict[int, int]:
    """The sketch of single latencies."""
    counts: dict[int, int] = {}
    for value in values:
        bucket = bucket_of(value)
        counts[bucket] = counts.get(bucket, 0) + 1
    return counts


def merged(sketches: Iterable[Sketch]) -> dict[int, int]:
    """One sketch of all events; the order and the grouping of the sketches make no difference."""
    counts: dict[int, int] = {}
    for sketch in sketches:
        for bucket, count in sketch.items():
            counts[bucket] = counts.get(bucket, 0) + count
    return dict(sorted(counts.items()))


def quantile(sketch: Sketch, part: float) -> float | None:
    """The latency that `part` (0 to 1) of all events do not exceed, within the relative error; None without events.

    It tells the event of rank ceil(part * n), the “inverted_cdf” of Hyndman & Fan, The American Statistician, 1996.
    """
    if not 0 <= part <= 1:
        raise ValueError(f"{part} is no part of all events.")
    rank = max(1, ceil(part * sum(sketch.values())))
    seen = 0
    for bucket in sorted(sketch):
        seen += sketch[bucket]
        if seen >= rank:
            return value_of(bucket)
    return None


def count_above(sketch: Sketch, limit: float) -> int:
    """Events over a limit in milliseconds. Those in the limit's own bucket count as kept to it: they lie within twice
    the relative error of it."""
    own = bucket_of(limit)
    return sum(count for bucket, count in sketch.items() if bucket > own)
