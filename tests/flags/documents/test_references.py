"""What the documents of an environment need from each other."""

from time import process_time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flags.documents import initial_document
from flags.documents.reach import reached_comparisons, segment_comparisons
from flags.documents.references import (
    environment_problems,
    flags_above,
    flags_below,
    prerequisite_keys,
    problems_added,
    segment_places,
    segments_within,
)

GOLD = {"attribute": "plan", "operator": "equals", "value": "gold"}


def flag(**needs: Any) -> dict[str, Any]:
    """A config whose prerequisites are the flags named, serving "on" or the variants given."""
    prerequisites = [{"flag": key, "variants": names or ["on"]} for key, names in needs.items()]
    return initial_document("f", "boolean") | ({"prerequisites": prerequisites} if prerequisites else {})


def segment(*inner: str) -> dict[str, Any]:
    return {"schema": 1, "condition": {"and": [GOLD, *({"not": {"segment": key}} for key in inner)]}}


def chain(length: int, last: dict[str, Any]) -> dict[str, Any]:
    return {f"s{n}": segment(f"s{n + 1}") for n in range(1, length)} | {f"s{length}": last}


FITTING: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "nothing": ({}, {}),
    "parent and child": ({"child": flag(parent=["on", "off"]), "parent": flag()}, {}),
    "diamond": ({"a": flag(b=0, c=0), "b": flag(d=0), "c": flag(d=0), "d": flag()}, {}),
    "eight segments deep": ({}, chain(8, segment())),
    "segment twice": ({}, {"a": segment("b", "b"), "b": segment()}),
}

WRONG: dict[str, tuple[dict[str, Any], dict[str, Any], list[tuple[str, str]], str]] = {
    "missing parent": ({"child": flag(parent=0)}, {}, [("child", "prerequisites[0].flag")], "“parent”, which is not"),
    "missing variant": (
        {"child": flag(parent=["on", "blue"]), "parent": flag()},
        {},
        [("child", "prerequisites[0].variants[1]")],
        "“child” needs “parent” to serve “blue”, but “parent” has the variants “on”, “off” only",
    ),
    "flag needs itself": ({"a": flag(a=0)}, {}, [("a", "prerequisites[0].flag")], "circle: a -> a."),
    "two flags": (
        {"a": flag(c=0, b=0), "b": flag(a=0), "c": flag()},
        {},
        [("a", "prerequisites[1].flag"), ("b", "prerequisites[0].flag")],
        "circle: a -> b -> a.",
    ),
    "three flags behind another": (
        {"x": flag(a=0), "a": flag(b=0), "b": flag(c=0), "c": flag(a=0)},
        {},
        [("a", "prerequisites[0].flag"), ("b", "prerequisites[0].flag"), ("c", "prerequisites[0].flag")],
        "circle: a -> b -> c -> a.",
    ),
    "missing segment": ({}, {"a": segment("b")}, [("a", "condition.and[1].not.segment")], "no segment “b”"),
    "segment in itself": ({}, {"a": segment("a")}, [("a", "condition.and[1].not.segment")], "circle: a -> a."),
    "two segments": (
        {},
        {"a": segment("b"), "b": segment("a")},
        [("a", "condition.and[1].not.segment"), ("b", "condition.and[1].not.segment")],
        "circle: a -> b -> a.",
    ),
    "nine segments deep": ({}, chain(9, segment()), [("s1", "condition")], "nested 9 deep"),
}


@pytest.mark.parametrize("case", FITTING)
def test_environment_problems__what_fits_together__is_left_alone(case: str) -> None:
    assert environment_problems(*FITTING[case]) == []


@pytest.mark.parametrize("case", WRONG)
def test_environment_problems__what_does_not_fit__is_named_where_it_stands(case: str) -> None:
    configs, segments, places, words = WRONG[case]
    problems = environment_problems(configs, segments)
    assert [(problem.key, problem.path) for problem in problems] == places
    assert all(words in problem.message for problem in problems)
    assert {problem.kind for problem in problems} == {"segment" if segments else "flag"}


def test_environment_problems__long_circle__is_named_in_short() -> None:
    keys = [f"f{number}" for number in range(2_000)]
    configs = {key: flag(**{keys[number - 1]: 0}) for number, key in enumerate(keys)}
    problems = environment_problems(configs, {})
    assert len(problems) == 2_000
    assert len(problems[0].message) < 200
    assert "…" in problems[0].message


def test_environment_problems__two_thousand_in_a_row__need_no_recursion() -> None:
    configs = {f"f{n}": flag(**{f"f{n + 1}": 0}) for n in range(2_000)} | {"f2000": flag()}
    assert environment_problems(configs, {}) == []
    assert len(flags_above("f0", configs)) == 2_000
    problems = environment_problems({}, chain(2_000, segment()))
    assert sum("deep here" in problem.message for problem in problems) == 1_992


def _reaches_itself(edges: dict[str, list[str]], key: str) -> bool:
    found: set[str] = set()
    while more := {inner for outer in (found or {key}) for inner in edges[outer]} - found:
        found |= more
    return key in found


keys = st.sampled_from("abcdef")


@given(st.dictionaries(keys, st.lists(keys, unique=True), min_size=1))
def test_environment_problems__any_graph__names_a_circle_where_there_is_one(edges: dict[str, list[str]]) -> None:
    edges = {key: edges.get(key, []) for key in "abcdef"}
    in_circles = {key for key in edges if _reaches_itself(edges, key)}
    configs = {key: flag(**dict.fromkeys(parents, 0)) for key, parents in edges.items()}
    segments = {key: segment(*inner) for key, inner in edges.items()}

    for found in (environment_problems(configs, {}), environment_problems({}, segments)):
        assert {problem.key for problem in found} <= in_circles
        assert bool(found) == bool(in_circles)
    for key in edges:
        assert flags_above(key, configs) == segments_within(edges[key], segments)
        assert flags_below(key, configs) == [child for child in edges if key in edges[child]]


Edges = dict[str, list[str]]
DEEP: Edges = {f"s{n}": [f"s{n + 1}"] for n in range(1, 13)} | {"s13": []}


@pytest.mark.parametrize(
    ("before", "change", "told"),
    [
        pytest.param({"a": ["b"], "b": ["c", "a"], "c": ["a"]}, {"b": ["c"]}, [], id="one of two overlapping circles"),
        pytest.param({"a": ["b"], "b": ["c", "a"], "c": ["a"]}, {"c": []}, [], id="the other of the two"),
        pytest.param({"a": ["b", "c"], "b": ["a"], "c": ["b"]}, {"a": ["c"]}, [], id="the shorter way round"),
        pytest.param({"a": ["b"], "b": ["a"], "c": []}, {"c": ["a"]}, [], id="a new edge into a circle"),
        pytest.param({"a": ["b"], "b": ["a"], "c": ["a"]}, {"a": ["b", "c"]}, ["a", "c"], id="a second circle"),
        pytest.param({"a": ["b"], "b": []}, {"b": ["b"]}, ["b"], id="a circle of one"),
        pytest.param(DEEP, {"s12": []}, [], id="too deep, but less so"),
        pytest.param(DEEP, {"s1": ["s3"]}, [], id="too deep, but less so by another way"),
        pytest.param(DEEP | {"x": ["x"]}, {"x": []}, [], id="a circle beside what is too deep"),
        pytest.param(DEEP | {"s13": ["s1"]}, {"s13": []}, [], id="a circle that is too deep when opened"),
        pytest.param(DEEP, {"s13": ["x"], "x": []}, [f"s{n}" for n in range(1, 7)], id="too deep, and more so"),
        pytest.param(DEEP, {"x": ["s5"]}, ["x"], id="new and too deep"),
        pytest.param(DEEP, {"x": ["s7"]}, [], id="new and not too deep"),
    ],
)
def test_problems_added__broken_already__refuses_what_makes_it_worse_only(
    before: Edges, change: Edges, told: list[str]
) -> None:
    old, new = ({key: segment(*inner) for key, inner in edges.items()} for edges in (before, before | change))
    assert sorted({problem.key for problem in problems_added(({}, old), ({}, new))}) == told
    if "s1" not in before:
        configs = [
            {key: flag(**dict.fromkeys(inner, 0)) for key, inner in edges.items()}
            for edges in (before, before | change)
        ]
        assert sorted({problem.key for problem in problems_added((configs[0], {}), (configs[1], {}))}) == told


def test_problems_added__same_problem_in_other_words_and_places__is_known() -> None:
    before = {"parent": flag(), "other": flag(), "child": flag(parent=["on", "gone"])}
    wider = flag() | {"variants": [*flag()["variants"], {"name": "new", "value": True, "description": ""}]}
    moved = flag(other=0, parent=["gone"])
    assert problems_added((before, {}), (before | {"parent": wider, "child": moved}, {})) == []
    worse = flag(parent=["gone", "also gone"])
    (problem,) = problems_added((before, {}), (before | {"child": worse}, {}))
    assert problem.path == "prerequisites[0].variants[1]"


@given(*[st.dictionaries(st.sampled_from("abcdef"), st.lists(st.sampled_from("abcdef"), unique=True))] * 2)
def test_problems_added__any_change__names_a_circle_where_a_new_edge_closes_one(before: Edges, after: Edges) -> None:
    old, new = ({key: edges.get(key, []) for key in "abcdef"} for edges in (before, after))
    graphs = [{key: flag(**dict.fromkeys(inner, 0)) for key, inner in edges.items()} for edges in (old, new)]
    closing = {
        (key, inner)
        for key, following in new.items()
        for inner in following
        if inner not in old[key] and (key == inner or key in flags_above(inner, graphs[1]))
    }
    found = problems_added((graphs[0], {}), (graphs[1], {}))
    named = {(problem.key, new[problem.key][int(problem.path.split("[")[1].split("]")[0])]) for problem in found}
    assert closing <= named


def test_problems_added__dense_graph__takes_little_time() -> None:
    keys = [f"f{number}" for number in range(1_000)]
    configs = {key: flag(**{keys[(n + step) % 1_000]: 0 for step in range(20)}) for n, key in enumerate(keys)}
    began = process_time()
    assert problems_added(({}, {}), (configs, {}))
    assert process_time() - began < 5


def test_segments_within__missing_one__is_in_the_answer() -> None:
    assert segments_within(["a"], {"a": segment("b"), "b": segment("gone"), "c": segment()}) == {"a", "b", "gone"}


def test_segment_places__config__gives_the_path_of_each() -> None:
    document = {"rules": [{"condition": None}, {"condition": {"or": [GOLD, {"not": {"segment": "a"}}]}}]}
    assert list(segment_places(document)) == [("rules[1].condition.or[1].not.segment", "a")]
    assert list(segment_places({})) == []


def test_prerequisite_keys__none__is_empty() -> None:
    assert prerequisite_keys(initial_document("f", "boolean")) == []
    assert prerequisite_keys(flag(b=0, a=0)) == ["b", "a"]


def wide(comparisons: int, *inner: str) -> dict[str, Any]:
    return {"schema": 1, "condition": {"or": [*[GOLD] * comparisons, *({"segment": key} for key in inner)]}}


def asking(*keys: str, rules: int = 1) -> dict[str, Any]:
    conditions = [{"and": [GOLD, *({"not": {"segment": key}} for key in keys)]}] * rules
    return flag() | {"rules": [{"condition": condition} for condition in conditions]}


REACHES: dict[str, tuple[dict[str, Any], dict[str, Any], int]] = {
    "own comparisons do not count": (asking(rules=100), {}, 0),
    "each use counts": (asking("a", "a", rules=10), {"a": wide(5)}, 100),
    "nested ones count at every use": (asking("a"), {"a": wide(1, "b", "b"), "b": wide(1, "c", "c"), "c": wide(3)}, 15),
    "a missing one has none": (asking("a", "gone"), {"a": wide(2, "lost")}, 2),
    "a circle ends": (asking("a"), {"a": wide(2, "b"), "b": wide(3, "a")}, 5),
    "a long chain": (asking("s1"), chain(2_000, segment()), 2_000),
    "everyone": (flag() | {"rules": [{"condition": None}]}, {"a": {"condition": None}}, 0),
}


@pytest.mark.parametrize("case", REACHES)
def test_reached_comparisons__through_segments__are_counted_as_often_as_they_are_asked(case: str) -> None:
    document, segments, amount = REACHES[case]
    assert reached_comparisons(document, segment_comparisons(segments)) == amount


def test_reached_comparisons__doubling_fifty_times__are_counted_at_once() -> None:
    segments = {f"s{n}": wide(0, f"s{n + 1}", f"s{n + 1}") for n in range(50)} | {"s50": wide(1)}
    assert reached_comparisons(asking("s0"), segment_comparisons(segments)) == 2**50


def test_environment_problems__flag_that_asks_too_much__is_named_with_the_amount() -> None:
    segments = {"a": wide(10, *["b"] * 40), "b": wide(50)}
    configs = {"fits": asking("a", rules=9), "most": asking("b", rules=400), "over": asking("a", rules=10)}

    (problem,) = environment_problems(configs, segments)

    assert (problem.kind, problem.key, problem.path, problem.amount) == ("flag", "over", "rules", 20_100)
    assert "more than 20,000 comparisons" in problem.message


def test_environment_problems__more_segments_than_possible__are_named_once() -> None:
    segments = {f"s{number}": segment() for number in range(500)}
    assert environment_problems({}, segments) == []

    (problem,) = environment_problems({}, segments | {"last": segment()})

    assert (problem.kind, problem.key, problem.amount) == ("segment", "last", 501)
    assert "at most 500 segments" in problem.message
