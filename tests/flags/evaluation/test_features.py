"""Targets, windows, own salts, other bucketing, strict mode, nested segments and forced variants."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flags.evaluation import CompiledSnapshot, ErrorCode, Generation, Reason, Snapshot, compile_snapshot
from flags.evaluation.bucketing import bucket
from flags.evaluation.flags import window_instants
from tests.flags.evaluation.documents import (
    GOLD,
    HALF,
    NOW,
    ON,
    USER_1,
    CountingText,
    child,
    document,
    needs,
    plain_snapshot,
    rule,
    segment,
    snapshot_of,
    split,
)
from tests.flags.strategies import contexts, forced_variants, moments, snapshots

OFF = {"variant": "off"}
ALL = split(("on", 100_000))


def variant_of(compiled: CompiledSnapshot, context: Any, now: datetime = NOW) -> str | None:
    return compiled.evaluate("checkout", context, now).variant


# Individual targets


@pytest.mark.parametrize(
    ("key", "variant", "reason"),
    [
        ("user-1", "on", Reason.TARGETING_MATCH),
        ("user-2", "off", Reason.TARGETING_MATCH),
        ("user-3", "on", Reason.SPLIT),
        ("user", "on", Reason.SPLIT),
        ("", "on", Reason.SPLIT),
        (None, "off", Reason.DEFAULT),
        (1, "off", Reason.DEFAULT),
        ([], "off", Reason.DEFAULT),
        ({}, "off", Reason.DEFAULT),
        ("\ud800", "off", Reason.DEFAULT),
    ],
    ids=ascii,
)
def test_targets__any_key__are_looked_at_before_the_rules(key: Any, variant: str, reason: Reason) -> None:
    targets = [{"variant": "on", "keys": ["user-1", "1"]}, {"variant": "off", "keys": ["user-2"]}]
    compiled = snapshot_of({"checkout": document(targets=targets, rules=[rule(ALL)])})
    answer = compiled.evaluate("checkout", {"targetingKey": key}, NOW)
    assert (answer.variant, answer.reason) == (variant, reason)


def test_targets__switched_off_flag__count_for_nothing() -> None:
    stored = document(enabled=False, targets=[{"variant": "on", "keys": ["user-1"]}])
    assert snapshot_of({"checkout": stored}).evaluate("checkout", USER_1, NOW).reason is Reason.DISABLED


def test_targets__flag_without_rules__is_static_for_nobody_else() -> None:
    compiled = snapshot_of({"checkout": document(targets=[{"variant": "on", "keys": ["user-1"]}])})
    assert compiled.evaluate("checkout", USER_1, NOW).reason is Reason.TARGETING_MATCH
    assert compiled.evaluate("checkout", {}, NOW).reason is Reason.STATIC


# Windows

START, END = datetime(2026, 12, 1, 8, tzinfo=UTC), datetime(2026, 12, 24, 18, tzinfo=UTC)
TICK = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("fields", "inside", "outside"),
    [
        ({"starts_at": "2026-12-01T08:00:00Z"}, [START, START + TICK, END], [START - TICK]),
        ({"ends_at": "2026-12-24T18:00:00Z"}, [START - TICK, END - TICK], [END, END + TICK]),
        (
            {"starts_at": "2026-12-01T09:00:00+01:00", "ends_at": "2026-12-24T18:00:00Z"},
            [START, END - TICK],
            [START - TICK, END, END + TICK],
        ),
    ],
    ids=["start", "end", "both"],
)
@pytest.mark.parametrize("condition", [None, GOLD], ids=["everyone", "gold"])
@pytest.mark.parametrize("serve", [ON, ALL], ids=["variant", "split"])
def test_window__at_its_edges__holds_from_start_to_before_end(
    fields: dict[str, str], inside: list[datetime], outside: list[datetime], condition: Any, serve: Any
) -> None:
    compiled = snapshot_of({"checkout": document(rules=[rule(serve, condition, **fields), rule(OFF)])})
    context = USER_1 | {"plan": "gold"}
    assert [variant_of(compiled, context, now) for now in inside] == ["on"] * len(inside)
    assert [variant_of(compiled, context, now) for now in outside] == ["off"] * len(outside)
    assert [compiled.evaluate_all(context, now)["checkout"].variant for now in outside] == ["off"] * len(outside)
    if condition:
        assert [variant_of(compiled, {}, now) for now in inside] == ["off"] * len(inside)


def test_window_instants__any_documents__are_all_there_in_order_and_once() -> None:
    later, unreadable = rule(ON, starts_at="2027-01-01T00:00:00+01:00"), rule(ON, ends_at="soon")
    windowed = rule(ON, starts_at="2026-05-01T00:00:00Z", ends_at="2026-06-01T00:00:00Z")
    documents = {"a": document(rules=[rule(ON), unreadable, later]), "b": document(rules=[windowed, windowed])}
    broken = {"c": {}, "d": 5, "e": {"rules": [None, 1, "x"]}, "f": {"rules": None}}

    instants = window_instants(plain_snapshot(documents | broken).flags.values())

    assert [instant.isoformat()[:13] for instant in instants] == ["2026-05-01T00", "2026-06-01T00", "2026-12-31T23"]


def test_window__of_a_parent__decides_for_the_child() -> None:
    parent = document(rules=[rule(ON, starts_at="2026-12-01T08:00:00Z")])
    compiled = snapshot_of({"parent": parent, "checkout": child(needs("parent"))})
    assert variant_of(compiled, {}, START - TICK) == "off"
    assert variant_of(compiled, {}, START) == "on"


@pytest.mark.parametrize("text", ["tomorrow", "2026-12-01", "2026-12-01T08:00:00", 5, True, [], ""], ids=repr)
def test_window__unreadable__fails_the_flag(text: Any) -> None:
    compiled = snapshot_of({"checkout": document(rules=[rule(ON, starts_at=text)])})
    assert compiled.evaluate("checkout", {}, NOW).error_code is ErrorCode.PARSE_ERROR


# Bucketing


@pytest.mark.parametrize("generation", Generation)
@pytest.mark.parametrize(
    ("fields", "attribute", "salt"),
    [
        ({}, "targetingKey", "checkout/"),
        ({"salt": "autumn"}, "targetingKey", "autumn"),
        ({"bucket_by": "company"}, "company", "checkout/"),
        ({"bucket_by": "company", "salt": "autumn"}, "company", "autumn"),
        ({"bucket_by": "targetingKey"}, "targetingKey", "checkout/"),
    ],
    ids=["plain", "salt", "company", "both", "explicit"],
)
def test_split__own_salt_and_attribute__is_monotone_and_follows_the_bucket(
    generation: Generation, fields: dict[str, Any], attribute: str, salt: str
) -> None:
    keys = [f"key-{number}" for number in range(1_500)]
    places = {key: bucket(key, salt=salt, total=100_000, generation=generation) for key in keys}
    before: set[str] = set()
    for weight in (0, 1, 10_000, 33_333, 99_999, 100_000):
        stored = document(rules=[rule(split(("on", weight), ("off", 100_000 - weight)), **fields)])
        compiled = snapshot_of({"checkout": stored}, generation=generation)
        other = "company" if attribute == "targetingKey" else "targetingKey"
        now_in = {key for key in keys if variant_of(compiled, {attribute: key, other: "constant"}) == "on"}
        assert now_in == {key for key in keys if places[key] < weight}
        assert before <= now_in
        before = now_in
    assert len(before) == len(keys)


@pytest.mark.parametrize("company", [None, 5, True, 1.5, [], {}, "\ud800", "x" * 1_025], ids=lambda v: ascii(v)[:12])
@pytest.mark.parametrize("strict", [False, True])
def test_bucket_by__attribute_that_is_no_usable_text__gives_the_default(company: Any, strict: bool) -> None:
    compiled = snapshot_of({"checkout": document(rules=[rule(ALL, bucket_by="company")])}, strict=strict)
    for context in (USER_1 | {"company": company}, USER_1):
        answer = compiled.evaluate("checkout", context, NOW)
        assert (answer.variant, answer.reason, answer.error_code) == ("off", Reason.DEFAULT, None)
    assert compiled.evaluate("checkout", {"company": "acme"}, NOW).reason is Reason.SPLIT


def test_salts__of_two_rules__are_independent() -> None:
    tenth = split(("on", 10_000), ("off", 90_000))
    keys = [f"user-{number}" for number in range(4_000)]
    tenths = []
    for salt in ("spring", "autumn"):
        compiled = snapshot_of({"checkout": document(rules=[rule(tenth, salt=salt)])})
        tenths.append({key for key in keys if variant_of(compiled, {"targetingKey": key}) == "on"})
    # Two independent tenths of 4,000 share 40 people; six standard deviations are 38.
    assert 2 <= len(tenths[0] & tenths[1]) <= 78


@pytest.mark.parametrize("fields", [{"salt": 5}, {"salt": None}, {"bucket_by": 5}, {"bucket_by": []}], ids=repr)
def test_split__unreadable_salt_or_attribute__fails_the_flag(fields: dict[str, Any]) -> None:
    compiled = snapshot_of({"checkout": document(rules=[rule(HALF, **fields)])})
    assert compiled.evaluate("checkout", USER_1, NOW).error_code is ErrorCode.PARSE_ERROR


# Strict mode


@pytest.mark.parametrize(
    ("fields", "context", "code"),
    [
        ({"rules": [rule(ALL)]}, {}, ErrorCode.TARGETING_KEY_MISSING),
        ({"rules": [rule(ALL)]}, {"targetingKey": ""}, ErrorCode.TARGETING_KEY_MISSING),
        ({"rules": [rule(ALL)]}, {"targetingKey": 5}, ErrorCode.TARGETING_KEY_MISSING),
        ({"rules": [rule(ALL)]}, {"targetingKey": "\ud800"}, ErrorCode.TARGETING_KEY_MISSING),
        ({"rules": [rule(ALL)]}, {"targetingKey": "x" * 1_025}, ErrorCode.TARGETING_KEY_MISSING),
        ({"rules": [rule(HALF)]}, {}, ErrorCode.TARGETING_KEY_MISSING),
        ({"rules": [rule(ALL, bucket_by="targetingKey")]}, {}, ErrorCode.TARGETING_KEY_MISSING),
        ({"rules": [rule(ALL, GOLD)]}, {"plan": "gold"}, ErrorCode.TARGETING_KEY_MISSING),
        ({"rules": [rule(ALL)]}, {"targetingKey": "x" * 1_024}, None),
        ({"rules": [rule(ALL)]}, USER_1, None),
        ({"rules": [rule(ALL, GOLD)]}, {}, None),
        ({"rules": [rule(ON)]}, {}, None),
        ({"rules": [rule(ON), rule(ALL)]}, {}, None),
        ({"rules": [rule(ALL, bucket_by="company")]}, {}, None),
        ({"targets": [{"variant": "on", "keys": ["user-1"]}]}, {}, None),
        ({"enabled": False, "rules": [rule(ALL)]}, {}, None),
        ({}, {}, None),
    ],
)
def test_strict__flag_and_context__fails_only_where_a_split_needs_the_key(
    fields: dict[str, Any], context: dict[str, Any], code: ErrorCode | None
) -> None:
    strict = snapshot_of({"checkout": document(**fields)}, strict=True).evaluate("checkout", context, NOW)
    lenient = snapshot_of({"checkout": document(**fields)}).evaluate("checkout", context, NOW)

    assert strict.error_code is code
    assert lenient.error_code is None
    if code is None:
        assert strict == lenient
    else:
        assert (strict.reason, strict.has_value) == (Reason.ERROR, False)
        assert "Send “targetingKey”" in strict.error_message
        assert strict.metadata["version"] == 4


# Nested segments

TOO_DEEP = ErrorCode.PARSE_ERROR
STAFF = {"attribute": "staff", "operator": "is_true", "value": None}


@pytest.mark.parametrize(
    ("segments", "holds"),
    [
        ({"a": segment({"segment": "b"}), "b": segment(GOLD)}, True),
        ({"b": segment(GOLD), "a": segment({"not": {"segment": "b"}})}, False),
        ({"a": segment({"not": {"segment": "missing"}})}, True),
        ({"a": segment({"segment": "missing"})}, False),
        ({"a": segment({"segment": "a"})}, False),
        ({"a": segment({"not": {"segment": "a"}})}, False),
        ({"a": segment({"or": [GOLD, {"segment": "b"}]}), "b": segment({"segment": "a"})}, False),
        ({"a": segment({"not": {"segment": "b"}}), "b": segment({"not": {"segment": "b"}})}, False),
        ({"a": segment({"and": [{"segment": "b"}, {"segment": "c"}]}), "b": segment(GOLD), "c": segment(STAFF)}, True),
    ],
)
def test_segments__using_each_other__hold_as_written_and_circles_for_no_one(segments: Any, holds: bool) -> None:
    compiled = snapshot_of({"checkout": document(rules=[rule(ON, {"segment": "a"})])}, segments=segments)
    context = {"plan": "gold", "staff": True}
    assert variant_of(compiled, context) == ("on" if holds else "off")


def test_segments__using_an_unreadable_one__fail_the_flags_that_use_them() -> None:
    segments = {"a": segment({"segment": "b"}), "b": segment({"operator": "?"}), "c": segment(GOLD)}
    documents = {key: document(rules=[rule(ON, {"segment": key})]) for key in segments}
    answers = snapshot_of(documents, segments=segments).evaluate_all({"plan": "gold"}, NOW)
    assert [answers[key].error_code for key in segments] == [ErrorCode.PARSE_ERROR, ErrorCode.PARSE_ERROR, None]


@pytest.mark.parametrize(
    ("levels", "code"), [(8, None), (16, None), (17, ErrorCode.PARSE_ERROR), (5_000, ErrorCode.PARSE_ERROR)]
)
def test_segments__nested_too_deeply__fail_the_flag_and_nothing_else(levels: int, code: ErrorCode | None) -> None:
    segments = {f"s{n}": segment({"segment": f"s{n + 1}"}) for n in range(1, levels)} | {f"s{levels}": segment(GOLD)}
    compiled = snapshot_of({"checkout": document(rules=[rule(ON, {"segment": "s1"})])}, segments=segments)
    assert compiled.evaluate("checkout", {"plan": "gold"}, NOW).error_code is code


def test_segments__fifty_using_fifty_on_eight_levels__are_looked_at_once() -> None:
    # Looking at every mention anew would be 50 ** 8 comparisons.
    lowest = {f"1-{n}": segment(GOLD) for n in range(50)}
    segments = dict(lowest)
    for level in range(2, 9):
        below = [{"segment": f"{level - 1}-{n}"} for n in range(50)]
        segments |= {f"{level}-{n}": segment({"or": below}) for n in range(50)}
    rules = [rule(ON, {"or": [{"segment": f"8-{n}"} for n in range(50)]})] * 100
    windowed = [rule(ON, GOLD, starts_at="2026-01-01T00:00:00Z"), *rules]
    compiled = snapshot_of({"checkout": document(rules=rules), "windowed": document(rules=windowed)}, segments=segments)

    for key, expected in (("checkout", 50), ("windowed", 51)):
        CountingText.compared = 0
        assert compiled.evaluate(key, {"plan": CountingText("free")}, NOW).reason is Reason.DEFAULT
        assert CountingText.compared == expected
        assert compiled.evaluate(key, {"plan": "gold"}, NOW).variant == "on"


# Forced variants


@pytest.mark.parametrize(
    "stored",
    [
        document(),
        document(enabled=False),
        document(rules=[rule(OFF)]),
        child(needs("nothing")),
        child(needs("checkout")),
    ],
    ids=["static", "off", "rules", "unmet", "circle"],
)
def test_forced__flag_in_any_state__answers_the_variant(stored: dict[str, Any]) -> None:
    compiled = snapshot_of({"checkout": stored}).with_forced({"checkout": "on"})
    answer = compiled.evaluate("checkout", {}, NOW)
    assert (answer.value, answer.variant, answer.reason) == (True, "on", Reason.STATIC)
    assert answer.metadata == {"environment": "production", "revision": 7, "version": 4, "forced": True}
    assert compiled.answers("checkout") == (answer,)
    assert compiled.forced == {"checkout": "on"}


def test_forced__parent__decides_for_its_children() -> None:
    compiled = snapshot_of({"parent": document(rules=[rule(ON)]), "checkout": child(needs("parent"))})
    assert variant_of(compiled, {}) == "on"
    forced = compiled.with_forced({"parent": "off"})
    assert forced.evaluate("checkout", {}, NOW).reason is Reason.DISABLED
    assert variant_of(forced.with_forced({}), {}) == "on"
    assert variant_of(compiled, {}) == "on"


@pytest.mark.parametrize(
    "forced", [{"nothing": "on"}, {"checkout": "blue"}, {"broken": "on"}, {"checkout": []}], ids=repr
)
def test_forced__what_is_not_there__is_ignored_and_named(forced: Any) -> None:
    compiled = snapshot_of({"checkout": document(), "broken": {}}).with_forced(forced)
    assert compiled.ignored_forced == forced
    assert compiled.forced == {}
    assert compiled.evaluate("checkout", {}, NOW).reason is Reason.STATIC
    assert "forced" not in compiled.evaluate("checkout", {}, NOW).metadata


def test_forced__one_flag__compiles_nothing_that_it_cannot_change() -> None:
    documents = {
        "checkout": document(rules=[rule(HALF)]),
        "child": child(needs("checkout")),
        "grandchild": child(needs("child")),
        "other": document(rules=[rule(HALF)]),
        "other-child": child(needs("other")),
    }
    compiled = snapshot_of(documents)
    forced = compiled.with_forced({"checkout": "off"})
    kept = {key for key in documents if compiled.answers(key)[0] is forced.answers(key)[0]}
    assert kept == {"other", "other-child"}


@settings(max_examples=50)
@given(data=st.data(), snapshot=snapshots(), context=contexts(), now=moments())
def test_with_forced__any_lists_in_turn__is_as_if_compiled_with_the_last(
    data: st.DataObject, snapshot: Snapshot, context: dict[str, Any], now: datetime
) -> None:
    first, second = data.draw(forced_variants(snapshot)), data.draw(forced_variants(snapshot))
    in_turn = compile_snapshot(snapshot, forced=first).with_forced(second)
    at_once = compile_snapshot(snapshot, forced=second)

    assert in_turn.evaluate_all(context, now) == at_once.evaluate_all(context, now)
    assert (in_turn.forced, in_turn.ignored_forced) == (at_once.forced, at_once.ignored_forced)
    assert {**in_turn.forced, **in_turn.ignored_forced} == second
    for key in in_turn.forced:
        assert in_turn.evaluate(key, context, now).metadata["forced"] is True
    assert in_turn.with_forced({}).evaluate_all(context, now) == compile_snapshot(snapshot).evaluate_all(context, now)


# Client visibility


def test_client_visible__only_true__is_listed_for_clients() -> None:
    documents = {
        "shown": document(client_visible=True),
        "hidden": document(client_visible=False),
        "silent": document(),
        "odd": document(client_visible=1),
        "child": child(needs("hidden", "off"), client_visible=True),
        "broken": {"client_visible": True},
    }
    compiled = snapshot_of(documents)
    assert compiled.client_flag_keys == {"shown", "child", "broken"}
    answers = compiled.evaluate_all({}, NOW, client_only=True)
    assert list(answers) == ["shown", "child", "broken"]
    assert answers["child"].variant == "on"
