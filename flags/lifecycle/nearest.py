"""Which key of many a key was probably meant to be. Keys are sorted into an index once; looking one up is quick."""

import re
from collections.abc import Iterable
from itertools import pairwise

_APART = re.compile(r"[._-]")
_MOST_EDITS = 2
# Two edits, exchanges of neighbours among them, touch at most four of five pieces.
_PIECES = 5
_SHORT = 6


class Nearest:
    """The keys there are."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._same: dict[str, str] = {}
        self._letters: dict[str, int] = {}
        self._pieces: dict[tuple[int, int, str], list[str]] = {}
        for key in sorted(keys):
            plain = plain_key(key)
            if self._same.setdefault(plain, key) == key:
                self._letters[plain] = _letters(plain)
                for number, (begins, ends) in enumerate(_cuts(len(plain))):
                    piece = plain[begins:ends]
                    self._pieces.setdefault((len(plain), number, piece), []).append(plain)

    def to(self, key: str) -> str | None:
        """The key that differs least, at most in two letters and in how words are put together; None without one."""
        plain = plain_key(key)
        if plain in self._same:
            return self._same[plain]
        most = _MOST_EDITS if len(plain) >= _SHORT else 1
        letters = _letters(plain)
        # An edit changes at most two of the letters that are there at all, which is quick to see.
        alike = (each for each in self._alike(plain) if (letters ^ self._letters[each]).bit_count() <= 2 * most)
        found = [(edits, each) for each in alike if (edits := distance(plain, each, most)) <= most]
        return self._same[min(found)[1]] if found else None

    def _alike(self, plain: str) -> set[str]:
        """Those that share a piece at nearly the same place."""
        return {
            each
            for length in range(max(1, len(plain) - _MOST_EDITS), len(plain) + _MOST_EDITS + 1)
            for number, (begins, ends) in enumerate(_cuts(length))
            for shift in range(-_MOST_EDITS, _MOST_EDITS + 1)
            if begins + shift >= 0
            for each in self._pieces.get((length, number, plain[begins + shift : ends + shift]), ())
        }


def distance(one: str, other: str, most: int) -> int:
    """How many letters are to be put in, left out, replaced or exchanged with their neighbour; `most` + 1 for more."""
    if abs(len(one) - len(other)) > most:
        return most + 1
    far = most + 1
    last, row = [far] * (len(other) + 1), [min(x, far) for x in range(len(other) + 1)]
    for y, letter in enumerate(one, 1):
        before, row = row, [far] * (len(other) + 1)
        row[0] = min(y, far)
        # Further from the diagonal there are too many edits anyway.
        for x in range(max(1, y - most), min(len(other), y + most) + 1):
            cost = min(before[x] + 1, row[x - 1] + 1, before[x - 1] + (letter != other[x - 1]), far)
            if x > 1 and y > 1 and letter == other[x - 2] and one[y - 2] == other[x - 1]:
                cost = min(cost, last[x - 2] + 1)
            row[x] = cost
        if min(row) == min(before) == far:
            return far
        last = before
    return row[-1]


def plain_key(key: str) -> str:
    """A key without what people mix up: capitals, and how words are put together."""
    return _APART.sub("", key.lower())


def _letters(plain: str) -> int:
    """The letters of a text as bits."""
    found = 0
    for letter in plain:
        found |= 1 << (ord(letter) & 63)
    return found


def _cuts(length: int) -> list[tuple[int, int]]:
    """Where the pieces of a text of this length begin and end; some of a short one are empty."""
    edges = [length * number // _PIECES for number in range(_PIECES + 1)]
    return list(pairwise(edges))
