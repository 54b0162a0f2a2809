"""What this process counts about evaluations: by flag, variant and reason, by status, by time taken. No Django, no I/O.

The handler calls three functions, all cheap and none of which raises:

- `answered(snapshot, resolutions)` with the very objects the snapshot returned, once per request that was evaluated,
- `rendered()` where an answer was not ready-made and had to be written,
- `finished(kind, status, seconds)` once per request; `kind` is "single", "bulk" or "other".

Nothing here takes a lock while requests are answered. CPython changes threads between calls and loops only, and each
increment is one C call or a subscript without a call in it, so none is lost. Two exceptions: a request that is still
evaluating with a snapshot that was replaced twice meanwhile, and the very first two of a status at the same instant.

Names of flags come from snapshots alone, never from a request, so nobody can make series by asking for odd keys.
"""

import os
import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import NamedTuple

from flags.evaluation.compile import CompiledSnapshot
from flags.evaluation.resolution import Reason, Resolution

# Upper bounds in seconds: an evaluation takes microseconds, a slow one a few milliseconds.
BOUNDS = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5)
# More series than this are counted together per environment: a scrape has to stay small.
MAX_SERIES = 20_000
OTHER_FLAGS = "(other)"


class Series(NamedTuple):
    """What evaluations are counted by. `flag` is empty where the environment serves no such flag."""

    project: str
    environment: str
    flag: str
    variant: str
    reason: str


class Durations(NamedTuple):
    """How long requests took: how many up to each bound, and beyond the last; all of them together in seconds."""

    cumulative: tuple[int, ...]
    total_seconds: float


@dataclass(slots=True)
class _Tally:
    """How often each resolution of one snapshot was given, by identity. The snapshot is kept, so identities hold."""

    snapshot: CompiledSnapshot
    fresh: Counter[int] = field(default_factory=Counter)
    stale: Counter[int] = field(default_factory=Counter)

    def series(self) -> Counter[Series]:
        """The same by names."""
        source = self.snapshot.snapshot
        names = {id(one): (key, one) for key in self.snapshot.flag_keys for one in self.snapshot.answers(key)}
        counted: Counter[Series] = Counter()
        for counts, is_stale in ((self.fresh.copy(), False), (self.stale.copy(), True)):
            for identity, count in counts.items():
                flag, resolution = names.get(identity, ("", None))
                variant, reason = _words(resolution, is_stale=is_stale)
                counted[Series(source.project_key, source.environment_key, flag, variant, reason)] += count
        return counted


def _words(resolution: Resolution | None, *, is_stale: bool) -> tuple[str, str]:
    if resolution is None or resolution.error_code is not None:
        return "", Reason.ERROR.value
    return resolution.variant or "", Reason.STALE.value if is_stale else resolution.reason.value


class Meters:
    """The counters of a process."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin at zero: in a forked child, and between tests."""
        self._filing = threading.Lock()
        # By the identity of the snapshot.
        self._tallies: dict[int, _Tally] = {}
        self._filed: Counter[Series] = Counter()
        self._admitted: set[Series] = set()
        self._requests: Counter[tuple[str, int]] = Counter()
        self._durations: dict[str, list[int]] = {}
        self._seconds: dict[str, float] = {}
        self._rendered = 0

    def answered(self, snapshot: CompiledSnapshot, resolutions: Iterable[Resolution], *, stale: bool = False) -> None:
        """Count the resolutions of one request. They must be the objects that `snapshot` returned, not copies."""
        tally = self._tallies.get(id(snapshot)) or self._begin(snapshot)
        (tally.stale if stale else tally.fresh).update(map(id, resolutions))

    def rendered(self) -> None:
        """Count an answer that had to be written because it was not ready-made."""
        self._rendered += 1

    def finished(self, kind: str, status: int, seconds: float) -> None:
        """Count one request with the status of its answer and how long it took."""
        self._requests[kind, status] += 1
        buckets = self._durations.get(kind)
        if buckets is None:
            self._seconds.setdefault(kind, 0.0)
            buckets = self._durations.setdefault(kind, [0] * (len(BOUNDS) + 1))
        place = bisect_left(BOUNDS, seconds)
        buckets[place] += 1
        self._seconds[kind] += seconds

    def evaluations(self) -> dict[Series, int]:
        """How often each flag was answered with each variant for each reason since the process began."""
        with self._filing:
            counted = Counter(self._filed)
            for tally in self._tallies.values():
                self._add(counted, tally.series())
        return dict(counted)

    def requests(self) -> Mapping[tuple[str, int], int]:
        """How many requests were answered, by kind and status."""
        return self._requests.copy()

    def durations(self) -> dict[str, Durations]:
        """How long requests took, by kind."""
        return {
            kind: Durations(tuple(accumulate(buckets)), self._seconds[kind])
            for kind, buckets in self._durations.copy().items()
        }

    @property
    def rendered_answers(self) -> int:
        """How many answers had to be written; all the others were ready-made."""
        return self._rendered

    def _begin(self, snapshot: CompiledSnapshot) -> _Tally:
        """A tally for a snapshot seen for the first time; of earlier ones of the environment the last one stays."""
        with self._filing:
            tally = self._tallies.get(id(snapshot))
            if tally is None:
                environment_id = snapshot.snapshot.environment_id
                earlier = [
                    each for each in self._tallies.values() if each.snapshot.snapshot.environment_id == environment_id
                ]
                for each in earlier[:-1]:
                    self._add(self._filed, each.series())
                    del self._tallies[id(each.snapshot)]
                tally = self._tallies[id(snapshot)] = _Tally(snapshot)
            return tally

    def _add(self, counted: Counter[Series], more: Mapping[Series, int]) -> None:
        for series, count in more.items():
            counted[self._admit(series)] += count

    def _admit(self, series: Series) -> Series:
        """The series itself once it has a place, else the one that collects what has none."""
        if series not in self._admitted:
            if len(self._admitted) >= MAX_SERIES:
                return series._replace(flag=OTHER_FLAGS, variant="")
            self._admitted.add(series)
        return series


meters = Meters()
answered = meters.answered
rendered = meters.rendered
finished = meters.finished

# What the parent counted is the parent's to report.
os.register_at_fork(after_in_child=meters.reset)
