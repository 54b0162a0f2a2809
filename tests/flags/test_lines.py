"""Differences line by line: complete, in order, and never slow."""

import random
from itertools import pairwise
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flags import lines
from flags.lines import stretches

_TEXTS = st.lists(st.sampled_from("abcdefgh{},"), max_size=30)


@given(old=_TEXTS, new=_TEXTS, budget=st.sampled_from([0, 20, lines.MOST_STEPS]))
def test_stretches__any_two_texts__hold_every_line_in_order(old, new, budget):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "MOST_STEPS", budget)
        found = stretches(old, new)

    assert [line for part in found for line in old[part.a_from : part.a_to]] == old
    assert [line for part in found for line in new[part.b_from : part.b_to]] == new
    assert all(old[p.a_from : p.a_to] == new[p.b_from : p.b_to] for p in found if p.is_equal)
    assert all(one.is_equal != other.is_equal for one, other in pairwise(found))
    assert all(part.a_from < part.a_to or part.b_from < part.b_to for part in found)


def test_stretches__long_lists_with_every_second_line_changed__finds_every_other():
    old = [f"user-{number}" for number in range(10_000)]
    new = [line if number % 2 else f"x{line}" for number, line in enumerate(old)]

    found = stretches(old, new)

    assert sum(part.a_to - part.a_from for part in found if part.is_equal) == 5_000


_KEYS = [f"user-{number:05d}" for number in range(10_000)]
_MANY = {
    "every second renamed": (_KEYS, [key if n % 2 else f"x{key}" for n, key in enumerate(_KEYS)]),
    "reversed": (_KEYS, _KEYS[::-1]),
    "shuffled": (_KEYS, random.Random(1).sample(_KEYS, len(_KEYS))),
    "all the same": (["a"] * 10_000, ["a"] * 9_000),
    "the same within others": (["x", *["a", "b"] * 5_000, "y"], ["z", *["b", "a"] * 4_500, "w"]),
    "few that repeat": (random.Random(2).choices("abc", k=20_000), random.Random(3).choices("abc", k=20_000)),
    "runs between anchors": (
        [line for n in range(500) for line in (f"k{n}", *"abab" * 10)],
        [line for n in range(500) for line in (f"k{n}", *"baab" * 10)],
    ),
}


@pytest.mark.parametrize("case", _MANY)
def test_stretches__hostile_lists__take_no_time(case):
    old, new = _MANY[case]
    started = process_time()

    stretches(old, new)

    assert process_time() - started < 5
