"""The counts of a simulation as JSON: bounded, without any value that no document names."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from .tallies import FLIPS, FlagTally

MOST_VALUES = 10
MOST_DETAILED = 20


class GroupCounts:
    """Groups of people by number: what kind, its name, the label in it; and how many people there are in each."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, str, str], int] = {}
        self.people: list[int] = []

    def number(self, kind: str, name: str, label: str) -> int:
        """The number of a group, a new one for a new group."""
        found = self._numbers.setdefault((kind, name, label), len(self.people))
        if found == len(self.people):
            self.people.append(0)
        return found

    def rows(self, kind: str, flips: Mapping[str, Counter[int]]) -> dict[str, list[dict[str, Any]]]:
        """The groups of a kind by name, each with its people and what became of them."""
        found: dict[str, list[dict[str, Any]]] = {}
        for (its_kind, name, label), number in self._numbers.items():
            if its_kind == kind and (self.people[number] or kind == "segment"):
                row = {"label": label, "people": self.people[number]}
                found.setdefault(name, []).append(row | {flip: counts[number] for flip, counts in flips.items()})
        return found


def result_of(
    tallies: list[FlagTally], targets: Mapping[str, Mapping[str, int]], groups: GroupCounts
) -> list[dict[str, Any]]:
    """What becomes of every flag, those that move most people first; the first ones in detail."""
    ordered = sorted(tallies, key=lambda tally: (-tally.flips, tally.key))
    return [
        _flag(tally, targets.get(tally.key), groups if place < MOST_DETAILED and tally.flips else None)
        for place, tally in enumerate(ordered)
    ]


def _flag(tally: FlagTally, targets: Mapping[str, int] | None, groups: GroupCounts | None) -> dict[str, Any]:
    before, after = tally.exposed()
    found: dict[str, Any] = {
        "key": tally.key,
        "flipped": tally.flips,
        **{kind.value: tally.count(kind) for kind in FLIPS},
        "exposed_before": before,
        "exposed_after": after,
        "transitions": tally.transitions(),
        "targets": dict(targets) if targets else None,
    }
    if groups is not None:
        flips = {kind.value: tally.by_group(kind) for kind in FLIPS}
        found["segments"] = [{"key": key, **rows[0]} for key, rows in groups.rows("segment", flips).items()]
        found["attributes"] = [
            {"name": name, "values": _largest(rows)} for name, rows in groups.rows("attribute", flips).items()
        ]
        found["samples"] = tally.samples()
    return found


def _largest(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The values with most people; the others become one row."""
    ordered = sorted(rows, key=lambda row: (-row["people"], row["label"]))
    if len(ordered) <= MOST_VALUES:
        return ordered
    rest = Counter[str]()
    for row in ordered[MOST_VALUES - 1 :]:
        rest.update({name: count for name, count in row.items() if name != "label"})
    return [*ordered[: MOST_VALUES - 1], {"label": "everything else", **rest}]
