"""OTLP at the door: the real exporters, who may, retries, partial success, and what cannot be read."""

import gzip
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from opentelemetry._logs import LogRecord
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource

from flags import snapshots
from flags.api import edge
from flags.models import EvaluationCount, MetricCount, QuarantinedRow, TelemetryBatch
from flags.services.telemetry_places import forget_places
from tests.flags.api.plane import Plane, plane_of_its_own

LOGS, METRICS = "/api/v1/otlp/v1/logs", "/api/v1/otlp/v1/metrics"
FLAG = {"feature_flag.key": "split", "feature_flag.result.variant": "on"}
DELTA: dict[type, AggregationTemporality] = {
    Counter: AggregationTemporality.DELTA,
    Histogram: AggregationTemporality.DELTA,
}
RESOURCE = Resource({"service.name": "shop", "service.version": "2.1"})
EMPTY = b'{"resourceLogs": []}'


@pytest.fixture(autouse=True)
def _own_state(settings: Any) -> Iterator[None]:
    settings.REDIS_URL = ""
    edge.reset()
    forget_places()
    snapshots.store.reset()
    yield
    edge.reset()
    snapshots.store.reset()


@pytest.fixture
def plane(db: Any) -> Plane:
    plane = plane_of_its_own()
    plane.secret = plane.issue(scope="telemetry", name="Collector").secret
    return plane


def send(address: str, body: bytes, *, secret: str, content_type: str = "application/json", **headers: str) -> Any:
    return Client().post(address, body, content_type=content_type, headers={"X-API-Key": secret, **headers})


@pytest.mark.django_db(transaction=True)
def test_exporters_of_the_sdk__events_and_metrics__are_counted(live_server: Any, plane: Plane):
    sending: dict[str, Any] = {"headers": {"X-API-Key": plane.secret}, "compression": Compression.Gzip}
    logging = LoggerProvider(resource=RESOURCE)
    logging.add_log_record_processor(
        SimpleLogRecordProcessor(OTLPLogExporter(endpoint=live_server.url + LOGS, **sending))
    )
    attributes = {**FLAG, "feature_flag.result.reason": "split", "feature_flag.context.id": "user-1"}
    logging.get_logger("shop").emit(LogRecord(event_name="feature_flag.evaluation", attributes=attributes))
    exporter = OTLPMetricExporter(endpoint=live_server.url + METRICS, preferred_temporality=DELTA, **sending)
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
    metering = MeterProvider(metric_readers=[reader], resource=RESOURCE)
    meter = metering.get_meter("shop")
    meter.create_counter("errors").add(5, FLAG)
    meter.create_counter("errors").add(2, {**FLAG, "error.type": "timeout"})
    meter.create_histogram("checkout.duration", unit="s").record(0.2, FLAG)

    logging.shutdown()
    metering.shutdown()

    [evaluated] = EvaluationCount.objects.values_list("flag_key", "variant", "reason", "service", "version")
    assert evaluated == ("split", "on", "SPLIT", "shop", "2.1")
    counted = {row.metric: (row.count + row.late_count, row.bad + row.late_bad) for row in MetricCount.objects.all()}
    assert counted == {"errors": (7, 2), "checkout.duration": (1, 0)}
    assert sum(sum(row.sketch.values()) for row in MetricCount.objects.filter(metric="checkout.duration")) == 1


def exported(*attributes: dict[str, str]) -> bytes:
    """A request as an exporter sends it, with an event for each."""
    request = ExportLogsServiceRequest()
    records = request.resource_logs.add().scope_logs.add().log_records
    for named in attributes:
        record = records.add(event_name="feature_flag.evaluation", time_unix_nano=int(timezone.now().timestamp() * 1e9))
        for key, value in named.items():
            record.attributes.add(key=key).value.string_value = value
    return bytes(request.SerializeToString())


def test_export__sent_again__counts_once_and_succeeds(plane: Plane):
    body = exported(FLAG)

    answers = [
        send(LOGS, body, secret=plane.secret, content_type="application/x-protobuf"),
        send(
            LOGS,
            gzip.compress(body),
            secret=plane.secret,
            content_type="application/x-protobuf",
            **{"Content-Encoding": "gzip"},
        ),
    ]

    assert [(answer.status_code, answer.content) for answer in answers] == [(200, b"")] * 2
    assert [row.count for row in EvaluationCount.objects.all()] == [1]
    assert TelemetryBatch.objects.count() == 1


def test_export__flag_nobody_serves__is_a_partial_success(plane: Plane):
    body = exported(FLAG, {**FLAG, "feature_flag.key": "spilt"}, {"feature_flag.result.variant": "on"})

    answer = send(LOGS, body, secret=plane.secret, content_type="application/x-protobuf")

    told = ExportLogsServiceResponse.FromString(answer.content).partial_success
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/x-protobuf")
    assert told.rejected_log_records == 2
    assert "“spilt” is not set up in this environment. Was “split” meant?" in told.error_message
    assert "feature_flag.key is missing" in told.error_message
    assert set(QuarantinedRow.objects.values_list("code", flat=True)) == {"unknown_flag", "missing_attribute"}
    assert EvaluationCount.objects.get().count == 1


def test_export__json__is_answered_in_json(plane: Plane):
    answer = send(LOGS, EMPTY, secret=plane.secret)

    assert (answer.status_code, answer.json(), answer["Content-Type"]) == (200, {}, "application/json")


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        (b"{", "application/json", 400, "invalid_otlp"),
        (b'{"a":' + b"[" * 3_000 + b"]" * 3_000 + b"}", "application/json", 400, "invalid_otlp"),
        (b"\xff\xff", "application/x-protobuf", 400, "invalid_otlp"),
        (b"a=b", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
        (b" " * 1_000_001, "application/json", 413, "body_too_large"),
        (b"\x0a\x00" * 201, "application/x-protobuf", 413, "too_many_rows"),
    ],
)
@pytest.mark.parametrize("address", [LOGS, METRICS])
def test_export__that_cannot_be_read__is_a_problem(
    address: str, body: bytes, content_type: str, status: int, code: str, plane: Plane
):
    answer = send(address, body, secret=plane.secret, content_type=content_type)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert ("nested too deep" in answer.json()["detail"]) == body.startswith(b'{"a":[')


def test_export__larger_unpacked_than_it_might_be_unpacked_at_once__is_a_problem(plane: Plane):
    body = gzip.compress(b" " * 1_000_001)

    answer = send(LOGS, body, secret=plane.secret, **{"Content-Encoding": "gzip"})

    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


@pytest.mark.parametrize("address", [LOGS, METRICS])
def test_export__token_of_another_scope__is_refused(address: str, plane: Plane):
    other = plane.issue(scope="evaluate", name="Service").secret

    assert send(address, EMPTY, secret=other).status_code == 403
    assert send(address, EMPTY, secret="").status_code == 401
