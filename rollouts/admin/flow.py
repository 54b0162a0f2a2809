"""The flow picture: variants before on the left, after on the right, and bands as wide as people go."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

WIDTH = 460
BAR = 10
_HEIGHT = 170
_SLOT = 30
_THINNEST = 1.5
_MOST_NODES = 6
_OTHERS = "other variants"


@dataclass(frozen=True, slots=True)
class Node:
    """A variant on one side: its bar and where its words stand."""

    label: str
    people: int
    y: float
    height: float

    @property
    def text_y(self) -> float:
        """The base line of the words."""
        return self.y + min(self.height, _SLOT) / 2 + 5


@dataclass(frozen=True, slots=True)
class Band:
    """People who go from one variant to another."""

    kind: str
    path: str
    words: str


@dataclass(frozen=True, slots=True)
class Flow:
    """Everything that is drawn."""

    width: int
    height: float
    left: Sequence[Node]
    right: Sequence[Node]
    bands: Sequence[Band]


def answer_words(variant: str | None) -> str:
    """What a variant is called: the code default has no name, and an error is none."""
    if variant is None:
        return "code default"
    return "an error" if variant == " error" else variant


def flow_of(transitions: Sequence[Mapping[str, Any]], *, people: int) -> Flow:
    """The picture of the transitions of one flag among so many people."""
    moves = _merged(transitions)
    left, right = (_nodes(moves, side, people=people) for side in (0, 1))
    height = max(sum(max(node.height, _SLOT) for node in side) for side in (left, right)) + 8
    return Flow(WIDTH, round(height, 1), left, right, _bands(moves, left, right, people=people))


def _merged(transitions: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, str, int]]:
    """From, to, kind and people; variants beyond the largest few become one."""
    rows = [
        (answer_words(row["from"]), answer_words(row["to"]), str(row["kind"]), int(row["people"]))
        for row in transitions
    ]
    kept = [_largest(rows, side) for side in (0, 1)]
    merged: dict[tuple[str, str, str], int] = {}
    for old, new, kind, count in rows:
        key = (old if old in kept[0] else _OTHERS, new if new in kept[1] else _OTHERS, kind)
        merged[key] = merged.get(key, 0) + count
    return [(*key, count) for key, count in merged.items()]


def _largest(rows: Sequence[tuple[str, str, str, int]], side: int) -> set[str]:
    totals: dict[str, int] = {}
    for row in rows:
        totals[str(row[side])] = totals.get(str(row[side]), 0) + row[3]
    ordered = sorted(totals, key=lambda name: -totals[name])
    return set(ordered if len(ordered) <= _MOST_NODES else ordered[: _MOST_NODES - 1])


def _thickness(count: int, people: int) -> float:
    return max(_THINNEST, _HEIGHT * count / people)


def _nodes(moves: Sequence[tuple[str, str, str, int]], side: int, *, people: int) -> list[Node]:
    totals: dict[str, tuple[int, float]] = {}
    for move in moves:
        count, height = totals.get(str(move[side]), (0, 0.0))
        totals[str(move[side])] = (count + move[3], height + _thickness(move[3], people))
    nodes, y = [], 4.0
    for label, (count, height) in sorted(totals.items(), key=lambda item: (-item[1][0], item[0])):
        nodes.append(Node(label, count, round(y, 1), round(height, 1)))
        y += max(height, _SLOT)
    return nodes


def _bands(
    moves: Sequence[tuple[str, str, str, int]], left: Sequence[Node], right: Sequence[Node], *, people: int
) -> list[Band]:
    places = [{node.label: node.y for node in side} for side in (left, right)]
    order = [[node.label for node in side] for side in (left, right)]
    bands = []
    for old, new, kind, count in sorted(moves, key=lambda move: (order[0].index(move[0]), order[1].index(move[1]))):
        thick = _thickness(count, people)
        start, end = places[0][old], places[1][new]
        places[0][old], places[1][new] = start + thick, end + thick
        words = f"{count:,} from {old} to {new}" if old != new else f"{count:,} keep {old}"
        bands.append(Band(kind, _path(start, end, thick), words))
    # Those who flip are drawn last, so that nothing covers them.
    return sorted(bands, key=lambda band: band.kind != "same")


def _path(start: float, end: float, thick: float) -> str:
    near, far, middle = BAR, WIDTH - BAR, WIDTH / 2
    return (
        f"M{near} {start:.1f}C{middle:g} {start:.1f} {middle:g} {end:.1f} {far} {end:.1f}"
        f"V{end + thick:.1f}C{middle:g} {end + thick:.1f} {middle:g} {start + thick:.1f} {near} {start + thick:.1f}Z"
    )
