"""Spans of evaluations: the words of the semantic conventions, the caller's trace, and nothing of the context."""

import sys
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from django.apps import apps
from django.test import Client
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from flags import snapshots
from flags.api import tracing
from flags.api.tracing import Evaluation
from flags.evaluation import CompiledSnapshot
from flagsite import telemetry
from flagsite.env import ConfigurationError
from tests.factories import NOW
from tests.flags.api.plane import DOCUMENTS, SECRET, fake_store, wire

PLANTED = "planted-value-91c"
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CONTEXT = {"targetingKey": f"{PLANTED}-key", "plan": PLANTED}


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    """What was exported. The listener is gone after the test."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    telemetry.listen(provider)
    yield exporter
    tracing.hook = None
    provider.shutdown()


def compiled(*, now: datetime = NOW) -> CompiledSnapshot:
    store, _ = fake_store()
    store.token(SECRET, now=now)
    return next(iter(store.served.values()))


def tell(flag_key: str | None, *, status: int = 200, evaluated: bool = True, **headers: str) -> None:
    """Tell the listener of a request as the handler would."""
    snapshot = compiled()
    if flag_key is None:
        resolutions = snapshot.evaluate_all(CONTEXT, NOW)
    else:
        resolutions = {flag_key: snapshot.evaluate(flag_key, CONTEXT, NOW)}
    request = wire(flag_key, b'{"context":{"targetingKey":"%s"}}' % PLANTED.encode(), **headers)
    facts: dict[str, Any] = {"snapshot": snapshot, "resolutions": resolutions} if evaluated else {}
    assert tracing.hook is not None
    tracing.hook(Evaluation(request, flag_key, status, 0.002, **facts))


def only(spans: InMemorySpanExporter) -> ReadableSpan:
    (span,) = spans.get_finished_spans()
    return span


def test_span__one_flag__speaks_the_semantic_conventions(spans: InMemorySpanExporter):
    tell("targeted")

    span = only(spans)
    assert span.name == "POST /ofrep/v1/evaluate/flags/{key}"
    assert span.kind is SpanKind.SERVER
    assert dict(span.attributes or {}) == {
        "http.request.method": "POST",
        "http.route": "/ofrep/v1/evaluate/flags/{key}",
        "http.response.status_code": 200,
        "feature_flag.key": "targeted",
        "feature_flag.provider.name": "Flagsite",
        "feature_flag.set.id": "shop/production",
        "feature_flag.result.reason": "default",
        "feature_flag.result.variant": "off",
        "feature_flag.version": "1",
    }
    assert (span.end_time or 0) - (span.start_time or 0) == 2_000_000


@pytest.mark.parametrize(
    ("flag_key", "status", "expected"),
    [
        ("split", 200, {"feature_flag.result.reason": "split"}),
        ("disabled", 200, {"feature_flag.result.reason": "disabled", "feature_flag.result.variant": "off"}),
        ("code-default", 200, {"feature_flag.result.reason": "default"}),
        ("made-up", 404, {"feature_flag.result.reason": "error", "error.type": "flag_not_found"}),
        ("x" * 5000, 404, {"feature_flag.key": "x" * 200}),
    ],
    ids=["split", "disabled", "code default", "unknown", "endless key"],
)
def test_span__kinds_of_answers__say_what_came_out(
    flag_key: str, status: int, expected: dict[str, Any], spans: InMemorySpanExporter
):
    tell(flag_key, status=status)

    attributes = dict(only(spans).attributes or {})
    assert attributes | expected == attributes
    assert ("feature_flag.result.variant" in attributes) == (flag_key in {"split", "disabled"})


def test_span__all_flags__has_an_event_for_each(spans: InMemorySpanExporter):
    tell(None)

    span = only(spans)
    assert span.name == "POST /ofrep/v1/evaluate/flags"
    assert (span.attributes or {})["flagsite.flags"] == len(DOCUMENTS)
    assert {event.name for event in span.events} == {"feature_flag.evaluation"}
    assert {(event.attributes or {})["feature_flag.key"] for event in span.events} == set(DOCUMENTS)


def test_span__trace_of_the_caller__is_continued(spans: InMemorySpanExporter):
    tell("split", traceparent=f"00-{TRACE}-{PARENT}-01", tracestate="vendor=1")

    span = only(spans)
    assert span.context is not None
    assert span.parent is not None
    assert f"{span.context.trace_id:032x}" == TRACE
    assert f"{span.parent.span_id:016x}" == PARENT
    assert span.context.trace_state.get("vendor") == "1"


def test_span__caller_does_not_sample__is_not_sent(spans: InMemorySpanExporter):
    tell("split", traceparent=f"00-{TRACE}-{PARENT}-00")

    assert spans.get_finished_spans() == ()


@pytest.mark.parametrize("traceparent", ["", "nonsense", f"00-{'0' * 32}-{PARENT}-01", "00-" + "é" * 32, "\x00" * 9000])
def test_span__unusable_trace_header__begins_a_trace(traceparent: str, spans: InMemorySpanExporter):
    tell("split", traceparent=traceparent)

    assert only(spans).parent is None


@pytest.mark.parametrize(
    ("status", "code"), [(401, StatusCode.UNSET), (429, StatusCode.UNSET), (503, StatusCode.ERROR)]
)
def test_span__refused_request__says_so_without_a_flag(status: int, code: StatusCode, spans: InMemorySpanExporter):
    tell("split", status=status, evaluated=False)

    span = only(spans)
    assert span.status.status_code is code
    assert not [name for name in span.attributes or {} if name.startswith("feature_flag.")]
    assert (span.attributes or {}).get("error.type") == (str(status) if status >= 500 else None)


@pytest.mark.parametrize("flag_key", ["split", "targeted", "a-string", None])
def test_span__anything__holds_nothing_of_the_context(flag_key: str | None, spans: InMemorySpanExporter):
    tell(flag_key)

    told = only(spans).to_json()
    assert PLANTED not in told
    assert SECRET not in told
    assert "feature_flag.context.id" not in told
    assert "grün" not in told


def test_span__request_through_the_api__is_one_span_of_the_caller_s_trace(
    spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
):
    store, _ = fake_store()
    monkeypatch.setattr(snapshots, "store", store)

    response = Client().post(
        "/ofrep/v1/evaluate/flags/a-boolean",
        {"context": CONTEXT},
        content_type="application/json",
        headers={"X-API-Key": SECRET, "traceparent": f"00-{TRACE}-{PARENT}-01"},
    )

    span = only(spans)
    assert response.status_code == 200
    assert span.context is not None
    assert f"{span.context.trace_id:032x}" == TRACE
    assert (span.attributes or {})["feature_flag.result.variant"] == "on"


def test_span__exporter_that_fails__never_reaches_the_request(monkeypatch: pytest.MonkeyPatch, spans: Any):
    assert isinstance(tracing.hook, telemetry.Spans)
    monkeypatch.setattr(tracing.hook, "_parent", lambda headers: 1 / 0)

    tell("split")

    assert spans.get_finished_spans() == ()


@pytest.mark.parametrize(
    "missing", ["opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http.trace_exporter"]
)
def test_start__extra_not_installed__says_what_to_do(missing: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, missing, None)

    with pytest.raises(ConfigurationError, match=r"OTEL_ENABLED is set.*pip install flagsite\[otel\].*unset"):
        telemetry.start()

    assert tracing.hook is None


def test_start__extra_installed__listens_and_names_the_service(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
    monkeypatch.setattr(tracing, "hook", None)

    # Nothing is sent anywhere: there are no spans.
    provider = telemetry.start()
    provider.shutdown()

    assert isinstance(tracing.hook, telemetry.Spans)
    resource = provider.resource.attributes
    assert resource["service.name"] == "flagsite"
    assert resource["deployment.environment.name"] == "test"


def test_ready__switched_on__starts_before_the_first_request(monkeypatch: pytest.MonkeyPatch, settings: Any):
    started: list[bool] = []
    monkeypatch.setattr(telemetry, "start", lambda: started.append(True))
    config = apps.get_app_config("flagsite")

    config.ready()
    assert started == []
    settings.ENV = settings.ENV.model_copy(update={"OTEL_ENABLED": True})
    config.ready()

    assert started == [True]
