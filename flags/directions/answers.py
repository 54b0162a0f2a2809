"""What a flag can answer, and how one answer compares with another."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple


class Level(IntEnum):
    """How far an answer, or a whole flag, moves away from what it was."""

    SAME = 0
    NARROWER = 1
    WIDER = 2


class Answer(NamedTuple):
    """A variant with its value as canonical JSON; without both, the code default of the caller.

    `is_unkeyed` marks what a split by targeting key gives to those who send none: the default variant, or an error
    where the environment is strict.
    """

    variant: str | None
    value: str | None
    is_unkeyed: bool = False


CODE_DEFAULT = Answer(None, None)


def level_of(old: Answer, new: Answer, off: Answer) -> Level:
    """How `new` compares with `old` for a flag that answers `off` when it is switched off.

    An error counts as narrower: it serves nothing, so it exposes nobody.
    """
    if old == new:
        return Level.SAME
    if new.value == off.value:
        return Level.NARROWER
    if new.is_unkeyed and not old.is_unkeyed and new[:2] == old[:2]:
        return Level.NARROWER
    return Level.WIDER


@dataclass(frozen=True, slots=True)
class Serve:
    """What a rule gives: answers with weights, by which attribute and salt, and what who cannot be bucketed gets."""

    shares: tuple[tuple[Answer, int], ...]
    bucketing: tuple[str, str] | None = None
    unbucketed: Answer | None = None

    @property
    def answers(self) -> tuple[Answer, ...]:
        """Every answer it can give."""
        given = [answer for answer, weight in self.shares if weight]
        return tuple(dict.fromkeys(given if self.unbucketed is None else [*given, self.unbucketed]))

    @property
    def total(self) -> int:
        """The sum of the weights."""
        return sum(weight for _, weight in self.shares)


def pairs(old: Serve, new: Serve) -> Iterator[tuple[Answer, Answer]]:
    """What one and the same context can get before and after."""
    if old.bucketing is None or old.bucketing != new.bucketing or old.total != new.total:
        yield from ((before, after) for before in old.answers for after in new.answers)
        return
    if old.unbucketed is not None and new.unbucketed is not None:
        yield old.unbucketed, new.unbucketed
    yield from _bucket_by_bucket(old, new)


def rise(old: Serve, new: Serve, off: Answer) -> int | None:
    """The largest part of one and the same people that gets something new; None where a variant has another value.

    Who sends no key is left out where a split by key becomes one answer for everyone: the split says how large it was.
    """
    wide = {pair for pair in pairs(old, new) if level_of(*pair, off) is Level.WIDER}
    if any(one.variant == other.variant and one.value != other.value for one, other in wide):
        return None
    news = {other for _, other in wide}
    is_alike = old.bucketing == new.bucketing or None in (old.bucketing, new.bucketing)
    if not is_alike or old.total != new.total:
        return max(sum(weight for answer, weight in new.shares if answer in news), _unbucketed(old, new, wide))
    common = 0
    for first, starts, ends in _ranges(old):
        for second, begins, stops in _ranges(new):
            if (first, second) in wide:
                common += max(0, min(ends, stops) - max(starts, begins))
    return max(common, _unbucketed(old, new, wide))


def _unbucketed(old: Serve, new: Serve, wide: set[tuple[Answer, Answer]]) -> int:
    """The rise among those whom no bucket holds: all of them or nobody."""
    if new.unbucketed is None and (old.unbucketed is None or old.unbucketed.is_unkeyed):
        return 0
    before, after = old.unbucketed or old.shares[0][0], new.unbucketed or new.shares[0][0]
    return new.total if (before, after) in wide else 0


def _bucket_by_bucket(old: Serve, new: Serve) -> Iterator[tuple[Answer, Answer]]:
    """Both splits give each context the same bucket, so only answers for a common bucket meet."""
    before, after = _ranges(old), _ranges(new)
    for first, starts, ends in before:
        for second, begins, stops in after:
            if max(starts, begins) < min(ends, stops):
                yield first, second


def _ranges(serve: Serve) -> list[tuple[Answer, int, int]]:
    found, place = [], 0
    for answer, weight in serve.shares:
        found.append((answer, place, place + weight))
        place += weight
    return found
