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

from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality

from flags.telemetry import labels
from flags.telemetry.closing import minute_of
from flags.telemetry.otlp_values import PointRefused, Values, values_of
from flags.telemetry.reading import MAX_ROWS, UnusableBatch
from flags.telemetry.rows import Batch, EvaluationRow, MetricRow

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
    """What a request holds: a batch for each service and version, how many records came, and why some were refused."""

    batches: tuple[Batch, ...]
    records: int
    refusals: Counter[str] = field(default_factory=Counter)

    @property
    def refused(self) -> int:
        """How many records were refused."""
        return self.refusals.total()


@dataclass(slots=True)
class _Source:
    """What one service and version reports."""

    evaluations: Counter[tuple[str, str, str, datetime]] = field(default_factory=Counter)
    metrics: list[MetricRow] = field(default_factory=list)


def read_logs(body: bytes, *, is_json: bool, sender: str, sets: Collection[str]) -> Export:
    """Events named `feature_flag.evaluation`, counted by minute. Raises UnusableBatch.

    `sender` goes into the ids of the batches with the body, so that a request that is sent again counts once. `sets`
    are the names of the flag set that is served: an event of another set is refused.
    """
    request = _parsed(ExportLogsServiceRequest(), body, is_json=is_json)
    sources: dict[labels.Source, _Source] = {}
    refusals: Counter[str] = Counter()
    records = 0
    for resource in request.resource_logs:
        source = sources.setdefault(_source_of(resource.resource.attributes), _Source())
        for record in (one for scope in resource.scope_logs for one in scope.log_records):
            records += 1
            try:
                source.evaluations[_evaluation(record, sets)] += 1
            except PointRefused as refusal:
                refusals[str(refusal)] += 1
    return Export(_batches(sources, body, f"logs {sender}"), records, refusals)


def read_metrics(body: bytes, *, is_json: bool, sender: str, sets: Collection[str]) -> Export:
    """Points of delta sums and histograms that name a flag and a variant, a row for each. Raises UnusableBatch."""
    request = _parsed(ExportMetricsServiceRequest(), body, is_json=is_json)
    sources: dict[labels.Source, _Source] = {}
    refusals: Counter[str] = Counter()
    records = 0
    for resource in request.resource_metrics:
        source = sources.setdefault(_source_of(resource.resource.attributes), _Source())
        for metric in (one for scope in resource.scope_metrics for one in scope.metrics):
            for kind, point in _points(metric):
                records += 1
                try:
                    source.metrics.append(_row(metric, kind, point, sets))
                except PointRefused as refusal:
                    refusals[str(refusal)] += 1
    return Export(_batches(sources, body, f"metrics {sender}"), records, refusals)


def _parsed(request: _Request, body: bytes, *, is_json: bool) -> _Request:
    try:
        if is_json:
            json_format.Parse(body, request, ignore_unknown_fields=True)
        else:
            request.ParseFromString(body)
    except (json_format.ParseError, DecodeError, ValueError, RecursionError):
        form = "OTLP in JSON" if is_json else "OTLP in protobuf"
        raise UnusableBatch("invalid_otlp", f"The body is not {form}, though Content-Type says so.") from None
    return request


def _batches(sources: dict[labels.Source, _Source], body: bytes, sender: str) -> tuple[Batch, ...]:
    made = []
    if sum(len(source.evaluations) + len(source.metrics) for source in sources.values()) > MAX_ROWS:
        raise UnusableBatch("too_many_rows", f"The request has more than {MAX_ROWS:,} rows. Send several requests.")
    digest = hashlib.sha256(sender.encode() + b"\0" + body).hexdigest()[:48]
    for number, (label, source) in enumerate(sources.items()):
        rows = tuple(EvaluationRow(*key, count) for key, count in source.evaluations.items())
        made.append(Batch(f"otlp-{digest}-{number}", label.service, label.version, rows, tuple(source.metrics)))
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
        raise PointRefused(f"only events named {EVENT} are counted")
    _check_set(named, sets)
    if KEY not in named:
        raise PointRefused(f"the attribute {KEY} is missing")
    reason = named.get(REASON, "unknown").upper()
    minute = _minute(record.time_unix_nano or record.observed_time_unix_nano)
    return named[KEY][:101], named.get(VARIANT, "")[:101], reason if reason in labels.REASONS else "UNKNOWN", minute


def _points(metric: Any) -> Iterator[tuple[str, Any]]:
    kind = metric.WhichOneof("data")
    for point in getattr(metric, kind).data_points if kind else ():
        # Without a recorded value: the series has ended.
        if not point.flags & 1:
            yield kind, point


def _row(metric: Any, kind: str, point: Any, sets: Collection[str]) -> MetricRow:
    data = getattr(metric, kind)
    if kind not in {"sum", "histogram", "exponential_histogram"}:
        raise PointRefused("only sums and histograms are counted, no gauges and no summaries")
    if data.aggregation_temporality != AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA:
        raise PointRefused(
            "the temporality is not delta; set OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=delta in the service"
        )
    if kind == "sum" and not data.is_monotonic:
        raise PointRefused("only monotonic sums are counted: use a Counter, not an UpDownCounter")
    named = _texts(point.attributes, {KEY, VARIANT, SET})
    _check_set(named, sets)
    if KEY not in named or VARIANT not in named:
        raise PointRefused(f"the attributes {KEY} and {VARIANT} are missing")
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
        raise PointRefused(f"{SET} names another project or environment than the token is for")


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
        raise PointRefused("the time is missing or impossible")
    return minute_of(_EPOCH + timedelta(seconds=seconds))
