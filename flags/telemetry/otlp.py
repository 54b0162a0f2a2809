"""From OTLP requests (opentelemetry-proto 1.x, JSON or protobuf) to batches: events of evaluations, sums, histograms.

Attributes that nobody asked for, `feature_flag.context.id` among them, are never looked at, so nothing of them is left.
"""

import hashlib
import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import orjson
from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality

from flags.telemetry import labels
from flags.telemetry.closing import minute_of
from flags.telemetry.otlp_sizes import Room, check_json
from flags.telemetry.otlp_values import PointRefused, Values, buckets_of, values_of
from flags.telemetry.reading import UnusableBatch, is_too_deep
from flags.telemetry.rows import Batch, EvaluationRow, MetricRow, RejectedRow

EVENT = "feature_flag.evaluation"
KEY, VARIANT = "feature_flag.key", "feature_flag.result.variant"
REASON, SET = "feature_flag.result.reason", "feature_flag.set.id"
ERROR, LIMIT = "error.type", "flagsite.limit"
UNKNOWN_SERVICE = "unknown_service"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = 253_402_300_799

_Request = TypeVar("_Request", bound=Message)


@dataclass(frozen=True, slots=True)
class Export:
    """What a request holds: a batch for each service and version with what was refused, and how many records came."""

    batches: tuple[Batch, ...]
    records: int


@dataclass(slots=True)
class _Source:
    """What one service and version reports."""

    evaluations: Counter[tuple[str, str, str, datetime]] = field(default_factory=Counter)
    metrics: list[MetricRow] = field(default_factory=list)
    rejected: list[RejectedRow] = field(default_factory=list)

    def refuse(self, refusal: PointRefused) -> None:
        """Keep why a record is not counted, and nothing of the record."""
        self.rejected.append(RejectedRow(refusal.code, refusal.message, ""))


def read_logs(body: bytes, *, is_json: bool, sender: str, sets: Collection[str]) -> Export:
    """Events named `feature_flag.evaluation`, counted by minute. Raises UnusableBatch.

    `sender` goes into the ids of the batches with the body, so that a request that is sent again counts once. `sets`
    are the names of the flag set that is served: an event of another set is refused.
    """
    request = _parsed(ExportLogsServiceRequest(), body, is_json=is_json)
    sources: dict[labels.Source, _Source] = {}
    records, room = 0, Room()
    for resource in room.take("resources", request.resource_logs):
        source = sources.setdefault(_source_of(room.take("attributes", resource.resource.attributes)), _Source())
        scopes = room.take("scopes", resource.scope_logs)
        for record in (one for scope in scopes for one in room.take("records", scope.log_records)):
            records += 1
            room.take("attributes", record.attributes)
            try:
                source.evaluations[_evaluation(record, sets)] += 1
            except PointRefused as refusal:
                source.refuse(refusal)
    return Export(_batches(sources, body, f"logs {sender}"), records)


def read_metrics(body: bytes, *, is_json: bool, sender: str, sets: Collection[str]) -> Export:
    """Points of delta sums and histograms that name a flag and a variant, a row for each. Raises UnusableBatch."""
    request = _parsed(ExportMetricsServiceRequest(), body, is_json=is_json)
    sources: dict[labels.Source, _Source] = {}
    records, room = 0, Room()
    for resource in room.take("resources", request.resource_metrics):
        source = sources.setdefault(_source_of(room.take("attributes", resource.resource.attributes)), _Source())
        scopes = room.take("scopes", resource.scope_metrics)
        for metric in (one for scope in scopes for one in room.take("metrics", scope.metrics)):
            for kind, point in _points(metric, room):
                records += 1
                try:
                    source.metrics.append(_row(metric, kind, point, sets))
                except PointRefused as refusal:
                    source.refuse(refusal)
    return Export(_batches(sources, body, f"metrics {sender}"), records)


def _parsed(request: _Request, body: bytes, *, is_json: bool) -> _Request:
    try:
        if is_json:
            document = orjson.loads(body)
            if isinstance(document, dict):
                check_json(document)
            json_format.ParseDict(document, request, ignore_unknown_fields=True)
        else:
            request.ParseFromString(body)
    except UnusableBatch:
        raise
    except (json_format.ParseError, DecodeError, ValueError, TypeError, AttributeError, RecursionError) as error:
        if is_too_deep(error):
            raise UnusableBatch("invalid_otlp", "The body is nested too deep to be OTLP.") from None
        form = "OTLP in JSON" if is_json else "OTLP in protobuf"
        raise UnusableBatch("invalid_otlp", f"The body is not {form}, though Content-Type says so.") from None
    return request


def _batches(sources: dict[labels.Source, _Source], body: bytes, sender: str) -> tuple[Batch, ...]:
    made = []
    digest = hashlib.sha256(sender.encode() + b"\0" + body).hexdigest()[:48]
    for number, (label, source) in enumerate(sources.items()):
        rows = tuple(EvaluationRow(*key, count) for key, count in source.evaluations.items())
        made.append(Batch(f"otlp-{digest}-{number}", *label, rows, tuple(source.metrics), tuple(source.rejected)))
    return tuple(made)


def _source_of(attributes: Iterable[Any]) -> labels.Source:
    """The labels that a resource gives itself; what cannot be a label is left out."""
    named = _texts(attributes, {"service.name", "service.version"})
    service, version = named.get("service.name", ""), named.get("service.version", "")
    return labels.Source(
        service if labels.is_service(service) else UNKNOWN_SERVICE, version if labels.is_version(version) else ""
    )


def _evaluation(record: Any, sets: Collection[str]) -> tuple[str, str, str, datetime]:
    named = _texts(record.attributes, {"event.name", KEY, VARIANT, REASON, SET})
    if (record.event_name or named.get("event.name")) != EVENT:
        raise PointRefused("other_event", f"Only events named {EVENT} are counted.")
    _check_set(named, sets)
    if KEY not in named:
        raise PointRefused("missing_attribute", f"The attribute {KEY} is missing.")
    reason = named.get(REASON, "unknown").upper()
    minute = _minute(record.time_unix_nano or record.observed_time_unix_nano)
    return named[KEY][:101], named.get(VARIANT, "")[:101], reason if reason in labels.REASONS else "UNKNOWN", minute


def _points(metric: Any, room: Room) -> Iterator[tuple[str, Any]]:
    kind = metric.WhichOneof("data")
    for point in room.take("records", getattr(metric, kind).data_points) if kind else ():
        # Without a recorded value: the series has ended.
        if not point.flags & 1:
            room.take("attributes", point.attributes)
            for buckets in buckets_of(kind, point):
                room.take("buckets", buckets)
            yield kind, point


def _row(metric: Any, kind: str, point: Any, sets: Collection[str]) -> MetricRow:
    data = getattr(metric, kind)
    if kind not in {"sum", "histogram", "exponential_histogram"}:
        raise PointRefused("unsuitable_metric", "Only sums and histograms are counted, no gauges and no summaries.")
    if data.aggregation_temporality != AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA:
        raise PointRefused(
            "not_delta",
            "The temporality is not delta. Set OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=delta in the service.",
        )
    if kind == "sum" and not data.is_monotonic:
        raise PointRefused("unsuitable_metric", "Only monotonic sums are counted: use a Counter, not an UpDownCounter.")
    named = _texts(point.attributes, {KEY, VARIANT, SET})
    _check_set(named, sets)
    if KEY not in named or VARIANT not in named:
        raise PointRefused("missing_attribute", f"The attributes {KEY} and {VARIANT} are missing.")
    values = values_of(kind, point, unit=metric.unit, limit=_limit(point.attributes))
    bad = values.count if any(one.key == ERROR for one in point.attributes) else values.bad
    return _made(metric.name, named, point, values, bad)


def _made(name: str, named: dict[str, str], point: Any, values: Values, bad: int) -> MetricRow:
    return MetricRow(
        metric=name[:101],
        flag_key=named[KEY][:101],
        variant=named[VARIANT][:101],
        # The end of its interval lies at the beginning of the next minute where the two meet.
        minute=_minute(max(point.time_unix_nano - 1, 0)),
        count=values.count,
        bad=bad,
        total=values.total,
        sketch=values.sketch,
    )


def _check_set(named: dict[str, str], sets: Collection[str]) -> None:
    if named.get(SET, "") and named[SET] not in sets:
        raise PointRefused(
            "other_flag_set", f"The attribute {SET} names another project or environment than the token is for."
        )


def _texts(attributes: Iterable[Any], wanted: Collection[str]) -> dict[str, str]:
    """The wanted attributes that are texts."""
    return {
        one.key: one.value.string_value
        for one in attributes
        if one.key in wanted and one.value.WhichOneof("value") == "string_value"
    }


def _limit(attributes: Iterable[Any]) -> float | None:
    for one in attributes:
        kind = one.value.WhichOneof("value") if one.key == LIMIT else None
        if kind in {"double_value", "int_value"}:
            limit = float(getattr(one.value, kind))
            if math.isfinite(limit) and limit > 0:
                return limit
    return None


def _minute(nanoseconds: int) -> datetime:
    seconds = nanoseconds // 1_000_000_000
    if not 0 < seconds <= _LATEST:
        raise PointRefused("invalid_time", "The time is missing or impossible.")
    return minute_of(_EPOCH + timedelta(seconds=seconds))
