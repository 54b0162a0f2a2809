"""Two texts line by line in bounded time, however long they are and however often their lines repeat. Pure."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

# Comparisons of single lines that one difference may cost; about 50 ms.
MOST_STEPS = 600_000
_DEEPEST = 8
Anchor = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Stretch:
    """Lines `old[a_from:a_to]` that became `new[b_from:b_to]`, or are the same as them."""

    is_equal: bool
    a_from: int
    a_to: int
    b_from: int
    b_to: int


def stretches(old: Sequence[str], new: Sequence[str]) -> list[Stretch]:
    """What is the same and what is not, in order and without gaps; no two neighbours are of one kind.

    What both texts begin and end with is set aside. A stretch that is short enough is compared exactly; a longer one is
    cut at lines that are there once on both sides. What is too long without such lines counts as replaced.
    """
    pairs = sorted(_Matching(old, new).within(0, len(old), 0, len(new), 0))
    found: list[Stretch] = []
    a = b = 0
    for i, j, size in [*_joined(pairs), (len(old), len(new), 0)]:
        if (a, b) != (i, j):
            found.append(Stretch(False, a, i, b, j))
        if size:
            found.append(Stretch(True, i, i + size, j, j + size))
        a, b = i + size, j + size
    return found


def _joined(blocks: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """Blocks of equal lines, with those that touch put together."""
    joined: list[tuple[int, int, int]] = []
    for i, j, size in blocks:
        if joined and (joined[-1][0] + joined[-1][2], joined[-1][1] + joined[-1][2]) == (i, j):
            joined[-1] = (*joined[-1][:2], joined[-1][2] + size)
        else:
            joined.append((i, j, size))
    return joined


class _Matching:
    """The search for equal lines, with what is left of its budget."""

    def __init__(self, old: Sequence[str], new: Sequence[str]) -> None:
        self.old, self.new, self.steps = old, new, MOST_STEPS

    def within(self, a: int, a_end: int, b: int, b_end: int, depth: int) -> Iterator[tuple[int, int, int]]:
        """Blocks of equal lines of `old[a:a_end]` and `new[b:b_end]`: both places and the size."""
        head = _shared(self.old, self.new, range(a, a_end), range(b, b_end))
        if head:
            yield a, b, head
        a, b = a + head, b + head
        tail = _shared(self.old, self.new, range(a_end - 1, a - 1, -1), range(b_end - 1, b - 1, -1))
        a_end, b_end = a_end - tail, b_end - tail
        if tail:
            yield a_end, b_end, tail
        if a == a_end or b == b_end:
            return
        mine, theirs = Counter(self.old[a:a_end]), Counter(self.new[b:b_end])
        cost = _cost(mine, theirs, a_end - a, b_end - b)
        if cost <= self.steps:
            self.steps -= cost
            yield from _exact(self.old[a:a_end], self.new[b:b_end], a, b)
        elif depth < _DEEPEST:
            once = {line for line, count in mine.items() if count == theirs.get(line) == 1}
            yield from self._between(self._anchors(once, range(a, a_end), range(b, b_end)), (a_end, b_end), a, b, depth)

    def _between(
        self, anchors: list[Anchor], end: Anchor, a: int, b: int, depth: int
    ) -> Iterator[tuple[int, int, int]]:
        if not anchors:
            return
        for i, j in anchors:
            if a < i and b < j:
                yield from self.within(a, i, b, j, depth + 1)
            yield i, j, 1
            a, b = i + 1, j + 1
        yield from self.within(a, end[0], b, end[1], depth + 1)

    def _anchors(self, once: set[str], mine: range, theirs: range) -> list[Anchor]:
        """The longest series of lines of `once` that is in the same order on both sides."""
        places = {self.new[j]: j for j in theirs if self.new[j] in once}
        pairs = [(i, places[self.old[i]]) for i in mine if self.old[i] in once]
        ends: list[int] = []
        last: list[int] = []
        before: list[int] = []
        for index, (_, j) in enumerate(pairs):
            position = bisect_left(ends, j)
            before.append(last[position - 1] if position else -1)
            ends[position : position + 1] = [j]
            last[position : position + 1] = [index]
        series: list[Anchor] = []
        index = last[-1] if last else -1
        while index >= 0:
            series.append(pairs[index])
            index = before[index]
        return series[::-1]


def _shared(old: Sequence[str], new: Sequence[str], mine: range, theirs: range) -> int:
    """How many lines are equal, going along both ranges, until the first two that are not."""
    count = 0
    for i, j in zip(mine, theirs, strict=False):
        if old[i] != new[j]:
            break
        count += 1
    return count


def _cost(mine: Counter[str], theirs: Counter[str], size: int, other: int) -> int:
    """What exact matching may cost: it looks at every pair of equal lines again for every block it finds."""
    pairs = sum(count * theirs.get(line, 0) for line, count in mine.items())
    return (size + other + pairs) * min(size, other, pairs)


def _exact(old: Sequence[str], new: Sequence[str], a: int, b: int) -> Iterator[tuple[int, int, int]]:
    matcher = SequenceMatcher(a=old, b=new, autojunk=False)
    for block in matcher.get_matching_blocks():
        if block.size:
            yield a + block.a, b + block.b, block.size
