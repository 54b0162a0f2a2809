"""Validation: every rule of the documents, with the exact path of the problem."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audits.integrity import canonical_json
from flags.documents import (
    MAX_NUMBER,
    TOTAL_WEIGHT,
    VALUE_TYPES,
    initial_document,
    normalise_config,
    normalise_segment,
    validate_config,
    validate_segment,
    validate_value_schema,
)
from tests.flags.strategies import SEGMENT_KEYS, config_documents, hostile_values, json_values, segment_documents

GOLD = {"attribute": "plan", "operator": "equals", "value": "gold"}


def document(**fields: Any) -> dict[str, Any]:
    return initial_document("checkout", "boolean") | fields


def rule(**fields: Any) -> dict[str, Any]:
    return {"id": "r1", "description": "", "condition": None, "serve": {"variant": "on"}} | fields


def with_condition(condition: Any) -> dict[str, Any]:
    return document(rules=[rule(condition=condition)])


def with_serve(serve: Any) -> dict[str, Any]:
    return document(rules=[rule(serve=serve)])


def without(field: str) -> dict[str, Any]:
    return {name: value for name, value in document().items() if name != field}


def with_variant(**fields: Any) -> dict[str, Any]:
    on, off = document()["variants"]
    return document(variants=[on | fields, off])


def compare(operator: str, value: Any = None, attribute: Any = "plan") -> dict[str, Any]:
    return with_condition({"attribute": attribute, "operator": operator, "value": value})


def with_rule(**fields: Any) -> dict[str, Any]:
    return document(rules=[rule(**fields)])


READS_LIKE_TARGETING_KEY = ["targeting key", "Targeting Key", "targeting_key", "TARGETING-KEY", "ｔargetingKey"]


def split_by(name: str) -> dict[str, Any]:
    return with_rule(serve={"split": [share("on", 100_000)]}, bucket_by=name)


def targets(**keys: Any) -> dict[str, Any]:
    return document(targets=[{"variant": variant, "keys": listed} for variant, listed in keys.items()])


def needs(flag: Any, *variants: Any) -> dict[str, Any]:
    return document(prerequisites=[{"flag": flag, "variants": list(variants)}])


def share(variant: Any, weight: Any) -> dict[str, Any]:
    return {"variant": variant, "weight": weight}


def nested(levels: int) -> dict[str, Any]:
    condition: dict[str, Any] = GOLD
    for level in range(levels - 1):
        condition = {"not": condition} if level % 2 else {"and": [condition]}
    return with_condition(condition)


def paths(stored: object, *, value_type: str = "boolean", **arguments: Any) -> list[str]:
    problems = validate_config(stored, value_type=value_type, segment_keys=SEGMENT_KEYS, **arguments)
    assert all(problem.message.endswith((".", ")")) for problem in problems)
    return [problem.path for problem in problems]


C = "rules[0].condition"
S = "rules[0].serve"


@pytest.mark.parametrize(
    ("stored", "path"),
    [
        (None, ""),
        ([], ""),
        ("text", ""),
        (without("enabled"), "enabled"),
        (without("variants"), "variants"),
        (without("off_variant"), "off_variant"),
        (without("default_variant"), "default_variant"),
        (without("salt"), "salt"),
        (without("rules"), "rules"),
        (document(colour="blue"), "colour"),
        (document(schema=2), "schema"),
        (document(schema=True), "schema"),
        (document(schema=1.0), "schema"),
        (document(enabled=1), "enabled"),
        (document(enabled=None), "enabled"),
        (document(off_variant="blue"), "off_variant"),
        (document(off_variant=["on"]), "off_variant"),
        (document(default_variant="blue"), "default_variant"),
        (document(default_variant=False), "default_variant"),
        (document(salt=""), "salt"),
        (document(salt=5), "salt"),
        (document(salt="x" * 201), "salt"),
        (document(salt="a\u202eb"), "salt"),
        (document(rules={}), "rules"),
        (document(rules=[None]), "rules[0]"),
        (document(rules=[rule(id=f"r{n}") for n in range(101)]), "rules"),
        (document(rules=[rule(), rule()]), "rules[1].id"),
        (document(rules=[rule(id="")]), "rules[0].id"),
        (document(rules=[rule(id=5)]), "rules[0].id"),
        (document(rules=[rule(id="a\u200b")]), "rules[0].id"),
        (document(rules=[rule(colour=1)]), "rules[0].colour"),
        (document(rules=[rule(description=5)]), "rules[0].description"),
        (document(rules=[rule(description="x" * 2_001)]), "rules[0].description"),
        (document(rules=[{"id": "r1", "condition": None}]), "rules[0].serve"),
        (document(rules=[{"id": "r1", "serve": {"variant": "on"}}]), "rules[0].condition"),
        (with_variant(name=""), "variants[0].name"),
        (with_variant(name=" on"), "variants[0].name"),
        (with_variant(name="on\n"), "variants[0].name"),
        (with_variant(name="o\u0007n"), "variants[0].name"),
        (with_variant(name="o\u2066n"), "variants[0].name"),
        (with_variant(name="x" * 101), "variants[0].name"),
        (with_variant(name=None), "variants[0].name"),
        (with_variant(name="off"), "variants[1].name"),
        (with_variant(colour=1), "variants[0].colour"),
        (with_variant(description=None), "variants[0].description"),
        (with_variant(value=1), "variants[0].value"),
        (with_variant(value="true"), "variants[0].value"),
        (with_variant(value="\ud800"), "variants[0].value"),
        (with_variant(value="\x00"), "variants[0].value"),
        (with_variant(value=float("nan")), "variants[0].value"),
        (with_variant(value=float("inf")), "variants[0].value"),
        (with_variant(value=10**20), "variants[0].value"),
        (with_variant(value=b"bytes"), "variants[0].value"),
        (with_variant(**{"a\ud800": 1}), "variants[0]"),
        (document(variants=[], off_variant=None, default_variant=None), "variants"),
        (document(variants={}, off_variant=None, default_variant=None), "variants"),
        (document(variants=[None], off_variant=None, default_variant=None), "variants[0]"),
        (
            document(
                variants=[{"name": f"v{n}", "value": True} for n in range(51)], off_variant=None, default_variant=None
            ),
            "variants",
        ),
        (with_serve(None), S),
        (with_serve({}), S),
        (with_serve({"variant": "on", "split": []}), S),
        (with_serve({"colour": "on"}), S),
        (with_serve({"variant": "blue"}), f"{S}.variant"),
        (with_serve({"variant": None}), f"{S}.variant"),
        (with_serve({"split": []}), f"{S}.split"),
        (with_serve({"split": {}}), f"{S}.split"),
        (with_serve({"split": [None]}), f"{S}.split[0]"),
        (with_serve({"split": [share("on", 99_999)]}), f"{S}.split"),
        (with_serve({"split": [share("on", 50_000), share("off", 50_001)]}), f"{S}.split"),
        (with_serve({"split": [share("blue", 100_000)]}), f"{S}.split[0].variant"),
        (with_serve({"split": [share("on", 50_000), share("on", 50_000)]}), f"{S}.split[1].variant"),
        (with_serve({"split": [share("on", 100_000.0)]}), f"{S}.split[0].weight"),
        (with_serve({"split": [share("on", True)]}), f"{S}.split[0].weight"),
        (with_serve({"split": [share("on", -1), share("off", 100_000)]}), f"{S}.split[0].weight"),
        (with_serve({"split": [share("on", "100000")]}), f"{S}.split[0].weight"),
        (with_serve({"split": [{"variant": "on"}]}), f"{S}.split[0].weight"),
        (with_serve({"split": [share("on", 100_000) | {"salt": 1}]}), f"{S}.split[0].salt"),
        (with_condition([]), C),
        (with_condition("everyone"), C),
        (with_condition({}), C),
        (with_condition({"and": [GOLD], "or": [GOLD]}), C),
        (with_condition({"and": []}), f"{C}.and"),
        (with_condition({"or": {}}), f"{C}.or"),
        (with_condition({"or": [GOLD, None]}), f"{C}.or[1]"),
        (with_condition({"not": []}), f"{C}.not"),
        (with_condition({"not": GOLD, "colour": 1}), f"{C}.colour"),
        (with_condition({"segment": "strangers"}), f"{C}.segment"),
        (with_condition({"segment": None}), f"{C}.segment"),
        (with_condition({"segment": ["staff"]}), f"{C}.segment"),
        (with_condition(GOLD | {"colour": 1}), f"{C}.colour"),
        (with_condition({"attribute": "plan"}), f"{C}.operator"),
        (with_condition({"operator": "is_set"}), C),
        (compare("like", "x"), f"{C}.operator"),
        (with_condition({"attribute": "plan", "operator": ["equals"], "value": 1}), f"{C}.operator"),
        (compare("is_set", attribute="user.plan"), f"{C}.attribute"),
        (compare("is_set", attribute=""), f"{C}.attribute"),
        (compare("is_set", attribute="x" * 101), f"{C}.attribute"),
        (compare("is_set", attribute=5), f"{C}.attribute"),
        (compare("is_set", attribute="a\u202e"), f"{C}.attribute"),
        (compare("equals"), f"{C}.value"),
        (compare("equals", ["gold"]), f"{C}.value"),
        (compare("not_equals", {}), f"{C}.value"),
        (compare("equals", 2**53), f"{C}.value"),
        (compare("in", "gold"), f"{C}.value"),
        (compare("in", []), f"{C}.value"),
        (compare("in", [True]), f"{C}.value"),
        (compare("not_in", [None]), f"{C}.value"),
        (compare("in", [0] * 10_001), f"{C}.value"),
        (compare("contains", ""), f"{C}.value"),
        (compare("not_starts_with", 5), f"{C}.value"),
        (compare("ends_with"), f"{C}.value"),
        (compare("number_equals", "5"), f"{C}.value"),
        (compare("less_than", True), f"{C}.value"),
        (compare("greater_or_equal"), f"{C}.value"),
        (compare("version_equals", "latest"), f"{C}.value"),
        (compare("version_same_minor", 2), f"{C}.value"),
        (compare("is_set", "x"), f"{C}.value"),
        (compare("is_true", True), f"{C}.value"),
        (compare("before", "tomorrow"), f"{C}.value"),
        (compare("after", "2026-11-21"), f"{C}.value"),
        (with_condition({"or": [GOLD] * 51}), C),
        (document(client_visible=1), "client_visible"),
        (document(client_visible=None), "client_visible"),
        (document(targets={}), "targets"),
        (document(targets=[5]), "targets[0]"),
        (targets(on="user-1"), "targets[0].keys"),
        (targets(on=[]), "targets[0].keys"),
        (targets(on=["user-1", ""]), "targets[0].keys[1]"),
        (targets(on=[7]), "targets[0].keys[0]"),
        (targets(on=["x" * 1_025]), "targets[0].keys[0]"),
        (targets(on=["user-1", "user-1"]), "targets[0].keys[1]"),
        (targets(on=["user-1"], off=["user-2", "user-1"]), "targets[1].keys[1]"),
        (targets(blue=["user-1"]), "targets[0].variant"),
        (document(targets=[{"variant": ["on"], "keys": ["a"]}]), "targets[0].variant"),
        (document(targets=[{"keys": ["a"]}]), "targets[0].variant"),
        (document(targets=[{"variant": "on", "keys": ["a"], "salt": 1}]), "targets[0].salt"),
        (document(targets=[{"variant": "on", "keys": [k]} for k in "ab"]), "targets[1].variant"),
        (targets(on=[str(n) for n in range(6_000)], off=[str(n) for n in range(6_000, 10_001)]), "targets"),
        (targets(on=[f"{n:0600d}" for n in range(1_000)]), "targets"),
        (document(prerequisites={}), "prerequisites"),
        (document(prerequisites=["parent"]), "prerequisites[0]"),
        (needs("", "on"), "prerequisites[0].flag"),
        (needs(5, "on"), "prerequisites[0].flag"),
        (needs("parent"), "prerequisites[0].variants"),
        (needs("parent", "on", "on"), "prerequisites[0].variants[1]"),
        (needs("parent", None), "prerequisites[0].variants[0]"),
        (document(prerequisites=[{"flag": "parent"}]), "prerequisites[0].variants"),
        (document(prerequisites=[{"flag": "parent", "variants": "on"}]), "prerequisites[0].variants"),
        (document(prerequisites=[{"flag": "parent", "variants": ["on"], "not": 1}]), "prerequisites[0].not"),
        (document(prerequisites=[{"flag": "parent", "variants": ["on"]}] * 2), "prerequisites[1].flag"),
        (document(prerequisites=[{"flag": f"p{n}", "variants": ["on"]} for n in range(21)]), "prerequisites"),
        (with_rule(starts_at="tomorrow"), "rules[0].starts_at"),
        (with_rule(starts_at=None), "rules[0].starts_at"),
        (with_rule(ends_at="2026-12-01T08:00:00"), "rules[0].ends_at"),
        (with_rule(starts_at="2026-12-01T08:00:00Z", ends_at="2026-12-01T09:00:00+01:00"), "rules[0].ends_at"),
        (with_rule(salt="x"), "rules[0].salt"),
        (with_rule(bucket_by="company"), "rules[0].bucket_by"),
        (with_rule(serve={"split": [share("on", 100_000)]}, salt=""), "rules[0].salt"),
        (with_rule(serve={"split": [share("on", 100_000)]}, salt="a\u202e"), "rules[0].salt"),
        (with_rule(serve={"split": [share("on", 100_000)]}, bucket_by="user.company"), "rules[0].bucket_by"),
        (with_rule(serve={"split": [share("on", 100_000)]}, bucket_by=5), "rules[0].bucket_by"),
        *((split_by(name), "rules[0].bucket_by") for name in READS_LIKE_TARGETING_KEY),
        *((targets(on=["user", key]), "targets[0].keys[1]") for key in ("a\nb", "a\u202eb", "\u200ba", "a\x7f")),
        (nested(9), f"{C}.not.and[0].not.and[0].not.and[0].not.and[0]"),
    ],
)
def test_validate_config__one_mistake__is_named_at_its_path(stored: Any, path: str) -> None:
    found = paths(stored)
    assert path in found
    # A renamed or missing variant is missed by those who name it, too.
    assert set(found) - {"off_variant", "default_variant"} <= {path} or path.startswith("variants")


@pytest.mark.parametrize(
    "stored",
    [
        document(),
        document(off_variant=None, default_variant=None),
        document(rules=[rule(id=f"r{n}") for n in range(100)]),
        document(rules=[rule(description="bidi \u202e and\ncontrol \u0007 are welcome here")]),
        with_serve({"split": [share("on", 0), share("off", 100_000)]}),
        with_condition({"or": [GOLD] * 50}),
        with_condition({"segment": "staff"}),
        with_condition({"attribute": "plan", "operator": "is_set"}),
        compare("in", [f"user-{n}" for n in range(10_000)]),
        compare("equals", ""),
        compare("equals", MAX_NUMBER),
        compare("version_greater_than", "v2"),
        compare("before", "2026-11-21T08:00:00+01:00"),
        nested(8),
        with_variant(name="on"),
        document(client_visible=True),
        targets(on=["x" * 1_024, " ", "漢"], off=["user-1"]),
        targets(on=[f"{n:036d}" for n in range(9_999)], off=["last"]),
        document(prerequisites=[{"flag": f"p{n}", "variants": ["on"]} for n in range(20)]),
        needs("parent", "on", "blue"),
        split_by("targetingKey"),
        split_by("target key"),
        targets(on=["Zoë “Z” 👩\u200d🚀"]),
        with_rule(starts_at="2026-12-01T08:00:00Z"),
        with_rule(starts_at="2026-12-01T08:00:00Z", ends_at="2026-12-01T08:00:00.000001Z"),
        with_rule(serve={"split": [share("on", 100_000)]}, salt="x" * 200, bucket_by="company"),
    ],
)
def test_validate_config__at_the_limits__is_accepted(stored: Any) -> None:
    assert paths(stored) == []


@pytest.mark.parametrize(
    ("value_type", "value", "fits"),
    [
        ("boolean", True, True), ("boolean", False, True), ("boolean", 0, False), ("boolean", None, False),
        ("string", "", True), ("string", "text", True), ("string", 5, False), ("string", None, False),
        ("integer", 0, True), ("integer", -MAX_NUMBER, True), ("integer", MAX_NUMBER + 1, False),
        ("integer", 1.0, False), ("integer", True, False), ("integer", "1", False),
        ("float", 1, True), ("float", 1.5, True), ("float", True, False), ("float", "1.5", False),
        ("float", float("nan"), False), ("float", float("-inf"), False), ("float", 1e300, False),
        ("float", MAX_NUMBER + 1, False),
        ("object", {}, True), ("object", {"a": [1, {"b": None}]}, True), ("object", [], False), ("object", "{}", False),
        ("object", None, False), ("object", {"a": float("nan")}, False), ("object", {"a": 2**53}, False),
        ("object", {"a\x00": 1}, False),
    ],
)  # fmt: skip
def test_validate_config__value_of_a_type__fits_as_listed(value_type: str, value: Any, fits: bool) -> None:
    stored = document(variants=[{"name": "a", "value": value}], off_variant="a", default_variant="a")
    found = paths(stored, value_type=value_type)
    assert (found == []) is fits
    assert all(path.startswith("variants[0].value") for path in found)


def test_validate_config__too_large__says_how_large() -> None:
    stored = document(variants=[{"name": "a", "value": "x" * 300_000}], off_variant=None, default_variant=None)
    problems = validate_config(stored, value_type="string", segment_keys=())
    assert [problem.path for problem in problems] == [""]
    assert "262144" in problems[0].message


@pytest.mark.parametrize("wrap", [lambda inner: [inner], lambda inner: {"not": inner}, lambda inner: {"and": [inner]}])
def test_validate_config__nested_100_000_deep__is_refused_without_recursion(wrap: Any) -> None:
    deep: Any = GOLD
    for _ in range(100_000):
        deep = wrap(deep)
    for stored in (with_condition(deep), with_variant(value=deep), deep):
        assert paths(stored)
        if isinstance(stored, dict):
            normalise_config(stored)


def test_validate_config__unknown_value_type__is_the_callers_mistake() -> None:
    with pytest.raises(ValueError, match="Unknown value type"):
        validate_config(document(), value_type="text", segment_keys=())


def test_validate_config__shares_off_100__says_by_how_much() -> None:
    stored = with_serve({"split": [share("on", 20_500), share("off", 70_000)]})
    (problem,) = validate_config(stored, value_type="boolean", segment_keys=())
    assert "90.5 %" in problem.message


SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {"colour": {"$ref": "#/$defs/colour"}, "pattern": {"type": "string"}, "$ref": {"type": "string"}},
    "required": ["colour"],
    "$defs": {"colour": {"enum": ["blue", "green", {"$ref": "https://example.com"}]}},
}


def of_object(value: Any) -> dict[str, Any]:
    return document(variants=[{"name": "a", "value": value}], off_variant="a", default_variant="a")


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"colour": "blue"}, None),
        ({"colour": "blue", "pattern": "x", "$ref": "y"}, None),
        ({}, "variants[0].value"),
        ({"colour": "red"}, "variants[0].value.colour"),
        ({"colour": "blue", "pattern": 5}, "variants[0].value.pattern"),
        ([], "variants[0].value"),
    ],
)
def test_validate_config__object_with_schema__is_checked(value: Any, path: str | None) -> None:
    assert paths(of_object(value), value_type="object", value_schema=SCHEMA) == ([] if path is None else [path])


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        ([], "value_schema"),
        (True, "value_schema"),
        ({"type": "colour"}, "value_schema.type"),
        ({"properties": {"a": 5}}, "value_schema.properties.a"),
        ({"$ref": "https://example.com/schema.json"}, "value_schema.$ref"),
        ({"$ref": "other.json#/$defs/a"}, "value_schema.$ref"),
        ({"properties": {"a": {"$dynamicRef": "file:///etc/passwd"}}}, "value_schema.properties.a.$dynamicRef"),
        ({"allOf": [{"not": {"$ref": "//example.com"}}]}, "value_schema.allOf[0].not.$ref"),
        ({"$ref": 5}, "value_schema.$ref"),
        ({"$ref": "#/const/a", "const": {"a": {"pattern": "x"}}}, "value_schema.$ref"),
        ({"unknown": {"a": {"pattern": "(a+)+$"}}}, "value_schema.unknown.a.pattern"),
        ({"properties": {"a": {"pattern": "(a+)+$"}}}, "value_schema.properties.a.pattern"),
        ({"patternProperties": {"(a+)+$": {}}}, "value_schema.patternProperties"),
        ({"$id": "https://example.com/"}, "value_schema.$id"),
        ({"const": float("nan")}, "value_schema.const"),
        ({"const": "\ud800"}, "value_schema.const"),
    ],
)
def test_validate_value_schema__unsafe_or_invalid__is_refused_at_its_path(schema: Any, path: str) -> None:
    assert path in [problem.path for problem in validate_value_schema(schema)]
    assert path in paths(of_object({}), value_type="object", value_schema=schema)


@pytest.mark.parametrize("schema", [{"$ref": "#"}, {"$ref": "#/$defs/nothing"}, {"$ref": "#nothing"}])
def test_validate_config__reference_that_leads_nowhere__is_a_problem_of_the_schema(schema: Any) -> None:
    assert paths(of_object({"a": 1}), value_type="object", value_schema=schema) == ["value_schema"]


def doubling(*, levels: int) -> dict[str, Any]:
    """A schema whose references double at every level."""
    steps = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(levels)}
    return {"$defs": {**steps, f"d{levels}": {}}, "$ref": "#/$defs/d0"}


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"title": "x" * 17_000}, "at most 16384"),
        (doubling(levels=12), "at most 20"),
        ({"$schema": "http://json-schema.org/draft-03/schema#"}, "draft/2020-12"),
        ({"not": {"$schema": "https://json-schema.org/draft/2020-12/schema"}}, "at the top"),
    ],
)
def test_validate_value_schema__more_than_anybody_needs__is_refused(schema: dict[str, Any], words: str) -> None:
    assert words in validate_value_schema(schema)[0].message


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"$ref": "#/title/x", "title": "x"}, "cannot be followed"),
        ({"properties": {"a": {"anyOf": [{"$ref": "#"}] * 2}}, "required": ["b"]}, "multiply too often"),
    ],
)
def test_validate_config__schema_that_misleads_the_library__is_a_problem(schema: dict[str, Any], words: str) -> None:
    value: dict[str, Any] = {}
    for _ in range(26):
        value = {"a": value, "b": 1}
    problems = validate_config(of_object(value), value_type="object", value_schema=schema, segment_keys=())
    assert words in problems[-1].message


def test_validate_value_schema__ordinary_schema_with_its_dialect__is_accepted() -> None:
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$defs": {"a": {"type": "string"}}}
    schema |= {"properties": {"a": {"$ref": "#/$defs/a"}}}
    assert validate_value_schema(schema) == []
    assert paths(of_object({"a": 1}), value_type="object", value_schema=schema) == ["variants[0].value.a"]


def test_validate_config__value_breaking_a_schema_often__names_five_places() -> None:
    schema = {"additionalProperties": {"type": "string"}}
    value = {f"field{n}": n for n in range(50)}
    assert len(paths(of_object(value), value_type="object", value_schema=schema)) == 5


@pytest.mark.parametrize(
    ("stored", "path"),
    [
        (None, ""),
        ({}, "schema"),
        ({"schema": 1}, "condition"),
        ({"schema": 1, "condition": None}, "condition"),
        ({"schema": 2, "condition": GOLD}, "schema"),
        ({"schema": 1, "condition": GOLD, "name": "x"}, "name"),
        ({"schema": 1, "condition": {"and": [{"segment": "staff"}]}}, "condition.and[0].segment"),
        ({"schema": 1, "condition": GOLD | {"value": float("nan")}}, "condition.value"),
    ],
)
def test_validate_segment__one_mistake__is_named_at_its_path(stored: Any, path: str) -> None:
    assert path in [problem.path for problem in validate_segment(stored, segment_keys=["beta"])]


def test_validate_segment__other_segment_of_the_environment__is_accepted() -> None:
    assert validate_segment({"schema": 1, "condition": {"not": {"segment": "staff"}}}, segment_keys=["staff"]) == []


@settings(max_examples=200)
@given(data=st.data(), value_type=st.sampled_from(VALUE_TYPES))
def test_validate_config__generated_documents__are_valid_and_stay(data: st.DataObject, value_type: str) -> None:
    stored = data.draw(config_documents(value_type, endings=True))
    assert validate_config(stored, value_type=value_type, segment_keys=SEGMENT_KEYS) == []
    again = normalise_config(stored, value_type=value_type, flag_key="other")
    assert canonical_json(again) == canonical_json(stored)
    assert again is not stored


@given(stored=segment_documents())
def test_validate_segment__generated_documents__are_valid_and_stay_as_they_are(stored: dict[str, Any]) -> None:
    assert validate_segment(stored) == []
    assert canonical_json(normalise_segment(stored)) == canonical_json(stored)


@settings(max_examples=300)
@given(data=st.data())
def test_validate_config__anything_put_anywhere__never_raises_and_shows_clean_text(data: st.DataObject) -> None:
    stored = data.draw(config_documents("string", endings=True))
    place: Any = stored
    while isinstance(place, dict | list) and place and data.draw(st.booleans()):
        step = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if not isinstance(place[step], dict | list) or data.draw(st.booleans()):
            place[step] = data.draw(hostile_values() | json_values())
            break
        place = place[step]

    problems = validate_config(stored, value_type="string", segment_keys=SEGMENT_KEYS)
    normalised = normalise_config(stored, value_type="string")

    for problem in problems:
        (problem.path + problem.message).encode("utf-8")
    assert problems or normalise_config(normalised, value_type="string") == normalised


@given(stored=hostile_values())
def test_validate__any_value__never_raises(stored: Any) -> None:
    assert validate_config(stored, value_type="string", segment_keys=())
    assert validate_segment(stored)
    assert validate_value_schema(stored) is not None


def test_total_weight__is_what_documents_and_clients_agreed_on() -> None:
    assert TOTAL_WEIGHT == 100_000
