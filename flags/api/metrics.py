"""What this process counts about evaluations: by flag, variant and reason, by status, by time taken. No Django, no I/O.

The handler calls three functions, all cheap and none of which raises:

- `answered(snapshot, resolutions)` with the very objects the snapshot returned, once per request that was evaluated;
  after a plan only what the context decided, and the plan, whose fixed answers are counted by counting the plan,
- `rendered()` where an answer was not ready-made and had to be written,
- `finished(kind, status, seconds)` once per request; `kind` is "single", "bulk" or "other".

A request only notes what happened. Notes are counted together, by the request that makes enough of them or by whoever
asks for the counts: the same work in one go costs half, because the processor has it at hand. No request waits for a
lock: what one thread is counting, another leaves alone.

Names of flags come from snapshots alone, never from a request, so nobody can make series by asking for odd keys.
"""

import os
import threading
from bisect import bisect_left
from collections import Counter, defaultdict, deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from itertools import accumulate, chain, product
from typing import NamedTuple, TypeVar

from flags.evaluation.compile import CompiledSnapshot
from flags.evaluation.plans import Plan
from flags.evaluation.resolution import Reason, Resolution

# Upper bounds in seconds: an evaluation takes microseconds, a slow one a few milliseconds.
BOUNDS = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5)
# More series than this are counted together per environment: a scrape has to stay small.
MAX_SERIES = 20_000
OTHER_FLAGS = "(other)"
# So many requests are counted together: few enough that nobody notices the one that does it.
_NOTES = 64

_Note = TypeVar("_Note")


class Series(NamedTuple):
    """What evaluations are counted by. `flag` is empty where the environment serves no such flag."""

    project: str
    environment: str
    flag: str
    variant: str
    reason: str


class Counted(NamedTuple):
    """A series, and whether it was in answers to those who ask for all flags at once, whatever they use of them."""

    series: Series
    is_bulk: bool


class Durations(NamedTuple):
    """How long requests took: how many up to each bound, and beyond the last; all of them together in seconds."""

    cumulative: tuple[int, ...]
    total_seconds: float


@dataclass(slots=True)
class _Tally:
    """How often each resolution of one snapshot was given: by whether it was stale, and then whether in bulk."""

    snapshot: CompiledSnapshot
    given: defaultdict[tuple[bool, bool], Counter[Resolution]] = field(default_factory=lambda: defaultdict(Counter))
    # And how often each plan was answered, with its fixed resolutions: fresh ones, stale ones.
    plans: Counter[tuple[Plan, bool]] = field(default_factory=Counter)

    def counted(self) -> Counter[Counted]:
        """The same by names."""
        source = self.snapshot.snapshot
        flags = {one: key for key in self.snapshot.flag_keys for one in self.snapshot.answers(key)}
        counted: Counter[Counted] = Counter()
        for is_stale, is_bulk in product((False, True), repeat=2):
            for resolution, count in self._given(is_stale=is_stale, is_bulk=is_bulk).items():
                flag = flags.get(resolution, "")
                variant, reason = _words(resolution, is_stale=is_stale)
                series = Series(source.project_key, source.environment_key, flag, variant, reason)
                counted[Counted(series, is_bulk)] += count
        return counted

    def _given(self, *, is_stale: bool, is_bulk: bool) -> Counter[Resolution]:
        """How often each resolution was given, by a plan or by itself."""
        given = Counter(self.given.get((is_stale, is_bulk), {}))
        if is_bulk:
            for (plan, was_stale), count in self.plans.items():
                if was_stale is is_stale:
                    given.update(dict.fromkeys(plan.fixed.values(), count))
        return given


def _words(resolution: Resolution, *, is_stale: bool) -> tuple[str, str]:
    if resolution.error_code is not None:
        return "", Reason.ERROR.value
    return resolution.variant or "", Reason.STALE.value if is_stale else resolution.reason.value


class Meters:
    """The counters of a process."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin at zero: in a forked child, and between tests."""
        self._counting = threading.Lock()
        self._answered: deque[tuple[CompiledSnapshot, Collection[Resolution], bool, Plan | None]] = deque()
        self._finished: deque[tuple[str, int, float]] = deque()
        self._tallies: dict[CompiledSnapshot, _Tally] = {}
        self._filed: Counter[Counted] = Counter()
        self._admitted: set[Series] = set()
        self._requests: Counter[tuple[str, int]] = Counter()
        self._durations: dict[str, list[int]] = {}
        self._seconds: dict[str, float] = {}
        self._rendered = 0

    def answered(
        self,
        snapshot: CompiledSnapshot,
        resolutions: Collection[Resolution],
        *,
        stale: bool = False,
        plan: Plan | None = None,
    ) -> None:
        """Count the resolutions of one request. They must be the objects that `snapshot` returned, not copies.

        A plan is how all flags are answered at once: with one, its fixed resolutions are counted too.
        """
        self._answered.append((snapshot, resolutions, stale, plan))

    def rendered(self) -> None:
        """Count an answer that had to be written because it was not ready-made."""
        self._rendered += 1

    def finished(self, kind: str, status: int, seconds: float) -> None:
        """Count one request with the status of its answer and how long it took."""
        self._finished.append((kind, status, seconds))
        if len(self._finished) >= _NOTES and self._counting.acquire(blocking=False):
            try:
                self._count()
            finally:
                self._counting.release()

    def evaluations(self) -> dict[Series, int]:
        """How often each flag was answered with each variant for each reason since the process began."""
        together: Counter[Series] = Counter()
        for (series, _), count in self.counted().items():
            together[series] += count
        return dict(together)

    def counted(self) -> dict[Counted, int]:
        """The same, answers to those who ask for all flags at once apart."""
        with self._counting:
            self._count()
            counted = Counter(self._filed)
            for tally in self._tallies.values():
                self._add(counted, tally.counted())
        return dict(counted)

    def requests(self) -> Mapping[tuple[str, int], int]:
        """How many requests were answered, by kind and status."""
        with self._counting:
            self._count()
            return self._requests.copy()

    def durations(self) -> dict[str, Durations]:
        """How long requests took, by kind."""
        with self._counting:
            self._count()
            return {
                kind: Durations(tuple(accumulate(buckets)), self._seconds[kind])
                for kind, buckets in self._durations.items()
            }

    @property
    def rendered_answers(self) -> int:
        """How many answers had to be written; all the others were ready-made."""
        return self._rendered

    def _count(self) -> None:
        """Count what was noted until now. Used under the lock."""
        alike: defaultdict[tuple[CompiledSnapshot, bool, Plan | None], list[Collection[Resolution]]] = defaultdict(list)
        for snapshot, resolutions, is_stale, plan in _taken(self._answered):
            alike[snapshot, is_stale, plan].append(resolutions)
        for (snapshot, is_stale, plan), answers in alike.items():
            tally = self._tallies.get(snapshot) or self._begin(snapshot)
            tally.given[is_stale, plan is not None].update(chain.from_iterable(answers))
            if plan is not None:
                tally.plans[plan, is_stale] += len(answers)
        spent: defaultdict[tuple[str, int], list[float]] = defaultdict(list)
        for kind, status, seconds in _taken(self._finished):
            spent[kind, status].append(seconds)
        for (kind, status), taken in spent.items():
            self._requests[kind, status] += len(taken)
            self._time(kind, taken)

    def _time(self, kind: str, taken: list[float]) -> None:
        """Count how long requests took. Used under the lock."""
        if kind not in self._durations:
            self._durations[kind], self._seconds[kind] = [0] * (len(BOUNDS) + 1), 0.0
        buckets = self._durations[kind]
        for seconds in taken:
            buckets[bisect_left(BOUNDS, seconds)] += 1
        self._seconds[kind] += sum(taken)

    def _begin(self, snapshot: CompiledSnapshot) -> _Tally:
        """A tally for a snapshot seen for the first time; of earlier ones of the environment the last one stays."""
        environment_id = snapshot.snapshot.environment_id
        earlier = [each for each in self._tallies.values() if each.snapshot.snapshot.environment_id == environment_id]
        for each in earlier[:-1]:
            self._add(self._filed, each.counted())
            del self._tallies[each.snapshot]
        tally = self._tallies[snapshot] = _Tally(snapshot)
        return tally

    def _add(self, counted: Counter[Counted], more: Mapping[Counted, int]) -> None:
        for (series, is_bulk), count in more.items():
            counted[Counted(self._admit(series), is_bulk)] += count

    def _admit(self, series: Series) -> Series:
        """The series itself once it has a place, else the one that collects what has none."""
        if series not in self._admitted:
            if len(self._admitted) >= MAX_SERIES:
                return series._replace(flag=OTHER_FLAGS, variant="")
            self._admitted.add(series)
        return series


def _taken(notes: deque[_Note]) -> list[_Note]:
    """Take the notes there are now; meanwhile others may be added."""
    return [notes.popleft() for _ in range(len(notes))]


meters = Meters()
answered = meters.answered
rendered = meters.rendered
finished = meters.finished

# What the parent counted is the parent's to report.
os.register_at_fork(after_in_child=meters.reset)
