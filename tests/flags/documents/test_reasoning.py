"""What follows from a condition is held against what evaluation says."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flags.documents.reasoning import Reasoning
from flags.evaluation.conditions import OPERATORS


def where(operator: str, value: Any = None, attribute: str = "plan") -> dict[str, Any]:
    return {"attribute": attribute, "operator": operator, "value": value}


A, B = where("equals", "a"), where("is_true", attribute="beta")
SEGMENTS = {"a": {"schema": 1, "condition": A}, "ab": {"schema": 1, "condition": {"and": [A, B]}}}
SEGMENT_A, SEGMENT_AB, MISSING = ({"segment": key} for key in ("a", "ab", "missing"))


def holds(condition: Any, context: dict[str, Any]) -> bool:
    """A plain reading of conditions."""
    if condition is None:
        return True
    if "and" in condition:
        return all(holds(part, context) for part in condition["and"])
    if "or" in condition:
        return any(holds(part, context) for part in condition["or"])
    if "not" in condition:
        return not holds(condition["not"], context)
    if "segment" in condition:
        return condition["segment"] in SEGMENTS and holds(SEGMENTS[condition["segment"]]["condition"], context)
    return bool(OPERATORS[condition["operator"]](condition["attribute"], condition["value"])(context))


FOLLOWS = [
    (A, None),
    (None, None),
    (A, A),
    (A, where("in", ["b", "a"])),
    (where("in", ["a", 1]), where("in", [1.0, "a", "b"])),
    (A, where("is_set")),
    (A, where("not_equals", "b")),
    (A, where("starts_with", "a")),
    (where("not_in", ["a", "b"]), where("not_equals", "a")),
    (where("is_not_set"), where("not_contains", "x")),
    (where("is_true"), where("equals", True)),
    (where("less_than", 5), where("less_or_equal", 5)),
    (where("greater_or_equal", 6), where("greater_than", 5.5)),
    (where("less_than", 5), where("not_equals", 5)),
    (where("version_greater_than", "2.4.0"), where("version_greater_or_equal", "2.3")),
    (where("before", "2026-01-01T00:00:00+01:00"), where("before", "2026-01-01T00:00:00Z")),
    (where("starts_with", "abc"), where("starts_with", "ab")),
    (where("contains", "abc"), where("contains", "b")),
    (where("not_contains", "b"), where("not_contains", "abc")),
    ({"and": [A, B]}, B),
    (A, {"or": [B, A]}),
    ({"or": [A, where("equals", "b")]}, where("in", ["a", "b"])),
    ({"not": {"or": [A, B]}}, {"not": A}),
    (SEGMENT_A, A),
    (A, SEGMENT_A),
    (SEGMENT_AB, SEGMENT_A),
    (MISSING, MISSING),
]

DOES_NOT_FOLLOW = [
    (None, A),
    (A, B),
    (where("in", ["a", "b"]), A),
    (where("equals", "1"), where("equals", 1)),
    (where("is_true"), where("equals", 1)),
    (where("not_equals", "a"), where("is_set")),
    (where("less_or_equal", 5), where("less_than", 5)),
    (where("less_than", 5), where("version_less_than", "6")),
    (where("less_than", 5), where("greater_than", 5)),
    (where("starts_with", "ab"), where("starts_with", "abc")),
    (where("contains", "abc"), where("starts_with", "abc")),
    (where("starts_with", "abc"), where("contains", "b")),
    (where("ends_with", "abc"), where("contains", "b")),
    (where("not_contains", "b"), where("not_starts_with", "abc")),
    ({"or": [A, B]}, A),
    (SEGMENT_A, SEGMENT_AB),
    (MISSING, A),
]


@pytest.mark.parametrize("number", range(len(FOLLOWS)))
def test_implies__what_follows__is_seen(number: int) -> None:
    assert Reasoning(SEGMENTS).implies(*FOLLOWS[number])


@pytest.mark.parametrize("number", range(len(DOES_NOT_FOLLOW)))
def test_implies__what_does_not_follow__is_not_claimed(number: int) -> None:
    assert not Reasoning(SEGMENTS).implies(*DOES_NOT_FOLLOW[number])


IMPOSSIBLE = [
    {"and": [A, where("equals", "b")]},
    {"and": [A, where("not_equals", "a")]},
    {"and": [A, {"not": A}]},
    {"and": [A, {"not": SEGMENT_A}]},
    {"and": [where("is_set"), where("is_not_set")]},
    {"and": [B, {"and": [where("is_not_set"), A]}]},
    {"or": [{"and": [A, where("is_true")]}, {"and": [where("less_than", 1), where("greater_than", 1)]}]},
    {"and": [B, {"or": [{"and": [A, where("equals", "b")]}]}]},
    {"and": [where("starts_with", "a"), where("starts_with", "b")]},
    {"and": [where("in", ["a", "b"]), where("not_equals", "a"), where("not_equals", "b")]},
    {"and": [where("less_than", 5), where("version_greater_than", "1")]},
]

POSSIBLE = [
    None,
    A,
    {"and": [A, B]},
    {"or": [A, {"and": [A, where("equals", "b")]}]},
    {"and": [where("not_equals", "a"), where("not_equals", "b")]},
    {"and": [where("starts_with", "a"), where("starts_with", "ab")]},
    {"and": [where("less_or_equal", 1), where("greater_or_equal", 1)]},
    {"and": [where("is_not_set"), where("not_equals", "a")]},
    {"and": [where("starts_with", "abc"), where("not_contains", "b")]},
    {"and": [SEGMENT_A, {"not": SEGMENT_AB}]},
]


@pytest.mark.parametrize("number", range(len(IMPOSSIBLE)))
def test_is_impossible__contradiction__is_seen(number: int) -> None:
    assert Reasoning(SEGMENTS).is_impossible(IMPOSSIBLE[number])


@pytest.mark.parametrize("number", range(len(POSSIBLE)))
def test_is_impossible__condition_somebody_can_meet__is_left_alone(number: int) -> None:
    assert not Reasoning(SEGMENTS).is_impossible(POSSIBLE[number])


VALUES = [
    "a",
    "b",
    "ab",
    "abc",
    "ab" * 1_000,
    "1",
    "2",
    "2.0.0",
    "2026-01-01T00:00:00Z",
    1,
    1.0,
    2,
    True,
    False,
    None,
    [],
    "",
]
TEXTS = st.sampled_from(["a", "b", "ab", "bc", "1"])
NUMBERS = st.sampled_from([1, 1.0, 2, 1.5])
LISTS = st.lists(TEXTS | NUMBERS, min_size=1, max_size=3)
INSTANTS = st.sampled_from(["2026-01-01T00:00:00Z", "2026-01-01T01:00:00+01:00", "2027-01-01T00:00:00Z"])


def _value(operator: str) -> st.SearchStrategy[Any]:
    if operator.startswith("is_"):
        return st.none()
    if operator in ("in", "not_in"):
        return LISTS
    if operator in ("before", "after"):
        return INSTANTS
    if operator.startswith("version_"):
        return st.sampled_from(["1", "2", "2.0.0"])
    if operator in ("equals", "not_equals"):
        return TEXTS | NUMBERS | st.booleans()
    return NUMBERS if operator.startswith(("less", "greater", "number")) else TEXTS


leaves = st.sampled_from(sorted(OPERATORS)).flatmap(
    lambda operator: st.builds(where, st.just(operator), _value(operator), st.sampled_from(["plan", "beta"]))
)
nodes = st.recursive(
    leaves | st.sampled_from([SEGMENT_A, SEGMENT_AB, MISSING]),
    lambda inner: (
        st.builds(lambda parts: {"and": parts}, st.lists(inner, min_size=1, max_size=3))
        | st.builds(lambda parts: {"or": parts}, st.lists(inner, min_size=1, max_size=3))
        | st.builds(lambda part: {"not": part}, inner)
    ),
    max_leaves=3,
)
everybody = [{"plan": plan, "beta": beta} for plan in VALUES for beta in VALUES]


@settings(max_examples=400)
@given(first=nodes, second=nodes)
def test_reasoning__whatever_it_claims__is_true_of_everybody(first: Any, second: Any) -> None:
    reasoning = Reasoning(SEGMENTS)
    if reasoning.implies(first, second):
        assert not [person for person in everybody if holds(first, person) and not holds(second, person)]
    if reasoning.is_impossible({"and": [first, second]}):
        assert not [person for person in everybody if holds(first, person) and holds(second, person)]


def test_reasoning__segments_in_a_circle__end() -> None:
    circle = {"x": {"condition": {"segment": "y"}}, "y": {"condition": {"segment": "x"}}}
    assert not Reasoning(circle).implies({"segment": "x"}, A)
    assert not Reasoning(circle).is_impossible({"and": [{"segment": "x"}, A]})
