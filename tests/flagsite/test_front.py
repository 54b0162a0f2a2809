"""Two doors, one answer: what the WSGI front sends is, byte for byte, what the Django view behind it sends."""

import gzip
import io
import json
import logging
import uuid
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, cast

import pytest
import time_machine
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_started
from django.db import close_old_connections
from structlog.testing import capture_logs

from flags import snapshots
from flags.api import edge, metrics
from flags.evaluation.compile import CompiledSnapshot
from flags.snapshots import SnapshotStore
from flags.snapshots.building import DatabaseSource
from flagsite.charsets import only_readable_content_types
from flagsite.front import EvaluationFront
from tests.factories import NOW
from tests.flags.api.hostile import MARKER
from tests.flags.api.plane import BULK, DOCUMENTS, FakeSource, document
from tests.flags.api.requests import AUDIT, BIG, CLIENT, EXPIRED, Wsgi, call, corpus, environ, mixtures

ENDING, LINK = "fse_" + "d" * 43, "https://example.org/ends"
MANY = {f"flag-{number}": ("boolean", document(f"flag-{number}")) for number in range(60)}


class Doors:
    """A front with its Django behind it, both made under the settings of the moment."""

    def __init__(self) -> None:
        edge.reset()
        self.django: Wsgi = only_readable_content_types(cast(Any, WSGIHandler()))
        self.front: Wsgi = EvaluationFront(self.django)

    def both(self, given: dict[str, Any]) -> tuple[Any, Any]:
        """The answers of both doors, and that Django's needed no help of the front."""
        return call(self.front, given), call(self.django, given)

    def assert_alike(self, given: dict[str, Any]) -> tuple[str, list[tuple[str, str]], bytes]:
        """Both answers, which are one."""
        front: tuple[str, list[tuple[str, str]], bytes] = call(self.front, given)
        assert front == call(self.django, given)
        return front


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> FakeSource:
    """A store in memory with a token of each kind, in the place of the process's own."""
    source = FakeSource()
    shop = {key: (kind, {**made, "client_visible": key != "split"}) for key, (kind, made) in DOCUMENTS.items()}
    environment_id = source.add_environment(shop)
    source.add_token(environment_id)
    source.add_token(environment_id, CLIENT, scope="client")
    source.add_token(environment_id, AUDIT, scope="audit")
    source.add_token(environment_id, EXPIRED, expires_at=NOW - timedelta(seconds=1))
    source.add_token(source.add_environment(MANY), BIG)
    monkeypatch.setattr(snapshots, "store", SnapshotStore(source, clock=lambda: NOW))
    return source


@pytest.fixture(autouse=True)
def _one_instant(source: FakeSource, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Time stands still and ids repeat, so that whatever differs is a difference of the doors."""
    fixed = uuid.UUID("00000000-0000-4000-8000-000000000001")
    monkeypatch.setattr(uuid, "uuid4", lambda: fixed)
    # As Django's own test client does: the connection belongs to the test.
    monkeypatch.setattr("flagsite.front.close_old_connections", lambda: None)
    request_started.disconnect(close_old_connections)
    with time_machine.travel(NOW, tick=False):
        yield
    request_started.connect(close_old_connections)
    edge.reset()


def test_corpus__both_doors__answer_alike():
    doors, statuses, differing = Doors(), set(), []

    for name, given in corpus():
        front, django = doors.both(given)
        statuses.add(int(front[0][:3]))
        if front != django:
            differing.append((name, front[:2], django[:2]))

    assert not differing
    assert statuses == {200, 204, 304, 400, 401, 403, 404, 405, 411, 413, 415}


def test_mixtures__both_doors__answer_alike():
    doors = Doors()

    differing = [name for name, given in mixtures(600) if len(set(map(repr, doors.both(given)))) > 1]

    assert not differing


SETTINGS: dict[str, dict[str, Any]] = {
    "https": {"SECURE_SSL_REDIRECT": True, "SECURE_PROXY_SSL_HEADER": ("HTTP_X_FORWARDED_PROTO", "https")},
    "hsts": {"SECURE_HSTS_SECONDS": 31_536_000, "SECURE_HSTS_INCLUDE_SUBDOMAINS": True, "SECURE_HSTS_PRELOAD": True},
    "origins": {"CORS_ALLOWED_ORIGINS": frozenset({"https://shop.example.org"})},
    "no page": {"CORS_ALLOWED_ORIGINS": frozenset()},
    "streams": {"STREAM_URL": "https://stream.example.org"},
    "hosts": {"ALLOWED_HOSTS": [".example.org"]},
    "forwarded host": {"ALLOWED_HOSTS": ["localhost"], "USE_X_FORWARDED_HOST": True},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_mixtures__other_settings__both_doors_answer_alike(name: str, settings: Any):
    for setting, value in SETTINGS[name].items():
        setattr(settings, setting, value)
    doors = Doors()

    for proto in (None, "https", "https, http", "http"):
        for _, given in mixtures(60):
            doors.assert_alike({**given, **({"HTTP_X_FORWARDED_PROTO": proto} if proto else {})})


def test_stale_answers__both_doors__answer_alike(source: FakeSource):
    doors = Doors()
    doors.assert_alike(environ())
    source.fails = ConnectionError("gone")
    snapshots.store.try_refresh()

    with time_machine.travel(NOW + timedelta(seconds=90, milliseconds=700), tick=False):
        status, _, body = doors.assert_alike(environ())
        doors.assert_alike(environ(f"{BULK}/targeted"))
        doors.assert_alike(environ(HTTP_X_API_KEY=BIG, HTTP_ACCEPT_ENCODING="gzip"))

    assert status == "200 OK"
    assert json.loads(body)["metadata"]["staleSeconds"] == 90


def test_counts__both_doors__tell_all_flags_at_once_from_one():
    doors, found = Doors(), []

    for door in (doors.front, doors.django):
        metrics.meters.reset()
        for given in (environ(), environ(), environ(HTTP_X_API_KEY=CLIENT), environ(f"{BULK}/split")):
            assert call(door, given)[0] == "200 OK"
        found.append(metrics.meters.counted())
    metrics.meters.reset()

    by_flag = Counter[tuple[str, bool]]()
    for (series, is_bulk), count in found[0].items():
        by_flag[series.flag, is_bulk] += count
    assert found[0] == found[1]
    # The client token does not see it.
    assert by_flag == {**{(key, True): 3 for key in DOCUMENTS}, ("split", True): 2, ("split", False): 1}


def test_deprecated_flag__both_doors__send_the_same_headers_in_the_same_order(source: FakeSource):
    ends = {
        "deprecated_at": "2025-03-03T09:00:00Z",
        "sunset_at": "2027-06-01T00:00:00Z",
        "successor": "new",
        "link": LINK,
    }
    source.add_token(source.add_environment({"old": ("boolean", document("old", deprecation=ends))}), ENDING)
    snapshots.store.try_refresh()

    status, headers, _ = Doors().assert_alike(environ(f"{BULK}/old", HTTP_X_API_KEY=ENDING))

    assert status == "200 OK"
    assert [name for name, _ in headers][:5] == ["Content-Type", "Cache-Control", "Deprecation", "Sunset", "Link"]
    assert dict(headers)["Link"] == f'<{BULK}/new>; rel="successor-version", <{LINK}>; rel="deprecation"'


def test_nothing_loaded__both_doors__answer_alike(source: FakeSource):
    source.fails = ConnectionError("gone")

    assert Doors().assert_alike(environ())[0] == "503 Service Unavailable"


def test_bug__both_doors__answer_alike_and_log_no_context(monkeypatch: pytest.MonkeyPatch):
    def explode(self: CompiledSnapshot, flag_key: str, context: dict[str, Any], now: object) -> None:
        raise ValueError(f"cannot handle {context}")

    monkeypatch.setattr(CompiledSnapshot, "evaluate", explode)
    body = json.dumps({"context": {"secret": MARKER}}).encode()

    with capture_logs() as logs:
        status, headers, _ = Doors().assert_alike(environ(f"{BULK}/a-boolean", body, HTTP_X_REQUEST_ID="r-7"))

    assert status == "500 Internal Server Error"
    assert {entry["request_id"] for entry in logs} == {"r-7"}
    assert {entry["correlation_id"] for entry in logs} == {dict(headers)["X-Correlation-Id"]}
    assert MARKER not in str(logs)


def test_rate_limit__both_doors__answer_alike(settings: Any):
    settings.EVALUATION_RATE_LIMIT, settings.REDIS_URL = 4, ""
    doors = Doors()

    statuses = [doors.assert_alike(environ(REQUEST_METHOD="OPTIONS"))[0] for _ in range(9)]
    statuses += [doors.assert_alike(environ(HTTP_X_FORWARDED_FOR=f"10.0.0.{n}"))[0] for n in range(4)]
    _, headers, _ = doors.assert_alike(environ())

    assert statuses == ["204 No Content"] * 9 + ["200 OK"] * 2 + ["429 Too Many Requests"] * 2
    assert dict(headers)["Retry-After"] == "60"
    assert dict(headers)["RateLimit-Policy"] == '"evaluations";q=4;w=60'
    assert dict(headers)["Access-Control-Allow-Origin"] == "*"


def test_front__evaluation__never_reaches_django():
    def unreachable(environ: dict[str, Any], start_response: Any) -> Any:
        raise AssertionError("Django was asked.")

    front = EvaluationFront(unreachable)

    for path in (BULK, f"{BULK}/targeted", f"{BULK}/\xff"):
        for method in ("POST", "GET", "OPTIONS"):
            status, *_ = call(front, environ(path, REQUEST_METHOD=method))
            assert status.partition(" ")[0].isdigit()


@pytest.mark.parametrize(
    "changes",
    [
        {"PATH_INFO": "/"},
        {"PATH_INFO": "/ofrep/v1/evaluate/flagship"},
        {"HTTP_HOST": "evil.example.org"},
        {"HTTP_HOST": None, "SERVER_NAME": "evil.example.org"},
        {"QUERY_STRING": "a=%00"},
        {"PATH_INFO": f"{BULK}/\x00"},
        {"CONTENT_TYPE": "application/json; charset=zlib"},
    ],
)
def test_front__what_django_would_refuse__is_left_to_it(changes: dict[str, Any]):
    asked: list[Any] = []

    def django(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        asked.append(environ)
        return []

    front = EvaluationFront(django)
    # A request that was let in once opens the door to no other.
    assert call(front, environ())[0] == "200 OK"

    given = environ(**{"path": changes.pop("PATH_INFO", BULK), **changes})
    front(given, lambda *_: None)

    assert asked == [given]


def test_host__that_is_not_served__is_refused_by_both_doors():
    status, _, body = Doors().assert_alike(environ(HTTP_HOST="evil.example.org"))

    assert status == "400 Bad Request"
    assert json.loads(body)["code"] == "bad_request"


def test_plain_http__where_https_is_demanded__is_redirected_by_both_doors(settings: Any):
    settings.SECURE_SSL_REDIRECT, settings.SECURE_HSTS_SECONDS = True, 60
    doors = Doors()

    status, headers, _ = doors.assert_alike(environ())
    secure, secure_headers, _ = doors.assert_alike(environ(scheme="https"))

    assert (status, dict(headers)["Location"]) == ("301 Moved Permanently", f"https://localhost{BULK}")
    assert (secure, dict(secure_headers)["Strict-Transport-Security"]) == ("200 OK", "max-age=60")


def test_gzip__large_answer__says_the_same_under_the_weak_tag():
    doors = Doors()

    _, plain_headers, plain = doors.assert_alike(environ(HTTP_X_API_KEY=BIG))
    _, headers, compressed = doors.assert_alike(environ(HTTP_X_API_KEY=BIG, HTTP_ACCEPT_ENCODING="gzip"))

    assert gzip.decompress(compressed) == plain
    assert len(compressed) * 5 < len(plain)
    assert dict(headers)["Content-Encoding"] == "gzip"
    assert dict(headers)["ETag"] == "W/" + dict(plain_headers)["ETag"]
    assert dict(headers)["Vary"] == dict(plain_headers)["Vary"] == "Accept-Encoding"
    for etag in (dict(headers)["ETag"], dict(plain_headers)["ETag"]):
        for accepted in ("gzip", "identity"):
            given = environ(HTTP_X_API_KEY=BIG, HTTP_ACCEPT_ENCODING=accepted, HTTP_IF_NONE_MATCH=etag)
            status, again, body = doors.assert_alike(given)
            assert (status, body) == ("304 Not Modified", b"")
            assert "Content-Length" not in dict(again)


class Counting(io.BytesIO):
    """A body that counts how much of it was taken."""

    taken = 0

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self.taken += len(data)
        return data


@pytest.mark.parametrize(("path", "limit"), [(BULK, 262_144), (f"{BULK}/targeted", 65_536)])
def test_bodies__fifty_of_ten_megabytes__are_never_taken_whole(path: str, limit: int):
    doors, body = Doors(), b"[" * 10_000_000

    for chunked in (False, True):
        for _ in range(50):
            stream = Counting(body)
            given = environ(path, b"", CONTENT_LENGTH=str(len(body)))
            given |= {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True} if chunked else {}

            status, _, _ = call(doors.front, {**given, "wsgi.input": stream})

            assert status.startswith("413")
            assert stream.taken == limit + 1


def test_logs__of_everything__hold_no_context_value(caplog: pytest.LogCaptureFixture):
    doors = Doors()
    for name in ("", "django", "django.request", "django.security", "flags", "audits", "flagsite"):
        caplog.set_level(logging.DEBUG, logger=name)

    with capture_logs() as entries:
        for _, given in (*corpus(), *mixtures(200)):
            body = given["wsgi.input"].getvalue().replace(b"user-1", MARKER.encode()).replace(b"beta", MARKER.encode())
            length = {"CONTENT_LENGTH": str(len(body))} if "CONTENT_LENGTH" in given else {}
            _, _, answer = call(doors.front, {**given, **length, "wsgi.input": io.BytesIO(body)})
            assert MARKER.encode() not in answer

    said = "\n".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.records)
    assert MARKER not in said
    assert MARKER not in str(entries)


@pytest.mark.django_db
def test_front__first_request_and_the_next__take_five_queries_and_none(
    monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
):
    from tests.flags.api.plane import plane_of_its_own

    monkeypatch.setattr(snapshots, "store", SnapshotStore(DatabaseSource()))
    plane, front = plane_of_its_own(), Doors().front

    assert call(front, environ(HTTP_X_API_KEY=plane.secret))[0] == "200 OK"
    with django_assert_num_queries(0):
        for changes in ({}, {"HTTP_IF_NONE_MATCH": "*"}, {"HTTP_X_API_KEY": "x"}, {"CONTENT_LENGTH": "3"}):
            for path in (BULK, f"{BULK}/targeted"):
                call(front, {**environ(path, HTTP_X_API_KEY=plane.secret), **changes})
