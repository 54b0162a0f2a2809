"""Thresholds by kind, and how long a snooze lasts."""

from datetime import timedelta
from typing import Any

import pytest

from flags.lifecycle.snoozes import holds, problem_of
from flags.lifecycle.thresholds import USUAL, Thresholds, differing, problems_of, thresholds_for
from flags.models.flags import FlagKind

from .situations import NOW, ago


def test_usual__every_kind__has_thresholds() -> None:
    assert set(USUAL) == set(FlagKind.values)


@pytest.mark.parametrize("kind", ["kill_switch", "permission", "no such kind"])
def test_thresholds_for__permanent_kind__is_never(kind: str) -> None:
    assert thresholds_for(kind, {"unused": 7}) == Thresholds()


def test_thresholds_for__values_of_a_project__replace_the_usual_ones() -> None:
    found = thresholds_for("release", {"unused": 90, "lifetime": None, "gone": 3})

    assert found == Thresholds(lifetime=None, unused=90, one_variant=30, settled=30, partial=30, no_rules=30)


@pytest.mark.parametrize(
    ("kind", "values", "paths"),
    [
        ("release", {"unused": 7, "lifetime": 365, "partial": None}, []),
        ("release", {"unused": 6}, ["unused"]),
        ("release", {"unused": 366}, ["unused"]),
        ("release", {"unused": True}, ["unused"]),
        ("release", {"unused": "30"}, ["unused"]),
        ("release", {"age": 30}, ["age"]),
        ("permission", {"unused": 30}, ["kind"]),
        ("nothing", {}, ["kind"]),
    ],
)
def test_problems_of__values__are_named(kind: str, values: dict[str, Any], paths: list[str]) -> None:
    assert [path for path, _ in problems_of(kind, values)] == paths


def test_differing__usual_values__are_left_out() -> None:
    assert differing("release", {"unused": 30, "lifetime": 90}) == {"lifetime": 90}


@pytest.mark.parametrize(
    ("days", "word"), [(1, ""), (180, ""), (0.5, "at least a day"), (-3, "at least a day"), (181, "within 180 days")]
)
def test_snooze__end__is_between_a_day_and_half_a_year(days: float, word: str) -> None:
    found = problem_of(NOW + timedelta(days=days), NOW)

    assert (word in found) if word else found == ""


@pytest.mark.parametrize(
    ("until", "ended_at", "is_holding"),
    [(ago(-1), None, True), (NOW, None, False), (ago(1), None, False), (ago(-1), ago(1), False)],
)
def test_snooze__half_open__holds_until_its_end(until: Any, ended_at: Any, is_holding: bool) -> None:
    assert holds(until, ended_at, NOW) is is_holding
