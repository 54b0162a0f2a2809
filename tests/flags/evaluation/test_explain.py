"""Explanations: a second reading of the same documents, held against the compiled one."""

import json
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flags.evaluation import ErrorCode, Generation, Snapshot, compile_snapshot
from flags.evaluation.bucketing import bucket
from flags.evaluation.explain import MAX_TRACE_NODES, explain, explain_compiled
from flags.evaluation.instants import instant_text
from flags.evaluation.reading import ConditionReader
from flags.evaluation.traces import ConditionTrace, Explanation
from tests.flags.evaluation.documents import (
    GOLD,
    HALF,
    NOW,
    ON,
    USER_1,
    child,
    document,
    needs,
    plain_snapshot,
    rule,
    segment,
    split,
)
from tests.flags.strategies import FLAG_KEYS, contexts, forced_variants, hostile_values, moments, snapshots

OFF = {"variant": "off"}


@settings(max_examples=120)
@given(data=st.data(), snapshot=snapshots(), context=contexts(), now=moments())
def test_explain__any_environment_and_context__resolves_as_the_compiled_one(
    data: st.DataObject, snapshot: Snapshot, context: dict[str, Any], now: datetime
) -> None:
    forced = data.draw(forced_variants(snapshot))
    compiled = compile_snapshot(snapshot, forced=forced)
    for key in (*snapshot.flags, "nothing"):
        explanation = explain(snapshot, key, context, now, forced=forced)
        assert explanation.resolution == compiled.evaluate(key, context, now)
        assert explanation.flag_key == key


@settings(max_examples=50)
@given(snapshot=snapshots(), context=hostile_values(), key=st.sampled_from(FLAG_KEYS) | st.text() | st.none())
def test_explain__anything__never_raises(snapshot: Snapshot, context: Any, key: Any) -> None:
    explanation = explain(snapshot, key, context, NOW)
    assert explanation.resolution == compile_snapshot(snapshot).evaluate(key, context, NOW)
    json.dumps(explanation.as_json())


def _of(documents: dict[str, Any], key: str, context: dict[str, Any], **options: Any) -> Explanation:
    """The explanation, after checking that it tells the answer which is given."""
    forced = options.pop("forced", {})
    snapshot = plain_snapshot(documents, **options)
    explanation = explain(snapshot, key, context, NOW, forced=forced)
    assert explanation.resolution == compile_snapshot(snapshot, forced=forced).evaluate(key, context, NOW)
    return explanation


@pytest.mark.parametrize("visible", [True, False])
@pytest.mark.parametrize("successor", [{"client_visible": True}, {"client_visible": False}, None])
def test_explain__flag_with_a_successor__tells_what_the_answer_tells(
    visible: bool, successor: dict[str, Any] | None
) -> None:
    ending = {"deprecated_at": instant_text(NOW), "successor": "search"}
    stored = {"checkout": document(client_visible=visible, deprecation=ending)}
    if successor is not None:
        stored["search"] = child(needs("checkout"), needs("elsewhere"), **successor)

    told = _of(stored, "checkout", {}).resolution.metadata

    assert told["deprecated"] is True
    assert ("successor" in told) is (not visible or successor == {"client_visible": True})


@pytest.mark.parametrize(
    ("fields", "context", "decided_by"),
    [
        ({"enabled": False}, {}, "switch"),
        ({}, {}, "default"),
        ({"rules": [rule(ON, GOLD)]}, {}, "default"),
        ({"rules": [rule(ON, GOLD)]}, {"plan": "gold"}, "rule"),
        ({"targets": [{"variant": "on", "keys": ["user-1"]}], "rules": [rule(ON)]}, USER_1, "target"),
        ({"prerequisites": [needs("missing")]}, {}, "prerequisite"),
        ({"prerequisites": [needs("checkout")]}, {}, "prerequisite"),
        ({"default_variant": "blue"}, {}, "error"),
        ({"rules": [rule(ON), None]}, {}, "rule"),
    ],
)
def test_explain__flag_in_every_state__says_what_decided(
    fields: dict[str, Any], context: dict[str, Any], decided_by: str
) -> None:
    assert _of({"checkout": document(**fields)}, "checkout", context).decided_by == decided_by


@pytest.mark.parametrize("generation", Generation)
def test_explain__split__shows_what_was_hashed_and_where_it_fell(generation: Generation) -> None:
    shares = split(("on", 30_000), ("off", 70_000))
    stored = document(rules=[rule(OFF, GOLD), rule(shares, bucket_by="company", salt="autumn")])

    first, second = _of({"checkout": stored}, "checkout", {"company": "acme"}, generation=generation).rules

    place = bucket("acme", salt="autumn", total=100_000, generation=generation)
    assert (first.matched, first.split, second.matched) == (False, None, True)
    assert second.split is not None
    assert (second.split.bucket_by, second.split.salt, second.split.key) == ("company", "autumn", "acme")
    assert (second.split.bucket, second.split.total, second.split.generation) == (place, 100_000, generation.value)
    assert second.split.hash is not None
    assert second.split.hash * 100_000 >> 32 == place
    assert [(s.start, s.end, s.is_chosen) for s in second.split.shares] == [
        (0, 30_000, place < 30_000),
        (30_000, 100_000, place >= 30_000),
    ]


@pytest.mark.parametrize("strict", [False, True])
def test_explain__split_without_key__shows_that_there_was_none(strict: bool) -> None:
    explanation = _of({"checkout": document(rules=[rule(HALF)])}, "checkout", {}, strict=strict)
    (told,) = explanation.rules
    assert told.split is not None
    assert (told.split.key, told.split.hash, told.split.bucket, told.split.variant) == (None, None, None, None)
    assert explanation.resolution.error_code is (ErrorCode.TARGETING_KEY_MISSING if strict else None)


def test_explain__condition__has_a_verdict_per_node_and_no_value_of_the_context() -> None:
    age = {"attribute": "age", "operator": "greater_than", "value": 18}
    condition = {"or": [{"and": [GOLD, age]}, {"not": {"segment": "staff"}}, {"segment": "staff"}, {"segment": "none"}]}
    segments = {"staff": segment({"attribute": "email", "operator": "ends_with", "value": "@example.org"})}
    context = {"plan": "gold", "age": None, "email": "secret-marker@example.org"}

    explanation = _of({"checkout": document(rules=[rule(ON, condition)])}, "checkout", context, segments=segments)

    told = explanation.rules[0].condition
    assert told is not None
    both, negated, again, missing = told.parts
    assert [(part.kind, part.holds) for part in (told, *told.parts)] == [
        ("or", True), ("and", False), ("not", False), ("segment", True), ("segment", False),
    ]  # fmt: skip
    assert [(part.attribute, part.given, part.holds) for part in both.parts] == [
        ("plan", "text", True),
        ("age", "null", False),
    ]
    assert negated.parts[0].parts[0].attribute == "email"
    assert again.parts == ()
    assert "shown above" in again.note
    assert "no such segment" in missing.note
    assert "secret-marker" not in json.dumps(explanation.as_json())


@pytest.mark.parametrize(
    ("starts_at", "ends_at", "is_in_window"),
    [
        ("2026-11-21T12:00:00Z", None, True),
        ("2026-11-21T12:00:01Z", None, False),
        (None, "2026-11-21T12:00:00Z", False),
        (None, "2026-11-21T13:00:01+01:00", True),
    ],
)
def test_explain__window__says_whether_it_is_open(
    starts_at: str | None, ends_at: str | None, is_in_window: bool
) -> None:
    fields = {name: text for name, text in (("starts_at", starts_at), ("ends_at", ends_at)) if text}
    (told,) = _of({"checkout": document(rules=[rule(ON, GOLD, **fields)])}, "checkout", {"plan": "gold"}).rules
    assert (told.is_in_window, told.matched, told.condition is not None) == (is_in_window,) * 3
    assert (told.starts_at, told.ends_at) == (starts_at, ends_at)


def test_explain__prerequisites__contain_their_explanation_once() -> None:
    documents = {
        "gold": document(rules=[rule(ON, GOLD)]),
        "left": child(needs("gold")),
        "right": child(needs("gold", "off")),
        "checkout": child(needs("left"), needs("right"), needs("nothing")),
    }
    left, right, nothing = _of(documents, "checkout", {"plan": "gold"}).prerequisites
    assert [(t.flag, t.got, t.is_met) for t in (left, right, nothing)] == [
        ("left", "on", True),
        ("right", "off", False),
        ("nothing", None, False),
    ]
    assert left.explanation is not None
    assert right.explanation is not None
    assert left.explanation.prerequisites[0].explanation is not None
    assert right.explanation.prerequisites[0].explanation is None
    assert "elsewhere" in right.explanation.prerequisites[0].note
    assert "no such flag" in nothing.note


def test_explain__forced_parent__is_told() -> None:
    documents = {"parent": document(enabled=False), "checkout": child(needs("parent"))}
    explanation = _of(documents, "checkout", {}, forced={"parent": "on", "nothing": "on"})
    assert explanation.resolution.variant == "on"
    assert explanation.prerequisites[0].explanation is not None
    assert explanation.prerequisites[0].explanation.forced == "on"
    assert _of(documents, "parent", {}, forced={"parent": "on"}).decided_by == "forced"


def test_explain__twenty_parents_on_thirty_levels__stays_small() -> None:
    # Written out in full this tree would have 20 ** 30 leaves.
    documents = {f"0-{n}": document(rules=[rule(ON, GOLD)]) for n in range(20)}
    for level in range(1, 31):
        below = [needs(f"{level - 1}-{n}") for n in range(20)]
        documents |= {f"{level}-{n}": child(*below) for n in range(20)}
    explanation = _of(documents, "30-0", {"plan": "gold"})
    assert explanation.resolution.variant == "on"
    assert len(json.dumps(explanation.as_json())) < 2_000_000


# As much as a legal document holds: 95 rules of 40 comparisons.
LONG_RULES = [
    rule(
        ON, {"and": [{"attribute": "plan", "operator": "not_equals", "value": f"{n}-{m}"} for m in range(39)] + [GOLD]}
    )
    for n in range(95)
]


def _large_environment(flags: int) -> Snapshot:
    """Flags of the largest size, each of which requires the twenty before it."""
    documents = {}
    for number in range(flags):
        required = [needs(f"flag-{before}", "off") for before in range(max(0, number - 20), number)]
        documents[f"flag-{number}"] = document(rules=LONG_RULES, **({"prerequisites": required} if required else {}))
    return plain_snapshot(documents)


def _count_comparisons(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The operators of the comparisons that will be told, as they are told."""
    read: list[str] = []
    comparison = ConditionReader._comparison

    def counting(self: ConditionReader, condition: Any) -> ConditionTrace:
        read.append(condition["operator"])
        return comparison(self, condition)

    monkeypatch.setattr(ConditionReader, "_comparison", counting)
    return read


def test_explain__forty_flags_of_the_largest_size__reads_what_it_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = compile_snapshot(_large_environment(40))
    read = _count_comparisons(monkeypatch)

    explanation = explain_compiled(compiled, "flag-39", {"plan": "silver"}, NOW)

    assert explanation.resolution == compiled.evaluate("flag-39", {"plan": "silver"}, NOW)
    assert len(read) < 1.1 * MAX_TRACE_NODES
    assert len(json.dumps(explanation.as_json())) < 2_000_000
    # The flag itself is told in full, the others as far as that goes, and what they answer is told of all.
    assert [len(told.condition.parts) for told in explanation.rules if told.condition] == [40] * 95
    assert [(trace.got, trace.is_met) for trace in explanation.prerequisites] == [("off", True)] * 20
    notes = [trace.note for trace in explanation.prerequisites if trace.explanation is None]
    assert any("Cut here" in note for note in notes)


def test_explain__compiled_snapshot_at_hand__compiles_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = compile_snapshot(plain_snapshot({"parent": document(rules=[rule(ON)]), "child": child(needs("parent"))}))
    monkeypatch.setattr("flags.evaluation.explain.compile_snapshot", None)

    explanation = explain_compiled(compiled, "child", {}, NOW)

    assert explanation.resolution == compiled.evaluate("child", {}, NOW)
    assert explanation.prerequisites[0].explanation is not None


@pytest.mark.parametrize("nodes", [0, 1, 50])
def test_explain__hardly_any_nodes__still_tells_which_rule_matched(nodes: int) -> None:
    segments = {"gold": segment(GOLD), "nobody": segment({"segment": "nobody"}), "all": {"condition": None}}
    last = {"and": [{"segment": "gold"}, {"not": {"segment": "nobody"}}, {"or": [{"segment": "all"}]}]}
    stored = document(rules=[*LONG_RULES[:20], rule(ON, last)])
    compiled = compile_snapshot(plain_snapshot({"checkout": stored}, segments=segments))

    for plan, matched in (("gold", True), ("silver", False)):
        explanation = explain_compiled(compiled, "checkout", {"plan": plan, "x": 1}, NOW, nodes=nodes)
        assert explanation.resolution == compiled.evaluate("checkout", {"plan": plan, "x": 1}, NOW)
        told = explanation.rules[-1]
        assert told.matched is matched
        assert told.condition is not None
        if not matched:
            assert len(explanation.rules) == 21
            assert (told.condition.kind, told.condition.parts) == ("and", ())
            assert "Cut here" in told.condition.note


@settings(max_examples=60)
@given(snapshot=snapshots(), context=contexts(), now=moments(), nodes=st.integers(0, 12))
def test_explain__any_budget__every_flag_told_resolves_as_the_compiled_one(
    snapshot: Snapshot, context: dict[str, Any], now: datetime, nodes: int
) -> None:
    compiled = compile_snapshot(snapshot)
    for key in snapshot.flags:
        for budget in (nodes, MAX_TRACE_NODES):
            pending = [explain_compiled(compiled, key, context, now, nodes=budget)]
            while pending:
                told = pending.pop()
                assert told.resolution == compiled.evaluate(told.flag_key, context, now)
                pending.extend(trace.explanation for trace in told.prerequisites if trace.explanation)


def test_explain__long_values__count_by_their_length() -> None:
    condition = {"and": [{"attribute": "plan", "operator": "in", "value": [f"{n}" * 1_000] * 20} for n in range(9)]}
    documents = {f"flag-{n}": document(rules=[rule(ON, condition)] * 20) for n in range(10)}
    documents["checkout"] = child(*(needs(f"flag-{n}", "off") for n in range(10)))

    explanation = _of(documents, "checkout", {"plan": "gold"})

    assert len(json.dumps(explanation.as_json())) < 2_000_000


def test_explain__chain_of_2000_flags__is_told_without_recursion() -> None:
    documents = {f"flag-{n}": child(needs(f"flag-{n - 1}")) for n in range(1, 2_000)}
    explanation = _of(documents | {"flag-0": document(rules=[rule(ON, GOLD)])}, "flag-1999", {"plan": "gold"})
    assert explanation.resolution.variant == "on"
    json.dumps(explanation.as_json())


def test_explain__list_of_10000_values__shows_the_first() -> None:
    condition = {"attribute": "plan", "operator": "in", "value": [f"plan-{n}" for n in range(10_000)]}
    (told,) = _of({"checkout": document(rules=[rule(ON, condition)])}, "checkout", {"plan": "plan-9999"}).rules
    assert told.condition is not None
    assert (told.condition.holds, len(told.condition.value)) == (True, 20)
    assert "10000" in told.condition.note


def test_explain__text_too_long_to_search__is_said() -> None:
    condition = {"attribute": "plan", "operator": "not_contains", "value": "b"}
    (told,) = _of({"checkout": document(rules=[rule(ON, condition)])}, "checkout", {"plan": "b" * 1_025}).rules
    assert told.condition is not None
    assert told.condition.holds
    assert "longer than 1024 characters" in told.condition.note


def test_explain__segments_in_a_circle__are_told_to_hold_for_no_one() -> None:
    segments = {"a": segment({"or": [GOLD, {"segment": "b"}]}), "b": segment({"segment": "a"})}
    stored = document(rules=[rule(ON, {"segment": "a"})])
    explanation = _of({"checkout": stored}, "checkout", {"plan": "gold"}, segments=segments)
    assert explanation.decided_by == "default"
    told = explanation.rules[0].condition
    assert told is not None
    assert (told.holds, told.parts) == (False, ())
    assert "circle" in told.note
