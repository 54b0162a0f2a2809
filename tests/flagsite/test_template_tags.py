"""Instants, people and links as pages show them."""

from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.template import Context, Template

from flagsite.templatetags.flagsite import person, state_chip, time_words, unbroken, web_link
from tests.factories import NOW

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.mark.parametrize(
    ("away", "words"),
    [
        (timedelta(0), "just now"),
        (timedelta(seconds=-44), "just now"),
        (timedelta(seconds=44), "in a moment"),
        (4 * MINUTE, "in 4 min"),
        (-1 * MINUTE, "1 min ago"),
        (-1 * HOUR, "1 hour ago"),
        (5 * HOUR, "in 5 hours"),
        (-2 * DAY, "2 days ago"),
        (13 * DAY, "in 13 days"),
        (-21 * DAY, "3 weeks ago"),
        (-90 * DAY, "3 months ago"),
        (-800 * DAY, "2 years ago"),
        (20000 * DAY, "in 55 years"),
    ],
)
def test_time_words__distance__is_said_in_one_unit(away: timedelta, words: str) -> None:
    assert time_words(NOW + away, NOW) == words


def test_relative_time__instant__carries_the_exact_one() -> None:
    text = Template("{% load flagsite %}{% relative_time instant %}").render(Context({"instant": NOW, "now": NOW}))

    assert text == ('<time datetime="2026-03-02T09:00:00+00:00" title="2 Mar 2026, 09:00 UTC">just now</time>')


def test_relative_time__none__is_never() -> None:
    assert Template("{% load flagsite %}{% relative_time instant %}").render(Context({"instant": None})) == "never"


@pytest.mark.parametrize(
    ("address", "is_followed"),
    [
        ("https://example.test/a?b=c", True),
        ("http://example.test", True),
        ("javascript:alert(1)", False),
        ("  JaVaScRiPt:alert(1)", False),
        ("data:text/html,x", False),
        ("//example.test", False),
        ("", False),
    ],
)
def test_web_link__only_web_addresses__are_followed(address: str, is_followed: bool) -> None:
    assert bool(web_link(address)) is is_followed


def test_environment_chip__production__says_so_in_words() -> None:
    environment = SimpleNamespace(
        name="EU <live>", kind="production", is_protected=True, get_kind_display="Production", pk=1
    )
    text = Template("{% load flagsite %}{% environment_chip environment %}").render(
        Context({"environment": environment})
    )

    assert "PRODUCTION" in text
    assert "EU &lt;live&gt;" in text


def test_state_chip__nothing_set_up__says_so() -> None:
    assert state_chip(None)["headline"] == "Not set up"


@pytest.mark.parametrize(("name", "initials"), [("Mira Novak", "MN"), ("mira", "M"), ("", ""), ("A B C", "AC")])
def test_person__name__has_initials(name: str, initials: str) -> None:
    assert person(name)["initials"] == initials


def test_unbroken__numbers__keep_their_percent_sign() -> None:
    assert unbroken("5 % -> 25 %") == "5\u00a0% -> 25\u00a0%"
