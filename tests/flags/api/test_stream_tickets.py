"""Stream tickets: who gets in, for how long, and what cannot be made up."""

import base64
import hashlib
import string
import uuid
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flags.api import stream_tickets
from flags.api.stream_tickets import BUCKET_SECONDS, bucket, event_streams, issue, position, read
from flags.snapshots import TokenFacts
from flags.streams.events import read_position

TOKEN, ENVIRONMENT = uuid.UUID(int=1), uuid.UUID(int=2)
START = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
FACTS = TokenFacts(TOKEN, "Shop", "client", "shop", ENVIRONMENT, "production", None)
SECOND = timedelta(seconds=1)


def tampered(ticket: str, place: int) -> str:
    """The ticket with one bit of one byte turned over."""
    raw = bytearray(base64.urlsafe_b64decode(ticket))
    raw[place] ^= 1
    return base64.urlsafe_b64encode(bytes(raw)).decode()


def test_ticket__names_token_and_environment():
    ticket = read(issue(TOKEN, ENVIRONMENT, now=START), now=START)

    assert ticket is not None
    assert (ticket.token_id, ticket.environment_id) == (TOKEN, ENVIRONMENT)


@given(st.integers(0, 10 * BUCKET_SECONDS))
def test_ticket__any_instant__lives_between_ten_and_twenty_minutes(seconds: int):
    now = START + timedelta(seconds=seconds)
    text = issue(TOKEN, ENVIRONMENT, now=now)
    ticket = read(text, now=now)

    assert ticket is not None
    assert timedelta(minutes=10) < ticket.expires_at - now <= timedelta(minutes=20)
    assert read(text, now=ticket.expires_at - SECOND) == ticket
    assert read(text, now=ticket.expires_at) is None


@given(st.integers(0, 5 * BUCKET_SECONDS), st.integers(0, 5 * BUCKET_SECONDS))
def test_ticket__same_bucket__is_the_same_text_and_no_other_is(first: int, second: int):
    at, later = START + timedelta(seconds=first), START + timedelta(seconds=second)

    same_text = issue(TOKEN, ENVIRONMENT, now=at) == issue(TOKEN, ENVIRONMENT, now=later)

    assert same_text == (bucket(at) == bucket(later))


@given(st.integers(0, 2 * BUCKET_SECONDS))
def test_ticket__until_the_bucket_that_tags_it_is_over__has_ten_minutes_left(seconds: int):
    """A 304 repeats the ticket of the answer before it; both are of one bucket."""
    text, issued_in = issue(TOKEN, ENVIRONMENT, now=START), bucket(START)
    now = START + timedelta(seconds=seconds)

    if bucket(now) == issued_in:
        assert read(text, now=now + timedelta(minutes=10) - SECOND) is not None


@pytest.mark.parametrize("place", range(72))
def test_read__any_byte_altered__is_refused(place: int):
    assert read(tampered(issue(TOKEN, ENVIRONMENT, now=START), place), now=START) is None


def test_read__ticket_of_another_installation__is_refused(settings):
    ticket = issue(TOKEN, ENVIRONMENT, now=START)
    settings.SECRET_KEY = "another-" + settings.SECRET_KEY

    assert read(ticket, now=START) is None


def test_issue__other_token_or_environment__is_another_ticket():
    tickets = {issue(token, env, now=START) for token in (TOKEN, ENVIRONMENT) for env in (TOKEN, ENVIRONMENT)}

    assert len(tickets) == 4


@pytest.mark.parametrize(
    "text",
    ["", "x", "A" * 96, "A" * 95 + "=", "A" * 97, "A" * 100_000, "ä" * 96, "-_" * 48, "\x00" * 96, " " * 96, "+/" * 48],
    ids=["empty", "short", "zeros", "padded", "long", "huge", "umlauts", "alphabet", "nul", "blank", "other-alphabet"],
)
def test_read__hostile_text__is_none(text: str):
    assert read(text, now=START) is None


@given(st.text(max_size=200))
def test_read__any_text__is_none(text: str):
    assert read(text, now=START) is None


def test_ticket__is_safe_in_a_url():
    allowed = set(string.ascii_letters + string.digits + "-_")

    for number in range(50):
        assert set(issue(uuid.UUID(int=number), ENVIRONMENT, now=START)) <= allowed


def test_event_streams__without_a_stream_process__are_none(settings):
    settings.STREAM_URL = ""

    assert event_streams(FACTS, now=START) == []


def test_event_streams__name_one_address_with_a_ticket(settings):
    settings.STREAM_URL = "https://stream.example.org"

    streams = event_streams(FACTS, now=START, since="7")

    ticket = issue(TOKEN, ENVIRONMENT, now=START)
    url = f"https://stream.example.org{stream_tickets.STREAM_PATH}?ticket={ticket}&since=7"
    assert streams == [{"type": "sse", "url": url, "inactivityDelaySec": 120}]
    assert f"{stream_tickets.STREAM_PATH}?ticket={ticket}" in event_streams(FACTS, now=START)[0]["url"]


FORCED = {"hidden-flag": "off", "checkout": "on"}


def at(revision: int, forced: dict[str, str], environment: str = "shop") -> Any:
    """What a position is read from."""
    return SimpleNamespace(revision=revision, forced=forced, snapshot=SimpleNamespace(environment_id=environment))


def test_position__nothing_forced__is_the_revision():
    assert position(at(7, {})) == "7"


def test_position__differs_by_environment_revision_and_what_is_forced():
    places = [at(7, {}), at(7, FORCED), at(7, {**FORCED, "checkout": "off"}), at(7, {"checkout": "on"}), at(8, FORCED)]
    places.append(at(7, FORCED, "another"))
    positions = [position(place) for place in places]

    assert len({text.partition("-")[2] for text in positions}) == 6
    assert [text.partition("-")[0] for text in positions] == ["7", "7", "7", "7", "8", "7"]
    assert [read_position(text) for text in positions] == positions


def test_position__same_state_in_another_process__is_the_same():
    assert position(at(7, FORCED)) == position(at(7, dict(reversed(FORCED.items()))))


def test_position__guess_at_what_is_forced__cannot_be_tried_out(settings):
    """Client tokens see positions, and must not learn which of the flags hidden from them are forced."""
    seen = position(at(7, FORCED)).partition("-")[2]
    guesses = [repr(sorted(FORCED.items())), repr(("shop", 7, sorted(FORCED.items())))]
    settings.SECRET_KEY = "another-" + settings.SECRET_KEY

    assert seen not in {hashlib.sha256(guess.encode()).hexdigest()[:12] for guess in guesses}
    assert seen != position(at(7, FORCED)).partition("-")[2]
