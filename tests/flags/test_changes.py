"""Change sets and digests."""

import copy
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flags.changes import ChangeSet, ConfigEdit, SegmentEdit, change_digest, document_digest
from flags.documents import initial_document
from tests.flags.strategies import config_documents, hostile_values, segment_documents

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
DOCUMENT = initial_document("checkout", "boolean")
CONFIG = ConfigEdit("checkout", 3, DOCUMENT)
SEGMENT = SegmentEdit("staff", "Staff", 0, {"schema": 1, "condition": {"segment": "x"}})
CHANGE_SET = ChangeSet("environment-1", (CONFIG, SEGMENT))


def stored(**fields: Any) -> dict[str, Any]:
    return CHANGE_SET.as_json() | fields


def edit(**fields: Any) -> dict[str, Any]:
    return stored(edits=[CONFIG.as_json() | fields])


@given(document=config_documents(endings=True), segment=segment_documents(), version=st.integers(0, 10))
def test_change_set__stored_and_read_back__is_equal(document: Any, segment: Any, version: int) -> None:
    edits = (ConfigEdit("checkout", version, document), SegmentEdit("staff", "Staff", version, segment))
    change_set = ChangeSet("environment-1", edits)
    assert ChangeSet.from_json(change_set.as_json()) == change_set


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "must be a JSON object"),
        ([], "must be a JSON object"),
        ({}, "“environment_id” is missing"),
        (stored(colour=1), "“colour” is unknown"),
        (stored(environment_id=""), "environment_id"),
        (stored(environment_id=5), "environment_id"),
        (stored(edits=[]), "at least one edit"),
        (stored(edits={}), "at least one edit"),
        (stored(edits=[None]), "Edit 1 must be an object"),
        (stored(edits=[CONFIG.as_json(), {"type": "role"}]), "Edit 2 must be an object"),
        (stored(edits=[{"type": ["config"]}]), "Edit 1"),
        (stored(edits=[CONFIG.as_json(), CONFIG.as_json()]), "edits “checkout” twice"),
        (stored(edits=[SEGMENT.as_json(), SEGMENT.as_json()]), "edits “staff” twice"),
        (edit(flag_key=""), "flag_key"),
        (edit(flag_key=None), "flag_key"),
        (edit(base_version=-1), "base_version"),
        (edit(base_version=True), "base_version"),
        (edit(base_version=1.0), "base_version"),
        (edit(base_version="1"), "base_version"),
        (edit(document=None), "document"),
        (edit(document=[]), "document"),
        (edit(name="x"), "“name” is unknown"),
        (stored(edits=[SEGMENT.as_json() | {"name": ""}]), "name"),
    ],
)
def test_from_json__invalid__says_what_is_wrong(value: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ChangeSet.from_json(value)


@given(value=hostile_values())
def test_from_json__any_value__raises_nothing_but_value_error(value: Any) -> None:
    with pytest.raises(ValueError, match=r"The change set"):
        ChangeSet.from_json(value)


def test_from_json__same_key_for_flag_and_segment__is_no_duplicate() -> None:
    segment = SEGMENT.as_json() | {"segment_key": "checkout"}
    assert len(ChangeSet.from_json(stored(edits=[CONFIG.as_json(), segment])).edits) == 2


def _reversed_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _reversed_keys(value[key]) for key in reversed(value)}
    return [_reversed_keys(item) for item in value] if isinstance(value, list) else value


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all scalars and of all empty containers."""
    items = (
        list(value.items() if isinstance(value, dict) else enumerate(value)) if isinstance(value, dict | list) else []
    )
    return [place for key, item in items for place in _places(item, (*path, key))] or [path]


@given(document=config_documents(endings=True))
def test_document_digest__other_key_order__is_the_same(document: Any) -> None:
    assert document_digest(_reversed_keys(document)) == document_digest(document)


@given(document=config_documents(endings=True), data=st.data())
def test_document_digest__any_value_changed__differs(document: Any, data: st.DataObject) -> None:
    *parents, last = data.draw(st.sampled_from(_places(document)))
    changed = copy.deepcopy(document)
    holder = changed
    for step in parents:
        holder = holder[step]
    holder[last] = {"was": holder[last]}
    assert document_digest(changed) != document_digest(document)


@pytest.mark.parametrize(
    ("one", "other"), [(1, True), (1, 1.0), (0, False), ("1", 1), (None, ""), ([], {}), ("ä", "a\u0308")]
)
def test_document_digest__values_python_or_people_confuse__differ(one: Any, other: Any) -> None:
    assert document_digest({"value": one}) != document_digest({"value": other})


def test_change_digest__every_part__counts() -> None:
    variations = [
        change_digest(CHANGE_SET, apply_at=None),
        change_digest(CHANGE_SET, apply_at=NOON),
        change_digest(CHANGE_SET, apply_at=NOON + timedelta(microseconds=1)),
        change_digest(CHANGE_SET, apply_at=None, round=1),
        change_digest(CHANGE_SET, apply_at=None, round=2),
        change_digest(CHANGE_SET, apply_at=None, relies_on={"staff": 1}),
        change_digest(CHANGE_SET, apply_at=None, relies_on={"staff": 2}),
        change_digest(CHANGE_SET, apply_at=None, relies_on={"staff": 1, "beta": 1}),
        change_digest(CHANGE_SET, apply_at=None, round=1, relies_on={"staff": 1}),
        change_digest(ChangeSet("environment-2", CHANGE_SET.edits), apply_at=None),
        change_digest(ChangeSet("environment-1", (CONFIG,)), apply_at=None),
        change_digest(ChangeSet("environment-1", (ConfigEdit("checkout", 4, DOCUMENT),)), apply_at=None),
        change_digest(ChangeSet("environment-1", (ConfigEdit("other", 3, DOCUMENT),)), apply_at=None),
        change_digest(
            ChangeSet("environment-1", (ConfigEdit("checkout", 3, DOCUMENT | {"enabled": True}),)), apply_at=None
        ),
        change_digest(ChangeSet("environment-1", (SegmentEdit("staff", "People", 0, {}),)), apply_at=None),
        change_digest(ChangeSet("environment-1", (SegmentEdit("staff", "Staff", 0, {}),)), apply_at=None),
    ]
    assert len(set(variations)) == len(variations)
    assert all(len(digest) == 64 for digest in variations)


def test_change_digest__same_instant_in_another_zone__is_the_same() -> None:
    elsewhere = NOON.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert change_digest(CHANGE_SET, apply_at=elsewhere) == change_digest(CHANGE_SET, apply_at=NOON)


def test_change_digest__instant_without_zone__is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        change_digest(CHANGE_SET, apply_at=NOON.replace(tzinfo=None))


def test_document_digest__pinned__does_not_drift() -> None:
    assert document_digest(DOCUMENT) == "842c37167fde764b1cbeff31f3b2ff3c09d165148646bdf1bb99880384d60f36"
    assert (
        change_digest(CHANGE_SET, apply_at=NOON) == "05c908ba1d33bd519ceb3f899a2fd829c0aa0a8d50e5b6c35c24f5fe41b32823"
    )
