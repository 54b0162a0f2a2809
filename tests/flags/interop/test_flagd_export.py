"""What an environment looks like as a flagd definition, and what is named because it cannot."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given

from flags.documents import initial_document
from flags.evaluation import FlagSource, Generation, Snapshot
from flags.evaluation.deprecations import is_archived
from flags.interop import Definition, export_definition, flagd_export, read_definition
from flags.interop.flagd_export import MAX_DEFINITION_BYTES
from flags.interop.flagd_reading import depth_problems
from flags.interop.sizes import Scale
from tests.flags import strategies

ON = {"variant": "on"}
HALVES = {"split": [{"variant": "on", "weight": 50_000}, {"variant": "off", "weight": 50_000}]}
KEY = {"var": "targetingKey"}
IS_KEY = {"starts_with": [KEY, ""]}


def config(**fields: Any) -> dict[str, Any]:
    return {**initial_document("flag", "boolean"), "enabled": True, **fields}


def rule(
    serve: dict[str, Any], attribute: str = "", operator: str = "", value: Any = None, **own: Any
) -> dict[str, Any]:
    condition = {"attribute": attribute, "operator": operator, "value": value} if attribute else None
    return {"id": "r1", "description": "", "condition": condition, "serve": serve, **own}


IS_X = {"attribute": "x", "operator": "is_set", "value": None}
ASKING = {**rule(ON), "condition": {"segment": "a"}}


def nots(levels: int) -> dict[str, Any]:
    return {"not": nots(levels - 1)} if levels else IS_X


def snapshot(segments: dict[str, Any] | None = None, **documents: dict[str, Any]) -> Snapshot:
    flags = {key: FlagSource("boolean", document, 4) for key, document in documents.items()}
    return Snapshot("shop", "id", "production", 7, Generation.FLAGD_V2, flags, segments or {})


def exported(**fields: Any) -> dict[str, Any]:
    definition = export_definition(snapshot(flag=config(**fields)))
    assert definition.omissions == ()
    flag: dict[str, Any] = definition.document["flags"]["flag"]
    return flag


def left_out(definition: Definition) -> dict[str, str]:
    assert all(omission.flag_key not in definition.document["flags"] for omission in definition.omissions)
    assert definition.document["metadata"]["flagsLeftOut"] == len(definition.omissions)
    return {omission.flag_key: omission.what for omission in definition.omissions}


def test_definition__metadata__names_environment_revision_and_generation():
    definition = export_definition(snapshot(flag=config()))

    assert definition.document["metadata"] == {
        "flagSetId": "production",
        "project": "shop",
        "environment": "production",
        "revision": 7,
        "version": 7,
        "bucketing": "flagd-v2",
        "flagsLeftOut": 0,
    }
    assert definition.document["flags"]["flag"]["metadata"] == {"version": 4}


@pytest.mark.parametrize(
    ("fields", "state", "default", "targeting"),
    [
        ({}, "ENABLED", "off", None),
        ({"default_variant": None}, "ENABLED", None, None),
        ({"enabled": False, "off_variant": "off", "default_variant": "on"}, "ENABLED", "off", None),
        ({"enabled": False, "off_variant": None, "default_variant": "on"}, "DISABLED", "on", None),
        ({"rules": [rule(ON)]}, "ENABLED", "off", {"if": [True, "on", None]}),
        ({"rules": [rule(ON, "plan", "equals", "gold")]}, "ENABLED", "off",
         {"if": [{"===": [{"var": "plan"}, "gold"]}, "on", None]}),
        ({"rules": [rule(HALVES)]}, "ENABLED", "off",
         {"if": [IS_KEY, {"fractional": [{"cat": ["flag/", KEY]}, ["on", 50_000], ["off", 50_000]]}, None]}),
        ({"rules": [rule(HALVES, salt="own", bucket_by="company")]}, "ENABLED", "off",
         {"if": [{"starts_with": [{"var": "company"}, ""]},
                 {"fractional": [{"cat": ["own", {"var": "company"}]}, ["on", 50_000], ["off", 50_000]]}, None]}),
        ({"targets": [{"variant": "on", "keys": ["a", "b"]}]}, "ENABLED", "off",
         {"if": [{"if": [IS_KEY, {"in": [KEY, ["a", "b"]]}, False]}, "on", None]}),
        ({"rules": [rule(ON, starts_at="2026-01-01T00:00:00Z", ends_at="2026-01-02T00:00:00+00:00")]}, "ENABLED", "off",
         {"if": [{"and": [{">=": [{"var": "$flagd.timestamp"}, 1767225600]},
                          {"<": [{"var": "$flagd.timestamp"}, 1767312000]}]}, "on", None]}),
    ],
    ids=["static", "code-default", "off-variant", "off-code-default", "everyone", "rule", "split", "split-own",
         "targets", "window"],
)  # fmt: skip
def test_flag__every_kind__is_written_so(
    fields: dict[str, Any], state: str, default: str | None, targeting: dict[str, Any] | None
):
    flag = exported(**fields)

    assert (flag["state"], flag["defaultVariant"], flag.get("targeting")) == (state, default, targeting)
    assert flag["variants"] == {"on": True, "off": False}


ENDS = {"deprecated_at": "2026-01-01T00:00:00Z"}
FIRST_FIFTH = {"fractional": [{"cat": ["flag/", KEY]}, ["withdrawn", 20_000], ["left", 80_000]]}
IS_WITHDRAWN = {"if": [IS_KEY, {"===": [FIRST_FIFTH, "withdrawn"]}, False]}
EARLY = {"<": [{"var": "$flagd.timestamp"}, 1767312000]}


@pytest.mark.parametrize(
    ("withdrawal", "default", "targeting"),
    [
        ({"weight": 100_000, "serves": "on"}, "on", None),
        ({"weight": 100_000, "serves": None}, None, None),
        ({"weight": 20_000, "serves": "on"}, "off", {"if": [IS_WITHDRAWN, "on", None]}),
        ({"weight": 20_000, "serves": None}, None, {"if": [IS_WITHDRAWN, None, "off"]}),
        ({"weight": 100_000, "serves": "on", "until": "2026-01-02T00:00:00Z"}, "off", {"if": [EARLY, "on", None]}),
        (
            {"weight": 20_000, "serves": "on", "until": "2026-01-02T00:00:00Z"},
            "off",
            {"if": [{"and": [EARLY, IS_WITHDRAWN]}, "on", None]},
        ),
    ],
)
def test_withdrawal__every_kind__comes_ahead_of_all_branches(
    withdrawal: dict[str, Any], default: str | None, targeting: dict[str, Any] | None
):
    flag = exported(deprecation={**ENDS, "withdrawal": withdrawal})

    assert (flag["state"], flag["defaultVariant"], flag.get("targeting")) == ("ENABLED", default, targeting)


def test_deprecated_flag__metadata__says_so_and_reading_it_back_takes_no_end_over():
    told = {**ENDS, "sunset_at": "2026-06-01T00:00:00Z", "successor": "new", "link": "https://example.org/"}
    definition = export_definition(snapshot(flag=config(deprecation=told)))

    assert definition.document["flags"]["flag"]["metadata"] == {
        "version": 4,
        "deprecated": True,
        "deprecatedAt": "2026-01-01T00:00:00Z",
        "sunsetAt": "2026-06-01T00:00:00Z",
        "successor": "new",
        "link": "https://example.org/",
    }
    (found,) = read_definition(definition.document).flags
    assert found.document is not None
    assert "deprecation" not in found.document
    assert found.notes == (
        "It is deprecated there. That was not taken over: announce its end here, if it ends here too.",
    )


def test_archived_flag__is_no_omission__and_never_meets_a_prerequisite():
    below = config(default_variant="on", prerequisites=[{"flag": "flag", "variants": ["off"]}])

    definition = export_definition(snapshot(flag=config(deprecation={**ENDS, "is_archived": True}), below=below))

    assert definition.omissions == ()
    assert list(definition.document["flags"]) == ["below"]
    assert definition.document["flags"]["below"]["targeting"]["if"][0] == {"!": [{"and": [{"===": [None, "off"]}]}]}


def test_prerequisite__parent_with_rules__is_written_out_in_the_child():
    parent = config(rules=[rule(ON, "plan", "equals", "gold")])
    child = config(default_variant="on", prerequisites=[{"flag": "parent", "variants": ["on"]}])

    definition = export_definition(snapshot(parent=parent, child=child))

    seen = {"if": [{"===": [{"var": "plan"}, "gold"]}, "on", "off"]}
    assert definition.document["flags"]["child"]["targeting"] == {
        "if": [{"!": [{"and": [{"===": [seen, "on"]}]}]}, "off", None]
    }


def test_prerequisite__off_variant_is_the_code_default__default_variant_is_written_out():
    parent = config(rules=[rule(ON, "plan", "equals", "gold")])
    required = [{"flag": "parent", "variants": ["on"]}]
    child = config(off_variant=None, default_variant="on", prerequisites=required)

    flag = export_definition(snapshot(parent=parent, child=child)).document["flags"]["child"]

    assert flag["defaultVariant"] is None
    assert flag["targeting"]["if"][1:] == [None, "on"]


def test_segments__nested_and_missing__are_written_out():
    segments = {
        "inner": {"condition": {"attribute": "beta", "operator": "is_true", "value": None}},
        "outer": {"condition": {"and": [{"segment": "inner"}, {"not": {"segment": "gone"}}]}},
    }
    document = config(rules=[{**rule(ON), "condition": {"segment": "outer"}}])

    definition = export_definition(snapshot(segments, flag=document))

    condition = definition.document["flags"]["flag"]["targeting"]["if"][0]
    assert condition == {"and": [{"===": [True, {"var": "beta"}]}, {"!": [False]}]}
    assert "$evaluators" not in definition.document


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"rules": [rule(ON, "signed_up", "before", "2026-01-01T00:00:00Z")]}, "the operator “before”"),
        ({"rules": [rule(ON, "a.b", "is_set")]}, "the attribute “a.b”"),
        ({"rules": [rule(ON, "__proto__", "is_set")]}, "the attribute “__proto__”"),
        ({"rules": [rule(ON, "a\\b", "is_set")]}, "the attribute “a\\b”"),
        ({"rules": [rule(HALVES, salt="grün")]}, "the salt “grün”"),
        ({"rules": [rule(ON, starts_at="2026-01-01T00:00:00.5Z")]}, "a rule that begins or ends within a second"),
        (
            {"deprecation": {**ENDS, "withdrawal": {"weight": 1, "serves": None, "until": "2026-01-01T00:00:00.5Z"}}},
            "a withdrawal that ends within a second",
        ),
        ({"rules": [rule(ON, "plan", "unheard_of")]}, "the operator “unheard_of”"),
        ({"rules": [{"id": "r1"}]}, "its configuration"),
        ({"default_variant": "gone"}, "its configuration"),
        ({"prerequisites": [{"flag": "flag", "variants": ["on"]}]}, "the prerequisite “flag”"),
    ],
    ids=[
        "before",
        "dots",
        "proto",
        "backslash",
        "salt",
        "half-second",
        "withdrawn-half",
        "unknown",
        "broken",
        "default",
        "circle",
    ],
)
def test_flag__without_a_portable_form__is_named_and_left_out(fields: dict[str, Any], what: str):
    definition = export_definition(snapshot(flag=config(**fields), fine=config()))

    assert left_out(definition) == {"flag": what}
    assert list(definition.document["flags"]) == ["fine"]
    assert all(omission.why for omission in definition.omissions)


def test_flag__requires_one_that_is_left_out__is_left_out_too():
    parent = config(rules=[rule(ON, "signed_up", "after", "2026-01-01T00:00:00Z")])
    child = config(prerequisites=[{"flag": "parent", "variants": ["on"]}])

    definition = export_definition(snapshot(parent=parent, child=child))

    assert left_out(definition) == {"parent": "the operator “after”", "child": "the prerequisite “parent”"}


def test_disabled_flag__with_an_operator_that_has_no_form__is_written_without_its_rules():
    rules = [rule(ON, "signed_up", "after", "2026-01-01T00:00:00Z")]

    flag = exported(enabled=False, off_variant=None, rules=rules)

    assert (flag["state"], "targeting" in flag) == ("DISABLED", False)


def test_segments_in_a_circle__are_named():
    segments = {"a": {"condition": {"segment": "b"}}, "b": {"condition": {"not": {"segment": "a"}}}}
    document = config(rules=[{**rule(ON), "condition": {"segment": "a"}}])

    assert left_out(export_definition(snapshot(segments, flag=document))) == {"flag": "the segment “a”"}


def test_long_lists_in_many_rules__are_refused_instead_of_written_out_without_end():
    values = [f"user-{number}" for number in range(10_000)]
    segments = {"many": {"condition": {"attribute": "targetingKey", "operator": "in", "value": values}}}
    rules = [{**rule(ON), "id": f"r{number}", "condition": {"segment": "many"}} for number in range(10)]

    assert left_out(export_definition(snapshot(segments, flag=config(rules=rules)))) == {"flag": "its size"}


def test_environment__larger_than_a_definition_may_be__leaves_its_largest_flags_out():
    values = [f"user-{number}" for number in range(10_000)]
    segments = {"many": {"condition": {"attribute": "targetingKey", "operator": "in", "value": values}}}
    asking = [{**rule(ON), "id": f"r{number}", "condition": {"segment": "many"}} for number in range(4)]
    large = {f"large-{number}": config(rules=asking) for number in range(60)}
    middle = {f"middle-{number}": config(rules=asking[:1]) for number in range(20)}
    small = {f"small-{number}": config(rules=[rule(ON, "plan", "equals", "gold")]) for number in range(200)}

    definition = export_definition(snapshot(segments, **large, **middle, **small))

    lost = left_out(definition)
    assert lost
    assert set(lost.values()) == {"its size beside all others"}
    assert all(key.startswith("large-") for key in lost)
    assert definition.document["flags"].keys() == {**large, **middle, **small}.keys() - lost.keys()
    assert definition.document["metadata"]["flagsLeftOut"] == len(lost)
    written = len(json.dumps(definition.document, separators=(",", ":")))
    assert MAX_DEFINITION_BYTES * 0.9 < written < MAX_DEFINITION_BYTES * 1.01


@pytest.mark.parametrize(
    "value", [None, True, 1.5, -7, "", 'grün\n"\x01', [], {}, [1, [2, {"ä": [3]}]], {"a": {"b": []}}]
)
def test_size__of_any_value__is_that_of_its_json(value: Any):
    size = Scale().measure(value)

    written = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    assert 0 <= size.octets - len(written) <= size.nodes


ONE_WAY: dict[str, tuple[dict[str, Any], dict[str, Any], bool]] = {
    "51 comparisons": ({"a": {"or": [*[IS_X] * 49, {"segment": "b"}]}, "b": {"or": [IS_X] * 2}}, {}, True),
    "50 comparisons": ({"a": {"or": [*[IS_X] * 48, {"segment": "b"}]}, "b": {"or": [IS_X] * 2}}, {}, False),
    "nine levels": ({"a": {"not": {"not": {"not": {"segment": "b"}}}}, "b": nots(5)}, {}, True),
    "eight levels": ({"a": {"not": {"not": {"segment": "b"}}}, "b": nots(5)}, {}, False),
    "switched off": ({"a": {"or": [IS_X] * 51}}, {"enabled": False, "off_variant": "off"}, False),
    "behind a rule for everyone": ({"a": {"segment": "a"}}, {"rules": [rule(ON), ASKING]}, False),
}


@pytest.mark.parametrize("case", ONE_WAY)
def test_rule__with_segments_too_large_to_be_read_back__is_served_and_named(case: str):
    conditions, fields, is_named = ONE_WAY[case]
    segments = {key: {"condition": condition} for key, condition in conditions.items()}

    definition = export_definition(snapshot(segments, flag=config(**{"rules": [ASKING], **fields})))

    assert "flag" in definition.document["flags"]
    named = [(item.flag_key, item.what, item.is_left_out) for item in definition.omissions]
    assert named == ([("flag", "a way back into Flagsite", False)] if is_named else [])
    (read_back,) = read_definition(definition.document).flags
    assert (read_back.document is None) is is_named


def nested(levels: int) -> dict[str, Any]:
    return config(rules=[{**rule(ON), "condition": nots(levels)}])


def test_condition__deeper_than_readers_go__is_left_out_so_that_the_rest_can_be_read(monkeypatch: pytest.MonkeyPatch):
    given = snapshot(**{f"f{levels}": nested(levels) for levels in range(185, 205)})
    with monkeypatch.context() as unlimited:
        unlimited.setattr(flagd_export, "MAX_DEPTH", 10_000)
        assert depth_problems(export_definition(given).document) != []

    definition = export_definition(given)

    lost = {item.flag_key: item.what for item in definition.omissions if item.is_left_out}
    assert set(lost.values()) == {"its depth"}
    assert [*definition.document["flags"], *lost] == list(given.flags)
    assert depth_problems(definition.document) == []


def test_size__of_what_is_shared__counts_each_time_and_is_walked_once():
    scale = Scale()
    shared: list[Any] = ["a" * 100]
    for _ in range(200):
        scale.keep(shared)
        shared = [shared, shared]

    size = scale.measure(shared)

    assert size.levels == 202
    assert size.octets > 2**200


def test_prerequisites__doubling_at_every_level__end_before_they_fill_the_memory():
    documents = {"f0": config(rules=[rule(HALVES)])}
    for number in range(1, 60):
        parents = [
            {"flag": f"f{number - 1}", "variants": ["on"]},
            {"flag": f"f{max(0, number - 2)}", "variants": ["on"]},
        ]
        documents[f"f{number}"] = config(default_variant="on", prerequisites=parents)

    definition = export_definition(snapshot(**documents))

    assert len(json.dumps(definition.document)) < 20_000_000
    assert left_out(definition).keys() >= {"f59"}


def test_strict_environment__missing_key__gives_the_code_default_and_says_so():
    strict = replace(snapshot(flag=config(rules=[rule(HALVES)]), plain=config()), requires_targeting_key=True)

    definition = export_definition(strict)

    (omission,) = definition.omissions
    flag = definition.document["flags"]["flag"]
    assert (omission.what, omission.is_left_out) == ("the error TARGETING_KEY_MISSING", False)
    assert (flag["defaultVariant"], flag["targeting"]["if"][2]) == (None, None)
    assert definition.document["metadata"]["flagsLeftOut"] == 0


def test_kill_list__forced_variant__serves_everyone_also_to_children():
    parent = config(rules=[rule(HALVES)])
    child = config(default_variant="on", prerequisites=[{"flag": "parent", "variants": ["on"]}])

    forced = {"parent": "off", "unknown": "on", "child": "no such variant"}
    definition = export_definition(snapshot(parent=parent, child=child), forced=forced)

    flags = definition.document["flags"]
    assert (flags["parent"]["defaultVariant"], "targeting" in flags["parent"]) == ("off", False)
    assert flags["parent"]["metadata"] == {"version": 4, "forced": True}
    assert flags["child"]["targeting"]["if"][0] == {"!": [{"and": [{"===": ["off", "on"]}]}]}


@given(strategies.snapshots())
def test_export__any_environment__never_raises_and_names_every_flag(given_snapshot: Snapshot):
    definition = export_definition(given_snapshot)

    archived = {key for key, source in given_snapshot.flags.items() if is_archived(source.document)}
    missing = set(given_snapshot.flags) - archived - set(definition.document["flags"])
    assert missing == {omission.flag_key for omission in definition.omissions if omission.is_left_out}
    assert json.loads(json.dumps(definition.document, allow_nan=False)) == definition.document
    for flag in definition.document["flags"].values():
        kinds = {type(value) for value in flag["variants"].values()}
        assert len(kinds) == 1
        assert flag["defaultVariant"] is None or flag["defaultVariant"] in flag["variants"]
