"""The stored form of documents, and the first one of a flag."""

from typing import Any

import pytest

from audits.integrity import canonical_json
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
