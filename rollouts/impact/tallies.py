"""What is counted for one flag: which answer became which, for whom, and a few of them by number."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import orjson

from flags.evaluation import ErrorCode, Resolution, Snapshot
from flags.evaluation.flags import values_of
from flags.evaluation.segments import UNREADABLE

MOST_SAMPLES = 20
ERROR = " error"


class Kind(StrEnum):
    """What became of somebody's answer."""

    SAME = "same"
    GAINED = "gained"
    LOST = "lost"
    CHANGED = "changed"


FLIPS = (Kind.GAINED, Kind.LOST, Kind.CHANGED)


@dataclass(frozen=True, slots=True)
class Exposure:
    """Tells who is exposed to a flag in one state: whoever gets anything else than it serves switched off.

    An error serves nothing, and neither does a flag that is not set up.
    """

    is_set_up: bool
    off: bytes | None

    @classmethod
    def of(cls, snapshot: Snapshot, key: str) -> "Exposure":
        """The exposure to a flag in a snapshot."""
        source = snapshot.flags.get(key)
        if source is None:
            return cls(False, None)
        try:
            variant = source.document["off_variant"]
            return cls(True, None if variant is None else written(values_of(source)[variant]))
        except UNREADABLE:
            return cls(False, None)

    def covers(self, resolution: Resolution) -> bool:
        """Whether somebody with this answer is exposed."""
        return self.is_set_up and resolution.error_code is None and _value(resolution) != self.off


def written(value: Any) -> bytes:
    """A value as JSON that is the same for the same value."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _value(resolution: Resolution) -> bytes | None:
    return written(resolution.value) if resolution.has_value else None


@dataclass(slots=True)
class Cell:
    """One way from an answer to an answer, and how many went it. `bit` marks its kind among those of one person."""

    kind: Kind
    old: Resolution
    new: Resolution
    was_exposed: bool
    is_exposed: bool
    count: int = 0
    bit: int = 0
    samples: list[tuple[int, str]] = field(default_factory=list)
    groups: Counter[int] = field(default_factory=Counter)


class FlagTally:
    """The counts of one flag."""

    def __init__(self, key: str, before: Snapshot, after: Snapshot) -> None:
        self.key = key
        self._before, self._after = Exposure.of(before, key), Exposure.of(after, key)
        self.cells: dict[tuple[Resolution, Resolution], Cell] = {}

    def cell(self, old: Resolution, new: Resolution) -> Cell:
        """The cell of two answers; resolutions are built once per snapshot, so they are told apart by identity."""
        found = self.cells.get((old, new))
        if found is None:
            was, is_now = self._before.covers(old), self._after.covers(new)
            kind = _kind(old, new, was, is_now)
            bit = 0 if kind is Kind.SAME else 1 << FLIPS.index(kind)
            found = self.cells[old, new] = Cell(kind, old, new, was, is_now, bit=bit)
        return found

    def count(self, kind: Kind) -> int:
        """How many this became of."""
        return sum(cell.count for cell in self.cells.values() if cell.kind is kind)

    @property
    def flips(self) -> int:
        """How many get another answer."""
        return sum(cell.count for cell in self.cells.values() if cell.kind is not Kind.SAME)

    def exposed(self) -> tuple[int, int]:
        """How many are exposed before and after."""
        cells = self.cells.values()
        return (
            sum(cell.count for cell in cells if cell.was_exposed),
            sum(cell.count for cell in cells if cell.is_exposed),
        )

    def transitions(self) -> list[dict[str, Any]]:
        """From which variant to which, the largest first; None is the code default of the caller."""
        found: dict[tuple[Any, ...], int] = defaultdict(int)
        for cell in self.cells.values():
            if cell.count:
                found[_name(cell.old), _name(cell.new), cell.kind.value] += cell.count
        ordered = sorted(found.items(), key=lambda item: (-item[1], str(item[0])))
        return [{"from": old, "to": new, "kind": kind, "people": count} for (old, new, kind), count in ordered]

    def by_group(self, kind: Kind) -> Counter[int]:
        """How many of each group this became of."""
        return sum((cell.groups for cell in self.cells.values() if cell.kind is kind), Counter())

    def samples(self) -> list[dict[str, Any]]:
        """Some of those who get another answer, a bounded number of each kind, in the order of the population."""
        found: list[dict[str, Any]] = []
        for kind in FLIPS:
            cells = [cell for cell in self.cells.values() if cell.kind is kind]
            drawn = sorted(
                ((number, key, _name(cell.old), _name(cell.new)) for cell in cells for number, key in cell.samples),
                key=lambda item: item[0],
            )
            found += [
                {"kind": kind.value, "number": number, "key": key, "from": old, "to": new}
                for number, key, old, new in drawn[:MOST_SAMPLES]
            ]
        return found


def _kind(old: Resolution, new: Resolution, was: bool, is_now: bool) -> Kind:
    if was != is_now:
        return Kind.LOST if was else Kind.GAINED
    same = (old.variant, _value(old), old.error_code) == (new.variant, _value(new), new.error_code)
    return Kind.SAME if same else Kind.CHANGED


def _name(resolution: Resolution) -> str | None:
    """A variant, None for the code default; no variant begins with a blank, so this one stands for an error."""
    is_error = resolution.error_code not in (None, ErrorCode.FLAG_NOT_FOUND)
    return ERROR if is_error else resolution.variant


def differing_targets(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> list[str]:
    """The keys that are individually targeted on one side only, or with another variant."""
    old, new = _targets(before), _targets(after)
    return sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))


def _targets(document: Mapping[str, Any] | None) -> dict[str, str]:
    targets: Iterable[Mapping[str, Any]] = (document or {}).get("targets") or ()
    return {key: target["variant"] for target in targets for key in target["keys"]}
