"""Every context of a population against what is served and what would be served, with the compiler of evaluation."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from flags.evaluation import Snapshot
from flags.evaluation.conditions import Condition
from flags.evaluation.explain import compile_related
from flags.evaluation.segments import UNREADABLE, Segments

from .labels import Labels
from .masks import masked
from .mentions import mentions_of
from .results import GroupCounts, result_of
from .scope import Side, related_documents, segments_of
from .tallies import FLIPS, MOST_SAMPLES, FlagTally, differing_targets

MOST_ATTRIBUTES = 8
MOST_SEGMENTS = 12
MOST_TARGETS = 10_000


class Simulation:
    """Counts who gets another answer. Feed it a population, in one piece or in slices, and take the result.

    Both states are asked for the same instant `at`. Without `shows_keys` samples are masked.
    """

    def __init__(
        self, before: Snapshot, after: Snapshot, flag_keys: Iterable[str], *, at: datetime, shows_keys: bool
    ) -> None:
        self._at = at
        self._shows_keys = shows_keys
        self._revision = before.revision
        keys = list(flag_keys)
        self._before, self._after = compile_related(before, keys), compile_related(after, keys)
        self._tallies = [FlagTally(key, before, after) for key in keys]
        self._targets = self._count_targets(Side.of(before), Side.of(after))
        self.people = 0
        self._flipped: Counter[int] = Counter()
        self._groups = _Groups(related_documents(keys, Side.of(before), Side.of(after)), keys, Side.of(after))

    def feed(self, contexts: Iterable[Mapping[str, Any]]) -> None:
        """Count these contexts too."""
        before, after, at = self._before.evaluate, self._after.evaluate, self._at
        for context in contexts:
            groups = self._groups.of(context)
            known_before: dict[str, Any] = {}
            known_after: dict[str, Any] = {}
            bits = 0
            for tally in self._tallies:
                old = before(tally.key, context, at, known=known_before)
                new = after(tally.key, context, at, known=known_after)
                cell = tally.cells.get((old, new)) or tally.cell(old, new)
                cell.count += 1
                if cell.bit:
                    bits |= cell.bit
                    for group in groups:
                        cell.groups[group] += 1
                    if len(cell.samples) < MOST_SAMPLES:
                        cell.samples.append((self.people, self._shown(context.get("targetingKey"))))
            self.people += 1
            if bits:
                self._flipped[bits] += 1

    def result(self) -> dict[str, Any]:
        """Everything that was counted, as JSON."""
        flips = {
            kind.value: sum(count for bits, count in self._flipped.items() if bits >> place & 1)
            for place, kind in enumerate(FLIPS)
        }
        return {
            "at": self._at.isoformat(),
            "revision": self._revision,
            "population": self.people,
            "flipped": self._flipped.total(),
            **flips,
            "flags": result_of(self._tallies, self._targets, self._groups.counts),
        }

    def _shown(self, key: Any) -> str:
        return key if self._shows_keys and isinstance(key, str) else masked(key)

    def _count_targets(self, before: Side, after: Side) -> dict[str, dict[str, int]]:
        """What becomes of the keys whose individual targets differ; no made-up population holds them."""
        found: dict[str, dict[str, int]] = {}
        for tally in self._tallies:
            keys = differing_targets(before.configs.get(tally.key), after.configs.get(tally.key))
            counts: Counter[str] = Counter()
            for key in keys[:MOST_TARGETS]:
                context = {"targetingKey": key}
                answers = (side.evaluate(tally.key, context, self._at) for side in (self._before, self._after))
                counts[tally.cell(*answers).kind.value] += 1
            if keys:
                found[tally.key] = {"keys": len(keys), **{kind.value: counts[kind.value] for kind in FLIPS}}
        return found


class _Groups:
    """Which groups people are in: segments as they would be afterwards, and what documents ask of attributes."""

    def __init__(self, documents: list[Mapping[str, Any]], keys: list[str], after: Side) -> None:
        mentions = mentions_of(documents)
        self._labels: list[tuple[str, Labels, dict[Any, int]]] = [
            (name, Labels(mention), {}) for name, mention in list(mentions.items())[:MOST_ATTRIBUTES]
        ]
        self._segments: list[tuple[int, Condition]] = []
        self.counts = GroupCounts()
        segments = Segments(after.segments)
        configs = [after.configs[key] for key in keys if key in after.configs]
        for key in segments_of(configs, after)[:MOST_SEGMENTS]:
            try:
                self._segments.append((self.counts.number("segment", key, ""), segments.find(key).holds))
            except UNREADABLE:
                continue

    def of(self, context: Mapping[str, Any]) -> list[int]:
        """The numbers of the groups a context is in; counts it among their people."""
        found = [number for number, holds in self._segments if holds(context)]
        for name, labels, known in self._labels:
            value = context.get(name)
            kept = (value.__class__, value) if isinstance(value, str | int | float | None) else None
            number = known.get(kept) if kept else None
            if number is None:
                number = self.counts.number("attribute", name, labels.of(value))
                if kept and len(known) < 10_000:
                    known[kept] = number
            found.append(number)
        people = self.counts.people
        for number in found:
            people[number] += 1
        return found
