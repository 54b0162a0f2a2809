"""OTLP to rows: what is counted under which minute, what is refused and why, and that nobody is in it."""

import json
from datetime import timedelta
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from flags.telemetry import latency
from flags.telemetry.otlp import Export, read_logs, read_metrics
from flags.telemetry.reading import UnusableBatch
from tests.flags.telemetry.reports import MINUTE

SETS = {"shop/production", "production"}
PLANTED = "planted-person-7"
AT = str(int(MINUTE.timestamp() * 1_000_000_000) + 5)
RESOURCE = {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]}


def attributes(**changes: Any) -> list[dict[str, Any]]:
    named = {
        "feature_flag.key": "checkout",
        "feature_flag.result.variant": "on",
        **{key.replace("__", "."): value for key, value in changes.items()},
    }
    return [{"key": key, "value": {"stringValue": value}} for key, value in named.items() if value is not None]


def event(**changes: Any) -> dict[str, Any]:
    named = attributes(**{"feature_flag.result.reason": "split", "feature_flag.context.id": PLANTED, **changes})
    return {"timeUnixNano": AT, "eventName": "feature_flag.evaluation", "attributes": named}


def logs(*records: dict[str, Any], resource: dict[str, Any] = RESOURCE, sender: str = "token") -> Export:
    body = {"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": list(records)}]}]}
    return read_logs(json.dumps(body).encode(), is_json=True, sender=sender, sets=SETS)


def metrics(metric: dict[str, Any], **unit: Any) -> Export:
    body = {
        "resourceMetrics": [{"resource": RESOURCE, "scopeMetrics": [{"metrics": [{"name": "m", **unit, **metric}]}]}]
    }
    return read_metrics(json.dumps(body).encode(), is_json=True, sender="token", sets=SETS)


def total(**changes: Any) -> dict[str, Any]:
    point = {"timeUnixNano": AT, "asInt": "7", "attributes": attributes(), **changes.pop("point", {})}
    return {"sum": {"aggregationTemporality": 1, "isMonotonic": True, "dataPoints": [point], **changes}}


def histogram(**changes: Any) -> dict[str, Any]:
    point = {
        "timeUnixNano": AT,
        "count": "10",
        "sum": 2.5,
        "explicitBounds": [0.1, 0.5],
        "bucketCounts": ["6", "3", "1"],
        "attributes": attributes(),
        **changes.pop("point", {}),
    }
    return {"histogram": {"aggregationTemporality": 1, "dataPoints": [point], **changes}}


def test_logs__events_of_a_minute__are_one_row_without_anybody():
    export = logs(event(), event(), event(**{"feature_flag.result.variant": None, "feature_flag.result.reason": "odd"}))

    [batch] = export.batches
    assert [(row.flag_key, row.variant, row.reason, row.minute, row.count) for row in batch.evaluations] == [
        ("checkout", "on", "SPLIT", MINUTE, 2),
        ("checkout", "", "UNKNOWN", MINUTE, 1),
    ]
    assert (batch.service, export.records, batch.rejected) == ("shop", 3, ())
    assert PLANTED not in repr(export)


@pytest.mark.parametrize(
    ("record", "why"),
    [
        ({**event(), "eventName": "checkout.paid"}, "Only events named"),
        (event(**{"feature_flag.key": None}), "feature_flag.key is missing"),
        (event(**{"feature_flag.set.id": "shop/staging"}), "another project or environment"),
        ({**event(), "timeUnixNano": "0"}, "time is missing"),
        ({**event(), "timeUnixNano": str(2**64 - 1)}, "ok"),
    ],
)
def test_logs__record_that_cannot_be_counted__leaves_its_neighbours(record: dict[str, Any], why: str):
    export = logs(record, event(**{"feature_flag.set.id": "shop/production"}))

    [batch] = export.batches
    assert sum(row.count for row in batch.evaluations) == 2 - len(batch.rejected)
    assert len(batch.rejected) == (why != "ok")
    assert all(why in refused.message and not refused.row for refused in batch.rejected)


def test_logs__same_body_again__has_the_same_id_and_another_sender_another():
    first, again, other = logs(event()), logs(event()), logs(event(), sender="other")

    assert first.batches[0].batch_id == again.batches[0].batch_id != other.batches[0].batch_id


@pytest.mark.parametrize(
    ("service", "expected"), [("shop", "shop"), ("", "unknown_service"), ("<b>", "unknown_service")]
)
def test_logs__service_name__is_a_label_or_unknown(service: str, expected: str):
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]}

    assert logs(event(), resource=resource).batches[0].service == expected


@pytest.mark.parametrize(
    ("metric", "unit", "count", "bad"),
    [
        (total(), "", 7, 0),
        (total(point={"attributes": attributes(error__type="timeout")}), "", 7, 7),
        (total(point={"asInt": None, "asDouble": 3.0}), "", 3, 0),
        (histogram(), "s", 10, 0),
        (histogram(point={"attributes": attributes(error__type="500")}), "s", 10, 10),
    ],
)
def test_metrics__points__are_rows(metric: dict[str, Any], unit: str, count: int, bad: int):
    [row] = metrics(metric, unit=unit).batches[0].metrics

    assert (row.flag_key, row.variant, row.minute, row.count, row.bad) == ("checkout", "on", MINUTE, count, bad)


def test_metrics__histogram_of_a_time__is_a_sketch_in_milliseconds_and_counts_what_is_over_its_limit():
    limit = {"key": "flagsite.limit", "value": {"doubleValue": 0.5}}

    [row] = metrics(histogram(point={"attributes": [*attributes(), limit], "max": 0.9}), unit="s").batches[0].metrics

    assert (row.total, row.bad) == (2_500.0, 1)
    assert row.sketch == {latency.bucket_of(100): 6, latency.bucket_of(500): 3, latency.bucket_of(900): 1}


def test_metrics__histogram_of_something_else__has_no_sketch():
    [row] = metrics(histogram(), unit="By").batches[0].metrics

    assert (row.total, dict(row.sketch)) == (2.5, {})


def test_metrics__exponential_histogram__keeps_zeros_and_bounds():
    point = {
        "timeUnixNano": AT,
        "count": "6",
        "sum": 30.0,
        "scale": 0,
        "zeroCount": "1",
        "positive": {"offset": 1, "bucketCounts": ["2", "3"]},
        "attributes": attributes(),
    }
    metric = {"exponentialHistogram": {"aggregationTemporality": 1, "dataPoints": [point]}}

    [row] = metrics(metric, unit="ms").batches[0].metrics

    assert row.sketch == {latency.bucket_of(0): 1, latency.bucket_of(4): 2, latency.bucket_of(8): 3}


@pytest.mark.parametrize(
    ("metric", "why"),
    [
        (total(aggregationTemporality=2), "temporality is not delta"),
        (histogram(aggregationTemporality=2), "temporality is not delta"),
        (total(isMonotonic=False), "monotonic"),
        (total(point={"asInt": "-1"}), "whole number"),
        (total(point={"asInt": None, "asDouble": 1.5}), "whole number"),
        (total(point={"asInt": None, "asDouble": "NaN"}), "whole number"),
        (total(point={"attributes": attributes(**{"feature_flag.result.variant": None})}), "are missing"),
        (total(point={"attributes": attributes(**{"feature_flag.set.id": "other"})}), "another project"),
        (histogram(point={"count": "11"}), "do not add up"),
        (histogram(point={"sum": "Infinity"}), "do not add up"),
        (histogram(point={"explicitBounds": [0.5, 0.1]}), "not in order"),
        (histogram(point={"explicitBounds": [0.1]}), "not in order"),
        (histogram(point={"explicitBounds": [0.1, "NaN"]}), "not in order"),
        ({"gauge": {"dataPoints": [{"timeUnixNano": AT, "asInt": "1", "attributes": attributes()}]}}, "no gauges"),
    ],
)
def test_metrics__point_that_cannot_be_counted__is_told(metric: dict[str, Any], why: str):
    export = metrics(metric, unit="s")

    [refused] = export.batches[0].rejected
    assert (export.records, export.batches[0].metrics, refused.row) == (1, (), "")
    assert why in refused.message


def test_metrics__interval_that_ends_with_its_minute__belongs_to_it():
    end = str(int((MINUTE + timedelta(minutes=1)).timestamp()) * 1_000_000_000)

    [row] = metrics(total(point={"timeUnixNano": end})).batches[0].metrics

    assert row.minute == MINUTE


@pytest.mark.parametrize("body", [b"{", b"7", b"\xff\xfe", b'{"resourceLogs": 3}', b"[" * 5_000])
@pytest.mark.parametrize("is_json", [True, False])
def test_body_that_is_something_else__is_unusable(body: bytes, is_json: bool):
    with pytest.raises(UnusableBatch):
        read_logs(body, is_json=is_json, sender="token", sets=SETS)


def packed_logs(*, resources: int = 1, scopes: int = 0, records: int = 0, attributes: int = 0) -> bytes:
    request = ExportLogsServiceRequest()
    for _ in range(resources):
        resource = request.resource_logs.add()
        for _ in range(scopes):
            logged = resource.scope_logs.add().log_records
            for _ in range(records):
                logged.add().attributes.extend([KeyValue()] * attributes)
    return bytes(request.SerializeToString())


def packed_buckets(kind: str, count: int) -> bytes:
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="m")
    point = getattr(metric, kind).data_points.add()
    (point.bucket_counts if kind == "histogram" else point.positive.bucket_counts).extend([1] * count)
    return bytes(request.SerializeToString())


@pytest.mark.parametrize(
    ("sizes", "what"),
    [
        ({"resources": 201}, "200 resources"),
        ({"resources": 2, "scopes": 501}, "1,000 scopes"),
        ({"scopes": 2, "records": 2_501}, "5,000 records"),
        ({"scopes": 1, "records": 2, "attributes": 25_001}, "50,000 attributes"),
    ],
)
def test_logs__more_than_there_is_room_for__are_refused_before_they_are_looked_at(sizes: dict[str, int], what: str):
    with pytest.raises(UnusableBatch) as refused:
        read_logs(packed_logs(**sizes), is_json=False, sender="token", sets=SETS)

    assert (refused.value.code, what in refused.value.message) == ("too_many_rows", True)


@pytest.mark.parametrize("kind", ["histogram", "exponential_histogram"])
def test_metrics__more_buckets_than_there_is_room_for__are_refused(kind: str):
    with pytest.raises(UnusableBatch) as refused:
        read_metrics(packed_buckets(kind, 50_001), is_json=False, sender="token", sets=SETS)

    assert "50,000 buckets" in refused.value.message


def test_logs__as_many_as_there_is_room_for__are_read():
    body = packed_logs(resources=10, scopes=5, records=100)

    assert read_logs(body, is_json=False, sender="token", sets=SETS).records == 5_000


@pytest.mark.parametrize(
    "document",
    [
        {"resourceLogs": [{}] * 30_000},
        {"resourceLogs": [[[{}] * 15_001] * 2]},
        {str(number): 1 for number in range(30_001)},
        {"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"histogram": {"dataPoints": [[0] * 30_000]}}]}]}]},
    ],
)
def test_json__of_more_values_than_are_read__is_refused(document: dict[str, Any]):
    with pytest.raises(UnusableBatch) as refused:
        read_logs(json.dumps(document).encode(), is_json=True, sender="token", sets=SETS)

    assert refused.value.code == "too_many_rows"


def test_json__a_thousand_events__are_read():
    export = logs(*(event(**{"feature_flag.key": f"flag-{number}"}) for number in range(1_000)))

    assert len(export.batches[0].evaluations) == 1_000
