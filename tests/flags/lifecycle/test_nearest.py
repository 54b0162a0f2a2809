"""Which key was meant: typing errors and other ways to put words together are seen, other keys are not."""

import random

import pytest

from flags.lifecycle.nearest import Nearest, distance

KEYS = ("checkout-redesign", "sticky-header", "search", "search-v2", "beta", "gift-finder", "darkMode")


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("sticky-haeder", "sticky-header"),
        ("sticky_header", "sticky-header"),
        ("stickyHeader", "sticky-header"),
        ("stikcy-haeder", "sticky-header"),
        ("checkout-redesig", "checkout-redesign"),
        ("chekout-redesing", "checkout-redesign"),
        ("serach", "search"),
        ("dark-mode", "darkMode"),
        ("bet", "beta"),
        ("bita", "beta"),
        ("search-v3", "search-v2"),
        ("boat", None),
        ("gift-binder-two", None),
        ("new-checkout", None),
        ("", None),
    ],
)
def test_nearest__key_that_was_asked_for__finds_what_was_meant(asked: str, meant: str | None) -> None:
    assert Nearest(KEYS).to(asked) == meant


@pytest.mark.parametrize(
    ("one", "other", "edits"),
    [("abc", "abc", 0), ("abc", "acb", 1), ("abc", "ab", 1), ("abcd", "badc", 2), ("abc", "xyz", 3), ("", "abcd", 3)],
)
def test_distance__two_texts__counts_edits_up_to_the_limit(one: str, other: str, edits: int) -> None:
    assert distance(one, other, 2) == distance(other, one, 2) == edits


def test_nearest__any_edits__finds_what_comparing_with_every_key_finds() -> None:
    lots = random.Random(7)
    keys = ["".join(lots.choices("abcde", k=lots.randint(3, 14))) for _ in range(400)]
    nearest = Nearest(keys)
    for _ in range(300):
        letters = list(lots.choice(keys))
        for _ in range(lots.randint(1, 2)):
            place = lots.randrange(len(letters) - 1)
            letters[place], letters[place + 1] = letters[place + 1], letters[place]
            if lots.random() < 0.5:
                letters[place] = lots.choice("abcde")
        asked = "".join(letters)
        most = 2 if len(asked) >= 6 else 1
        best = min(distance(asked, each, most) for each in keys)
        found = nearest.to(asked)
        assert (found is None) == (best > most)
        assert found is None or distance(asked, found, most) == best
