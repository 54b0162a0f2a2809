"""Documents in plain words."""

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flags.documents import (
    describe_condition,
    describe_keys,
    describe_rule,
    initial_document,
    percent,
    rule_label,
    summarise,
)
from flags.documents.words import _PHRASES, shown
from flags.evaluation.conditions import OPERATORS
from tests.flags.strategies import conditions, config_documents, hostile_values

GOLD = {"attribute": "plan", "operator": "equals", "value": "gold"}
OLD = {"attribute": "age", "operator": "greater_than", "value": 60}
STAFF = {"segment": "staff"}


@pytest.mark.parametrize(
    ("weight", "words"),
    [
        (0, "0 %"),
        (1, "0.001 %"),
        (500, "0.5 %"),
        (5_000, "5 %"),
        (10_000, "10 %"),
        (12_345, "12.345 %"),
        (100_000, "100 %"),
    ],
)
def test_percent__weight__is_written_as_people_do(weight: int, words: str) -> None:
    assert percent(weight) == words


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        (None, "everyone"),
        (GOLD, "plan is “gold”"),
        ({"attribute": "age", "operator": "less_or_equal", "value": 1.5}, "age is at most 1.5"),
        ({"attribute": "beta", "operator": "equals", "value": True}, "beta is true"),
        ({"attribute": "beta", "operator": "is_not_set", "value": None}, "beta is not set"),
        ({"attribute": "plan", "operator": "in", "value": ["a"]}, "plan is one of “a”"),
        ({"attribute": "plan", "operator": "in", "value": ["a", "b", 3]}, "plan is one of “a”, “b” and 3"),
        (
            {"attribute": "plan", "operator": "not_in", "value": list("abcde")},
            "plan is none of “a”, “b”, “c” and 2 more",
        ),
        ({"attribute": "plan", "operator": "contains", "value": "x" * 100}, f"plan contains “{'x' * 59}…”"),
        (STAFF, "in segment “staff”"),
        ({"not": STAFF}, "not in segment “staff”"),
        ({"not": {"not": GOLD}}, "not (not (plan is “gold”))"),
        ({"and": [GOLD, {"or": [OLD, STAFF]}]}, "plan is “gold” and (age is greater than 60 or in segment “staff”)"),
        ({"or": [{"and": [GOLD]}, OLD]}, "plan is “gold” or age is greater than 60"),
        ({"not": {"or": [GOLD, OLD]}}, "not (plan is “gold” or age is greater than 60)"),
    ],
)
def test_describe_condition__every_form__reads_like_a_sentence(condition: Any, words: str) -> None:
    assert describe_condition(condition) == words


def test_phrases__every_operator__has_one() -> None:
    assert set(_PHRASES) == set(OPERATORS)
    assert len(set(_PHRASES.values())) == len(_PHRASES)


@pytest.mark.parametrize(
    ("rule", "words", "label"),
    [
        ({"condition": None, "serve": {"variant": "on"}}, "Everyone: “on”", "“Everyone”"),
        (
            {"description": "Beta\n customers", "condition": GOLD, "serve": {"variant": "on"}},
            "If plan is “gold”: “on”",
            "“Beta customers”",
        ),
        (
            {
                "description": "",
                "condition": GOLD,
                "serve": {"split": [{"variant": "on", "weight": 25_000}, {"variant": "off", "weight": 75_000}]},
            },
            "If plan is “gold”: 25 % on, 75 % off",
            "“Plan is “gold””",
        ),
        (
            {
                "condition": None,
                "serve": {"split": [{"variant": "on", "weight": 100_000}]},
                "bucket_by": "company",
                "salt": "x",
                "starts_at": "2026-12-01T09:00:00+01:00",
                "ends_at": "2026-12-24T00:00:30.5Z",
            },
            "Everyone: 100 % on, split by “company”, with the salt “x”, "
            "from 2026-12-01 08:00 UTC until 2026-12-24 00:00:30.500000 UTC",
            "“Everyone”",
        ),
    ],
)
def test_describe_rule__every_form__reads_like_a_sentence(rule: Any, words: str, label: str) -> None:
    assert describe_rule(rule) == words
    assert rule_label(rule) == label


def on(**fields: Any) -> dict[str, Any]:
    return initial_document("checkout", "boolean") | {"enabled": True} | fields


def rule(serve: Any, condition: Any = None) -> dict[str, Any]:
    return {"id": "r", "description": "", "condition": condition, "serve": serve}


def split(first: int) -> dict[str, Any]:
    return {"split": [{"variant": "on", "weight": first}, {"variant": "off", "weight": 100_000 - first}]}


TARGETS = [{"variant": "on", "keys": ["a", "b"]}, {"variant": "off", "keys": ["c"]}]
NEEDS = [{"flag": "parent", "variants": ["on", "beta", "x"]}]
COLOURS = [{"name": "blue", "value": 1}, {"name": "green", "value": 2}]


@pytest.mark.parametrize(
    ("stored", "state", "headline", "share"),
    [
        (on(enabled=False), "off", "Off", None),
        (on(), "off", "Off for everyone", None),
        (on(default_variant="on"), "on", "On for everyone", None),
        (on(default_variant=None), "on", "Code default for everyone", None),
        (on(rules=[rule({"variant": "on"})]), "on", "On for everyone", None),
        (on(rules=[rule(split(25_000))]), "partial", "25 % on", 25_000),
        (on(rules=[rule(split(0))]), "off", "0 % on", 0),
        (on(rules=[rule(split(100_000))]), "on", "On for everyone", 100_000),
        (on(rules=[rule({"variant": "on"}, GOLD)]), "targeted", "1 rule, else off", None),
        (on(rules=[rule({"variant": "on"}, GOLD), rule(split(5_000))]), "targeted", "1 rule, else 5 % on", 5_000),
        (
            on(rules=[rule({"variant": "on"}, GOLD), rule({"variant": "on"}, OLD), rule({"variant": "on"})]),
            "targeted",
            "2 rules, else on",
            None,
        ),
        (on(targets=TARGETS), "targeted", "3 individual targets, else off", None),
        (
            on(targets=TARGETS, rules=[rule({"variant": "on"}, GOLD)], default_variant="on"),
            "targeted",
            "3 individual targets, 1 rule, else on",
            None,
        ),
        (on(default_variant="on", prerequisites=NEEDS), "targeted", "On for everyone, behind parent", None),
        (on(prerequisites=NEEDS * 2), "off", "Off for everyone, behind 2 flags", None),
        (
            on(rules=[rule({"variant": "on"}) | {"ends_at": "2026-12-01T08:00:00Z"}]),
            "targeted",
            "1 rule, else off",
            None,
        ),
        (on(variants=COLOURS, default_variant="green", off_variant="blue"), "on", "“green” for everyone", None),
    ],
)
def test_summarise__every_shape__says_what_happens(stored: Any, state: str, headline: str, share: int | None) -> None:
    summary = summarise(stored)
    assert (summary.state, summary.headline, summary.share) == (state, headline, share)
    assert summary.sentence.endswith(".")


def test_summarise__two_kinds_of_off__are_told_apart() -> None:
    assert summarise(on()).off_means == "Off serves the variant “off” (false)."
    assert summarise(on(off_variant=None)).off_means == "Off means that the application's own default decides."


def test_summarise__prerequisite__says_what_happens_without_it() -> None:
    words = "Only where parent serves “on”, “beta” or “x”; else as if switched off. Off serves"
    assert words in summarise(on(prerequisites=NEEDS)).sentence


@pytest.mark.parametrize(("count", "words"), [(1, "“k0”"), (2, "“k0”, “k1”"), (4, "“k0”, “k1” and 2 more")])
def test_describe_keys__long_list__is_cut_and_counted(count: int, words: str) -> None:
    assert describe_keys([f"k{n}" for n in range(count)], limit=2) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("plain", "“plain”"),
        ("it's", "“it's”"),
        ("a” b“", r"“a\” b\“”"),
        ("a\\", r"“a\\”"),
        ("a\nb\u202ec\x07", r"“a\nb\u202ec\u0007”"),
        ("a” " + "x" * 100, "“a\\” " + "x" * 56 + "…”"),
    ],
)
def test_shown__text_that_could_end_its_quotation__is_escaped(text: str, words: str) -> None:
    assert shown(text) == words
    assert describe_keys([text]) == words


@given(text=st.text())
def test_shown__any_text__ends_where_its_quotation_ends(text: str) -> None:
    words = shown(text, full=True)
    inner = re.sub(r"\\.", "", words[1:-1])
    assert (words[0], words[-1]) == ("“", "”")
    assert not set(inner) & set("“”\\\n\u202e\x00")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"plan": {"paid": [1, 2, 3, 4]}}, "{plan: {paid: 1, 2, 3 and 1 more}}"),
        ([[[[1]]]], "1"),
        ([[[[[1]]]]], "…"),
        ({"a": {"b": {"c": {"d": {"e": 1}}}}}, "{a: {b: {c: {d: …}}}}"),
        ({"a": {"b": {"c": {"d": {}}}}}, "{a: {b: {c: {d: {}}}}}"),
    ],
)
def test_shown__value_in_values__is_cut_at_the_fourth_level(value: Any, words: str) -> None:
    assert shown(value) == words
    assert "…" not in shown(value, full=True)


@settings(max_examples=50)
@given(hostile_values())
def test_shown__any_value__is_told(value: Any) -> None:
    assert shown({"given": value}).startswith("{given: ")
    assert shown([value], full=True) is not None


@given(stored=config_documents(endings=True))
def test_summarise__generated_documents__never_fails(stored: Any) -> None:
    assert summarise(stored).headline
    assert all(describe_rule(rule) for rule in stored["rules"])


@given(condition=conditions())
def test_describe_condition__generated_conditions__never_fails(condition: Any) -> None:
    assert describe_condition(condition)
