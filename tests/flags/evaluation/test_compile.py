"""Evaluation of whole snapshots: reasons, values, errors, splits."""

from collections import UserDict
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flags.documents import VALUE_TYPES
from flags.evaluation import ErrorCode, Generation, Reason, Resolution
from flags.evaluation.bucketing import bucket
from flags.evaluation.deprecations import is_archived
from flags.evaluation.splits import share_ends
from tests.flags.evaluation.documents import GOLD, HALF, NOW, ON, USER_1, document, rule, snapshot_of, split
from tests.flags.strategies import SEGMENT_KEYS, config_documents, contexts, hostile_values, segment_documents


@pytest.mark.parametrize(
    ("fields", "context", "variant", "value", "reason"),
    [
        ({"enabled": False}, {}, "off", False, Reason.DISABLED),
        ({"enabled": False, "off_variant": None}, {}, None, None, Reason.DISABLED),
        ({"enabled": False, "off_variant": "on"}, {}, "on", True, Reason.DISABLED),
        ({}, {}, "off", False, Reason.STATIC),
        ({"default_variant": None}, {}, None, None, Reason.DEFAULT),
        ({"rules": [rule(ON)]}, {}, "on", True, Reason.TARGETING_MATCH),
        ({"rules": [rule(ON, GOLD)]}, {"plan": "gold"}, "on", True, Reason.TARGETING_MATCH),
        ({"rules": [rule(ON, GOLD)]}, {"plan": "free"}, "off", False, Reason.DEFAULT),
        ({"rules": [rule(ON, GOLD)], "default_variant": None}, {}, None, None, Reason.DEFAULT),
        ({"rules": [rule({"variant": "off"}, GOLD), rule(ON)]}, {"plan": "gold"}, "off", False, Reason.TARGETING_MATCH),
        ({"rules": [rule({"variant": "off"}, GOLD), rule(ON)]}, {}, "on", True, Reason.TARGETING_MATCH),
        ({"rules": [rule(ON), rule({"variant": "off"}, GOLD)]}, {"plan": "gold"}, "on", True, Reason.TARGETING_MATCH),
        ({"rules": [rule(split(("on", 100_000)))]}, USER_1, "on", True, Reason.SPLIT),
        ({"rules": [rule(split(("on", 0), ("off", 100_000)))]}, USER_1, "off", False, Reason.SPLIT),
        ({"rules": [rule(split(("on", 100_000)))]}, {}, "off", False, Reason.DEFAULT),
        ({"rules": [rule(split(("on", 100_000)))]}, {"targetingKey": 5}, "off", False, Reason.DEFAULT),
        ({"rules": [rule(split(("on", 100_000)))]}, {"targetingKey": "\ud800"}, "off", False, Reason.DEFAULT),
        ({"rules": [rule(split(("on", 100_000)))]}, {"targetingKey": "x" * 70}, "on", True, Reason.SPLIT),
        ({"rules": [rule(split(("on", 100_000)))]}, {"targetingKey": ""}, "on", True, Reason.SPLIT),
        ({"rules": [rule(HALF), rule(ON)]}, {}, "off", False, Reason.DEFAULT),
        ({"rules": [rule(HALF)], "default_variant": None}, {}, None, None, Reason.DEFAULT),
        ({"rules": [rule(split(("on", 0), ("off", 0)))]}, USER_1, "off", False, Reason.DEFAULT),
    ],
)
def test_evaluate__document_and_context__answers_as_specified(
    fields: dict[str, Any], context: dict[str, Any], variant: str | None, value: object, reason: Reason
) -> None:
    resolution = snapshot_of({"checkout": document(**fields)}).evaluate("checkout", context, NOW)

    assert (resolution.variant, resolution.reason) == (variant, reason)
    assert resolution.value is value
    assert resolution.has_value is (variant is not None)
    assert resolution.error_code is None
    assert resolution.metadata == {"environment": "production", "revision": 7, "version": 4}


def test_evaluate__unknown_flag__is_an_error_that_says_what_to_do() -> None:
    resolution = snapshot_of({}).evaluate("nothing", {}, NOW)
    assert (resolution.reason, resolution.error_code) == (Reason.ERROR, ErrorCode.FLAG_NOT_FOUND)
    assert resolution.has_value is False
    assert "production" in resolution.error_message
    assert resolution.metadata == {"environment": "production", "revision": 7}


@pytest.mark.parametrize("context", [None, True, 5, 1.5, "", "text", [], [("plan", "gold")], object()])
def test_evaluate__context_that_is_no_object__is_invalid_context(context: Any) -> None:
    compiled = snapshot_of({"checkout": document()})
    assert compiled.evaluate("checkout", context, NOW).error_code is ErrorCode.INVALID_CONTEXT
    assert compiled.evaluate_all(context, NOW)["checkout"].error_code is ErrorCode.INVALID_CONTEXT


def test_evaluate__other_mappings__are_read_like_a_dict() -> None:
    compiled = snapshot_of({"checkout": document(rules=[rule(ON, GOLD)])})
    context: Mapping[str, Any] = UserDict(plan="gold")
    assert compiled.evaluate("checkout", context, NOW).variant == "on"
    assert compiled.evaluate_all(context, NOW)["checkout"].variant == "on"


class _Hostile:
    """Fails at whatever is asked of it."""

    def __eq__(self, other: object) -> bool:
        raise RuntimeError

    def __hash__(self) -> int:
        raise RuntimeError


class _HostileMapping(UserDict[str, Any]):
    def __iter__(self) -> Any:
        raise RuntimeError


def test_evaluate__foreign_objects__give_an_error_for_the_flag_that_reads_them() -> None:
    compiled = snapshot_of({"plain": document(), "reads": document(rules=[rule(ON, GOLD)])})

    answers = compiled.evaluate_all({"plan": _Hostile()}, NOW)

    assert answers["reads"].error_code is ErrorCode.GENERAL
    assert answers["plain"].reason is Reason.STATIC
    assert compiled.evaluate("plain", _HostileMapping(a=1), NOW).error_code is ErrorCode.INVALID_CONTEXT
    assert compiled.evaluate([], {}, NOW).error_code is ErrorCode.GENERAL  # type: ignore[arg-type]


def test_evaluate__segments__apply_where_they_exist() -> None:
    documents = {"checkout": document(rules=[rule(ON, {"segment": "staff"})])}
    staff = {"staff": {"schema": 1, "condition": GOLD}}

    assert snapshot_of(documents, segments=staff).evaluate("checkout", {"plan": "gold"}, NOW).variant == "on"
    assert snapshot_of(documents, segments=staff).evaluate("checkout", {}, NOW).variant == "off"
    assert snapshot_of(documents).evaluate("checkout", {"plan": "gold"}, NOW).variant == "off"


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"enabled": True},
        document(default_variant="blue"),
        document(rules=[rule({"variant": "blue"})]),
        document(rules=[rule({})]),
        document(rules=[rule(split(("blue", 100_000)))]),
        document(rules=[rule(HALF)], salt=5),
        document(rules=[rule(ON, {"attribute": "plan", "operator": "like", "value": "x"})]),
        document(rules=[rule(ON, {"segment": "unreadable"})]),
        document(rules=[None]),
        document(variants=None),
        [],
        None,
    ],
)
def test_evaluate__unreadable_document__fails_its_own_flag_only(broken: Any) -> None:
    documents = {"broken": broken, "checkout": document()}
    compiled = snapshot_of(documents, segments={"unreadable": {"condition": {"operator": "?"}}, "none": None})

    answers = compiled.evaluate_all({"plan": "gold"}, NOW)

    assert (answers["broken"].reason, answers["broken"].error_code) == (Reason.ERROR, ErrorCode.PARSE_ERROR)
    assert answers["checkout"].reason is Reason.STATIC


def test_evaluate__float_flag_with_whole_number__answers_a_float() -> None:
    variants = [{"name": "low", "value": 1, "description": ""}]
    stored = document(variants=variants, default_variant="low", off_variant="low")
    value = snapshot_of({"rate": stored}, value_type="float").evaluate("rate", {}, NOW).value
    assert (type(value), value) == (float, 1.0)


@pytest.mark.parametrize("generation", Generation)
def test_split__raised_in_20_steps__removes_nobody(generation: Generation) -> None:
    contexts_of_all = [{"targetingKey": f"user-{number}"} for number in range(5_000)]
    weights = [step * 5_000 for step in range(21)]
    before: set[str] = set()
    for weight in weights:
        shares = split(("on", weight), ("off", 100_000 - weight))
        compiled = snapshot_of({"checkout": document(rules=[rule(shares)])}, generation=generation)
        now_in = {c["targetingKey"] for c in contexts_of_all if compiled.evaluate("checkout", c, NOW).variant == "on"}
        assert before <= now_in
        # Six standard deviations around the share.
        assert abs(len(now_in) / 5_000 - weight / 100_000) < 0.043
        before = now_in
    assert len(before) == 5_000


@pytest.mark.parametrize("generation", Generation)
def test_split__several_variants__follows_bucket_and_weights(generation: Generation) -> None:
    weights = {"a": 20_000, "none": 0, "b": 30_001, "c": 1, "d": 49_998}
    variants = [{"name": name, "value": name, "description": ""} for name in weights]
    stored = document(variants=variants, rules=[rule(split(*weights.items()))], default_variant="a", off_variant="a")
    compiled = snapshot_of({"checkout": stored}, value_type="string", generation=generation)

    counted = dict.fromkeys(weights, 0)
    for number in range(5_000):
        key = f"user-{number}"
        place = bucket(key, salt="checkout/", total=100_000, generation=generation)
        expected = "a" if place < 20_000 else "b" if place < 50_001 else "c" if place < 50_002 else "d"
        assert compiled.evaluate("checkout", {"targetingKey": key}, NOW).variant == expected
        counted[expected] += 1

    for name, weight in weights.items():
        assert abs(counted[name] / 5_000 - weight / 100_000) < 0.043


@pytest.mark.parametrize("shares", [HALF, split(("on", 50_000), ("none", 0), ("off", 50_000))], ids=["two", "three"])
def test_split__edges_of_the_hash_range__fall_into_the_right_share(shares: dict[str, Any]) -> None:
    variants = [{"name": name, "value": True, "description": ""} for name in ("on", "none", "off")]
    # These keys hash to 0, 2**31 - 1, 2**31 and 2**32 - 1; the salt is the beginning of the key.
    for key, expected in (("ejOoVL", "on"), ("SI7p-", "on"), ("6LvT0", "off"), ("ceQdGm", "off")):
        compiled = snapshot_of({"checkout": document(salt=key[:1], variants=variants, rules=[rule(shares)])})
        assert compiled.evaluate("checkout", {"targetingKey": key[1:]}, NOW).variant == expected


@given(weights=st.lists(st.integers(0, 100_000), min_size=1, max_size=6).filter(any))
def test_share_ends__any_weights__part_hashes_as_their_buckets(weights: list[int]) -> None:
    total, cumulated = sum(weights), 0
    for weight, end in zip(weights, share_ends(weights), strict=True):
        cumulated += weight
        for hashed in (end - 1, end):
            assert (hashed < end) is (hashed * total >> 32 < cumulated)


def test_answers__every_resolution_given__is_one_of_those_announced() -> None:
    compiled = snapshot_of({"checkout": document(rules=[rule(ON, GOLD), rule(HALF)])})
    announced = {id(answer) for answer in compiled.answers("checkout")}

    given_answers = [
        compiled.evaluate("checkout", {"targetingKey": f"user-{n}", "plan": ("gold", "free")[n % 2]}, NOW)
        for n in range(50)
    ]

    assert {id(answer) for answer in given_answers} <= announced
    assert compiled.answers("nothing") == ()
    assert compiled.flag_keys == ("checkout",)
    assert (compiled.revision, compiled.environment_key) == (7, "production")


@settings(max_examples=100)
@given(
    documents=st.dictionaries(st.text(), config_documents(endings=True), max_size=3),
    segments=st.dictionaries(st.sampled_from(SEGMENT_KEYS), segment_documents()),
    context=contexts() | hostile_values(),
    generation=st.sampled_from(Generation),
    value_type=st.sampled_from(VALUE_TYPES),
    key=st.text(),
)
def test_evaluate__any_document_and_any_context__never_raises(
    documents: dict[str, Any],
    segments: dict[str, Any],
    context: Any,
    generation: Generation,
    value_type: str,
    key: str,
) -> None:
    compiled = snapshot_of(documents, value_type=value_type, segments=segments, generation=generation)

    answers = compiled.evaluate_all(context, NOW)

    assert list(answers) == [flag_key for flag_key, stored in documents.items() if not is_archived(stored)]
    assert isinstance(compiled.evaluate(key, context, NOW), Resolution)
    for flag_key, answer in answers.items():
        assert compiled.evaluate(flag_key, context, NOW) is answer


@given(stored=config_documents(endings=True), context=contexts())
def test_evaluate__valid_document_and_json_object__is_no_error(stored: dict[str, Any], context: dict[str, Any]) -> None:
    answer = snapshot_of({"checkout": stored}, value_type="string").evaluate("checkout", context, NOW)

    assert answer.error_code is (ErrorCode.FLAG_NOT_FOUND if is_archived(stored) else None)
    assert answer.has_value is (answer.variant is not None)
    if answer.variant is not None:
        by_name = {variant["name"]: variant["value"] for variant in stored["variants"]}
        assert answer.value is by_name[answer.variant]


@given(stored=hostile_values(), context=contexts())
def test_evaluate__document_of_any_shape__never_raises(stored: Any, context: dict[str, Any]) -> None:
    assert snapshot_of({"checkout": stored}).evaluate("checkout", context, NOW).error_code is ErrorCode.PARSE_ERROR


def test_evaluate__very_deep_condition__fails_its_own_flag_only() -> None:
    condition: dict[str, Any] = GOLD
    for _ in range(100_000):
        condition = {"not": condition}
    compiled = snapshot_of({"deep": document(rules=[rule(ON, condition)]), "checkout": document()})

    answers = compiled.evaluate_all({}, NOW)

    assert answers["deep"].error_code is ErrorCode.PARSE_ERROR
    assert answers["checkout"].error_code is None
