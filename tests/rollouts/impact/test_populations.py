"""Descriptions of populations, what is proposed, and uploads. No database."""

import json
from collections import Counter
from typing import Any

import pytest

from flags.evaluation.conditions import OPERATORS, compile_condition, never
from rollouts.impact import MAX_SIZE, Population, PopulationProblem, mentions_of, proposed_population, read_contexts
from rollouts.impact.labels import Labels
from rollouts.impact.mentions import Mention
from rollouts.impact.uploads import MAX_BYTES

DESCRIPTION: dict[str, Any] = {
    "size": 4_000,
    "seed": 3,
    "attributes": {
        "country": {"values": {"DE": 40, "US": 60}},
        "age": {"range": [18, 20]},
        "beta": {"values": [[True, 1], [False, 3]]},
        "companyId": {"distinct": 5},
        "since": {"instants": ["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"]},
        "score": {"range": [0.5, 1.5]},
    },
    "missing": {"country": 50},
}


def test_population__description__is_what_comes_out() -> None:
    people = list(Population.from_json(DESCRIPTION).contexts())

    assert len({person["targetingKey"] for person in people}) == 4_000
    countries = Counter(person.get("country") for person in people)
    assert 1_900 < countries[None] < 2_100
    assert 0.55 < countries["US"] / (countries["US"] + countries["DE"]) < 0.65
    assert {person["age"] for person in people} == {18, 19, 20}
    assert 850 < sum(person["beta"] is True for person in people) < 1_150
    assert {person["companyId"] for person in people} == {f"companyId-{n}" for n in range(1, 6)}
    assert all("2026-01-01" <= person["since"] <= "2026-01-02T00:00:00Z" for person in people)
    assert all(0.5 <= person["score"] <= 1.5 for person in people)


def test_population__same_seed__gives_the_same_people_in_any_slice() -> None:
    population = Population.from_json(DESCRIPTION)
    again = Population.from_json(json.loads(json.dumps(population.as_json())))
    other = Population.from_json(DESCRIPTION | {"seed": 4})

    assert list(again.contexts(100, 105)) == list(population.contexts())[100:105]
    assert population.context(7) == list(population.contexts(0, 8))[-1]
    assert population.context(7) != other.context(7)


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ([], ""),
        ({"colour": 1}, ""),
        ({"size": 0}, "size"),
        ({"size": MAX_SIZE + 1}, "size"),
        ({"size": True}, "size"),
        ({"seed": -1}, "seed"),
        ({"attributes": []}, "attributes"),
        ({"attributes": {f"a{n}": {"distinct": 2} for n in range(51)}}, "attributes"),
        ({"attributes": {"targetingKey": {"distinct": 2}}}, "attributes"),
        ({"attributes": {"a.b": {"distinct": 2}}}, "attributes"),
        ({"attributes": {"a": 1}}, "attributes.a"),
        ({"attributes": {"a": {"values": {}}}}, "attributes.a"),
        ({"attributes": {"a": {"values": {"x": 0}}}}, "attributes.a"),
        ({"attributes": {"a": {"values": {"x": -1}}}}, "attributes.a"),
        ({"attributes": {"a": {"values": {"x": float("inf")}}}}, "attributes.a"),
        ({"attributes": {"a": {"values": [[None, 1]]}}}, "attributes.a"),
        ({"attributes": {"a": {"range": [2, 1]}}}, "attributes.a"),
        ({"attributes": {"a": {"range": [1]}}}, "attributes.a"),
        ({"attributes": {"a": {"instants": ["2026-01-01", "2026-01-02"]}}}, "attributes.a"),
        ({"attributes": {"a": {"distinct": 0}}}, "attributes.a"),
        ({"attributes": {"a": {"distinct": 2, "range": [1, 2]}}}, "attributes.a"),
        ({"missing": {"nothing": 5}}, "missing"),
        ({"missing": {"country": 101}}, "missing.country"),
    ],
)
def test_population__unusable_description__says_where(change: Any, path: str) -> None:
    with pytest.raises(PopulationProblem) as caught:
        Population.from_json(DESCRIPTION | change if isinstance(change, dict) else change)

    assert caught.value.path == path


_VALUES: dict[str, Any] = {
    "equals": "gold", "not_equals": True, "in": ["a", 3], "not_in": ["b"], "is_set": None, "is_not_set": None,
    "is_true": None, "is_false": None, "before": "2026-01-01T00:00:00Z", "after": "2026-01-01T00:00:00Z",
    "number_equals": 7, "contains": "mid", "starts_with": "pre", "ends_with": "post",
}  # fmt: skip


@pytest.mark.parametrize("operator", OPERATORS)
def test_proposal__each_operator__holds_for_some_and_not_for_all(operator: str) -> None:
    value = _VALUES.get(operator, _VALUES.get(operator.removeprefix("not_"), 18))
    value = "2.4.0" if operator.startswith("version_") else value
    condition = {"attribute": "x", "operator": operator, "value": value}
    holds = compile_condition(condition, segment=lambda key: never)

    proposed = proposed_population(mentions_of([{"condition": condition}]), declared={}, size=300)
    met = sum(holds(person) for person in proposed.contexts())

    assert 0 < met < 300
    assert Population.from_json(proposed.as_json()) == proposed


def test_proposal__split_by_attribute__has_many_of_them() -> None:
    mentions = mentions_of([{"rules": [{"condition": None, "bucket_by": "companyId"}]}])

    assert proposed_population(mentions, declared={}, size=10).attributes == {"companyId": {"distinct": 500}}


@pytest.mark.parametrize(
    ("body", "contexts"),
    [
        (
            b'{"targetingKey": "a"}\n\n{"targetingKey": "b", "n": 1}\n',
            [{"targetingKey": "a"}, {"targetingKey": "b", "n": 1}],
        ),
        (b'\xef\xbb\xbf[{"targetingKey": "a", "n": 1}]', [{"targetingKey": "a", "n": 1}]),
        (b'[{"context": {"targetingKey": "a"}}]', [{"targetingKey": "a"}]),
        (
            b"targetingKey,plan,age,beta\r\n007,gold,42,true\r\n8,,1e3,no\r\n",
            [
                {"targetingKey": "007", "plan": "gold", "age": 42, "beta": True},
                {"targetingKey": "8", "age": 1000.0, "beta": "no"},
            ],
        ),
        (b"user_id,plan\n12,gold\n", [{"targetingKey": "12", "plan": "gold"}]),
        (b"TargetingKey,ID\na,7\n", [{"targetingKey": "a", "ID": 7}]),
        (b"USERID;plan\na;gold\nb;\n", [{"targetingKey": "a", "plan": "gold"}, {"targetingKey": "b"}]),
        (
            b'targetingKey\tplans\na\t"gold, silver"\n\t\nb\t\n',
            [{"targetingKey": "a", "plans": "gold, silver"}, {"targetingKey": "b"}],
        ),
        (
            b"key,x\na,-Infinity\nb,1e999\nc,-1e999\nd,-0\n",
            [
                {"targetingKey": "a", "x": "-Infinity"},
                {"targetingKey": "b", "x": "1e999"},
                {"targetingKey": "c", "x": "-1e999"},
                {"targetingKey": "d", "x": 0},
            ],
        ),
    ],
    ids=["lines", "array", "wrapped", "csv", "another name", "another case", "semicolons", "tabs", "no numbers"],
)
def test_upload__three_forms__are_read(body: bytes, contexts: list[Any]) -> None:
    assert read_contexts(body) == contexts


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"[1]",
        b'[{"targetingKey": 5}]',
        b'{"MARKER": ',
        b'{"a": 1}\nMARKER',
        b"[" * 100 + b"]" * 100,
        b"a,a\n1,2",
        b"\xff\xfe",
        b"x" * (MAX_BYTES + 1),
        b"[" + b"{}," * MAX_SIZE + b"{}]",
    ],
)
def test_upload__unusable__says_so_without_repeating_it(body: bytes) -> None:
    with pytest.raises(PopulationProblem) as caught:
        read_contexts(body)

    assert caught.value.path == "contexts"
    assert "MARKER" not in caught.value.message


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"Email,country\nMARKER,DE", "names no column that says who"),
        (b"MARKER", "names no column that says who"),
        (b'{"targetingKey": "a"}\n{"n": 1}', "Context 2 has no targeting key"),
        (b'[{"targetingKey": null}]', "Context 1 has no targeting key"),
        (b"targetingKey,country\na,DE\n,DE", "Context 2 has no targeting key"),
        (b"targetingKey,country\na,DE\nb,DE,MARKER", "Line 3 of the CSV has 3 cells, its first line names 2"),
        (b"targetingKey,country\nMARKER", "Line 2 of the CSV has 1 cells"),
        (b"targetingKey,country\na," + b"y" * 140_000, "Line 2 of the CSV cannot be read"),
        (b'targetingKey,country\na,"MARKER', "Line 2 of the CSV cannot be read"),
        (b"targetingKey,country\na,M\xfcnchen", "not in UTF-8"),
    ],
)
def test_upload__list_that_means_something_else__says_where(body: bytes, why: str) -> None:
    with pytest.raises(PopulationProblem, match=why) as caught:
        read_contexts(body)

    assert "MARKER" not in caught.value.message


@pytest.mark.parametrize(
    ("value", "label"),
    [
        (None, "not given"),
        (True, "true"),
        ("gold", "gold"),
        ("MARKER", "other values"),
        ("internal-9", "starts with “internal”"),
        ("2.3.9", "before 2.4.0"),
        ("2.4.0", "2.4.0 or later"),
        (17.9, "below 18"),
        (18, "18 or more, at most 65"),
        (65, "18 or more, at most 65"),
        (65.5, "more than 65"),
        (42, "42"),
        ([1], "other values"),
    ],
)
def test_labels__part_people_by_what_documents_ask(value: Any, label: str) -> None:
    mention = Mention(
        texts={"gold"},
        parts={("starts_with", "internal")},
        versions={"2.4.0"},
        steps={(18, True), (65, False)},
        numbers={42},
    )

    assert Labels(mention).of(value) == label
