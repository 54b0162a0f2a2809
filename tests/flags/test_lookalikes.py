"""Letters that pass for Latin ones, against words of other languages that are what they seem."""

import pytest

from flags.lookalikes import lookalike_words, lookalikes
from flags.showing import suspicions, visible

# Written as code points, so that this file deceives nobody.
A, O, E, R, S = "\u0430", "\u043e", "\u0435", "\u0440", "\u0441"  # noqa: E741
RUSSIAN = (
    "\u041f\u043e\u0447\u0435\u043c\u0443 \u0434\u0432\u0430\u0434\u0446\u0430\u0442\u044c \u043f\u044f\u0442\u044c?"
)
GREEK = "\u039a\u03b1\u03bb\u03b7\u03bc\u03ad\u03c1\u03b1 \u03c3\u03b5 \u03cc\u03bb\u03bf\u03c5\u03c2"

DECEIVING = [
    (f"p{A}yments", {1}),
    (f"pro-pl{A}n", {6}),
    (f"g{O}ld", {1}),
    (f"{S}{O}{R}{E}", {0, 1, 2, 3}),
    ("\uff21dmin", {0}),
    ("\U0001d5d4dmin", {0}),
    ("\u13aadmin", {0}),
    ("\u03bfnline", {0}),
    ("s\u0585s", {1}),
    (f"{RUSSIAN} pl{A}n", {len(RUSSIAN) + 3}),
]
HONEST = [
    "payments",
    "",
    "caf\u00e9 na\u00efve",
    RUSSIAN,
    GREEK,
    f"{RUSSIAN} plan",
    "\u6771\u4eac",
    "\u00a325 \u2192 50 %",
    "µs",
]


@pytest.mark.parametrize(("text", "places"), DECEIVING)
def test_lookalikes__letter_of_another_script_beside_latin_ones__is_found(text: str, places: set[int]) -> None:
    assert lookalikes(text) == places


@pytest.mark.parametrize("text", HONEST)
def test_lookalikes__what_it_seems__is_left_alone(text: str) -> None:
    assert lookalikes(text) == frozenset()
    assert lookalike_words(text) == []
    assert suspicions(text) == []


@pytest.mark.parametrize(("text", "places"), DECEIVING)
def test_visible__letter_that_passes_for_another__is_marked_with_its_name(text: str, places: set[int]) -> None:
    shown = str(visible(text))

    assert shown.count('<span class="fe-lookalike"') == len(places)
    assert "title=" in shown


def test_visible__lookalike_hidden_character_and_markup_together__all_are_dealt_with() -> None:
    shown = str(visible(f"<b>p{A}y\u202e</b>"))

    assert "&lt;b&gt;p" in shown
    assert 'title="cyrillic small letter a"' in shown
    assert "U+202E" in shown
    assert "\u202e" not in shown
    assert "<b>" not in shown


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("plan is “gold ”", 1),
        ("plan is “ gold”", 1),
        ("plan is “  ”", 2),
        ("plan is “very  gold”", 2),
        ("One.  Two", 0),
        ("One\n   two", 0),
        ("plan is “gold” or “silver”", 0),
        ("  indented", 0),
    ],
)
def test_visible__blanks_nobody_sees__are_drawn(text: str, marked: int) -> None:
    assert str(visible(text)).count("␣") == marked


def test_suspicions__name_what_and_where_once() -> None:
    found = suspicions(f"p{A}yments", f"p{A}yments again", "a\u200bb\u202ec", "5\u00a0%")

    assert found == [
        "It holds characters that draw nothing or turn others around: U+200B, U+202E.",
        f"Letters that only look Latin stand in “p{A}yments”.",
    ]
