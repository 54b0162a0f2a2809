"""Entity tags of bulk answers: never 304 for another answer, and no evaluation where the question is the same."""

import json
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flags.api import entity_tags, metrics
from flags.api.compression import MIN_BYTES
from flags.api.entity_tags import is_long, question, tag_for_question, tag_of, takes_any
from flags.api.ofrep import handle
from flags.api.wire import WireRequest, WireResponse
from flags.evaluation import CompiledSnapshot, FlagSource, Generation, Snapshot, compile_snapshot
from flags.snapshots import Kill, SnapshotStore
from flags.snapshots.kill_list import KillList
from tests.factories import NOW
from tests.flags.api.plane import BODY, DOCUMENTS, HALVES, SECRET, FakeSource, document, fake_store, rule, wire
from tests.flags.strategies import TARGETING_KEYS, forced_variants, moments, snapshots, texts

CLIENT = "fsc_" + "c" * 43
LONG_AGO = datetime(2025, 1, 1, tzinfo=UTC)
ASKED = "b" * 32


def ask(store: SnapshotStore, request: WireRequest, *, now: datetime = NOW) -> WireResponse:
    return handle(request, store=store, now=now)


# Any environment, anybody, any moment, any process


def store_of(snapshot: Snapshot, forced: Mapping[str, str], *, is_stale: bool) -> SnapshotStore:
    """A process that serves this."""
    source, environment_id = FakeSource(), uuid.uuid4()
    source.snapshots[environment_id] = snapshot
    source.add_token(environment_id)
    source.add_token(environment_id, CLIENT, scope="client")
    store = SnapshotStore(source, clock=lambda: LONG_AGO)
    store.refresh()
    kills = [Kill("shop", "production", key, variant, LONG_AGO) for key, variant in forced.items()]
    store.force(KillList(tuple(kills)))
    if is_stale:
        source.fails = ConnectionError("gone")
        store.try_refresh()
    return store


@st.composite
def processes(draw: st.DrawFn) -> list[SnapshotStore]:
    """Three of one environment: with another kill list, with another content of the same revision, or stale."""
    first = draw(snapshots())
    others = [first, first, draw(snapshots())]
    return [store_of(each, draw(forced_variants(each)), is_stale=draw(st.booleans())) for each in others]


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """A request about somebody."""
    keys, plans = st.sampled_from(TARGETING_KEYS), texts()
    context = draw(st.fixed_dictionaries({}, optional={"targetingKey": keys, "plan": plans, "age": st.integers(0, 99)}))
    return json.dumps({"context": context}).encode()


def without_age(body: bytes) -> bytes:
    return re.sub(rb',"staleSeconds":\d+', b"", body)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_tag__any_two_questions__is_known_only_where_the_answers_are_equal(data: st.DataObject):
    stores, bodies_ = data.draw(processes()), data.draw(st.lists(bodies(), min_size=1, max_size=3))
    asked = st.tuples(st.sampled_from(stores), st.sampled_from([SECRET, CLIENT]), moments(), st.sampled_from(bodies_))
    answers: list[tuple[str, bytes]] = []

    for store, secret, now, body in data.draw(st.lists(asked, min_size=2, max_size=6)):
        fresh = ask(store, wire(None, body, secret=secret), now=now)
        answers.append((fresh.headers["ETag"], without_age(fresh.body)))
        for etag, seen in answers:
            again = ask(store, wire(None, body, secret=secret, if_none_match=etag), now=now)
            assert again.headers["ETag"] == fresh.headers["ETag"]
            assert again.status == (304 if etag == fresh.headers["ETag"] else 200)
            assert again.status == 200 or seen == without_age(fresh.body)


# The same question


@pytest.fixture
def evaluated(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How often all flags were evaluated."""
    numbers, decide = count(), CompiledSnapshot.decide
    made: list[int] = []

    def counted(self: CompiledSnapshot, *args: Any, **more: Any) -> Any:
        made.append(next(numbers))
        return decide(self, *args, **more)

    monkeypatch.setattr(CompiledSnapshot, "decide", counted)
    return lambda: len(made)


def test_same_question__with_its_tag__is_evaluated_once(evaluated: Callable[[], int]):
    store, _ = fake_store()
    first = ask(store, wire())
    metrics.meters.reset()

    for form in ("{}", "W/{}", '"other", {}'):
        assert ask(store, wire(if_none_match=form.format(first.headers["ETag"]))).status == 304

    assert evaluated() == 1
    assert metrics.meters.evaluations() == {}
    assert metrics.meters.requests() == {("bulk", 304): 3}


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"secret": "fse_unknown"}, 401),
        ({"content_type": "text/plain"}, 415),
        ({"content_encoding": "gzip"}, 415),
        ({"body": BODY + b" " * 300_000}, 413),
        ({"body": b"["}, 400),
        ({"method": "GET"}, 405),
    ],
)
def test_same_tag__request_that_is_refused__is_refused_all_the_same(change: dict[str, Any], status: int):
    store, _ = fake_store()
    etag = ask(store, wire()).headers["ETag"]

    assert ask(store, wire(if_none_match=etag, **change)).status == status


def test_same_answer__to_another_question__is_sent_again(evaluated: Callable[[], int]):
    store, _ = fake_store()
    etag = ask(store, wire()).headers["ETag"]
    other = BODY.replace(b"}}", b',"age":5}}')

    again = ask(store, wire(None, other, if_none_match=etag))

    assert (again.status, evaluated()) == (200, 2)
    assert again.headers["ETag"] == ask(store, wire(None, other)).headers["ETag"] != etag


@pytest.mark.parametrize("flags", [3, 60])
@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_same_question__in_any_form__has_the_headers_of_an_answer_that_was_compared(flags: int, encoding: str):
    store, _ = fake_store({f"flag-{n}": DOCUMENTS["a-boolean"] for n in range(flags)})
    etag = ask(store, wire()).headers["ETag"]

    for form in ("{}", "W/{}"):
        known = ask(store, wire(if_none_match=form.format(etag), accept_encoding=encoding))
        assert known == ask(store, wire(if_none_match="*", accept_encoding=encoding))


# What a question is made of

STARTS = datetime(2026, 6, 1, tzinfo=UTC)
WINDOWED = rule({"variant": "off"}) | {"starts_at": "2026-06-01T00:00:00Z", "ends_at": "2026-07-01T00:00:00Z"}
TAKEN = Snapshot(
    "shop",
    "id",
    "production",
    7,
    Generation.FLAGD_V2,
    {
        "windowed": FlagSource("boolean", document("windowed", rules=[WINDOWED]), 1),
        "split": FlagSource("boolean", document("split", rules=[rule(HALVES)]), 1),
        "unreadable": FlagSource("boolean", {"rules": [5, {"starts_at": "soon"}]}, 1),
    },
    {"staff": {"schema": 1, "condition": {"and": []}}},
)
COMPILED = compile_snapshot(TAKEN)


def test_tag__windows_and_kill_lists__is_never_known_for_another_answer():
    stores = [store_of(TAKEN, forced, is_stale=False) for forced in ({}, {"split": "on"}, {"split": "off"})]
    moments_ = [STARTS + timedelta(days=days, microseconds=more) for days in (0, 30) for more in (-1, 0)]
    answers = [(store, now, ask(store, wire(), now=now)) for store in stores for now in moments_]

    for store, now, fresh in answers:
        for _, _, other in answers:
            again = ask(store, wire(if_none_match=other.headers["ETag"]), now=now)
            assert again.status == (304 if other.headers["ETag"] == fresh.headers["ETag"] else 200)
            assert again.status == 200 or other.body == fresh.body
    assert len({fresh.headers["ETag"] for _, _, fresh in answers}) == 9
    assert len({fresh.body for _, _, fresh in answers}) == 6


def asked(snapshot: Snapshot | CompiledSnapshot = COMPILED, **facts: Any) -> str:
    compiled = snapshot if isinstance(snapshot, CompiledSnapshot) else compile_snapshot(snapshot)
    given: dict[str, Any] = {"body": BODY, "now": STARTS, "is_client": False, "is_stale": False, "streams": b""}
    given |= facts
    return question(compiled, given.pop("body"), **given)


def other_questions() -> Iterator[tuple[str, Callable[[], str]]]:
    flags = dict(TAKEN.flags)
    yield "before the window", lambda: asked(now=STARTS - timedelta(microseconds=1))
    yield "behind the window", lambda: asked(now=STARTS + timedelta(days=30))
    yield "context", lambda: asked(body=BODY + b" ")
    yield "client", lambda: asked(is_client=True)
    yield "stale", lambda: asked(is_stale=True)
    yield "streams", lambda: asked(streams=b"[]")
    yield "revision", lambda: asked(replace(TAKEN, revision=8))
    yield "strict", lambda: asked(replace(TAKEN, requires_targeting_key=True))
    yield "generation", lambda: asked(replace(TAKEN, generation=Generation.FLAGD_V3))
    yield "segments", lambda: asked(replace(TAKEN, segments={}))
    yield "fewer flags", lambda: asked(replace(TAKEN, flags={"split": flags["split"]}))
    yield "version", lambda: asked(replace(TAKEN, flags=flags | {"split": replace(flags["split"], version=2)}))
    yield "forced", lambda: asked(COMPILED.with_forced({"split": "on"}))
    yield "otherwise forced", lambda: asked(COMPILED.with_forced({"split": "off"}))


def test_question__same_facts__is_the_same_in_another_process():
    assert asked() == asked(compile_snapshot(TAKEN)) == asked(now=STARTS + timedelta(days=29))


def test_question__any_other_fact__is_another():
    questions = {"itself": asked()} | {name: ask_other() for name, ask_other in other_questions()}

    assert len(set(questions.values())) == len(questions)


def test_question__other_key_or_other_code__is_another(settings: Any, monkeypatch: pytest.MonkeyPatch):
    before = asked()

    settings.SECRET_KEY = "k" * 60
    assert asked(compile_snapshot(TAKEN)) != before

    settings.SECRET_KEY = "l" * 60
    same = asked(compile_snapshot(TAKEN))
    monkeypatch.setattr(entity_tags, "_code", lambda: b"another version")
    assert asked(compile_snapshot(TAKEN)) != same


# Reading and writing tags


def test_tag_of__length__is_told_from_the_tag():
    tags = [tag_of(ASKED, size=size) for size in (0, MIN_BYTES - 1, MIN_BYTES)]

    assert [is_long(tag) for tag in tags] == [False, False, True]


SHORT, LONG = f'"{ASKED}-"', f'"{ASKED}."'


@pytest.mark.parametrize(
    ("if_none_match", "expected"),
    [
        (SHORT, SHORT),
        (LONG, LONG),
        (f"W/{SHORT}", SHORT),
        (f'"x", W/{LONG}', LONG),
        (f'"{"c" * 32}-",{SHORT}', SHORT),
        ("*", None),
        ("", None),
        (ASKED, None),
        (f"{ASKED}-", None),
        (f'"{ASKED}"', None),
        (f'"{ASKED}\r\n-"', None),
        (f'"{ASKED.upper()}-"', None),
        ('"' * 9_999 + ASKED, None),
    ],
)
def test_tag_for_question__table(if_none_match: str, expected: str | None):
    assert tag_for_question(if_none_match, ASKED) == expected


@pytest.mark.parametrize(
    ("if_none_match", "expected"), [("*", True), (" * ", True), ('"*"', False), (SHORT, False), ("", False)]
)
def test_takes_any__table(if_none_match: str, expected: bool):
    assert takes_any(if_none_match) is expected
