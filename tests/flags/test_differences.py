"""Differences in plain sentences."""

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flags.changes import diff_configs, diff_segments, document_digest
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
