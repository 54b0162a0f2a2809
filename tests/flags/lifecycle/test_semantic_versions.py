"""Semantic versions: which part a change counts up, and how numbers follow from changes."""

import copy
import itertools
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flags.documents import initial_document
from flags.lifecycle.semantic_versions import (
    Change,
    Part,
    classify,
    classify_details,
    contract_of,
    is_served,
    versions_of,
)
from tests.flags.lifecycle.situations import ago
from tests.flags.strategies import config_documents

MAJOR, MINOR, PATCH, NONE = Part.MAJOR, Part.MINOR, Part.PATCH, None
GOLD = {"attribute": "plan", "operator": "equals", "value": "gold"}
RULE = {"id": "r1", "description": "", "condition": GOLD, "serve": {"variant": "on"}}
OTHER = {**RULE, "id": "r2", "condition": {**GOLD, "value": "silver"}}
BLUE = {"name": "blue", "value": True, "description": ""}
TOLD = {"deprecated_at": "2026-10-01T08:00:00Z"}
ALL = {"weight": 100_000, "serves": None}
BASE: dict[str, Any] = {**initial_document("f", "boolean"), "enabled": True, "rules": [RULE, OTHER]}
NEEDS = [{"flag": "a", "variants": ["on"]}, {"flag": "b", "variants": ["on"]}]
NAMED = [{"variant": "on", "keys": ["u1"]}, {"variant": "off", "keys": ["u2"]}]


def ended(**deprecation: Any) -> dict[str, Any]:
    return {"deprecation": {**TOLD, **deprecation}}


def variants(*names: str, **changed: Any) -> dict[str, Any]:
    """The variants of these names in this order; `changed` replaces fields of the first."""
    known = {**{variant["name"]: variant for variant in BASE["variants"]}, "blue": BLUE}
    found = [dict(known[name]) for name in names]
    found[0] |= changed
    return {"variants": found}


@pytest.mark.parametrize(
    ("before", "after", "part"),
    [
        ({}, {}, NONE),
        ({"rules": [RULE]}, {"rules": [dict(reversed(RULE.items()))]}, NONE),
        ({}, variants("on", "off", "blue"), MAJOR),
        (variants("on", "off", "blue"), {}, MAJOR),
        (variants("on", "off", name="live"), {}, MAJOR),
        ({}, variants("on", "off", value=False), MAJOR),
        ({}, ended(withdrawal=ALL), MAJOR),
        (ended(), ended(withdrawal=ALL), MAJOR),
        (ended(withdrawal={"weight": 25_000, "serves": None}), ended(withdrawal=ALL), MAJOR),
        (ended(withdrawal={**ALL, "serves": "on"}), ended(withdrawal={**ALL, "serves": "on"}, is_archived=True), MAJOR),
        (ended(), ended(is_archived=True), MAJOR),
        (ended(withdrawal=ALL), ended(withdrawal=ALL, is_archived=True), MINOR),
        ({"enabled": False}, {}, MINOR),
        ({}, {"enabled": False}, MINOR),
        ({}, {"default_variant": "on"}, MINOR),
        ({}, {"off_variant": None}, MINOR),
        ({}, {"salt": "other/"}, MINOR),
        ({}, {"client_visible": True}, MINOR),
        ({}, {"prerequisites": NEEDS}, MINOR),
        ({"prerequisites": NEEDS}, {"prerequisites": NEEDS[:1]}, MINOR),
        ({}, {"targets": NAMED}, MINOR),
        ({"targets": NAMED}, {"targets": [{"variant": "on", "keys": ["u1", "u3"]}, NAMED[1]]}, MINOR),
        ({}, {"rules": [RULE]}, MINOR),
        ({}, {"rules": [OTHER, RULE]}, MINOR),
        ({}, {"rules": [{**RULE, "condition": None}, OTHER]}, MINOR),
        ({}, {"rules": [{**RULE, "serve": {"variant": "off"}}, OTHER]}, MINOR),
        ({}, {"rules": [{**RULE, "starts_at": "2027-01-01T00:00:00Z"}, OTHER]}, MINOR),
        (ended(), ended(withdrawal={"weight": 25_000, "serves": None}), MINOR),
        (ended(), ended(withdrawal={**ALL, "until": "2026-12-01T00:00:00Z"}), MINOR),
        (ended(), ended(withdrawal={**ALL, "serves": "on"}), MINOR),
        (ended(withdrawal=ALL), ended(), MINOR),
        (ended(is_archived=True), ended(), MINOR),
        ({}, ended(), PATCH),
        (ended(), ended(sunset_at="2027-01-01T00:00:00Z"), PATCH),
        (ended(), ended(successor="other", link="https://example.org/end"), PATCH),
        (ended(), {}, PATCH),
        ({}, variants("on", "off", description="Everybody sees it"), PATCH),
        ({}, variants("off", "on"), PATCH),
        ({}, {"rules": [{**RULE, "description": "Gold first"}, OTHER]}, PATCH),
        ({"targets": NAMED}, {"targets": NAMED[::-1]}, PATCH),
        ({"prerequisites": NEEDS}, {"prerequisites": NEEDS[::-1]}, PATCH),
        ({}, {**variants("on", "off", description="x"), "enabled": False}, MINOR),
        ({}, {**variants("on", "off", "blue"), "enabled": False}, MAJOR),
    ],
)
def test_classify__a_change__counts_up_the_part_it_should(before: Any, after: Any, part: Part | None) -> None:
    assert classify({**BASE, **before}, {**BASE, **after}) is part


def test_classify__a_variant_whose_name_ends_like_a_field__is_a_variant() -> None:
    added = {"name": "on.description", "value": True, "description": ""}

    assert classify(BASE, {**BASE, "variants": [*BASE["variants"], added]}) is MAJOR
    assert classify({**BASE, "variants": [*BASE["variants"], added]}, BASE) is MAJOR


@pytest.mark.parametrize(
    ("fields", "part"),
    [
        (["name"], PATCH),
        (["owner_id", "tags"], PATCH),
        (["kind"], PATCH),
        (["name", "value_schema"], MAJOR),
        ([], NONE),
    ],
)
def test_classify_details__fields_of_the_flag__are_words_but_for_the_contract(
    fields: list[str], part: Part | None
) -> None:
    assert classify_details(fields) is part


def numbers(*steps: tuple[str, dict[str, Any] | None]) -> list[str]:
    """The numbers after each step: an environment and what differs from BASE there, None for words about the flag."""
    return [str(release.number) for release in versions_of(changes(*steps))]


def changes(*steps: tuple[str, dict[str, Any] | None]) -> list[Change]:
    served: dict[str, dict[str, Any]] = {}
    found = []
    for days, (place, fields) in enumerate(steps):
        at = ago(100) + timedelta(days=days)
        if fields is None:
            found.append(Change(at, PATCH))
            continue
        document = {**BASE, **fields}
        part = classify(served.get(place), document)
        served[place] = document
        if part is not None:
            found.append(Change(at, part, place, contract_of(document), is_served(document)))
    return found


OFF: dict[str, Any] = {"enabled": False}
WIDER = variants("on", "off", "blue")


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([("", None)], ["0.0.1"]),
        ([("dev", OFF), ("", None), ("staging", OFF)], ["0.1.0", "0.1.1", "0.2.0"]),
        ([("dev", OFF), ("dev", {**OFF, **WIDER}), ("dev", WIDER)], ["0.1.0", "0.2.0", "1.0.0"]),
        ([("dev", {})], ["1.0.0"]),
        ([("dev", {}), ("production", OFF), ("production", {}), ("", None)], ["1.0.0", "1.1.0", "1.2.0", "1.2.1"]),
        # What code relies on is new once, and its way through the environments is exposure.
        (
            [("dev", {}), ("production", {}), ("dev", WIDER), ("production", WIDER)],
            ["1.0.0", "1.1.0", "2.0.0", "2.1.0"],
        ),
        # Going back is the next minor version, also where variants come back.
        ([("dev", {}), ("dev", WIDER), ("dev", {}), ("dev", OFF)], ["1.0.0", "2.0.0", "2.1.0", "2.2.0"]),
        # Its end counts in every environment, and giving back is exposure.
        (
            [("dev", {}), ("live", {}), ("dev", ended(withdrawal=ALL)), ("live", ended(withdrawal=ALL)), ("live", {})],
            ["1.0.0", "1.1.0", "2.0.0", "3.0.0", "3.1.0"],
        ),
        # The same content is no version.
        ([("dev", {}), ("dev", {}), ("dev", OFF)], ["1.0.0", "1.1.0"]),
    ],
)
def test_versions_of__changes_in_their_order__count_up(steps: Any, expected: list[str]) -> None:
    assert numbers(*steps) == expected


UNRELATED: list[dict[str, Any]] = [
    {"enabled": False},
    {"default_variant": "on"},
    {"client_visible": True},
    WIDER,
    {"rules": [RULE]},
    {"targets": NAMED},
    ended(successor="other"),
]


@settings(max_examples=40, deadline=None)
@given(order=st.permutations(UNRELATED), places=st.lists(st.sampled_from(["dev", "live"]), min_size=7, max_size=7))
def test_versions_of__unrelated_changes_in_any_order__never_lower_a_version(order: Any, places: list[str]) -> None:
    served: dict[str, dict[str, Any]] = {"dev": {}, "live": {}}
    steps: list[tuple[str, dict[str, Any] | None]] = [("dev", {}), ("live", {})]
    for place, fields in zip(places, order, strict=True):
        served[place] = {**served[place], **fields}
        steps.append((place, served[place]))

    found = [release.number for release in versions_of(changes(*steps))]

    assert all(later > earlier for earlier, later in itertools.pairwise(found))
    assert len(found) == len(steps)
    assert found[-1].major == 2


@settings(max_examples=25, deadline=None)
@given(first=config_documents("boolean"), second=config_documents("boolean"))
def test_classify__any_documents__is_none_for_the_same_and_a_part_for_others(first: Any, second: Any) -> None:
    assert classify(first, copy.deepcopy(first)) is None
    assert (classify(first, second) is None) == (first == second)
    assert classify(None, first) is MAJOR


def test_versions_of__nothing__is_nothing() -> None:
    assert versions_of([]) == []
