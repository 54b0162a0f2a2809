"""Every operator against every kind of attribute."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given

from flags.documents import normalise_segment
from flags.evaluation.conditions import OPERATORS, Condition, always, compile_condition, never
from flags.evaluation.operators import MAX_SEARCHED_CHARACTERS
from tests.flags.strategies import comparisons, contexts

MISSING = object()
# One attribute of every kind; a table below names those for which an operator holds.
KINDS: dict[str, Any] = {
    "missing": MISSING,
    "null": None,
    "true": True,
    "false": False,
    "zero": 0,
    "one": 1,
    "one float": 1.0,
    "five": 5,
    "five and a half": 5.5,
    "huge": 10**400,
    "not a number": float("nan"),
    "infinite": float("inf"),
    "empty": "",
    "text": "gold",
    "longer text": "golden",
    "ends": "old gold",
    "other text": "silver",
    "digit": "1",
    "version": "1.2.3",
    "newer": "2.0.0",
    "early": "2026-01-01T00:00:00Z",
    "late": "2027-01-01T01:00:00+01:00",
    "surrogate": "\ud800",
    "list": ["gold", 1],
    "empty list": [],
    "object": {"gold": 1},
}
NUMBERS_ABOVE_ONE = {"five", "five and a half", "huge", "infinite"}
ONES = {"one", "one float"}
# "1" is also the partial version 1.0.0.
CASES: list[tuple[str, Any, set[str]]] = [
    ("equals", "gold", {"text"}),
    ("equals", "", {"empty"}),
    ("equals", "1", {"digit"}),
    ("equals", 1, ONES),
    ("equals", 1.0, ONES),
    ("equals", 0, {"zero"}),
    ("equals", True, {"true"}),
    ("equals", False, {"false"}),
    ("in", ["gold", "silver"], {"text", "other text"}),
    ("in", [1, 5.5], ONES | {"five and a half"}),
    ("in", ["1", 0], {"digit", "zero"}),
    ("contains", "gold", {"text", "longer text", "ends"}),
    ("starts_with", "gold", {"text", "longer text"}),
    ("ends_with", "gold", {"text", "ends"}),
    ("number_equals", 1, ONES),
    ("number_equals", 5.5, {"five and a half"}),
    ("less_than", 1, {"zero"}),
    ("less_or_equal", 1, {"zero"} | ONES),
    ("greater_than", 1, NUMBERS_ABOVE_ONE),
    ("greater_or_equal", 1, NUMBERS_ABOVE_ONE | ONES),
    ("greater_than", 5, {"five and a half", "huge", "infinite"}),
    ("version_equals", "v1.2.3", {"version"}),
    ("version_less_than", "2.0.0", {"version", "digit"}),
    ("version_less_or_equal", "2", {"version", "digit", "newer"}),
    ("version_greater_than", "1.2", {"version", "newer"}),
    ("version_greater_or_equal", "1.2.3", {"version", "newer"}),
    ("version_same_major", "1.9.9", {"version", "digit"}),
    ("version_same_minor", "1.2.9", {"version"}),
    ("is_set", None, set(KINDS) - {"missing", "null"}),
    ("is_not_set", None, {"missing", "null"}),
    ("is_true", None, {"true"}),
    ("is_false", None, {"false"}),
    ("before", "2027-01-01T00:00:00Z", {"early"}),
    ("after", "2026-01-01T00:00:00Z", {"late"}),
    ("before", "2026-01-01T00:00:00Z", set()),
    ("after", "2027-01-01T00:00:00Z", set()),
]
NEGATED = {"equals", "in", "contains", "starts_with", "ends_with"}
ALL_CASES = CASES + [
    (f"not_{operator}", value, set(KINDS) - holds) for operator, value, holds in CASES if operator in NEGATED
]


def compiled(condition: Mapping[str, Any] | None, **segments: Condition) -> Condition:
    return compile_condition(condition, segment=lambda key: segments.get(key, never))


def comparison(operator: str, value: Any, *, attribute: str = "plan") -> dict[str, Any]:
    return {"attribute": attribute, "operator": operator, "value": value}


def context_of(kind: str) -> dict[str, Any]:
    return {"other": "gold"} if kind == "missing" else {"other": "gold", "plan": KINDS[kind]}


def test_cases__all_operators__are_covered() -> None:
    assert {operator for operator, _, _ in ALL_CASES} == set(OPERATORS)


@pytest.mark.parametrize(("operator", "value", "holds"), ALL_CASES, ids=lambda case: str(case)[:30])
def test_comparison__every_kind_of_attribute__holds_as_listed(operator: str, value: Any, holds: set[str]) -> None:
    condition = compiled(comparison(operator, value))
    answers = {kind: condition(context_of(kind)) for kind in KINDS}
    assert answers == {kind: kind in holds for kind in KINDS}
    assert {type(answer) for answer in answers.values()} == {bool}


@pytest.mark.parametrize(("operator", "value", "holds"), CASES, ids=lambda case: str(case)[:30])
def test_not__any_comparison__is_the_exact_opposite(operator: str, value: Any, holds: set[str]) -> None:
    condition = compiled({"not": comparison(operator, value)})
    assert {kind for kind in KINDS if condition(context_of(kind))} == set(KINDS) - holds


def test_contains__text_of_any_length__is_searched_up_to_the_limit() -> None:
    holds = compiled(comparison("contains", "b"))
    assert holds({"plan": "a" * (MAX_SEARCHED_CHARACTERS - 1) + "b"})
    assert not holds({"plan": "a" * MAX_SEARCHED_CHARACTERS + "b"})
    assert compiled(comparison("not_contains", "b"))({"plan": "a" * MAX_SEARCHED_CHARACTERS + "b"})


def test_comparison__targeting_key__is_read_like_an_attribute() -> None:
    holds = compiled(comparison("starts_with", "user-", attribute="targetingKey"))
    assert holds({"targetingKey": "user-1"})
    assert not holds({})


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7])
def test_groups__of_any_size__hold_like_all_and_any(size: int) -> None:
    yes, no = comparison("is_set", None), comparison("is_not_set", None)
    for position in range(size):
        mixed = [no if index == position else yes for index in range(size)]
        assert not compiled({"and": mixed})({"plan": 1})
        assert compiled({"and": [yes] * size})({"plan": 1})
        flipped = [yes if index == position else no for index in range(size)]
        assert compiled({"or": flipped})({"plan": 1})
        assert not compiled({"or": [no] * size})({"plan": 1})


def test_segment__known_and_missing__holds_and_does_not() -> None:
    condition = {"segment": "staff"}
    assert compiled(condition, staff=always)({})
    assert not compiled(condition)({})
    assert compiled({"not": condition})({})
    assert compiled(None)({})


@pytest.mark.parametrize(
    "condition",
    [
        {}, [], 5, {"and": None}, {"not": None, "x": 1}, {"attribute": "plan", "operator": "like", "value": "x"},
        comparison("equals", None), comparison("equals", []), comparison("contains", 5), comparison("in", "gold"),
        comparison("in", [True]), comparison("less_than", "5"), comparison("less_than", True),
        comparison("version_equals", "x"), comparison("before", "yesterday"), {"operator": "is_set"},
    ],
)  # fmt: skip
def test_compile_condition__malformed__fails_as_expected_or_stays_harmless(condition: Any) -> None:
    try:
        holds = compiled(condition)
    except (KeyError, TypeError, ValueError, AttributeError):
        return
    # What is lenient at least does not raise later.
    holds({"plan": "gold"})


def test_normalise_segment__comparison_without_value__gets_null() -> None:
    document = {"condition": {"and": [{"attribute": "plan", "operator": "is_set"}]}}
    assert normalise_segment(document) == {
        "schema": 1,
        "condition": {"and": [{"attribute": "plan", "operator": "is_set", "value": None}]},
    }


@given(condition=comparisons(), context=contexts())
def test_comparison__hostile_context__answers_a_boolean(condition: dict[str, Any], context: dict[str, Any]) -> None:
    assert compiled(condition)(context) in (True, False)
