"""What stale flags come to: a number per project and day, so that it can be seen going up or down.

A stale flag counts 10 points, and one more for each whole week it has been stale, 20 at most. Where one cannot be sure
it counts less: 7 tenths of that at medium confidence, 4 tenths at low.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from .reasons import Confidence
from .staleness import Staleness

POINTS: Final = 10
MOST_WEEKS: Final = 20
TENTHS: Final[Mapping[Confidence, int]] = {Confidence.HIGH: 10, Confidence.MEDIUM: 7, Confidence.LOW: 4}


@dataclass(frozen=True, slots=True)
class Debt:
    """The score, of how many flags, how many of them stale, and the points by the surest reason of each."""

    score: int
    flags: int
    stale: int
    parts: Mapping[str, int]


def points_of(found: Staleness, now: datetime) -> int:
    """The points of one flag, 0 unless it is stale."""
    if found.since is None or found.confidence is None:
        return 0
    weeks = min((now - found.since).days // 7, MOST_WEEKS)
    return (POINTS + max(weeks, 0)) * TENTHS[found.confidence] // 10


def debt_of(verdicts: Iterable[Staleness], now: datetime) -> Debt:
    """What these flags come to together."""
    parts: Counter[str] = Counter()
    flags = stale = 0
    for found in verdicts:
        flags += 1
        if found.is_stale:
            stale += 1
            surest = max(found.findings, key=lambda each: each.confidence.rank)
            parts[surest.reason.value] += points_of(found, now)
    return Debt(sum(parts.values()), flags, stale, dict(sorted(parts.items())))
