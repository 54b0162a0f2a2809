"""Showing differences: hostile characters become visible, both sides stand beside each other, JSON folds."""

import pytest

from flags.changes import diff_configs
from flags.showing import CHANGED_LINES, blocks_html, diff_rows, json_blocks, variant_colours, visible
from tests.factories import percent_document


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain words, 5 %", "plain words, 5 %"),
        ("Grüße 漢字 🚀", "Grüße 漢字 🚀"),
        ("a\u202eb", "U+202E"),
        ("a\u2066b\u2069", "U+2066"),
        ("a\u200bb", "U+200B"),
        ("a\u00adb", "U+00AD"),
        ("a\u00a0b", "U+00A0"),
        ("a\u3164b", "U+3164"),
        ("a\ufeffb", "U+FEFF"),
        ("a\x07b", "U+0007"),
        ("a\U000e0041b", "U+E0041"),
        ("25\u00a0%", "25\u00a0%"),
        ("25\u00a0%\u00a0", "U+00A0"),
        ("^]\u200b\\-", "U+200B"),
    ],
)
def test_visible__characters_that_hide__are_named(text, shown):
    assert shown in visible(text)


def test_visible__markup__is_escaped():
    found = visible("<script>alert(1)</script>\u202e<b>")

    assert "<script>" not in found
    assert "<b>" not in found
    assert "&lt;script&gt;" in found


def test_visible__blanks_and_line_ends__stay():
    assert visible("one two\n\tthree") == "one two\n\tthree"


def test_diff_rows__share__has_both_sides_as_bars():
    before, after = percent_document("f", 5), percent_document("f", 25)

    (row,) = diff_rows(diff_configs(before, after), before, after)

    assert row.label == "Rule 1 serves"
    assert [(share.variant, share.weight) for share in row.before.shares] == [("on", 5000), ("off", 95000)]
    assert [(share.variant, share.weight) for share in row.after.shares] == [("on", 25000), ("off", 75000)]


def test_diff_rows__withdrawal_and_archive__read_as_words():
    plain = {**percent_document("f", 5), "deprecation": {"deprecated_at": "2027-03-03T09:00:00Z"}}
    withdrawal = {"weight": 25_000, "serves": None}
    new = {**plain, "deprecation": {**plain["deprecation"], "withdrawal": withdrawal, "is_archived": True}}

    rows = diff_rows(diff_configs(plain, new), plain, new)

    assert [(row.label, row.before.text, row.after.text.replace("\u00a0", " ")) for row in rows] == [
        ("Withdrawal", "nothing", "25 % of people get the code default"),
        ("Archive", "served", "left out: services get their code default"),
    ]


@pytest.mark.parametrize(
    ("change", "label", "before", "after"),
    [
        ({"enabled": False}, "Switch", "On", "Off"),
        ({"off_variant": None}, "When switched off", "“off”", "the code default"),
        ({"default_variant": None}, "For everyone else", "“off”", "the code default"),
        ({"rules": []}, "Rule 1", "Everyone: 5 % on, 95 % off", "nothing"),
        ({"salt": "other/"}, "Salt", "f/", "other/"),
        (
            {"deprecation": {"deprecated_at": "2027-03-03T09:00:00Z"}},
            "Deprecation",
            "nothing",
            "since 2027-03-03 09:00 UTC",
        ),
        ({"client_visible": True}, "Browsers and apps", "do not see it", "can see it"),
        ({"targets": [{"variant": "on", "keys": ["u1", "u2"]}]}, "By name “on”", "nothing", "2: “u1”, “u2”"),
        (
            {"prerequisites": [{"flag": "p", "variants": ["on"]}]},
            "Needs “p”",
            "nothing",
            "p must serve “on”",
        ),
    ],
)
def test_diff_rows__each_kind_of_change__reads_as_words(change, label, before, after):
    old = percent_document("f", 5)
    new = {**old, **change}

    (row,) = diff_rows(diff_configs(old, new), old, new)

    assert (row.label, row.before.text.replace("\u00a0", " "), row.after.text) == (label, before, after)


@pytest.mark.parametrize(
    ("change", "label", "before", "after"),
    [
        ({"starts_at": "2026-12-01T08:00:00Z"}, "Rule 1 starts", "at once", "2026-12-01 08:00 UTC"),
        ({"ends_at": "2026-12-01T08:00:00Z"}, "Rule 1 ends", "never", "2026-12-01 08:00 UTC"),
        ({"bucket_by": "company"}, "Rule 1 is split by", "targeting key", "“company”"),
        ({"bucket_by": "targeting key"}, "Rule 1 is split by", "targeting key", "“targeting key”"),
        ({"salt": "mine"}, "Rule 1 has the salt", "the salt of the flag", "“mine”"),
        ({"salt": "the salt of the flag"}, "Rule 1 has the salt", "the salt of the flag", "“the salt of the flag”"),
    ],
)
def test_diff_rows__part_of_a_rule__reads_as_words(change, label, before, after):
    old = percent_document("f", 5)
    new = {**old, "rules": [{**old["rules"][0], **change}]}

    (row,) = diff_rows(diff_configs(old, new), old, new)

    assert (row.label, row.before.text, row.after.text) == (label, before, after)


def test_diff_rows__more_targets_than_are_named__says_that_the_rest_is_in_the_json():
    old = percent_document("f", 5)
    new = {**old, "targets": [{"variant": "on", "keys": [f"u{number}" for number in range(30)]}]}

    (row,) = diff_rows(diff_configs(old, new), old, new)

    assert row.is_cut
    assert row.after.text.endswith("and 20 more")


def test_diff_rows__first_config__shows_nothing_before():
    after = percent_document("f", 5)

    rows = diff_rows(diff_configs(None, after), None, after)

    assert rows
    assert all(row.before.is_absent for row in rows)


def test_diff_rows__variant_called_like_a_path__keeps_its_name():
    old = percent_document("f", 5)
    variants = [*old["variants"], {"name": "a.value", "value": True, "description": ""}]
    new = {**old, "variants": variants}

    (row,) = diff_rows(diff_configs(old, new), old, new)

    assert "a" in row.label
    assert row.after.text == "true"


def test_variant_colours__off_and_false__are_quiet():
    colours = variant_colours(percent_document("f", 5))

    assert colours == {"on": "fe-c0", "off": "fe-c-quiet"}


def test_json_blocks__long_unchanged_stretch__is_a_fold():
    before, after = percent_document("f", 5), percent_document("f", 25)

    blocks = json_blocks(before, after)

    marks = [line.mark for block in blocks for line in block.lines]
    assert marks.count("-") == marks.count("+") == 2
    assert any(block.is_fold for block in blocks)
    assert not any(block.is_fold and {line.mark for line in block.lines} != {" "} for block in blocks)


@pytest.mark.parametrize(("before", "after"), [(None, {"a": 1}), ({"a": 1}, None), ({"a": 1}, {"a": 1})])
def test_json_blocks__every_line_is_there_once(before, after):
    lines = [line for block in json_blocks(before, after) for line in block.lines]

    assert len(lines) == 3


def test_json_blocks__long_change__shows_the_first_lines_and_folds_the_others():
    before, after = {"keys": ["a"]}, {"keys": [f"u{number}" for number in range(5_000)]}

    blocks = json_blocks(before, after)

    added = [block for block in blocks if block.lines[0].mark == "+"]
    assert [len(block.lines) for block in added] == [CHANGED_LINES, 5_000 - CHANGED_LINES]
    assert [(block.is_fold, block.is_fold and block.summary) for block in added] == [
        (False, False),
        (True, "4,900 lines more added"),
    ]


def test_json_blocks__separator_of_lines_within_a_text__is_no_line_end():
    (removed, added) = (block for block in json_blocks({"a": "xy"}, {"a": "x\u2028y"}) if block.lines[0].mark != " ")

    assert len(removed.lines) == len(added.lines) == 1
    assert "U+2028" in blocks_html([added])


def test_blocks_html__hostile_text__one_escaped_span_per_line():
    html = blocks_html(json_blocks(None, {"a": "<script>\n\u202e", "b": [1, 2]}))

    assert html.count('<span class="fe-json-line fe-json-added" data-mark="+">') == 7
    assert "<script>" not in html
    assert "U+202E" in html
