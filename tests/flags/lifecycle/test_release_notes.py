"""Release notes: what is for whom, and that nobody's words become markup."""

from datetime import timedelta, timezone
from typing import Any

import pytest

from flags.differences import recorded_differences
from flags.documents import initial_document
from flags.lifecycle.release_notes import Audience, Note, as_markdown, as_text, details_sentences, grouped, one_line
from flags.lifecycle.semantic_versions import Number, Part
from tests.flags.lifecycle.situations import NOW

BASE: dict[str, Any] = {**initial_document("f", "boolean"), "enabled": True}
PEOPLE, DEVELOPERS, DETAILS = Audience.PEOPLE, Audience.DEVELOPERS, Audience.DETAILS


def note(**fields: Any) -> Note:
    said: dict[str, Any] = {
        "number": Number(2, 3, 0),
        "part": Part.MINOR,
        "at": NOW,
        "environment": "Production",
        "person": "Rita Test",
        "reason": "Everybody waits",
        "request": "#12",
        "groups": {PEOPLE: ("Switched on",), DETAILS: ("Tags: added “x”",)},
    }
    return Note(**said | fields)


@pytest.mark.parametrize(
    ("fields", "audience", "words"),
    [
        ({"enabled": False}, PEOPLE, "Switched off"),
        ({"salt": "x/"}, PEOPLE, "everyone is assigned anew"),
        ({"client_visible": True}, DEVELOPERS, "Clients can now see this flag"),
        ({"variants": [*BASE["variants"], {"name": "b", "value": True, "description": ""}]}, DEVELOPERS, "“b” added"),
        ({"deprecation": {"deprecated_at": "2026-10-01T08:00:00Z"}}, DEVELOPERS, "told that it is deprecated"),
        ({"variants": BASE["variants"][::-1]}, DETAILS, "in another order"),
    ],
)
def test_grouped__a_change__is_for_whom_it_concerns(fields: Any, audience: Audience, words: str) -> None:
    found = grouped(recorded_differences(BASE, {**BASE, **fields}))

    assert list(found) == [audience]
    assert words in found[audience][0]


def test_grouped__people_by_their_keys__are_counted() -> None:
    condition = {"attribute": "targetingKey", "operator": "in", "value": ["zoe@example.org"]}
    rule = {"id": "r", "description": "", "condition": condition, "serve": {"variant": "on"}}
    targets = [{"variant": "on", "keys": ["kim@example.org"]}]

    found = grouped(recorded_differences(BASE, {**BASE, "targets": targets, "rules": [rule]}))

    assert "example.org" not in str(found)
    assert "1 added" in str(found[PEOPLE])


@pytest.mark.parametrize(
    ("name", "old", "new", "sentence"),
    [
        ("name", "Old", "New", "Name: “Old” → “New”"),
        ("kind", "release", "kill_switch", "Kind: “release” → “kill switch”"),
        ("description", "", "Words", "Description added"),
        ("description", "Words", "Others", "Description changed"),
        ("description", "Words", "", "Description removed"),
        ("owner_team_id", None, "7", "Owning team added"),
        ("tags", ["a", "b"], ["b", "c"], "Tags: added “c”; removed “a”"),
        ("links", [], ["https://example.org"], "Links: added “https://example.org”"),
        ("links", ["a", "b"], ["b", "a"], "Links: the same in another order"),
        ("owner_id", None, "7", "Owner: nobody → Rita Test"),
        ("owner_id", "7", "8", "Owner: Rita Test → somebody"),
    ],
)
def test_details_sentences__a_field__is_said_in_words(name: str, old: Any, new: Any, sentence: str) -> None:
    changed = {name: {"from": old, "to": new}}

    assert details_sentences(changed, {"7": "Rita Test"}) == {DETAILS: (sentence,)}


def test_as_markdown__notes__have_headings_and_bullets() -> None:
    assert as_markdown("Releases of Checkout", [note()]) == (
        "# Releases of Checkout\n\n"
        "## 2.3.0 · Production · 2026-11-21 12:00 UTC\n\n"
        "By Rita Test, change request \\#12: “Everybody waits”\n\n"
        "### What changed for people\n\n- Switched on\n\n### Details\n\n- Tags: added “x”\n"
    )


def test_as_text__notes__are_readable_without_markup() -> None:
    assert as_text("Releases of Checkout", [note(request="", reason="")]) == (
        "Releases of Checkout\n====================\n\n"
        "2.3.0 · Production · 2026-11-21 12:00 UTC\n  By Rita Test\n"
        "  What changed for people:\n    - Switched on\n  Details:\n    - Tags: added “x”\n"
    )


def test_as_text__another_zone__is_told_in_utc() -> None:
    at = NOW.astimezone(timezone(timedelta(hours=9)))

    assert "2026-11-21 12:00 UTC" in as_text("x", [note(at=at)])


@pytest.mark.parametrize(
    ("hostile", "forbidden"),
    [
        ("<script>alert(1)</script>", "<script"),
        ("[click](javascript:alert(1))", "[click]("),
        ("![x](https://evil.test/x.png)", "![x]("),
        ("x\n\n# Heading", "\n# Heading"),
        ("x\r\n- item", "\n- item"),
        ("x\u2028# Heading", "\u2028"),
        ("https://evil.test", "https://"),
        ("`code`", " `code"),
        ("**bold** _it_", "**bold"),
        ("| a | b |", "| a | b"),
        ("\u202egnp.exe", "\u202e"),
        ("&lt;b&gt;", "&lt;b"),
        ("kim@evil.test", "kim@"),
        ("- nested", "- - nested"),
        ("1. nested", "- 1. nested"),
    ],
)
def test_as_markdown__hostile_words__stay_words(hostile: str, forbidden: str) -> None:
    written = as_markdown(
        hostile, [note(person=hostile, reason=hostile, environment=hostile, groups={PEOPLE: [hostile]})]
    )

    assert forbidden not in written.replace("&amp;lt;", "&amp;lt ;")
    # Title, headline, byline, a heading and a bullet: no line more.
    assert len([line for line in written.splitlines() if line]) == 5


def test_one_line__hidden_characters__stand_there_by_their_code_point() -> None:
    assert one_line(" a\u202e\tb\u200b ") == "aU+202E bU+200B"
