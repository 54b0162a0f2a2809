import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flags.scanning.matching import LONGEST_TEXT, matches
from flags.scanning.names import names_of

NAMES = names_of(
    ["new-checkout", "new-checkout-v2", "search", "new_basket", "pay.later", "ends-"], kinds=["camel", "screaming"]
)


def told(content, names=NAMES):
    """Key, alias, line and column of what is found."""
    return [(each.flag_key, each.alias, each.line, each.column) for each in matches(content, names)]


@pytest.mark.parametrize(
    "line",
    [
        b'is_on("new-checkout")',
        b"is_on('new-checkout')",
        b"flag: new-checkout",
        b"--new-checkout",
        b"-new-checkout=1",
        b"We removed new-checkout.",
        b"... new-checkout...",
        b"a/new-checkout/b",
        b'{\\"key\\": \\"new-checkout\\"}',
        b"<x-new checkout='new-checkout'/>",
        "für»new-checkout«".encode(),
        b"\xff\xfenew-checkout\xff",
        b"new-checkout",
    ],
)
def test_key__as_a_whole_token__is_found(line):
    assert [found[0] for found in told(line)] == ["new-checkout"]


@pytest.mark.parametrize(
    "line",
    [
        b"new-checkouts",
        b"brand-new-checkout",
        b"new-checkout-v3",
        b"new-checkout.title",
        b"shop.new-checkout",
        b"New-Checkout",
        b"new checkout",
        b"new-\ncheckout",
        b"search(term)",
        b"a search, too",
        b"ends-",
        b"xnewCheckout",
        b"newCheckout2",
        b"9NEW_CHECKOUT",
        b"",
    ],
)
def test_key__as_part_of_another_word__is_not_found(line):
    assert told(line) == []


@pytest.mark.parametrize(
    ("line", "key"),
    [
        (b'"search"', "search"),
        (b"'search'", "search"),
        (b"`search`", "search"),
        (rb"{\"search\": 1}", "search"),
        (b'["ends-"]', "ends-"),
        (b"pay.later", "pay.later"),
        (b"x new_basket;", "new_basket"),
    ],
)
def test_key__plain_ones_between_quotes__others_anywhere(line, key):
    assert [found[0] for found in told(line)] == [key]


def test_longer_key__that_begins_like_another__is_itself():
    assert told(b"new-checkout-v2") == [("new-checkout-v2", "", 1, 1)]


@pytest.mark.parametrize(
    ("line", "alias", "column"),
    [
        (b"flags.newCheckout", "newCheckout", 7),
        (b"Flags.NEW_CHECKOUT,", "NEW_CHECKOUT", 7),
        (b"(newCheckout)", "newCheckout", 2),
        (b"new-newCheckout", "newCheckout", 5),
    ],
)
def test_alias__as_an_identifier__is_found_with_its_spelling(line, alias, column):
    assert told(line) == [("new-checkout", alias, 1, column)]


def test_key_and_alias_in_one_line__count_once_at_the_first_place():
    assert told(b'newCheckout = on("new-checkout") or on("new-checkout")') == [("new-checkout", "newCheckout", 1, 1)]


def test_several_flags__lines_and_columns__count_from_one():
    content = b'a\r\n  "search" new-checkout\r\n\r\nnew-checkout\n'

    assert told(content) == [("search", "", 2, 4), ("new-checkout", "", 2, 12), ("new-checkout", "", 4, 1)]


def test_columns__behind_letters_of_several_bytes__count_letters():
    assert told("äöü 🎉 new-checkout".encode()) == [("new-checkout", "", 1, 7)]


def test_text__only_when_asked__without_what_no_page_shows():
    content = b"x\n\t if on('new-checkout'):\x1b[0m\x00\xff\r\n"

    assert matches(content, NAMES)[0].text == ""
    assert matches(content, NAMES, with_text=True)[0].text == "if on('new-checkout'): [0m �"


def test_text__of_a_very_long_line__is_the_part_around_the_key():
    content = b"x" * 9_000 + b" new-checkout " + b"y" * 9_000

    text = matches(content, NAMES, with_text=True)[0].text

    assert "new-checkout" in text
    assert len(text) <= LONGEST_TEXT


def test_one_line_full_of_keys__takes_no_more_than_its_length():
    keys = [f"team-feature-{number}" for number in range(5_000)]
    content = " ".join(keys * 10)[:1_000_000].encode()
    started = time.process_time()

    found = matches(content, names_of(keys))

    assert {each.line for each in found} == {1}
    assert len(found) == len(keys)
    assert time.process_time() - started < 5


@given(st.binary(max_size=300), st.lists(st.sampled_from([b"new-checkout", b"'search'", b"newCheckout", b"\n", b" "])))
def test_any_bytes__are_read__and_each_place_names_what_was_found(noise, parts):
    content = noise + b" ".join(parts)

    for found in matches(content, NAMES, with_text=True):
        line = content.split(b"\n")[found.line - 1].decode(errors="replace")
        assert line[found.column - 1 :].startswith(found.alias or found.flag_key)


KEYS = ["new-checkout", "checkout", "new", "a.b-c", "x_y", "pay.later", "ends-", "v2", "newBasket", "7", "1-2"]
KINDS = ["camel", "pascal", "screaming", "snake"]
BITS = [key.encode() for key in KEYS] + [
    b"newCheckout", b"NewCheckout", b"NEW_CHECKOUT", b"new_checkout", b"aBC", b"payLater", b"_", b".", b"-", b"--",
    b" ", b"\n", b'"', b"'", b"`", b"\\", "\u00e9".encode(), b"\xff", b"A", b"9",
]  # fmt: skip


@settings(max_examples=300)
@given(st.lists(st.sampled_from(BITS), max_size=12).map(b"".join), st.sampled_from([[], KINDS]))
def test_any_text__is_matched__as_looking_for_each_name_by_itself_does(content, kinds):
    found = {(each.flag_key, each.line) for each in matches(content, names_of(KEYS, kinds=kinds))}

    assert found == {
        (key, number) for number, line in enumerate(content.split(b"\n"), 1) for key in plainly_named(line, kinds)
    }


def plainly_named(line, kinds):
    """The keys that a line names: one expression for each of them, and no step left out."""
    names = names_of(KEYS, kinds=kinds)
    word = rb"A-Za-z0-9_"
    for key in KEYS:
        text = re.escape(key.encode())
        if key.encode() in names.quoted:
            pattern = rb"(?<=[\"'`])%b(?=\\?[\"'`])" % text
        else:
            pattern = rb"(?:^|[^%b.-])[.-]*%b(?![%b])(?![.-]+[%b])" % (word, text, word, word)
        spelt = [alias for alias, keys in names.aliases.items() if key in keys]
        patterns = [pattern, *(rb"(?<![%b])%b(?![%b])" % (word, alias, word) for alias in spelt)]
        if any(re.search(each, line) for each in patterns):
            yield key
