"""Reporting by API: who may, what is taken, what is told, and that nothing of anybody is left behind."""

import gzip
import io
import json
import logging
import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core import serializers
from django.db import OperationalError
from django.test import Client
from django.utils import timezone
from structlog.testing import capture_logs

from audits.models import AuditEvent
from flags import snapshots
from flags.api import edge, limits, telemetry, telemetry_bodies
from flags.api.wire import Refused
from flags.models import (
    Environment,
    EnvironmentToken,
    EvaluationCount,
    Flag,
    FlagConfig,
    MetricCount,
    QuarantinedRow,
    TelemetryBatch,
)
from flags.models.tokens import TokenScope
from flags.services.telemetry import Accepted
from flags.services.telemetry_places import forget_places
from flags.snapshots import SnapshotStore
from tests.factories import NOW
from tests.flags.api.plane import DOCUMENTS, FakeSource, Plane, plane_of_its_own
from tests.flags.telemetry.reports import document, evaluation, metric

ADDRESS = "/api/v1/telemetry"
TOKEN = "fst_telemetry"
ROW = {"flag": "split", "variant": "on"}


@pytest.fixture(autouse=True)
def _own_state(settings: Any) -> Iterator[None]:
    # Stored at the door: what the buffer does has tests of its own.
    settings.REDIS_URL = ""
    edge.reset()
    forget_places()
    with time_machine.travel(NOW, tick=False):
        yield
    edge.reset()


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> FakeSource:
    """An environment in memory with a token of each scope; what is delivered there is dropped."""
    source = FakeSource()
    environment_id = source.add_environment(DOCUMENTS)
    for scope in TokenScope.values:
        source.add_token(environment_id, TOKEN if scope == "telemetry" else f"token-{scope}", scope=scope)
    monkeypatch.setattr(snapshots, "store", SnapshotStore(source))
    monkeypatch.setattr(
        telemetry, "deliver", lambda batch, *args, **kwargs: Accepted(len(batch.evaluations), len(batch.rejected), 0)
    )
    return source


@pytest.fixture
def plane(db: Any) -> Iterator[Plane]:
    """A real environment with a token for telemetry as its secret."""
    snapshots.store.reset()
    plane = plane_of_its_own()
    plane.secret = plane.issue(scope="telemetry", name="Reporter").secret
    yield plane
    snapshots.store.reset()


def send(body: Any = None, *, secret: str = TOKEN, **extra: Any) -> Any:
    """Report through Django."""
    content = (
        body
        if isinstance(body, bytes)
        else json.dumps(document(evaluations=[evaluation(**ROW)]) if body is None else body)
    )
    headers = {"X-API-Key": secret, **extra.pop("headers", {})} if secret else {}
    return Client().post(
        ADDRESS, content, content_type=extra.pop("content_type", "application/json"), headers=headers, **extra
    )


@pytest.mark.parametrize("scope", TokenScope.values)
def test_report__token_of_any_scope__only_telemetry_may(scope: str, source: FakeSource):
    response = send(secret=TOKEN if scope == "telemetry" else f"token-{scope}")

    if scope == "telemetry":
        assert response.status_code == 202
    else:
        assert (response.status_code, response.json()["code"]) == (403, "wrong_scope")


@pytest.mark.parametrize("scope", ["telemetry"])
@pytest.mark.parametrize(
    ("method", "address"),
    [
        ("post", "/ofrep/v1/evaluate/flags"),
        ("post", "/ofrep/v1/evaluate/flags/split"),
        ("post", "/api/v1/evaluate/explain"),
        ("get", "/api/v1/environments/production/flagd.json"),
        ("get", "/api/v1/audit-events"),
        ("get", "/api/v1/change-requests/"),
    ],
)
def test_token_for_telemetry__anything_else__is_refused(scope: str, method: str, address: str, source: FakeSource):
    response = getattr(Client(), method)(address, headers={"X-API-Key": TOKEN}, content_type="application/json")

    assert response.status_code in {403, 404}
    assert response.status_code == 403 or "change-requests" in address


@pytest.mark.parametrize("secret", ["", "fst_unknown", "x" * 5_000])
def test_report__no_valid_token__is_refused(secret: str, source: FakeSource):
    response = send(secret=secret)

    assert response.status_code == 401
    assert response["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("method", ["get", "put", "delete", "patch"])
def test_report__another_method__is_refused(method: str, source: FakeSource):
    assert getattr(Client(), method)(ADDRESS, headers={"X-API-Key": TOKEN}).status_code == 405


def test_report__page_of_another_origin__gets_no_cors_headers(source: FakeSource):
    preflight = Client().options(ADDRESS, headers={"Origin": "https://shop.example.org", "X-API-Key": TOKEN})
    response = send(headers={"Origin": "https://shop.example.org"})

    for answer in (preflight, response):
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]


BIG = b'{"batch_id":"' + b"x" * 1_000_000 + b'"}'
BOMB = gzip.compress(b" " * 4_000_001)
REFUSED: dict[str, tuple[bytes, dict[str, Any], int, str]] = {
    "too large": (BIG, {}, 413, "body_too_large"),
    "gzip bomb": (BOMB, {"headers": {"Content-Encoding": "gzip"}}, 413, "body_too_large"),
    "gzip cut off": (gzip.compress(b"{}")[:-4], {"headers": {"Content-Encoding": "gzip"}}, 400, "invalid_encoding"),
    "two members": (gzip.compress(b"{}") * 2, {"headers": {"Content-Encoding": "gzip"}}, 400, "invalid_encoding"),
    "no gzip": (b"{}", {"headers": {"Content-Encoding": "gzip"}}, 400, "invalid_encoding"),
    "brotli": (b"{}", {"headers": {"Content-Encoding": "br"}}, 415, "unsupported_encoding"),
    "gzip twice": (b"{}", {"headers": {"Content-Encoding": "gzip, gzip"}}, 415, "unsupported_encoding"),
    "form": (b"a=b", {"content_type": "application/x-www-form-urlencoded"}, 415, "unsupported_media_type"),
    "charset": (b"{}", {"content_type": "application/json; charset=latin-1"}, 415, "unsupported_media_type"),
    "no json": (b"{", {}, 400, "invalid_json"),
    "deep": (b'{"metrics":' + b"[" * 3_000 + b"]" * 3_000 + b"}", {}, 400, "invalid_json"),
    "no batch": (b"{}", {}, 400, "invalid_batch"),
    "many rows": (b'{"evaluations":[' + b"{}," * 20_000 + b"{}]}", {}, 413, "too_many_rows"),
    "many numbers": (
        b'{"batch_id":"a","service":"a","evaluations":[' + b"1," * 20_000 + b"1]}",
        {},
        413,
        "too_many_rows",
    ),
    "targeting key": (b'{"batch_id":"a","service":"a","targetingKey":"u"}', {}, 400, "forbidden_field"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_report__unusable_body__is_a_problem(name: str, source: FakeSource):
    body, extra, status, code = REFUSED[name]

    response = send(body, **extra)

    assert (response.status_code, response.json()["code"]) == (status, code)
    assert ("nested too deep" in response.json()["detail"]) == (name == "deep")
    assert response["Content-Type"] == "application/problem+json"


def test_report__body_without_length__is_refused(source: FakeSource):
    environ = {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input": io.BytesIO(b"{}")}

    with pytest.raises(Refused) as refused:
        telemetry_bodies.body_of(environ)

    assert refused.value.response.status == 411


def test_report__compressed__is_read(source: FakeSource):
    body = gzip.compress(json.dumps(document(evaluations=[evaluation(**ROW)] * 2_000)).encode())

    response = send(body, headers={"Content-Encoding": "gzip"})

    assert (response.status_code, response.json()["accepted"]) == (202, 2_000)


def test_report__beyond_the_limit__is_told_when_again(source: FakeSource, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(edge, "TELEMETRY_BATCHES_A_MINUTE", 2)
    edge.reset()

    answers = [send() for _ in range(3)]

    assert [each.status_code for each in answers] == [202, 202, 429]
    assert answers[2]["Retry-After"] == "60"
    assert "larger batches" in answers[2].json()["detail"]
    assert limits.TELEMETRY_BATCHES_A_MINUTE == 6_000


def test_report__nothing_takes_it__is_to_be_sent_again(source: FakeSource, monkeypatch: pytest.MonkeyPatch):
    def fail(*args: Any, **kwargs: Any) -> None:
        raise OperationalError("away")

    monkeypatch.setattr(telemetry, "deliver", fail)

    response = send()

    assert (response.status_code, response.json()["code"]) == (503, "telemetry_unavailable")
    assert response["Retry-After"] == "5"


def test_report__flags_not_loaded_yet__is_to_be_sent_again(source: FakeSource):
    source.fails = OSError("away")

    assert send().status_code == 503


def test_report__batch__is_counted_and_told_once(plane: Plane):
    given = document(
        evaluations=[evaluation(**ROW), evaluation(flag="nothing"), evaluation(flag="code-default", variant=None)],
        metrics=[metric(**ROW), metric(**ROW, bad=99), metric(**ROW, minute="2026-03-02T08:00:00Z")],
    )

    first, second = send(given, secret=plane.secret), send(given, secret=plane.secret)

    assert first.status_code == 202
    assert first["Cache-Control"] == "no-store"
    assert first.json() == {
        "accepted": 4,
        "rejected": 2,
        "late": 1,
        "is_duplicate": False,
        "reasons": {"unknown_flag": 1, "bad_exceeds_count": 1},
    }
    assert second.status_code == 200
    assert second.json() == {"accepted": 0, "rejected": 0, "late": 0, "is_duplicate": True, "reasons": {}}
    assert set(EvaluationCount.objects.values_list("flag_key", "variant", "count")) == {
        ("split", "on", 3),
        ("code-default", "", 3),
    }
    assert sorted(MetricCount.objects.values_list("count", "late_count")) == [(0, 10), (10, 0)]
    assert sorted(QuarantinedRow.objects.values_list("code", flat=True)) == ["bad_exceeds_count", "unknown_flag"]


def test_report__whatever_it_says__changes_nothing_that_is_served(plane: Plane):
    governed = (Environment, Flag, FlagConfig, EnvironmentToken, AuditEvent)
    before = [list(model._default_manager.order_by("pk").values()) for model in governed]

    send(document(evaluations=[evaluation(**ROW)], metrics=[metric(**ROW)]), secret=plane.secret)
    send(document(evaluations=[evaluation(flag="new-flag", variant="new")]), secret=plane.secret)

    assert [list(model._default_manager.order_by("pk").values()) for model in governed] == before


def test_report__token_is_for_one_environment__counts_there_only(plane: Plane):
    send(document(evaluations=[evaluation(**ROW)]), secret=plane.secret)

    assert set(TelemetryBatch.objects.values_list("environment", flat=True)) == {plane.environment.pk}


@pytest.mark.parametrize(
    ("is_demo", "kind", "status"), [(False, "production", 403), (True, "production", 202), (False, "staging", 202)]
)
def test_report__test_traffic__is_not_for_production(
    is_demo: bool, kind: str, status: int, plane: Plane, settings: Any
):
    settings.DEMO = is_demo
    environment = plane.environment if kind == "production" else plane.world.staging
    secret = Plane(plane.world, environment, "").issue(scope="telemetry", name="Test").secret
    snapshots.store.reset()

    answer = send(document(service="Test traffic", evaluations=[evaluation(**ROW)]), secret=secret)

    assert answer.status_code == status
    assert status == 202 or answer.json()["code"] == "test_traffic_in_production"
    assert TelemetryBatch.objects.exists() == (status == 202)


class SlowBody(io.BytesIO):
    """A body that takes two minutes to come."""

    def __init__(self, body: bytes, traveller: Any) -> None:
        super().__init__(body)
        self._traveller = traveller

    def read(self, size: int | None = -1, /) -> bytes:
        self._traveller.shift(120)
        return super().read(size)


def test_report__body_comes_slowly__is_judged_by_when_it_was_there(plane: Plane):
    body = json.dumps(document(metrics=[metric(**ROW)])).encode()
    token = snapshots.store.token(plane.secret, now=NOW)
    assert token is not None
    with time_machine.travel(NOW, tick=False) as traveller:
        environ = {
            "CONTENT_TYPE": "application/json",
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": SlowBody(body, traveller),
        }
        answer = telemetry.take(environ, token=token, store=snapshots.store, clock=timezone.now, edge=edge.edge())

    assert json.loads(answer.body)["late"] == 1
    assert [row.late_count for row in MetricCount.objects.all()] == [10]


PLANTED = "planted-7f3a"
WAYS: list[dict[str, Any]] = [
    {"targetingKey": PLANTED},
    {"context": {"targetingKey": PLANTED}},
    {"attributes": {"mail": f"{PLANTED}@example.org"}},
    {"anything": [PLANTED]},
    {"flag": f"{PLANTED}@example.org"},
    {"flag": PLANTED},
    {"variant": PLANTED},
    {PLANTED: 1},
    {"variant": f"{PLANTED} Smith"},
    {"reason": PLANTED},
    {"count": PLANTED},
    {"count": [PLANTED]},
    {"minute": PLANTED},
    {f"{PLANTED}@example.org": 1},
]


def test_report__somebody_is_in_it__nothing_of_him_is_left(plane: Plane, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    rows = [make(**{**ROW, **way}) for way in WAYS for make in (evaluation, metric)]
    rows = [
        {"metric": f"{PLANTED}@x", **row} if "bad" in row and way is WAYS[0] else row
        for row, way in zip(rows, WAYS * 2, strict=True)
    ]
    batches = [
        document(evaluations=rows, metrics=rows),
        document(targetingKey=PLANTED),
        document(context={"targetingKey": PLANTED}),
        document(service=f"{PLANTED}@"),
        document(batch_id=f"{PLANTED}@"),
    ]

    with capture_logs() as logs:
        answers = [send(each, secret=plane.secret) for each in batches]

    assert [answer.status_code for answer in answers] == [202, 400, 400, 400, 400]
    assert set(QuarantinedRow.objects.values_list("code", flat=True)) == {
        "forbidden_field",
        "invalid_value",
        "unknown_field",
        "unknown_flag",
        "unknown_reason",
        "unknown_variant",
    }
    stored = "".join(
        serializers.serialize("json", model.objects.all())
        for model in (TelemetryBatch, EvaluationCount, MetricCount, QuarantinedRow)
    )
    told = b"".join(answer.content for answer in answers).decode()
    for where in (stored, told, caplog.text, repr(logs)):
        assert PLANTED not in where


@pytest.mark.django_db
@pytest.mark.redis
def test_report__redis_takes_it__costs_no_query(
    source: FakeSource, settings: Any, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
):
    from django.conf import settings as live

    from flags.services import telemetry_buffer

    monkeypatch.setattr(telemetry, "deliver", telemetry_buffer.deliver)
    settings.REDIS_URL = live.CELERY_BROKER_URL
    settings.SECRET_KEY = f"no query {uuid.uuid4()}"
    send()

    with django_assert_num_queries(0):
        assert send().status_code == 202
    assert telemetry_buffer.waiting() == 2
    telemetry_buffer._client(settings.REDIS_URL, 1.0).delete(telemetry_buffer._stream())


def test_report__minutes_around_now__are_judged_by_the_time_of_arrival(plane: Plane):
    with time_machine.travel(NOW + timedelta(seconds=76), tick=False):
        assert send(document(metrics=[metric(**ROW)]), secret=plane.secret).json()["late"] == 0
    with time_machine.travel(NOW + timedelta(seconds=77), tick=False):
        assert send(document(metrics=[metric(**ROW)]), secret=plane.secret).json()["late"] == 1
