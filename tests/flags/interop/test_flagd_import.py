"""Definitions read back: exactly where they are ours, with notes where not, with reasons where they cannot be."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flags.evaluation import FlagSource, Generation, compile_snapshot
from flags.interop import Grade, ImportedFlag, export_definition, read_definition
from flags.interop.flagd_import import FLAG_KEY
from flags.interop.flagd_reading import MAX_BYTES
from flags.telemetry.unknown_keys import KEY
from tests.flags.interop.corpus import NOW, contexts, environments

X = {"var": "x"}
IS_TEXT = {"starts_with": [X, ""]}
ATTRIBUTE = {"attribute": "x"}


def flag(targeting: Any = None, **fields: Any) -> dict[str, Any]:
    made = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off", **fields}
    return made if targeting is None else {**made, "targeting": targeting}


def read(targeting: Any = None, *, generation: Generation = Generation.FLAGD_V2, **fields: Any) -> ImportedFlag:
    report = read_definition({"flags": {"flag": flag(targeting, **fields)}}, generation=generation)
    assert report.problems == ()
    (found,) = report.flags
    return found


def condition_of(logic: Any) -> tuple[Any, ImportedFlag]:
    found = read({"if": [logic, "on", None]})
    return (found.document["rules"][0]["condition"] if found.document else None), found


def compared(operator: str, value: Any = None) -> dict[str, Any]:
    return {**ATTRIBUTE, "operator": operator, "value": value}


EXACT: list[tuple[Any, Any]] = [
    ({"===": [X, "a"]}, compared("equals", "a")),
    ({"===": ["a", X]}, compared("equals", "a")),
    ({"!==": [X, "a"]}, compared("not_equals", "a")),
    ({"===": [X, 5]}, compared("equals", 5)),
    ({"===": [5, X]}, compared("number_equals", 5)),
    ({"===": [True, X]}, compared("is_true")),
    ({"===": [X, None]}, compared("is_not_set")),
    ({"!==": [X, None]}, compared("is_set")),
    ({"in": [X, ["a", "b"]]}, compared("in", ["a", "b"])),
    ({"and": [IS_TEXT, {"in": [X, ["a", "b"]]}]}, compared("in", ["a", "b"])),
    ({"!": {"and": [IS_TEXT, {"in": [X, ["a"]]}]}}, compared("not_in", ["a"])),
    ({"!": [{"in": [X, ["a"]]}]}, {"not": compared("in", ["a"])}),
    ({"and": [IS_TEXT, {"in": ["a", X]}]}, compared("contains", "a")),
    ({"starts_with": [X, "a"]}, compared("starts_with", "a")),
    ({"!": {"ends_with": [X, "a"]}}, compared("not_ends_with", "a")),
    ({"and": [{"!==": [X, None]}, {"!": IS_TEXT}, {"<": [X, 5]}]}, compared("less_than", 5)),
    ({"and": [{"!": IS_TEXT}, {">": [X, 5]}]}, compared("greater_than", 5)),
    ({"and": [IS_TEXT, {"sem_ver": [X, "^", "2.0.0"]}]}, compared("version_same_major", "2.0.0")),
    ({"or": [{"===": [X, "a"]}, {"===": [X, "b"]}]}, {"or": [compared("equals", "a"), compared("equals", "b")]}),
    ({"if": [{"===": [X, "a"]}, {"===": [X, "b"]}, False]},
     {"and": [compared("equals", "a"), compared("equals", "b")]}),
    ({"!!": [{"===": [X, "a"]}]}, compared("equals", "a")),
    ({"in": [X, [None, "a"]]}, {"or": [compared("in", ["a"]), compared("is_not_set")]}),
    (True, None),
]  # fmt: skip
ADAPTED: list[tuple[Any, Any, str]] = [
    ({"==": [X, "a"]}, compared("equals", "a"), "strictly"),
    ({"!=": [X, 1]}, compared("not_equals", 1), "strictly"),
    ({"in": ["a", X]}, compared("contains", "a"), "text only"),
    ({"<": [X, 18]}, {"or": [compared("is_not_set"), compared("less_than", 18)]}, "counts as 0"),
    ({">": [X, 18]}, compared("greater_than", 18), "number only"),
    ({">": [18, X]}, {"or": [compared("is_not_set"), compared("less_than", 18)]}, "counts as 0"),
    ({"<=": [1, X, 9]}, {"and": [compared("greater_or_equal", 1),
                                 {"or": [compared("is_not_set"), compared("less_or_equal", 9)]}]}, "counts as 0"),
    ({"sem_ver": [X, ">=", "v2"]}, compared("version_greater_or_equal", "2.0.0"), "as a version only"),
    ({"sem_ver": [X, "!=", "2.0.0"]},
     {"or": [compared("version_less_than", "2.0.0"), compared("version_greater_than", "2.0.0")]}, "as a version only"),
    ({"var": "x"}, {"not": {"or": [compared("is_not_set"), compared("is_false"), compared("equals", ""),
                                   compared("equals", 0)]}}, "alone was read as"),
]  # fmt: skip
UNSUPPORTED: list[tuple[Any, str]] = [
    ({"===": [{"var": "user.plan"}, "a"]}, "inside an object"),
    ({"===": [{"var": ["x", "standard"]}, "a"]}, "only an attribute"),
    ({"===": [X, {"var": "y"}]}, "computed value"),
    ({"===": [X, ["a"]]}, "computed value"),
    ({"<": [X, "abc"]}, "no number"),
    ({"in": [X, "abc"]}, "for an attribute in a list"),
    (IS_TEXT, "text at all"),
    ({"sem_ver": [X, ">", "new"]}, "no version"),
    ({"sem_ver": [X, "<>", "1.0.0"]}, "no operator"),
    ({"some": [X, {"===": [{"var": ""}, "a"]}]}, "no counterpart"),
    ({"missing": ["x"]}, "no counterpart"),
    ({"+": [1, 2]}, "no counterpart"),
    ({"$ref": "gone"}, "no counterpart"),
    ({"===": [X]}, "two values"),
    ({"!": [X, X]}, "one value"),
    ({"and": [{"===": [X, "a"]}], "or": []}, "no rule"),
    ("text", "no rule"),
    ({"or": [{">": [{"var": "$flagd.timestamp"}, 5]}, {"===": [X, "a"]}]}, "time window"),
    ({"===": [{"if": [{"===": [X, "a"]}, "on", "off"]}, "on"]}, "only an attribute"),
]


@pytest.mark.parametrize(("logic", "condition"), EXACT, ids=range(len(EXACT)))
def test_condition__portable_form__is_read_exactly(logic: Any, condition: Any):
    found, imported = condition_of(logic)

    assert (imported.grade, imported.notes) == (Grade.EXACT, ())
    assert found == condition


@pytest.mark.parametrize(("logic", "condition", "note"), ADAPTED, ids=range(len(ADAPTED)))
def test_condition__loose_form__is_adapted_and_says_how(logic: Any, condition: Any, note: str):
    found, imported = condition_of(logic)

    assert imported.grade is Grade.ADAPTED
    assert found == condition
    assert any(note in text for text in imported.notes)


@pytest.mark.parametrize(("logic", "reason"), UNSUPPORTED, ids=range(len(UNSUPPORTED)))
def test_condition__without_counterpart__is_unsupported_and_says_why(logic: Any, reason: str):
    _, imported = condition_of(logic)

    assert (imported.grade, imported.document) == (Grade.UNSUPPORTED, None)
    assert reason in imported.notes[0]


def shares(*weights: int) -> list[dict[str, Any]]:
    return [{"variant": name, "weight": weight} for name, weight in zip(("on", "off"), weights, strict=True)]


KEYED = {"cat": [{"var": "$flagd.flagKey"}, {"var": "targetingKey"}]}
SPLITS: list[tuple[Any, Any, str, str]] = [
    ({"fractional": [["on", 1], ["off", 3]]}, shares(25_000, 75_000), "flag", "written out of 100,000"),
    ({"fractional": [["on"], ["off"]]}, shares(50_000, 50_000), "flag", "written out of 100,000"),
    ({"fractional": [["on", 1], ["off", 2]]}, shares(33_333, 66_667), "flag", "rounded"),
    ({"fractional": [["on", -5], ["off", 100_000]]}, shares(0, 100_000), "flag", ""),
    ({"fractional": [KEYED, ["on", 100_000], ["off", 0]]}, shares(100_000, 0), "flag", "share one bucket"),
    (
        {"fractional": [{"var": "targetingKey"}, ["on", 50], ["off", 50]]},
        shares(50_000, 50_000),
        "flag/",
        "drawn again",
    ),
    ({"fractional": [["on", 1], ["off", 2], ["on", 1]]}, shares(50_000, 50_000), "flag", "put together"),
    ({"fractional": [["on", 50], [None, 50]]}, shares(50_000, 50_000), "flag", ""),
]


@pytest.mark.parametrize(("logic", "split", "salt", "note"), SPLITS, ids=range(len(SPLITS)))
def test_split__every_form__keeps_its_shares(logic: Any, split: Any, salt: str, note: str):
    imported = read(logic)

    assert imported.document is not None
    assert imported.document["rules"][0]["serve"] == {"split": split}
    assert imported.document["salt"] == salt
    assert any(note in text for text in imported.notes) or not note


@pytest.mark.parametrize("generation", list(Generation), ids=str)
def test_split__shorthand__says_for_v3_that_everyone_is_drawn_again(generation: Generation):
    imported = read({"fractional": [["on", 50_000], ["off", 50_000]]}, generation=generation)

    assert imported.grade is (Grade.EXACT if generation is Generation.FLAGD_V2 else Grade.ADAPTED)


@pytest.mark.parametrize(
    ("logic", "reason"),
    [
        ({"fractional": [["on", {"var": "$flagd.timestamp"}], ["off", 1]]}, "computed"),
        ({"fractional": [["on", 1.5], ["off", 1]]}, "computed"),
        ({"fractional": [{"cat": [X, {"var": "y"}]}, ["on", 1]]}, "exactly one attribute"),
        ({"fractional": ["constant", ["on", 1]]}, "exactly one attribute"),
        ({"fractional": [[{"if": [True, "on"]}, 1]]}, "no variant"),
        ({"fractional": [["gone", 1], ["on", 1]]}, "Choose one of the variants"),
        ({"fractional": []}, "needs a list"),
        ({"fractional": [["on", 2**31]]}, "2147483647"),
        ({"if": [{"===": [X, "a"]}, None, "on"]}, ""),
        ({"cat": ["o", "n"]}, "cannot choose a variant"),
        ({"if": [{"===": [X, "a"]}, 5]}, "no rule"),
        ([], "JSONLogic object"),
        ("on", "JSONLogic object"),
    ],
    ids=range(13),
)  # fmt: skip
def test_targeting__what_a_rule_cannot_serve__is_unsupported(logic: Any, reason: str):
    imported = read(logic, defaultVariant=None)

    assert imported.grade is Grade.UNSUPPORTED
    assert reason in imported.notes[0]


def test_targeting__chains_and_time__become_rules_with_windows():
    time = {"var": "$flagd.timestamp"}
    imported = read(
        {"if": [
            {"and": [{">=": [time, 1767225600]}, {">": [1767312000, time]}, {"===": [X, "a"]}, {"===": [X, "b"]}]},
            "on",
            {"===": [X, "c"]}, {"if": [{"===": [X, "d"]}, "off", "on"]},
            {"===": [X, "e"]}, None,
            "on",
        ]},
        defaultVariant="off",
    )  # fmt: skip

    assert imported.document is not None
    rules = imported.document["rules"]
    a, b, c, d, e = (compared("equals", letter) for letter in "abcde")
    assert [rule["condition"] for rule in rules] == [{"and": [a, b]}, {"and": [c, d]}, c, e, None]
    assert [rule["serve"]["variant"] for rule in rules] == ["on", "off", "on", "off", "on"]
    assert (rules[0]["starts_at"], rules[0]["ends_at"]) == ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z")
    assert imported.grade is Grade.EXACT


def test_targeting__boolean_result__serves_the_variants_true_and_false():
    imported = read({"===": [X, "a"]}, variants={"true": True, "false": False}, defaultVariant="false")

    assert imported.document is not None
    assert [rule["serve"] for rule in imported.document["rules"]] == [{"variant": "true"}, {"variant": "false"}]


def test_evaluators__reference__is_written_out_and_noted():
    definition = {
        "flags": {"flag": flag({"if": [{"$ref": "gold"}, "on"]})},
        "$evaluators": {"gold": {"===": [X, "gold"]}},
    }

    (imported,) = read_definition(definition).flags

    assert imported.document is not None
    assert imported.document["rules"][0]["condition"] == compared("equals", "gold")
    assert imported.grade is Grade.ADAPTED


@pytest.mark.parametrize(
    ("fields", "value_type"),
    [
        ({}, "boolean"),
        ({"variants": {"on": "a", "off": ""}}, "string"),
        ({"variants": {"on": 1, "off": 2}}, "integer"),
        ({"variants": {"on": 1, "off": 2.5}}, "float"),
        ({"variants": {"on": {}, "off": {"a": [1]}}}, "object"),
    ],
    ids=["boolean", "string", "integer", "float", "object"],
)
def test_variants__one_type__is_recognised(fields: dict[str, Any], value_type: str):
    assert (read(**fields).value_type, read(**fields).grade) == (value_type, Grade.EXACT)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"variants": {"on": True, "off": 1}}, "must all be"),
        ({"variants": {"on": [1], "off": [2]}}, "must all be"),
        ({"variants": {"on": None}}, "must all be"),
        ({"variants": {}}, "needs variants"),
        ({"variants": ["on"]}, "needs variants"),
        ({"state": "on"}, "ENABLED or DISABLED"),
        ({"state": None}, "ENABLED or DISABLED"),
        ({"defaultVariant": "gone"}, "none of its variants"),
        ({"defaultVariant": 1}, "none of its variants"),
        ({"variants": {"on": 2**60, "off": 1}}, "clients lose digits"),
        ({"variants": {" on": True}, "defaultVariant": None}, "blanks"),
    ],
    ids=range(11),
)
def test_flag__outer_form_is_wrong__says_what(fields: dict[str, Any], reason: str):
    imported = read(**fields)

    assert imported.grade is Grade.UNSUPPORTED
    assert reason in imported.notes[0]


def test_flag__exists_with_another_type__is_read_as_that_or_refused():
    definition = {"flags": {"price": flag(variants={"on": 1, "off": 2}), "on-off": flag()}}

    price, on_off = read_definition(definition, value_types={"price": "float", "on-off": "string"}).flags

    assert (price.value_type, price.grade) == ("float", Grade.EXACT)
    assert price.document is not None
    assert [type(variant["value"]) for variant in price.document["variants"]] == [float, float]
    assert on_off.grade is Grade.UNSUPPORTED


def test_disabled__has_no_off_variant_since_flagd_gives_the_code_default():
    imported = read(state="DISABLED")

    assert imported.document is not None
    assert (imported.document["enabled"], imported.document["off_variant"]) == (False, None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "no JSON"),
        (b"flags:\n  a: 1", "YAML is not read"),
        (b'{"flags": {}', "no JSON"),
        (b"[]", "JSON object"),
        (b"null", "JSON object"),
        (b"{}", "object by flag key"),
        (b'{"flags": 5}', "object by flag key"),
        (b'{"flags": [5]}', "its key"),
        (b'{"flags": [{"key": "a"}, {"key": "a"}]}', "twice"),
        (b'{"flags": {"a": {}, "a": {}}}', "twice"),
        (b'{"flags": {}, "$evaluators": []}', "shared evaluators"),
        (b'{"flags": {"a": {"variants": {"b": NaN}}}}', "does not know"),
        (b'{"flags": ' + b"9" * 5_000 + b"}", "does not know"),
        (b"\xff\xfe", "UTF-8"),
        (b"[" * 100_000, "nested"),
        (b'{"a":' * 450 + b"1" + b"}" * 450, "nested"),
        (b" " * (MAX_BYTES + 1), "at most"),
    ],
    ids=range(17),
)
def test_text__hostile__is_a_problem_and_nothing_is_raised(text: bytes, message: str):
    report = read_definition(text)

    assert report.flags == ()
    assert message in report.problems[0].message


def test_list_form__flags_with_keys__is_read():
    report = read_definition({"flags": [{"key": "a", **flag()}, {"key": "b", **flag()}]})

    assert [(item.key, item.grade) for item in report.flags] == [("a", Grade.EXACT), ("b", Grade.EXACT)]


@pytest.mark.parametrize("key", ["", "a b", "-a", "a/b", "ä", "a" * 101, "\ud800", "a\n"])
def test_key__cannot_travel_in_a_url__is_unsupported(key: str):
    (imported,) = read_definition({"flags": {key: flag()}}).flags

    assert imported.grade is Grade.UNSUPPORTED
    imported.key.encode()


def test_key_pattern__is_the_one_of_the_services():
    assert FLAG_KEY.pattern == KEY.pattern


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats() | st.sampled_from(["on", "x", "targetingKey", ""]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["if", "and", "or", "!", "!!", "===", "==", "in", "<", "starts_with", "sem_ver", "fractional", "cat",
                 "var", "$ref", "x"]
            ),
            inner,
            max_size=2,
        )
    ),
    max_leaves=25,
)  # fmt: skip


@given(json_values, st.sampled_from(["off", None, 5]), json_values)
def test_read__any_targeting__never_raises(targeting: Any, default: Any, evaluator: Any):
    definition = {"flags": {"a": flag(targeting, defaultVariant=default)}, "$evaluators": {"x": evaluator}}

    (imported,) = read_definition(definition).flags

    assert (imported.document is None) is (imported.grade is Grade.UNSUPPORTED)


FIELDS = st.sampled_from(["flags", "state", "variants", "targeting", "key", "a"])


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(FIELDS, inner),
        max_leaves=20,
    )
)
def test_read__any_json__never_raises(value: Any):
    for definition in (json.dumps(value), {"flags": value}):
        report = read_definition(definition)
        for found in report.flags:
            assert (found.document is None) is (found.grade is Grade.UNSUPPORTED)
            assert found.notes or found.grade is Grade.EXACT


def test_deep_targeting__is_unsupported_and_spoils_no_other_flag():
    targeting: Any = {"===": [X, "a"]}
    for _ in range(190):
        targeting = {"!": targeting}

    deep, fine = read_definition({"flags": {"a": flag({"if": [targeting, "on"]}), "b": flag()}}).flags

    assert (deep.grade, fine.grade) == (Grade.UNSUPPORTED, Grade.EXACT)


@pytest.mark.parametrize("generation", list(Generation), ids=str)
def test_export_then_import__random_environments__give_the_same_answers(generation: Generation):
    asked = contexts(40)
    grades: list[Grade] = []
    for snapshot in environments(40, generation=generation):
        text = json.dumps(export_definition(snapshot).document)

        report = read_definition(text, generation=generation)

        grades += [item.grade for item in report.flags]
        flags = {
            item.key: FlagSource(snapshot.flags[item.key].value_type, item.document, 1)
            for item in report.usable
            if item.document is not None
        }
        original, read_back = compile_snapshot(snapshot), compile_snapshot(replace(snapshot, flags=flags, segments={}))
        for key in flags:
            for context in asked:
                ours, theirs = original.evaluate(key, context, NOW), read_back.evaluate(key, context, NOW)
                assert (theirs.variant, theirs.value) == (ours.variant, ours.value)

    # Only prerequisites whose answer never changes, and segments that nest too deep once written out, are not exact.
    assert grades.count(Grade.EXACT) > len(grades) * 0.85
    assert grades.count(Grade.UNSUPPORTED) < len(grades) * 0.05


@pytest.mark.parametrize("generation", list(Generation), ids=str)
def test_import_then_export__what_was_exact__is_the_same_definition(generation: Generation):
    """A second round changes nothing: neither the documents nor the definition."""
    compared_flags = 0
    for snapshot in environments(40, generation=generation):
        first = read_definition(export_definition(snapshot).document, generation=generation)
        types = {key: source.value_type for key, source in snapshot.flags.items()}
        flags = {
            item.key: FlagSource(types[item.key], item.document, snapshot.flags[item.key].version)
            for item in first.usable
            if item.document is not None
        }
        definition = export_definition(replace(snapshot, flags=flags, segments={}))

        second = read_definition(json.dumps(definition.document), generation=generation, value_types=types)

        exact = {item.key: item.document for item in second.flags if item.grade is Grade.EXACT}
        assert definition.omissions == ()
        for item in first.usable:
            if item.key in exact:
                assert exact[item.key] == item.document
                compared_flags += 1
    assert compared_flags > 200
