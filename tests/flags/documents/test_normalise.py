"""The stored form of documents, and the first one of a flag."""

from time import process_time
from typing import Any

import pytest

from audits.integrity import canonical_json
from flags.changes import document_digest
from flags.documents import VALUE_TYPES, initial_document, normalise_config, referenced_segments, validate_config

GOLD = {"attribute": "plan", "operator": "equals", "value": "gold"}


@pytest.mark.parametrize("value_type", VALUE_TYPES)
def test_initial_document__every_value_type__is_valid_and_switched_off(value_type: str) -> None:
    stored = initial_document("checkout", value_type)
    assert validate_config(stored, value_type=value_type, segment_keys=()) == []
    assert stored["enabled"] is False
    assert stored["salt"] == "checkout/"


@pytest.mark.parametrize(
    ("names", "baseline"),
    [(["on", "off"], "off"), (["blue", "green"], "blue"), (["off"], "off"), (["a", "off"], "off")],
)
def test_initial_document__given_variants__serves_the_baseline(names: list[str], baseline: str) -> None:
    stored = initial_document("checkout", "string", [{"name": name, "value": name} for name in names])
    assert (stored["off_variant"], stored["default_variant"]) == (baseline, baseline)
    assert [variant["description"] for variant in stored["variants"]] == [""] * len(names)


def test_initial_document__unknown_value_type__is_refused() -> None:
    with pytest.raises(ValueError, match="Unknown value type"):
        initial_document("checkout", "text")


def test_normalise_config__sparse_document__gets_every_field() -> None:
    sparse: dict[str, Any] = {
        "enabled": True,
        "off_variant": None,
        "default_variant": "low",
        "variants": [{"name": "low", "value": 1}, {"name": "zero", "value": -0.0}],
        "rules": [
            {"serve": {"variant": "low"}, "condition": {"not": {"attribute": "plan", "operator": "is_set"}}},
            {"id": "r1", "serve": {"variant": "zero"}},
        ],
    }
    before = canonical_json(sparse)

    full = normalise_config(sparse, value_type="float", flag_key="rate")

    assert canonical_json(sparse) == before
    assert validate_config(full, value_type="float", segment_keys=()) == []
    assert full["schema"] == 1
    assert full["salt"] == "rate/"
    assert canonical_json([variant["value"] for variant in full["variants"]]) == b"[1.0,0.0]"
    assert [rule["id"] for rule in full["rules"]] == ["r2", "r1"]
    assert full["rules"][0]["condition"]["not"]["value"] is None
    assert full["rules"][1]["condition"] is None


@pytest.mark.parametrize(
    "stored",
    [
        {},
        {"rules": None},
        {"rules": [None, 5]},
        {"variants": 5},
        {"rules": [{"id": [], "condition": 5}]},
        [],
        None,
        "x",
    ],
)
def test_normalise_config__what_it_cannot_read__is_left_for_validation(stored: Any) -> None:
    normalised = normalise_config(stored, value_type="float", flag_key="rate")
    assert validate_config(normalised, value_type="float", segment_keys=())
    assert normalise_config(normalised, value_type="float", flag_key="rate") == normalised


# The digest of a document from before targets, prerequisites, visibility, windows and bucketing: approvals and audit
# events hold digests, so the normal form of such a document may never change.
GOLDEN = "6cdb60d5c746aa91ab2db1bfa65086016080a27b6fd8b5267884ce2a002d4c2d"


@pytest.mark.parametrize(
    "silent",
    [
        {},
        {"targets": [], "prerequisites": [], "client_visible": False},
        {"targets": None, "prerequisites": None, "client_visible": None},
        {"targets": [{"variant": "on", "keys": []}, {"variant": "off"}]},
    ],
)
def test_normalise_config__new_fields_that_say_nothing__leave_the_digest_as_it_was(silent: dict[str, Any]) -> None:
    quiet = {"salt": None, "bucket_by": "targetingKey", "starts_at": None, "ends_at": ""} if silent else {}
    split = {"split": [{"variant": "on", "weight": 5_000}, {"variant": "off", "weight": 95_000}]}
    rule = {"id": "r1", "description": "Gold", "condition": GOLD, "serve": split} | quiet
    stored = initial_document("checkout", "boolean") | {"enabled": True, "rules": [rule]} | silent
    assert document_digest(normalise_config(stored, value_type="boolean", flag_key="checkout")) == GOLDEN


def test_normalise_config__new_fields_that_say_something__stay_in_one_form() -> None:
    stored = initial_document("checkout", "boolean") | {
        "targets": [{"variant": "on", "keys": ["b", "a"]}, {"variant": "off", "keys": []}],
        "prerequisites": [{"flag": "parent", "variants": ["on"]}],
        "client_visible": True,
        "rules": [{"id": "r1", "serve": {"variant": "on"}, "starts_at": "2026-12-01t09:30:00.500+01:00"}],
    }
    normalised = normalise_config(stored)
    assert normalised["targets"] == [{"variant": "on", "keys": ["b", "a"]}]
    assert normalised["prerequisites"] == stored["prerequisites"]
    assert normalised["client_visible"] is True
    assert normalised["rules"][0]["starts_at"] == "2026-12-01T08:30:00.500000Z"
    assert normalise_config(normalised) == normalised


@pytest.mark.parametrize(
    "field",
    [
        {"client_visible": 0},
        {"client_visible": ""},
        {"targets": {}},
        {"targets": [{"variant": "on", "keys": [], "salt": 1}]},
        {"prerequisites": ()},
        {"rules": [{"serve": {"variant": "on"}, "starts_at": 0}]},
        {"rules": [{"serve": {"variant": "on"}, "bucket_by": False}]},
    ],
)
def test_normalise_config__wrong_type_that_looks_empty__is_left_for_validation(field: dict[str, Any]) -> None:
    normalised = normalise_config(initial_document("checkout", "boolean") | field)
    is_wrong = bool(validate_config(normalised, value_type="boolean", segment_keys=()))
    assert is_wrong is (field != {"prerequisites": ()})


def test_referenced_segments__of_a_segment__are_those_its_condition_names() -> None:
    assert referenced_segments({"schema": 1, "condition": {"or": [{"segment": "a"}, {"not": {"segment": "b"}}]}}) == {
        "a",
        "b",
    }


def test_referenced_segments__at_any_depth__are_all_found() -> None:
    stored = {
        "rules": [
            {"condition": None},
            {"condition": {"segment": "a"}},
            {"condition": {"and": [{"segment": "b"}, {"not": {"or": [GOLD, {"segment": "c"}]}}]}},
        ]
    }
    assert referenced_segments(stored) == {"a", "b", "c"}
    assert referenced_segments({}) == set()


def test_thousands_of_rules_without_ids__normalised__get_names_of_their_own_in_no_time() -> None:
    rules: list[dict[str, Any]] = [{"id": "r2"}, *({} for _ in range(20_000))]
    begun = process_time()

    normal = normalise_config({"rules": rules})["rules"]

    assert [rule["id"] for rule in normal[:4]] == ["r2", "r1", "r3", "r4"]
    assert len({rule["id"] for rule in normal}) == 20_001
    assert process_time() - begun < 5
