"""OTLP to rows: what is counted under which minute, what is refused and why, and that nobody is in it."""

import json
from datetime import timedelta
from typing import Any

import pytest

from flags.telemetry.otlp import Export, read_logs, read_metrics
from flags.telemetry.otlp_values import bucket_of
from flags.telemetry.reading import UnusableBatch
from rollouts.guarding import latency
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
    assert (batch.service, export.records, export.refused) == ("shop", 3, 0)
    assert PLANTED not in repr(export)


@pytest.mark.parametrize(
    ("record", "why"),
    [
        ({**event(), "eventName": "checkout.paid"}, "only events named"),
        (event(**{"feature_flag.key": None}), "feature_flag.key is missing"),
        (event(**{"feature_flag.set.id": "shop/staging"}), "another project or environment"),
        ({**event(), "timeUnixNano": "0"}, "time is missing"),
        ({**event(), "timeUnixNano": str(2**64 - 1)}, "ok"),
    ],
)
def test_logs__record_that_cannot_be_counted__leaves_its_neighbours(record: dict[str, Any], why: str):
    export = logs(record, event(**{"feature_flag.set.id": "shop/production"}))

    assert sum(row.count for batch in export.batches for row in batch.evaluations) == 2 - export.refused
    assert export.refused == (why != "ok")
    assert why == "ok" or why in next(iter(export.refusals))


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

    assert (export.records, export.refused, export.batches[0].metrics) == (1, 1, ())
    assert why in next(iter(export.refusals))


def test_metrics__interval_that_ends_with_its_minute__belongs_to_it():
    end = str(int((MINUTE + timedelta(minutes=1)).timestamp()) * 1_000_000_000)

    [row] = metrics(total(point={"timeUnixNano": end})).batches[0].metrics

    assert row.minute == MINUTE


@pytest.mark.parametrize("body", [b"{", b"7", b"\xff\xfe", b'{"resourceLogs": 3}', b"[" * 5_000])
@pytest.mark.parametrize("is_json", [True, False])
def test_body_that_is_something_else__is_unusable(body: bytes, is_json: bool):
    with pytest.raises(UnusableBatch):
        read_logs(body, is_json=is_json, sender="token", sets=SETS)


def test_too_many_rows__are_refused_at_once():
    with pytest.raises(UnusableBatch) as refused:
        logs(*(event(**{"feature_flag.key": f"flag-{number}"}) for number in range(5_001)))

    assert refused.value.code == "too_many_rows"


@pytest.mark.parametrize("milliseconds", [0.0, 0.0005, 1, 99.9, 12_345, 1e9])
def test_bucket__is_the_one_that_guards_read(milliseconds: float):
    assert bucket_of(milliseconds) == latency.bucket_of(milliseconds)
