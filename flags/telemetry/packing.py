"""A delivery on its way from the door to the tables, as compact JSON."""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from flags.telemetry.rows import Batch, EvaluationRow, MetricRow, RejectedRow

_FORM = 1


@dataclass(frozen=True, slots=True)
class Delivery:
    """A checked batch with what the door knows of it."""

    batch: Batch
    environment_id: uuid.UUID
    token_id: uuid.UUID | None
    received_at: datetime


def pack(delivery: Delivery) -> bytes:
    """The delivery as bytes."""
    batch = delivery.batch
    return orjson.dumps(
        [
            _FORM,
            str(delivery.environment_id),
            delivery.token_id and str(delivery.token_id),
            delivery.received_at.isoformat(),
            [batch.batch_id, batch.service, batch.version],
            [[row.flag_key, row.variant, row.reason, _seconds(row.minute), row.count] for row in batch.evaluations],
            [_metric_values(row) for row in batch.metrics],
            [_rejected_values(row) for row in batch.rejected],
        ]
    )


def unpack(packed: bytes) -> Delivery:
    """The delivery in these bytes. Raises ValueError, TypeError or KeyError where they hold none."""
    form, environment_id, token_id, received_at, labels, evaluations, metrics, rejected = orjson.loads(packed)
    if form != _FORM:
        raise ValueError(f"Deliveries of form {form!r} are not known here.")
    batch_id, service, version = labels
    batch = Batch(
        batch_id,
        service,
        version,
        tuple(EvaluationRow(flag, variant, reason, _minute(at), n) for flag, variant, reason, at, n in evaluations),
        tuple(_metric(values) for values in metrics),
        tuple(RejectedRow(*values) for values in rejected),
    )
    token = uuid.UUID(token_id) if token_id else None
    return Delivery(batch, uuid.UUID(environment_id), token, datetime.fromisoformat(received_at))


def _rejected_values(row: RejectedRow) -> list[Any]:
    return [row.code, row.message, row.row, row.flag_mark, row.asked_key, row.asked]


def _metric_values(row: MetricRow) -> list[Any]:
    sketch = [[bucket, count] for bucket, count in row.sketch.items()]
    counts = [row.count, row.bad, row.units, row.bad_units, row.total, row.total_squares]
    return [row.metric, row.flag_key, row.variant, _seconds(row.minute), *counts, sketch]


def _metric(values: list[Any]) -> MetricRow:
    metric, flag_key, variant, at, count, bad, units, bad_units, total, total_squares, sketch = values
    found = {int(bucket): int(each) for bucket, each in sketch}
    return MetricRow(metric, flag_key, variant, _minute(at), count, bad, units, bad_units, total, total_squares, found)


def _seconds(minute: datetime) -> int:
    return int(minute.timestamp())


def _minute(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
