"""What is valid and probably not meant: for every code a case in which it speaks, and one in which it is silent."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flags.documents import VALUE_TYPES, initial_document, normalise_config, validate_config
from flags.documents.lint import AttributeFacts, Finding, attributes_used, lint_config, lint_segment
from tests.flags.strategies import FLAG_KEYS, SEGMENT_KEYS, config_documents, segment_documents

NOW = datetime(2026, 11, 21, 8, tzinfo=UTC)
PAST, FUTURE, LATER = "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"
ATTRIBUTES = {
    "plan": AttributeFacts("text"),
    "country": AttributeFacts("text", grants_access=False),
    "age": AttributeFacts("number", grants_access=False),
    "beta": AttributeFacts("boolean", grants_access=False),
    "appVersion": AttributeFacts("version", grants_access=False),
    "signedUp": AttributeFacts("instant", grants_access=False),
}
Cases = dict[str, list[dict[str, Any]]]


def where(attribute: str, operator: str, value: Any = None) -> dict[str, Any]:
    return {"attribute": attribute, "operator": operator, "value": value}


GOLD, NORDIC = where("plan", "equals", "gold"), where("country", "in", ["NO", "SE"])
STAFF, INNER = {"segment": "staff"}, {"segment": "inner"}
SEGMENTS = {
    "staff": {"schema": 1, "condition": {"or": [INNER, NORDIC]}},
    "inner": {"schema": 1, "condition": GOLD},
    "nordic": {"schema": 1, "condition": NORDIC},
}


def rule(condition: Any = None, serve: Any = "on", **fields: Any) -> dict[str, Any]:
    return {"condition": condition, "serve": {"variant": serve} if isinstance(serve, str) else serve} | fields


def split(**weights: int) -> dict[str, Any]:
    return {"split": [{"variant": name, "weight": weight * 1_000} for name, weight in weights.items()]}


def flag(*rules: dict[str, Any], key: str = "flag", **fields: Any) -> dict[str, Any]:
    document = initial_document(key, "boolean") | {"enabled": True, "rules": list(rules)} | fields
    return normalise_config(document, value_type="boolean")


def targets(**keys: list[str]) -> list[dict[str, Any]]:
    return [{"variant": variant, "keys": listed} for variant, listed in keys.items()]


def needs(parent: str = "parent", *variants: str) -> list[dict[str, Any]]:
    return [{"flag": parent, "variants": list(variants or ["on"])}]


def lint(document: dict[str, Any], **around: Any) -> list[Finding]:
    assert validate_config(document, value_type="boolean", segment_keys=SEGMENTS) == []
    usual: dict[str, Any] = {"segments": SEGMENTS, "configs": CONFIGS, "attributes": ATTRIBUTES, "known_attributes": ()}
    return lint_config(document, flag_key="flag", now=NOW, **{**usual, **around})


CONFIGS = {
    "parent": flag(rule(GOLD), key="parent"),
    "off": flag(rule(GOLD), key="off", enabled=False),
    "fixed": flag(rule(GOLD, "off"), key="fixed"),
    "pinned": flag(key="pinned", targets=targets(on=["user-1"])),
    "child-of-off": flag(key="child-of-off", default_variant="on", prerequisites=needs("off")),
    "harmless": flag(rule(NORDIC), rule(None, split(on=5, off=95)), key="harmless"),
    "grandchild": flag(key="grandchild", default_variant="on", prerequisites=needs("parent")),
    "through": flag(rule(STAFF), key="through"),
    "bucketed": flag(rule(None, split(on=5, off=95), bucket_by="plan"), key="bucketed"),
}

SPEAKS: dict[str, list[tuple[dict[str, Any], str]]] = {
    "rule_unreachable": [
        (flag(rule(), rule(GOLD, "off")), "rules[1]"),
        (flag(rule(None, split(on=5, off=95), starts_at=PAST), rule(GOLD)), "rules[1]"),
        (flag(rule(ends_at=LATER), rule(GOLD, ends_at=FUTURE)), "rules[1]"),
    ],
    "rule_never_matches": [
        (flag(rule({"and": [GOLD, where("plan", "equals", "silver")]})), "rules[0].condition"),
        (flag(rule({"and": [GOLD, {"not": GOLD}]})), "rules[0].condition"),
        (flag(rule({"and": [where("age", "less_than", 5), where("age", "greater_than", 5)]})), "rules[0].condition"),
        (flag(rule({"and": [NORDIC, where("country", "starts_with", "D")]})), "rules[0].condition"),
    ],
    "rule_ended": [(flag(rule(GOLD, ends_at=PAST)), "rules[0].ends_at")],
    "rule_repeated": [(flag(rule(GOLD), rule(NORDIC), rule(GOLD, "off")), "rules[2].condition")],
    "rule_shadowed": [
        (flag(rule(NORDIC), rule(where("country", "equals", "NO"), "off")), "rules[1].condition"),
        (flag(rule(GOLD), rule({"and": [GOLD, NORDIC]})), "rules[1].condition"),
        (flag(rule({"or": [GOLD, NORDIC]}), rule(GOLD)), "rules[1].condition"),
        (flag(rule(STAFF), rule({"segment": "nordic"})), "rules[1].condition"),
        (flag(rule(where("age", "greater_than", 18)), rule(where("age", "greater_than", 65))), "rules[1].condition"),
    ],
    "target_shadows_rule": [
        (
            flag(rule({"not": where("targetingKey", "not_in", ["user-1"])}, "off"), targets=targets(on=["user-1"])),
            "rules[0].condition",
        ),
        (
            flag(rule(where("targetingKey", "in", ["user-1", "user-9"]), "off"), targets=targets(on=["user-1"])),
            "rules[0].condition",
        ),
        (
            flag(
                rule({"or": [GOLD, where("targetingKey", "equals", "u")]}, split(on=5, off=95)),
                targets=targets(on=["u"]),
            ),
            "rules[0].condition",
        ),
    ],
    "target_redundant": [
        (flag(default_variant="on", targets=targets(off=["a"], on=["b"])), "targets[1]"),
        (flag(rule(GOLD), rule(None, "on"), targets=targets(on=["b"])), "targets[0]"),
    ],
    "split_single": [(flag(rule(None, split(on=100, off=0))), "rules[0].serve.split")],
    "split_empty_share": [
        (flag(rule(None, split(on=0, off=50, blue=50)), variants=[
            {"name": "on", "value": True}, {"name": "off", "value": False}, {"name": "blue", "value": True},
        ]), "rules[0].serve.split[0].weight"),
    ],
    "split_same_value": [
        (flag(rule(None, split(on=50, off=50)), variants=[
            {"name": "on", "value": True}, {"name": "off", "value": True},
        ]), "rules[0].serve.split"),
    ],
    "split_correlated": [
        (flag(rule(None, split(on=50, off=50), salt="harmless/")), "rules[0].serve.split"),
        (flag(rule(None, split(on=50, off=50)), salt="harmless/"), "rules[0].serve.split"),
    ],
    "attribute_unknown": [
        (flag(rule(where("contry", "equals", "NO"))), "rules[0].condition.attribute"),
        (flag(rule({"and": [GOLD, {"not": where("shoeSize", "is_set")}]})), "rules[0].condition.and[1].not.attribute"),
        (flag(rule(None, split(on=50, off=50), bucket_by="company")), "rules[0].bucket_by"),
    ],
    "attribute_type": [
        (flag(rule(where("age", "equals", "18"))), "rules[0].condition.attribute"),
        (flag(rule(where("plan", "version_equals", "1.0"))), "rules[0].condition.attribute"),
        (flag(rule(where("plan", "is_true"))), "rules[0].condition.attribute"),
        (flag(rule(where("signedUp", "greater_than", 5))), "rules[0].condition.attribute"),
        (flag(rule(None, split(on=50, off=50), bucket_by="age")), "rules[0].bucket_by"),
    ],
    "client_forgeable": [
        (flag(rule(GOLD), client_visible=True), "rules[0].condition.attribute"),
        (flag(rule(where("role", "equals", "admin")), client_visible=True), "rules[0].condition.attribute"),
        (flag(rule({"not": STAFF}), client_visible=True), "rules[0].condition.not.segment"),
        (flag(rule(None, split(on=5, off=95), bucket_by="plan"), client_visible=True), "rules[0].bucket_by"),
    ],
    "client_forgeable_parent": [
        (flag(client_visible=True, prerequisites=needs("parent")), "prerequisites[0]"),
        (flag(client_visible=True, prerequisites=needs("grandchild")), "prerequisites[0]"),
        (flag(client_visible=True, prerequisites=needs("through")), "prerequisites[0]"),
        (flag(client_visible=True, prerequisites=needs("bucketed")), "prerequisites[0]"),
    ],
    "prerequisite_never_met": [
        (flag(prerequisites=needs("off")), "prerequisites[0]"),
        (flag(prerequisites=needs("fixed")), "prerequisites[0]"),
        (flag(prerequisites=[*needs("parent"), *needs("child-of-off")]), "prerequisites[1]"),
    ],
}  # fmt: skip

SILENT: Cases = {
    "rule_unreachable": [
        flag(rule(GOLD), rule()),
        flag(rule(starts_at=FUTURE), rule(GOLD)),
        flag(rule(ends_at=FUTURE), rule(GOLD)),
        flag(rule(ends_at=PAST), rule(GOLD)),
    ],
    "rule_never_matches": [
        flag(rule({"and": [GOLD, where("country", "equals", "silver")]})),
        flag(rule({"or": [GOLD, where("plan", "equals", "silver")]})),
        flag(rule({"and": [where("age", "less_or_equal", 5), where("age", "greater_or_equal", 5)]})),
        flag(rule({"and": [where("plan", "not_equals", "a"), where("plan", "not_equals", "b")]})),
    ],
    "rule_ended": [flag(rule(GOLD, ends_at=FUTURE)), flag(rule(GOLD, starts_at=PAST))],
    "rule_repeated": [
        flag(rule(GOLD), rule(NORDIC)),
        flag(rule(where("beta", "equals", 1)), rule(where("beta", "equals", True))),
        flag(rule(GOLD, ends_at=FUTURE), rule(GOLD, starts_at=FUTURE)),
    ],
    "rule_shadowed": [
        flag(rule(where("country", "equals", "NO")), rule(NORDIC)),
        flag(rule({"and": [GOLD, NORDIC]}), rule(GOLD)),
        flag(rule(where("age", "greater_than", 65)), rule(where("age", "greater_than", 18))),
        flag(rule(where("country", "equals", "1")), rule(where("country", "equals", 1))),
        flag(rule(where("path", "contains", "b")), rule(where("path", "starts_with", "abc"))),
    ],
    "target_shadows_rule": [
        flag(rule(where("targetingKey", "in", ["user-9"]), "off"), targets=targets(on=["user-1"])),
        flag(rule(where("targetingKey", "in", ["user-1"]), "on"), targets=targets(on=["user-1"])),
        flag(rule(where("plan", "in", ["user-1"]), "off"), targets=targets(on=["user-1"])),
        flag(rule({"not": where("targetingKey", "in", ["user-1"])}, "off"), targets=targets(on=["user-1"])),
        flag(rule(where("targetingKey", "not_equals", "user-1"), "off"), targets=targets(on=["user-1"])),
    ],
    "target_redundant": [
        flag(rule(GOLD, "off"), default_variant="on", targets=targets(on=["b"])),
        flag(rule(None, split(on=50, off=50)), targets=targets(on=["b"])),
        flag(rule(None, "on", ends_at=FUTURE), targets=targets(on=["b"])),
    ],
    "split_single": [flag(rule(None, split(on=50, off=50))), flag(rule())],
    "split_empty_share": [flag(rule(None, split(on=1, off=99)))],
    "split_same_value": [flag(rule(None, split(on=50, off=50))), flag(rule(None, split(on=100)))],
    "split_correlated": [
        flag(rule(None, split(on=50, off=50))),
        flag(rule(None, split(on=50, off=50), salt="harmless/", bucket_by="country")),
        flag(rule(None, split(on=100), salt="harmless/")),
    ],
    "attribute_unknown": [flag(rule(GOLD)), flag(rule(where("targetingKey", "is_set")))],
    "attribute_type": [
        flag(rule(GOLD)),
        flag(rule(where("age", "less_than", 5))),
        flag(rule(where("age", "is_not_set"))),
        flag(rule(where("beta", "equals", True))),
        flag(rule(where("appVersion", "starts_with", "2."))),
        flag(rule(where("appVersion", "version_same_major", "2"))),
        flag(rule(where("signedUp", "before", FUTURE))),
        flag(rule(where("plan", "in", ["a", "b"]))),
    ],
    "client_forgeable": [
        flag(rule(GOLD)),
        flag(rule(NORDIC), client_visible=True),
        flag(rule(None, split(on=5, off=95), bucket_by="country"), client_visible=True),
        flag(rule({"segment": "nordic"}), rule(None, split(on=5, off=95)), client_visible=True),
    ],
    "client_forgeable_parent": [
        flag(prerequisites=needs("parent")),
        flag(client_visible=True, prerequisites=needs("harmless")),
    ],
    "prerequisite_never_met": [
        flag(prerequisites=needs("parent")),
        flag(prerequisites=needs("off", "off")),
        flag(prerequisites=needs("pinned")),
        flag(prerequisites=needs("harmless")),
    ],
}


@pytest.mark.parametrize(
    ("code", "number"), [(code, number) for code, cases in SPEAKS.items() for number in range(len(cases))]
)
def test_lint_config__what_a_code_is_for__is_named_at_its_path(code: str, number: int) -> None:
    document, path = SPEAKS[code][number]
    found = [finding for finding in lint(document) if finding.code == code]
    assert [finding.path for finding in found] == [path]
    assert found[0].message.endswith(".")
    assert found[0].advice.endswith((".", "?"))


@pytest.mark.parametrize(
    ("code", "number"), [(code, number) for code, cases in SILENT.items() for number in range(len(cases))]
)
def test_lint_config__what_only_looks_like_it__is_left_alone(code: str, number: int) -> None:
    assert code not in [finding.code for finding in lint(SILENT[code][number])]


def test_lint_config__every_code__speaks_and_is_silent_somewhere() -> None:
    assert SPEAKS.keys() == SILENT.keys()


def test_lint_config__slip_of_the_pen__asks_whether_another_was_meant() -> None:
    (found,) = lint(flag(rule(where("contry", "equals", "NO"))))
    assert (found.severity, found.advice) == ("warning", "Did you mean “country”?")


def test_lint_config__project_without_declarations__only_notes_what_is_new() -> None:
    document = flag(rule(where("shoeSize", "less_than", 40)))
    (found,) = lint(document, attributes={})
    assert (found.code, found.severity) == ("attribute_unknown", "note")
    assert lint(document, attributes={}, known_attributes={"shoeSize"}) == []


def test_lint_config__kill_switch_that_leaves_the_decision__is_warned() -> None:
    arguments: dict[str, Any] = {"segments": {}, "configs": {}, "attributes": {}, "known_attributes": ()}
    document = flag(off_variant=None)
    for kind, codes in (("kill_switch", ["kill_switch_undecided"]), ("release", [])):
        found = lint_config(document, flag_key="flag", flag_kind=kind, now=NOW, **arguments)
        assert [finding.code for finding in found] == codes


def test_lint_config__warnings__come_before_notes() -> None:
    document = flag(rule(GOLD, ends_at=PAST), rule(NORDIC, "off"), rule(NORDIC), rule(None, split(on=100)))
    assert [finding.severity for finding in lint(document)] == ["warning", "note", "note"]


def test_lint_segment__slips__are_found() -> None:
    document = {"schema": 1, "condition": {"and": [GOLD, where("plan", "is_not_set"), where("contry", "is_set")]}}
    found = lint_segment(document, segments=SEGMENTS, attributes=ATTRIBUTES, known_attributes=(), now=NOW)
    assert [(item.code, item.path) for item in found] == [
        ("attribute_unknown", "condition.and[2].attribute"),
        ("segment_empty", "condition"),
    ]


def test_attributes_used__rules_segments_and_bucketing__are_all_there() -> None:
    document = flag(rule({"not": {"or": [GOLD, NORDIC]}}), rule(None, split(on=100), bucket_by="company"))
    assert attributes_used(document) == {"plan", "country", "company"}
    assert attributes_used({"schema": 1, "condition": where("targetingKey", "is_set")}) == set()


def test_lint_config__wide_and_circular_surroundings__end() -> None:
    keys = [f"f{n}" for n in range(40)]
    parents = {key: flag(key=key, prerequisites=[{"flag": k, "variants": ["on"]} for k in keys[:20]]) for key in keys}
    deep = {f"s{n}": {"schema": 1, "condition": {"and": [{"segment": f"s{n + 1}"}] * 50}} for n in range(60)}
    document = flag(rule({"segment": "s0"}), client_visible=True, prerequisites=needs("f0"))
    arguments: dict[str, Any] = {"attributes": {}, "known_attributes": ()}
    assert lint_config(document, flag_key="flag", segments=deep, configs=parents, now=NOW, **arguments) is not None


def test_lint_config__hundred_rules_of_forty_comparisons__takes_a_bounded_number_of_steps() -> None:
    wide = [{"or": [where("plan", "contains", f"<{n}-{part}>") for part in range(40)]} for n in range(100)]
    document = flag(*(rule(condition) for condition in wide))
    assert lint(document) == []


@settings(max_examples=150)
@given(data=st.data(), value_type=st.sampled_from(VALUE_TYPES))
def test_lint_config__any_valid_document__never_raises(data: st.DataObject, value_type: str) -> None:
    document = data.draw(config_documents(value_type, endings=True))
    configs = {key: data.draw(config_documents(endings=True)) for key in FLAG_KEYS[:2]}
    segments = {key: data.draw(segment_documents()) for key in SEGMENT_KEYS[:2]}
    attributes = {"plan": AttributeFacts("number"), "age": AttributeFacts("number", grants_access=False)}
    found = lint_config(
        document,
        flag_key=data.draw(st.sampled_from(FLAG_KEYS)),
        segments=segments,
        configs=configs,
        attributes=attributes,
        known_attributes={"country"},
        now=NOW,
    )
    assert all(finding.message and finding.advice and finding.severity in ("warning", "note") for finding in found)
    lint_segment(segments[SEGMENT_KEYS[0]], segments=segments, attributes={}, known_attributes=(), now=NOW)


def test_target_findings__rule_names_keys_of_several_variants__only_those_that_get_another_are_told() -> None:
    named = where("targetingKey", "in", ["a", "b", "c", "d"])
    (found,) = lint(flag(rule(named, "on"), rule(GOLD), targets=targets(on=["a", "d"], off=["b", "c"])))
    assert "names “b”, “c”, but individual targets come first and serve “off”." in found.message
    on, off = lint(flag(rule(named, split(on=50, off=50)), targets=targets(on=["a"], off=["b"])))
    assert ("“a”" in on.message, "“b”" in off.message) == (True, True)


def test_target_findings__others_are_named_for_another_variant__speaks_of_everyone_not_named() -> None:
    (found,) = lint(flag(targets=targets(off=["a"], on=["b"])))
    assert found.message == "Everyone not named gets “off”, so listing “a” changes nothing."
