"""Short ways to make telemetry."""

import itertools
from datetime import datetime, timedelta
from typing import Any

from flags.telemetry.rows import Batch, EvaluationRow, MetricRow
from tests.factories import NOW

KNOWN = {"checkout": frozenset({"on", "off"}), "search": frozenset({"a", "b"})}
MINUTE = NOW.replace(second=0, microsecond=0)
_numbers = itertools.count(1)


def evaluation(**changes: Any) -> dict[str, Any]:
    """An evaluation row as a service sends it; None takes a field away."""
    return _row({"flag": "checkout", "variant": "on", "reason": "SPLIT", "minute": _text(MINUTE), "count": 3}, changes)


def metric(**changes: Any) -> dict[str, Any]:
    """A metric row as a service sends it; None takes a field away."""
    fields = {"metric": "errors", "flag": "checkout", "variant": "on", "minute": _text(MINUTE), "count": 10, "bad": 2}
    return _row(fields, changes)


def document(*, evaluations: Any = (), metrics: Any = (), **changes: Any) -> dict[str, Any]:
    """A batch as a service sends it."""
    fields = {"batch_id": f"batch-{next(_numbers)}", "service": "shop", "version": "1.0"}
    return _row({**fields, "evaluations": list(evaluations), "metrics": list(metrics)}, changes)


def batch(
    *rows: EvaluationRow | MetricRow, batch_id: str = "", service: str = "shop", version: str = "1.0", **rest: Any
) -> Batch:
    """A batch of checked rows."""
    evaluations = tuple(row for row in rows if isinstance(row, EvaluationRow))
    metrics = tuple(row for row in rows if isinstance(row, MetricRow))
    return Batch(batch_id or f"batch-{next(_numbers)}", service, version, evaluations, metrics, **rest)


def evaluated(
    count: int = 1, *, flag_key: str = "checkout", variant: str = "on", at: datetime = MINUTE
) -> EvaluationRow:
    """A checked evaluation row."""
    return EvaluationRow(flag_key, variant, "SPLIT", at, count)


def measured(count: int = 10, bad: int = 2, *, at: datetime = MINUTE, name: str = "errors", **rest: Any) -> MetricRow:
    """A checked metric row."""
    return MetricRow(name, "checkout", rest.pop("variant", "on"), at, count, bad, **rest)


def minutes(number: float) -> timedelta:
    """So many minutes."""
    return timedelta(minutes=number)


def _row(fields: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**fields, **changes}.items() if value is not None}


def _text(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")
