"""The reservoir of sampled contexts: what it takes in, how fairly, and what of it is kept."""

import math
import os
import threading
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from flags.sampling import (
    FLUSHED_EVERY,
    MOST_CHARACTERS,
    SIZE,
    Reservoir,
    Reservoirs,
    environment_key,
    hashed,
    kept,
    reservoirs,
)
from tests.factories import NOW

KEY = environment_key("secret", "an environment")
NAMES = ("country", "plan")


def reservoir(*names: str) -> Reservoir:
    return Reservoir(names=names or NAMES, key=KEY, now=NOW)


def person(number: int, **attributes: Any) -> dict[str, Any]:
    return {"targetingKey": f"MARKER-{number}", **attributes}


def test_offer__declared_and_other_attributes__keeps_a_hash_and_the_declared_ones() -> None:
    full = reservoir()
    context = person(1, country="DE", plan="pro", mail="MARKER@example.com", deep={"country": "MARKER"})

    full.offer(context)
    (sample,) = full.take(names=NAMES, now=NOW)

    assert sample.attributes == {"country": "DE", "plan": "pro"}
    assert sample.key_hash == hashed("MARKER-1", KEY)
    assert "MARKER" not in repr(sample)


def test_offer__before_it_is_written__holds_nothing_else_in_memory() -> None:
    full = reservoir()
    full.offer(person(1, country="DE", mail="MARKER@example.com"))

    assert "MARKER" not in repr([full._samples, full._names, full._offered])


def test_take__a_declaration_was_taken_back__leaves_its_values_out_from_then_on() -> None:
    full = reservoir()
    full.offer(person(1, country="DE", plan="pro"))
    (first,) = full.take(names=["plan"], now=NOW)
    full.offer(person(1, country="DE", plan="pro"))
    (second,) = full.take(names=NAMES, now=NOW)

    assert first.attributes == second.attributes == {"plan": "pro"}


@pytest.mark.parametrize("key", [None, "", 7, [], {"a": 1}])
def test_offer__no_targeting_key__is_passed_over(key: object) -> None:
    full = reservoir()
    full.offer({"targetingKey": key, "country": "DE"})
    full.offer({"country": "DE"})

    assert full.take(names=NAMES, now=NOW) == []


def test_offer__same_person_often__is_one_sample() -> None:
    full = reservoir()
    for _ in range(3):
        full.offer(person(1))
    full.offer(person(2))

    assert len(full.take(names=NAMES, now=NOW)) == 2
    assert full.take(names=NAMES, now=NOW) == []


def test_offer__more_than_it_holds__each_request_has_the_same_chance() -> None:
    """Of 4 × SIZE requests SIZE stay; each tenth of them holds a tenth of those. The bound is six deviations wide."""
    rounds, tenth = 20, SIZE * 4 // 10
    hashes = {hashed(f"MARKER-{number}", KEY): number for number in range(SIZE * 4)}
    counts: Counter[int] = Counter()
    for _ in range(rounds):
        full = reservoir()
        for number in range(SIZE * 4):
            full.offer(person(number))
        taken = full.take(names=NAMES, now=NOW)
        assert len(taken) == SIZE
        counts.update(hashes[sample.key_hash] // tenth for sample in taken)

    expected = rounds * SIZE / 10
    assert all(abs(counts[place] - expected) < 6 * math.sqrt(expected) for place in range(10)), counts


def test_offer__threads__lose_nobody() -> None:
    full = reservoir()

    def offer(start: int) -> None:
        for number in range(start, start + 100):
            full.offer(person(number))

    threads = [threading.Thread(target=offer, args=(start,)) for start in (0, 100, 200, 300)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(full.take(names=NAMES, now=NOW)) == 400


def test_is_due__a_minute_and_a_clock_set_back() -> None:
    full = reservoir()

    assert not full.is_due(NOW + FLUSHED_EVERY - timedelta(seconds=1))
    assert full.is_due(NOW + FLUSHED_EVERY)
    assert full.is_due(NOW - timedelta(days=1))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("DE", "DE"),
        ("x" * 101, "x" * MOST_CHARACTERS),
        (True, True),
        (False, False),
        (7, 7),
        (1.5, 1.5),
        (2**60, None),
        (float("inf"), None),
        (float("nan"), None),
        ("a\x00b", None),
        ("\ud800", None),
        (None, None),
        (["DE"], None),
        ({"a": 1}, None),
    ],
)
def test_kept__each_kind_of_value(value: object, expected: object) -> None:
    assert kept(value) == expected
    assert type(kept(value)) is type(expected)


def test_hashed__another_environment_or_secret__is_another_hash() -> None:
    keys = [environment_key("secret", "one"), environment_key("secret", "two"), environment_key("other", "one")]
    hashes = [hashed(who, key) for who in ("MARKER", "marker", "\ud800") for key in keys]

    assert len(set(hashes)) == len(hashes)
    assert {len(value) for value in hashes} == {64}


def test_reservoirs__not_opened_or_closed__take_nothing() -> None:
    open_ = Reservoirs()
    open_.offer("one", person(1))
    open_.open("one", names=NAMES, key=KEY, now=NOW)
    open_.open("two", names=NAMES, key=KEY, now=NOW)

    open_.keep_only(["two"])

    assert open_.get("one") is None
    assert open_.get("two") is not None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_fork__child__begins_with_nothing() -> None:
    reservoirs.open("one", names=NAMES, key=KEY, now=NOW)
    try:
        child = os.fork()
        if child == 0:
            os._exit(int(reservoirs.get("one") is not None))
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        assert reservoirs.get("one") is not None
    finally:
        reservoirs.reset()
