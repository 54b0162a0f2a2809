"""Definitions read from rows: remembered, and never mistaken for one another."""

from typing import Any

import pytest

from rollouts.plans.codec import InvalidPlan, as_json, from_json, from_row
from tests.rollouts.plans.support import definition_of, stages_of


def _stored(**options: Any) -> dict[str, Any]:
    return as_json(definition_of(**options))


def test_row__read_twice__is_the_same_value_and_what_is_stored() -> None:
    stored = _stored()

    assert from_row(stored) is from_row(_stored())
    assert from_row(stored) == from_json(stored)


def test_row__that_was_changed__is_read_anew() -> None:
    stored = _stored()
    before = from_row(stored)

    stored["stages"][0]["gates"]["soak_minutes"] += 1

    assert from_row(stored) == from_json(stored) != before


def test_row__that_cannot_be_read__is_refused_each_time() -> None:
    stored = {**_stored(), "strategy": "none"}

    for _ in range(2):
        with pytest.raises(InvalidPlan):
            from_row(stored)


def test_row__that_is_very_long__is_read_each_time() -> None:
    stored = _stored(stages=stages_of(shares=tuple((1_000 * number, 30) for number in range(1, 61))))

    assert from_row(stored) == from_json(stored)
    assert from_row(stored) is not from_row(stored)
