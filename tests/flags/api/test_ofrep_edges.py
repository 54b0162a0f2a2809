"""The evaluation API beyond plain answers: client tokens, stale answers, streams, compression, listeners."""

import gzip
import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from flags.api import metrics, stream_tickets, tracing
from flags.api.compression import MIN_BYTES, takes_gzip
from flags.api.ofrep import handle
from flags.api.wire import WireRequest, WireResponse, to_json
from flags.snapshots import SnapshotStore
from tests.factories import NOW
from tests.flags.api.hostile import MARKER
from tests.flags.api.plane import BODY, BULK, DOCUMENTS, SECRET, FakeSource, decoded, document, wire

CLIENT = "fsc_client"
VISIBLE = {"a-boolean", "targeted", "disabled"}
MANY = {f"flag-{number:02}": ("boolean", document(f"flag-{number:02}")) for number in range(40)}


@pytest.fixture
def source() -> FakeSource:
    source = FakeSource()
    shop = {key: (kind, {**made, "client_visible": key in VISIBLE}) for key, (kind, made) in DOCUMENTS.items()}
    environment_id = source.add_environment(shop)
    source.add_token(environment_id)
    source.add_token(environment_id, CLIENT, scope="client")
    source.add_token(source.add_environment(MANY), "fse_many")
    return source


@pytest.fixture
def store(source: FakeSource) -> SnapshotStore:
    return SnapshotStore(source, clock=lambda: NOW)


def ask(store: SnapshotStore, request: WireRequest, *, now: datetime = NOW) -> WireResponse:
    return handle(request, store=store, now=now)


# Client tokens


def test_client_token__bulk__lists_visible_flags_only(store: SnapshotStore):
    everything, visible = ask(store, wire()), ask(store, wire(secret=CLIENT))

    assert {flag["key"] for flag in decoded(visible)["flags"]} == VISIBLE
    assert decoded(visible)["flags"] == [flag for flag in decoded(everything)["flags"] if flag["key"] in VISIBLE]
    assert visible.headers["ETag"] != everything.headers["ETag"]


@pytest.mark.parametrize("key", sorted(DOCUMENTS))
def test_client_token__hidden_flag__is_what_an_unknown_one_is(key: str, store: SnapshotStore):
    unknown = "x" * len(key)

    response, reference = ask(store, wire(key, secret=CLIENT)), ask(store, wire(unknown, secret=CLIENT))

    if key in VISIBLE:
        assert response == ask(store, wire(key))
    else:
        assert response == reference._replace(body=reference.body.replace(unknown.encode(), key.encode()))


@pytest.mark.parametrize("scope", ["audit", "flagd", "manage", "", "Evaluate"])
def test_token__of_a_scope_that_does_not_evaluate__is_forbidden(scope: str, source: FakeSource, store: SnapshotStore):
    source.add_token(next(iter(source.snapshots)), "other", scope=scope)

    assert ask(store, wire(secret="other")).status == 403


# Stale answers


@pytest.fixture
def stale(source: FakeSource, store: SnapshotStore) -> SnapshotStore:
    """A store that lost its source at NOW."""
    ask(store, wire())
    source.fails = ConnectionError("gone")
    store.try_refresh()
    return store


LATER = NOW + timedelta(seconds=75, milliseconds=999)


@pytest.mark.parametrize("key", sorted(DOCUMENTS))
def test_stale__success__says_so_and_keeps_everything_else(key: str, stale: SnapshotStore):
    fresh, old = decoded(ask(stale, wire(key))), decoded(ask(stale, wire(key), now=LATER))

    metadata = {**fresh["metadata"], "reason": fresh["reason"], "staleSeconds": 75}
    assert old == {**fresh, "reason": "STALE", "metadata": metadata}
    assert old in decoded(ask(stale, wire(), now=LATER))["flags"]


def test_stale__failure__is_the_failure(stale: SnapshotStore):
    assert ask(stale, wire("unknown"), now=LATER) == ask(stale, wire("unknown"))


def test_stale__age__moves_the_answer_but_not_its_tag(stale: SnapshotStore):
    fresh = ask(stale, wire())
    old, older = (ask(stale, wire(), now=LATER + timedelta(seconds=seconds)) for seconds in (0, 100))

    assert decoded(old)["metadata"]["staleSeconds"] == 75
    assert decoded(older)["metadata"]["staleSeconds"] == 175
    assert old.headers["ETag"] == older.headers["ETag"] != fresh.headers["ETag"]
    assert ask(stale, wire(if_none_match=old.headers["ETag"]), now=LATER + timedelta(hours=1)).status == 304


def test_stale__source_that_comes_back__is_fresh_again(source: FakeSource, stale: SnapshotStore):
    fresh = ask(stale, wire())
    assert ask(stale, wire(), now=LATER) != fresh

    source.fails = None
    stale.refresh()

    assert ask(stale, wire(), now=LATER) == fresh


def test_stale__answers__are_rendered_once_a_second(stale: SnapshotStore):
    ask(stale, wire(), now=LATER)
    rendered = metrics.meters.rendered_answers

    for milliseconds in range(0, 900, 100):
        ask(stale, wire(), now=LATER + timedelta(milliseconds=milliseconds - 900))

    assert metrics.meters.rendered_answers == rendered


# Streams


def test_streams__off__are_not_named(store: SnapshotStore):
    assert "eventStreams" not in decoded(ask(store, wire()))


def test_streams__on__are_named_and_lapse_with_the_tag(store: SnapshotStore, settings: Any):
    without = ask(store, wire())
    settings.STREAM_URL = "https://stream.example.org"

    first = ask(store, wire())
    etag = first.headers["ETag"]

    [stream] = decoded(first)["eventStreams"]
    assert (stream["type"], stream["url"].partition("?")[0]) == ("sse", "https://stream.example.org/api/v1/stream")
    assert decoded(first)["flags"] == decoded(without)["flags"]
    assert etag != without.headers["ETag"]
    for seconds in range(0, 4 * stream_tickets.BUCKET_SECONDS, 37):
        now = NOW + timedelta(seconds=seconds)
        is_same = stream_tickets.bucket(now) == stream_tickets.bucket(NOW)
        assert ask(store, wire(if_none_match=etag), now=now).status == (304 if is_same else 200)
    assert "eventStreams" not in decoded(ask(store, wire("a-boolean")))


def test_refetch__query_of_a_change_notice__changes_nothing(store: SnapshotStore):
    plain = ask(store, wire())

    for query in ("flagConfigEtag=%22abc%22", "flagConfigLastModified=1780000000&flagConfigEtag=x", "&&=%zz"):
        assert ask(store, wire()._replace(query=query)) == plain


# Compression


@pytest.mark.parametrize(
    ("accept_encoding", "expected"),
    [
        ("gzip", True),
        ("GZIP", True),
        ("x-gzip", True),
        ("deflate, gzip;q=0.5, br", True),
        ("gzip ; q=1.000", True),
        ("gzip;q=0.001", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("identity", False),
        ("*", False),
        ("gzipped", False),
        ("", False),
        ("," * 150, False),
        ("gzip," + "x" * 10_000, False),
    ],
)
def test_takes_gzip__table(accept_encoding: str, expected: bool):
    assert takes_gzip(accept_encoding) is expected


def test_gzip__small_answer__stays_as_it_is(store: SnapshotStore):
    response = ask(store, wire(accept_encoding="gzip"))

    assert len(response.body) < MIN_BYTES
    assert "Content-Encoding" not in response.headers
    assert response.headers["ETag"].startswith('"')


def test_gzip__large_answer__is_the_same_answer(store: SnapshotStore):
    plain, packed = ask(store, wire(secret="fse_many")), ask(store, wire(secret="fse_many", accept_encoding="gzip"))

    assert gzip.decompress(packed.body) == plain.body
    assert packed.headers["Content-Length"] == str(len(packed.body))
    assert packed.headers["ETag"] == f"W/{plain.headers['ETag']}"


def test_gzip__stale_answer__has_its_own_age(source: FakeSource, store: SnapshotStore):
    ask(store, wire())
    source.fails = ConnectionError("gone")
    store.try_refresh()

    for seconds in (20, 21, 300):
        now = NOW + timedelta(seconds=seconds)
        packed = ask(store, wire(secret="fse_many", accept_encoding="gzip"), now=now)
        assert json.loads(gzip.decompress(packed.body))["metadata"]["staleSeconds"] == seconds


# Strict mode


def test_strict_mode__split_without_a_targeting_key__is_a_failure_that_says_what_to_send(source: FakeSource):
    environment_id = next(iter(source.snapshots))
    source.snapshots[environment_id] = replace(source.snapshots[environment_id], requires_targeting_key=True)
    store, nobody = SnapshotStore(source), b'{"context":{}}'

    single, bulk = ask(store, wire("split", nobody)), ask(store, wire(None, nobody))

    assert (single.status, decoded(single)["errorCode"]) == (400, "TARGETING_KEY_MISSING")
    assert "targetingKey" in decoded(single)["errorDetails"]
    assert bulk.status == 200
    assert decoded(single) in decoded(bulk)["flags"]
    assert ask(store, wire("a-boolean", nobody)).status == 200
    assert ask(store, wire("split", BODY)).status == 200


# Who counts and who listens


def test_metrics__requests__are_counted_by_kind_and_status(store: SnapshotStore):
    metrics.meters.reset()

    for request in (
        wire(),
        wire(if_none_match="*"),
        wire("split"),
        wire("unknown"),
        wire("split", b"["),
        wire(secret=""),
    ):
        ask(store, request)
    ask(store, WireRequest("POST", "/elsewhere", {}, "", b""))

    assert dict(metrics.meters.requests()) == {
        ("bulk", 200): 1,
        ("bulk", 304): 1,
        ("bulk", 401): 1,
        ("single", 200): 1,
        ("single", 404): 1,
        ("single", 400): 1,
        ("other", 404): 1,
    }
    assert sum(metrics.meters.evaluations().values()) == 2 * len(DOCUMENTS) + 2


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[tracing.Evaluation]:
    """What a listener is told."""
    heard: list[tracing.Evaluation] = []
    monkeypatch.setattr(tracing, "hook", heard.append)
    return heard


def test_listener__is_told_of_every_request(store: SnapshotStore, heard: list[tracing.Evaluation]):
    known = wire(if_none_match=ask(store, wire()).headers["ETag"])
    heard.clear()

    for request in (wire("split"), wire(), known, wire(secret="")):
        ask(store, request)

    assert [(each.flag_key, each.status, len(each.resolutions)) for each in heard] == [
        ("split", 200, 1),
        (None, 200, len(DOCUMENTS)),
        (None, 304, 0),
        (None, 401, 0),
    ]


def test_listener__that_fails__changes_no_answer(store: SnapshotStore, monkeypatch: pytest.MonkeyPatch):
    request = wire(None, b'{"context":{"targetingKey":"user-1","s":"' + MARKER.encode() + b'"}}')
    plain = ask(store, request)

    def fail(evaluation: tracing.Evaluation) -> None:
        raise RuntimeError(f"cannot send {evaluation}")

    monkeypatch.setattr(tracing, "hook", fail)
    with capture_logs() as logs:
        assert ask(store, request) == plain
    assert [entry["event"] for entry in logs] == ["tracing_failed"]
    assert MARKER not in str(logs)


# Answers as bytes


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1.0, b"1.0"),
        (-0.0, b"-0.0"),
        (1e22, b"1e22"),
        (0.1, b"0.1"),
        (2**53 - 1, b"9007199254740991"),
        (2**70, b"1180591620717411303424"),
        ("grün 😀", '"grün 😀"'.encode()),
        ("\ud800", b'"\\ud800"'),
        ({"a": [None, True]}, b'{"a":[null,true]}'),
        ({"b": ["\udfff", 2**64]}, b'{"b":["\\udfff",18446744073709551616]}'),
    ],
)
def test_to_json__value__is_written_so_that_it_reads_the_same(value: Any, expected: bytes):
    assert to_json(value) in {expected, expected.replace(b"1e22", b"1e+22")}
    assert json.loads(to_json(value)) == value


def test_paths__of_both_kinds__stay_what_sdks_call(store: SnapshotStore):
    given = {"x-api-key": SECRET, "content-type": "application/json"}

    assert BULK == "/ofrep/v1/evaluate/flags"
    assert ask(store, WireRequest("POST", "/ofrep/v1/evaluate/flags/a-boolean", given, "", BODY)).status == 200
