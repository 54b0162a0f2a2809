"""Differences in plain sentences."""

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flags.changes import diff_configs, diff_segments, document_digest
from flags.differences import recorded_sentences
from flags.documents import VALUE_TYPES, initial_document
from tests.flags.strategies import config_documents, json_values, segment_documents

GOLD = {"attribute": "plan", "operator": "equals", "value": "gold"}


def rule(rule_id: str = "r1", **fields: Any) -> dict[str, Any]:
    return {"id": rule_id, "description": "", "condition": None, "serve": split(on=5_000, off=95_000)} | fields


def split(**weights: int) -> dict[str, Any]:
    return {"split": [{"variant": name, "weight": weight} for name, weight in weights.items()]}


VARIANTS = [
    {"name": "on", "value": True, "description": ""},
    {"name": "off", "value": False, "description": ""},
]
BLUE = {"name": "blue", "value": True, "description": ""}
BASE = initial_document("checkout", "boolean") | {"rules": [rule()]}


ENDS = {"deprecated_at": "2027-03-03T09:00:00Z", "sunset_at": "2027-06-01T00:00:00Z", "successor": "new"}
GONE = {"weight": 100_000, "serves": "off", "until": "2027-04-01T14:30:00Z"}
SINCE = "since 2027-03-03 09:00 UTC"
WHEN = f"{SINCE}; sunset 2027-06-01 00:00 UTC; successor new"
TOLD = f"Services are told that it is deprecated {WHEN}"
BROWNOUT = "Brownout until 2027-04-01 14:30 UTC: everybody gets “off”"
QUARTER = {"weight": 25_000, "serves": None}


@pytest.mark.parametrize(
    ("before", "becomes", "sentences"),
    [
        (ENDS, None, [f"Services are no longer told that it is deprecated (before: {WHEN})"]),
        (
            ENDS,
            {"deprecated_at": ENDS["deprecated_at"]},
            [f"Services are told that it is deprecated {SINCE} (before: {WHEN})"],
        ),
        (
            {**ENDS, "withdrawal": QUARTER},
            {**ENDS, "withdrawal": GONE},
            [f"{BROWNOUT} (before: 25 % of people get the code default)"],
        ),
        (ENDS, {**ENDS, "withdrawal": GONE}, [BROWNOUT]),
        (
            ENDS,
            {**ENDS, "is_archived": True},
            ["Archived: services get their own code default, as if there were no such flag"],
        ),
        ({**ENDS, "withdrawal": QUARTER}, ENDS, ["No longer withdrawn (before: 25 % of people get the code default)"]),
        ({**ENDS, "is_archived": True}, ENDS, ["No longer archived: services get this flag again"]),
    ],
)
def test_diff_configs__end_of_a_flag__says_what_was_and_what_becomes(
    before: dict[str, Any], becomes: dict[str, Any] | None, sentences: list[str]
) -> None:
    old, new = after(deprecation=before), after(deprecation=becomes)
    assert [difference.sentence for difference in diff_configs(old, new)] == sentences
    assert recorded_sentences(old, new) == sentences


def after(**fields: Any) -> dict[str, Any]:
    return copy.deepcopy(BASE | fields)


@pytest.mark.parametrize(
    ("changed", "path", "kind", "sentence"),
    [
        (after(enabled=True), "enabled", "changed", "Switched on"),
        (after(default_variant="on"), "default_variant", "changed", "Default variant: off → on"),
        (after(default_variant=None), "default_variant", "changed", "Default variant: off → code default"),
        (after(off_variant=None), "off_variant", "changed", "When switched off: off → code default"),
        (after(salt="x"), "salt", "changed", "Salt (everyone is assigned anew): checkout/ → x"),
        (after(deprecation=ENDS), "deprecation", "added", TOLD),
        (after(variants=[*VARIANTS, BLUE]), "variants.blue", "added", "Variant “blue” added: true"),
        (after(variants=VARIANTS[1:]), "variants.on", "removed", "Variant “on” removed"),
        (
            after(variants=[VARIANTS[0] | {"value": 1}, VARIANTS[1]]),
            "variants.on.value",
            "changed",
            "Variant “on”: value true → 1",
        ),
        (
            after(variants=[VARIANTS[0] | {"description": "new"}, VARIANTS[1]]),
            "variants.on.description",
            "changed",
            "Variant “on”: description “” → “new”",
        ),
        (
            after(variants=VARIANTS[::-1]),
            "variants",
            "changed",
            "Variants listed in another order: on, off → off, on",
        ),
        (
            after(rules=[rule(serve=split(on=25_000, off=75_000))]),
            "rules[0].serve",
            "changed",
            "Rule 1 “Everyone”: on 5 % → 25 %",
        ),
        (
            after(rules=[rule(serve={"variant": "on"})]),
            "rules[0].serve",
            "changed",
            "Rule 1 “Everyone”: serves 5 % on, 95 % off → “on”",
        ),
        (
            after(rules=[rule(serve=split(off=95_000, on=5_000))]),
            "rules[0].serve",
            "changed",
            "Rule 1 “Everyone”: split 5 % on, 95 % off → 95 % off, 5 % on (people may be assigned anew)",
        ),
        (
            after(rules=[rule(serve=split(on=5_000, off=90_000, blue=5_000))]),
            "rules[0].serve",
            "changed",
            "Rule 1 “Everyone”: off 95 % → 90 %, blue 0 % → 5 %",
        ),
        (
            after(rules=[rule(description="All")]),
            "rules[0].description",
            "changed",
            "Rule 1 “Everyone”: description “” → “All”",
        ),
        (
            after(rules=[rule(condition=GOLD)]),
            "rules[0].condition",
            "changed",
            "Rule 1 “Everyone”: for everyone → plan is “gold”",
        ),
        (
            after(rules=[]),
            "rules[0]",
            "removed",
            "Rule 1 “Everyone” removed. It was: Everyone: 5 % on, 95 % off",
        ),
        (
            after(rules=[rule("r2", condition=GOLD, description="Gold", serve={"variant": "on"}), rule()]),
            "rules[0]",
            "added",
            "Rule 1 “Gold” added. If plan is “gold”: “on”",
        ),
    ],
)
def test_diff_configs__one_change__is_one_sentence(changed: Any, path: str, kind: str, sentence: str) -> None:
    (found,) = diff_configs(BASE, changed)
    assert (found.path, found.kind, found.sentence) == (path, kind, sentence)


def test_diff_configs__rule_that_moved_but_keeps_its_number__is_told_by_whom_it_passed() -> None:
    a, b, c, gone = (rule(name, description=name.upper()) for name in ("a", "b", "c", "gone"))
    found = diff_configs(after(rules=[gone, gone | {"id": "gone2"}, a, b, c]), after(rules=[b, c, a]))
    (move,) = [difference for difference in found if difference.kind == "changed"]
    assert move.sentence == "Rule 3 “A” moved behind “B”"
    assert (move.before, move.after) == ("ahead of “B”", "behind “B”")


def needing(*variants: str, flag: str = "parent") -> dict[str, Any]:
    return {"flag": flag, "variants": list(variants)}


def keys(variant: str, *targeted: str) -> dict[str, Any]:
    return {"variant": variant, "keys": list(targeted)}


MANY = [f"user-{number}" for number in range(130)]
R = "Rule 1 “Everyone”"


@pytest.mark.parametrize(
    ("old", "new", "path", "kind", "sentence"),
    [
        ({}, {"client_visible": True}, "client_visible", "changed", "Clients can now see this flag"),
        ({"client_visible": True}, {}, "client_visible", "changed", "Clients no longer see this flag"),
        (
            {},
            {"prerequisites": [needing("on")]},
            "prerequisites.parent",
            "added",
            "Prerequisite added: parent must serve “on”",
        ),
        (
            {"prerequisites": [needing("on")]},
            {},
            "prerequisites.parent",
            "removed",
            "Prerequisite removed: parent must serve “on”",
        ),
        (
            {"prerequisites": [needing("on")]},
            {"prerequisites": [needing("on", "beta", "blue")]},
            "prerequisites.parent",
            "changed",
            "Prerequisite changed: parent must serve “on”, “beta” or “blue” (before: parent must serve “on”)",
        ),
        (
            {"prerequisites": [needing("on"), needing("on", flag="other")]},
            {"prerequisites": [needing("on", flag="other"), needing("on")]},
            "prerequisites",
            "changed",
            "Prerequisites listed in another order: parent, other → other, parent",
        ),
        (
            {},
            {"targets": [keys("on", "user-1", "user-2")]},
            "targets.on",
            "added",
            "Individual targets: “user-1”, “user-2” now get “on” (+2, 2 in all)",
        ),
        (
            {"targets": [keys("on", "user-1", "user-2", "user-3")]},
            {"targets": [keys("on", "user-3", "user-4")]},
            "targets.on",
            "changed",
            "Individual targets: “user-4” now gets “on”; “user-1”, “user-2” no longer get “on” (-1, 2 in all)",
        ),
        (
            {"targets": [keys("on", "user-1")]},
            {},
            "targets.on",
            "removed",
            "Individual targets: “user-1” no longer gets “on” (-1, 0 in all)",
        ),
        (
            {"targets": [keys("on", *MANY[:10])]},
            {"targets": [keys("on", *MANY)]},
            "targets.on",
            "changed",
            "Individual targets: “user-10”, “user-11”, “user-12”, “user-13”, “user-14”, “user-15”, “user-16”, "
            "“user-17”, “user-18”, “user-19” and 110 more now get “on” (+120, 130 in all)",
        ),
        (
            {"targets": [keys("on", *MANY)]},
            {"targets": [keys("on", *MANY[::-1])]},
            "targets.on",
            "changed",
            "Individual targets: the same keys for “on” in another order (130 in all)",
        ),
        (
            {"targets": [keys("on", "x" * 70 + "a")]},
            {"targets": [keys("on", "x" * 70 + "b")]},
            "targets.on",
            "changed",
            f"Individual targets: “{'x' * 70}b” now gets “on”; “{'x' * 70}a” no longer gets “on” (1 in all)",
        ),
        (
            {"targets": [keys("on", "a"), keys("off", "b")]},
            {"targets": [keys("off", "b"), keys("on", "a")]},
            "targets",
            "changed",
            "Individual targets listed in another order: on, off → off, on",
        ),
        (
            {},
            {"rules": [rule(starts_at="2026-12-01T09:00:00+01:00")]},
            "rules[0].starts_at",
            "changed",
            f"{R} starts 2026-12-01 08:00 UTC",
        ),
        (
            {"rules": [rule(ends_at="2026-12-01T08:00:00Z")]},
            {"rules": [rule(ends_at="2026-12-01T08:00:00.5Z")]},
            "rules[0].ends_at",
            "changed",
            f"{R} ends 2026-12-01 08:00:00.500000 UTC (before: 2026-12-01 08:00 UTC)",
        ),
        (
            {"rules": [rule(starts_at="2026-12-01T08:00:00Z")]},
            {},
            "rules[0].starts_at",
            "changed",
            f"{R} no longer waits for a start (before: 2026-12-01 08:00 UTC)",
        ),
        (
            {},
            {"rules": [rule(bucket_by="company")]},
            "rules[0].bucket_by",
            "changed",
            f"{R} splits by “company” instead of targeting key (this reassigns people)",
        ),
        (
            {},
            {"rules": [rule(salt="x")]},
            "rules[0].salt",
            "changed",
            f"{R} splits with the salt “x” instead of the flag's salt (this reassigns people)",
        ),
        (
            {"rules": []},
            {"rules": [rule(serve={"variant": "on"}, ends_at="2026-12-01T08:00:00Z")]},
            "rules[0]",
            "added",
            f"{R} added. Everyone: “on”, until 2026-12-01 08:00 UTC",
        ),
    ],
)
def test_diff_configs__new_kind_of_change__is_one_sentence(
    old: Any, new: Any, path: str, kind: str, sentence: str
) -> None:
    (found,) = diff_configs(after(**old), after(**new))
    assert (found.path, found.kind, found.sentence) == (path, kind, sentence)


CODE_DEFAULT = {"variants": [*VARIANTS, BLUE | {"name": "code default"}]}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            {"rules": [rule()]},
            {"rules": [rule(bucket_by="targeting key")]},
            "Rule 1 “Everyone” splits by “targeting key” instead of targeting key (this reassigns people)",
        ),
        (
            {"rules": [rule()]},
            {"rules": [rule(salt="x” instead of the salt “y")]},
            r"splits with the salt “x\” instead of the salt \“y” instead of the flag's salt",
        ),
        (
            CODE_DEFAULT | {"default_variant": None},
            CODE_DEFAULT | {"default_variant": "code default"},
            "Default variant: code default → “code default”",
        ),
        (
            {},
            {"targets": [{"variant": "on", "keys": ["user-1” now gets “off”; “x"]}]},
            r"Individual targets: “user-1\” now gets \“off\”; \“x” now gets “on” (+1, 1 in all)",
        ),
        (
            {"rules": [rule(condition=GOLD)]},
            {"rules": [rule(condition=GOLD | {"attribute": "plan is “silver” and plan"})]},
            r"for plan is “gold” → “plan is \“silver\” and plan” is “gold”",
        ),
        (
            {"rules": [rule(condition=GOLD)]},
            {"rules": [rule(condition=GOLD, description="A” removed. “B")]},
            r"description “” → “A\” removed. \“B”",
        ),
    ],
)
def test_diff_configs__name_that_reads_like_other_words__is_told_from_them(old: Any, new: Any, words: str) -> None:
    (found,) = diff_configs(after(**old), after(**new))
    assert words in found.sentence


@given(name=st.text(st.characters(codec="utf-8"), min_size=1, max_size=20))
def test_diff_configs__bucketing_by_any_name__is_a_difference(name: str) -> None:
    named = {"rules": [rule(bucket_by=name)]}
    assert bool(diff_configs(BASE, after(**named))) is (name != "targetingKey")


def test_diff_configs__fields_that_say_nothing__are_no_difference() -> None:
    silent = {"targets": [keys("on")], "prerequisites": [], "client_visible": False}
    assert diff_configs(BASE, after(**silent, rules=[rule(bucket_by="targetingKey", starts_at=None)])) == []
    instants = ("2026-12-01T08:00:00Z", "2026-12-01T09:00:00.000+01:00")
    assert diff_configs(*(after(rules=[rule(starts_at=instant)]) for instant in instants)) == []


def test_diff_configs__first_configuration__names_everything_in_it() -> None:
    first = after(client_visible=True, targets=[keys("on", "user-1")], prerequisites=[needing("on")])
    paths = [difference.path for difference in diff_configs(None, first)]
    assert {"client_visible", "targets.on", "prerequisites.parent", "rules[0]"} <= set(paths)


def test_diff_configs__switched_off__says_so() -> None:
    (found,) = diff_configs(after(enabled=True), BASE)
    assert (found.sentence, found.before, found.after) == ("Switched off", True, False)


def test_diff_configs__one_rule_moved_up__moves_only_that_rule() -> None:
    rules = [rule(f"r{n}", description=f"Number {n}", condition=GOLD) for n in range(1, 6)]
    (found,) = diff_configs(after(rules=rules), after(rules=[rules[4], *rules[:4]]))
    assert found.sentence == "Rule 5 “Number 5” moved to position 1"


def test_diff_configs__rule_moved_and_changed__says_both() -> None:
    beta = rule("r2", description="Beta", condition=GOLD)
    changed = beta | {"serve": split(on=10_000, off=90_000)}
    found = diff_configs(after(rules=[rule(), beta]), after(rules=[changed, rule()]))
    assert sorted(difference.sentence for difference in found) == [
        "Rule 1 “Beta”: on 5 % → 10 %",
        "Rule 2 “Beta” moved to position 1",
    ]


def test_diff_configs__rule_deleted_above__does_not_move_the_rest() -> None:
    rules = [rule(f"r{n}", condition=GOLD) for n in range(3)]
    (found,) = diff_configs(after(rules=rules), after(rules=rules[1:]))
    assert found.kind == "removed"


def test_diff_configs__no_config_before__describes_everything() -> None:
    found = diff_configs(None, BASE)
    assert [difference.kind for difference in found] == ["added"] * 4
    assert found[0].sentence == "First configuration here. Switched off. Off serves the variant “off” (false)."


def test_diff_configs__fields_left_out__mean_the_same_as_filled_in() -> None:
    sparse = after()
    del sparse["schema"]
    del sparse["variants"][0]["description"]
    assert diff_configs(BASE, sparse) == []


def test_diff_segments__changed_new_and_equal__say_so() -> None:
    old, new = ({"schema": 1, "condition": GOLD | {"value": value}} for value in ("gold", "free"))
    assert diff_segments(old, old) == []
    assert [found.sentence for found in diff_segments(old, new)] == ["Members: plan is “gold” → plan is “free”"]
    assert [found.sentence for found in diff_segments(None, new)] == ["New segment: plan is “free”"]


@given(data=st.data(), value_type=st.sampled_from(VALUE_TYPES))
def test_diff_configs__equal_documents__is_empty(data: st.DataObject, value_type: str) -> None:
    stored = data.draw(config_documents(value_type))
    assert diff_configs(stored, copy.deepcopy(stored)) == []


@settings(max_examples=200)
@given(data=st.data(), value_type=st.sampled_from(VALUE_TYPES))
def test_diff_configs__different_documents__is_never_empty(data: st.DataObject, value_type: str) -> None:
    before, changed = data.draw(config_documents(value_type)), data.draw(config_documents(value_type))
    found = diff_configs(before, changed)
    assert bool(found) is (document_digest(before) != document_digest(changed))
    assert all(difference.sentence for difference in found)


@settings(max_examples=200)
@given(data=st.data())
def test_diff_configs__one_value_replaced_anywhere__is_never_empty(data: st.DataObject) -> None:
    before = data.draw(config_documents("object"))
    changed = copy.deepcopy(before)
    fields: list[tuple[Any, Any, Any]] = [
        (changed, "salt", "another salt"),
        (changed, "enabled", not before["enabled"]),
        (changed["variants"][0], "value", {"json": data.draw(json_values())}),
        (changed["variants"][0], "description", "another description"),
    ]
    for changed_rule in changed["rules"]:
        fields.append((changed_rule, "description", "another description"))
        fields.append((changed_rule, "condition", GOLD))
        fields.append((changed_rule, "serve", {"variant": changed["variants"][0]["name"]}))
        fields.append((changed_rule, "id", "another id"))
    holder, name, value = data.draw(st.sampled_from(fields))
    holder[name] = value

    assert bool(diff_configs(before, changed)) is (document_digest(before) != document_digest(changed))


@given(before=segment_documents(), changed=segment_documents())
def test_diff_segments__different_documents__is_never_empty(before: Any, changed: Any) -> None:
    assert diff_segments(before, copy.deepcopy(before)) == []
    assert bool(diff_segments(before, changed)) is (document_digest(before) != document_digest(changed))


def is_one_of(*names: Any, operator: str = "in") -> dict[str, Any]:
    value = names[0] if operator.endswith("equals") else list(names)
    return {"attribute": "targetingKey", "operator": operator, "value": value}


NAMED, OTHERS = is_one_of("anna", "abel"), is_one_of("abel", "zoe")


@pytest.mark.parametrize(
    ("old", "new", "sentences"),
    [
        ({}, {"targets": [keys("on", "anna", "abel")]}, ["Individual targets for “on”: 2 added (2 in all)"]),
        (
            {"targets": [keys("on", "anna", "abel")]},
            {"targets": [keys("on", "abel", "zoe", "zac")]},
            ["Individual targets for “on”: 2 added, 1 removed (3 in all)"],
        ),
        ({"targets": [keys("on", "anna")]}, {}, ["Individual targets for “on”: 1 removed (0 in all)"]),
        (
            {"targets": [keys("on", "anna", "abel")]},
            {"targets": [keys("on", "abel", "anna")]},
            ["Individual targets for “on”: the same in another order (2 in all)"],
        ),
        (
            {"rules": [rule(condition=NAMED, description="Staff")]},
            {"rules": [rule(condition=OTHERS, description="Staff")]},
            [
                "Rule 1 “Staff”: for targetingKey is one of “key 1” and “key 2” → "
                "targetingKey is one of “key 2” and “key 3” (targetingKey: added 1: “key 3”; removed 1: “key 1”)"
            ],
        ),
        ({}, {"enabled": True}, ["Switched on"]),
    ],
)
def test_recorded_sentences__change_of_people__counts_instead_of_naming(old: Any, new: Any, sentences: Any) -> None:
    assert recorded_sentences(BASE | {"rules": []} | old, BASE | {"rules": []} | new) == sentences


@pytest.mark.parametrize("operator", ["equals", "not_equals", "in", "not_in"])
def test_recorded_sentences__any_comparison_of_names__names_nobody(operator: str) -> None:
    inner = {"or": [{"not": is_one_of("anna", operator=operator)}, GOLD]}
    config, segment = (
        after(rules=[rule(condition=inner)], targets=[keys("on", "anna")]),
        {"schema": 1, "condition": inner},
    )
    empty = {"schema": 1, "condition": GOLD}
    for old, new in ((None, config), (config, BASE), (BASE, config), (None, segment), (segment, empty)):
        told = recorded_sentences(old, new)
        assert told
        assert "anna" not in "".join(told)


@given(first=config_documents(endings=True), second=config_documents(endings=True))
def test_recorded_sentences__any_change__is_as_many_as_there_are_differences(first: Any, second: Any) -> None:
    paths = [difference.path for difference in diff_configs(first, second)]
    assert len(recorded_sentences(first, second)) == len(paths)
