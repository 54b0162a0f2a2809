"""No real change reads the same on both sides."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audits.integrity import canonical_json
from flags.changes import diff_configs, diff_segments
from flags.contrast import condition_notes, told_apart
from flags.documents import VALUE_TYPES, initial_document
from flags.documents.words import shown
from flags.showing import diff_rows
from flags.templatetags.differences import any_cut
from tests.flags.strategies import config_documents, json_values, segment_documents

MANY = [f"c{number}" for number in range(50)]
LONG = "x" * 70


def leaf(value: Any, operator: str = "in") -> dict[str, Any]:
    return {"attribute": "country", "operator": operator, "value": value}


def segment(condition: dict[str, Any]) -> dict[str, Any]:
    return {"schema": 1, "condition": condition}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (leaf(MANY), leaf([*MANY[:-1], "us"]), "country: added 1: “us”; removed 1: “c49”"),
        (leaf(MANY), leaf([*MANY, "us"]), "country: added 1: “us”"),
        (leaf(MANY), leaf(MANY[::-1]), "country: the same values in another order"),
        (leaf(["a"]), leaf([*MANY[:12]]), "“c9” and 2 more; removed 1: “a”"),
        (leaf([LONG + "a"]), leaf([LONG + "b"]), f"added 1: “{LONG}b”; removed 1: “{LONG}a”"),
        (leaf(LONG + "a", "equals"), leaf(LONG + "b", "equals"), "xxxa” → …"),
        ({"and": [leaf(MANY), leaf("a", "equals")]}, {"and": [leaf(MANY[1:])]}, "removed 1: “c0”"),
        ({"not": {"or": [leaf(MANY)]}}, {"not": leaf(MANY[1:])}, "removed 1: “c0”"),
        (leaf("a", "equals"), {"and": [leaf("a", "equals")]}, '→ {"and":[{"attribute"'),
    ],
)
def test_diff__change_behind_the_cut__is_named_and_the_json_stands_open(old: Any, new: Any, words: str) -> None:
    differences = diff_segments(segment(old), segment(new))
    rows = diff_rows(differences)
    assert words in differences[0].sentence
    assert rows[0].before.text != rows[0].after.text
    assert any_cut(rows)


def test_diff__long_value_of_a_variant__shows_the_place_that_differs() -> None:
    old, new = (
        {**initial_document("f", "string"), "variants": [{"name": "on", "value": LONG + end, "description": ""}]}
        for end in "ab"
    )
    old, new = ({**item, "off_variant": "on", "default_variant": "on"} for item in (old, new))
    assert diff_configs(old, new)[0].sentence == f"Variant “on”: value …{'x' * 20}a” → …{'x' * 20}b”"


@given(old=json_values(), new=json_values())
def test_told_apart__different_values__read_differently(old: Any, new: Any) -> None:
    before, after = told_apart(old, new, shown)
    assert (before == after) == (canonical_json(old) == canonical_json(new))


@settings(max_examples=200)
@given(data=st.data(), value_type=st.sampled_from(VALUE_TYPES))
def test_diff_rows__two_configs__no_changed_row_reads_the_same_on_both_sides(
    data: st.DataObject, value_type: str
) -> None:
    old, new = (
        data.draw(config_documents(value_type, endings=True)),
        data.draw(config_documents(value_type, endings=True)),
    )
    for row in diff_rows(diff_configs(old, new), old, new):
        if row.kind == "changed":
            assert row.before.text != row.after.text


orders = st.lists(st.sampled_from("abcdefg"), unique=True)


@settings(max_examples=500)
@given(old=orders, new=orders)
def test_diff_rows__rules_in_any_two_orders__no_moved_rule_reads_the_same_on_both_sides(
    old: list[str], new: list[str]
) -> None:
    rules = {name: {"id": name, "condition": None, "serve": {"variant": "on"}} for name in "abcdefg"}
    start = initial_document("f", "boolean")
    before, after = (start | {"rules": [rules[name] for name in order]} for order in (old, new))
    rows = diff_rows(diff_configs(before, after), before, after)
    assert bool(rows) == (old != new)
    assert all(row.before.text != row.after.text for row in rows if row.kind == "changed")


@given(old=segment_documents(), new=segment_documents())
def test_diff_rows__two_segments__never_read_the_same_on_both_sides(old: Any, new: Any) -> None:
    differences = diff_segments(old, new)
    for row, difference in zip(diff_rows(differences), differences, strict=True):
        assert row.before.text != row.after.text
        for note in condition_notes(difference.before, difference.after):
            assert note in difference.sentence
