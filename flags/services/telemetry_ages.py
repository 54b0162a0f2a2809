"""Minutes become hours, and what is old goes. Each step is a short transaction, and may be taken twice."""

import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Model, QuerySet

from flags.models import EvaluationCount, MetricCount, QuarantinedRow, TelemetryBatch
from flags.services.telemetry_rows import SUMS, EvaluationKey, MetricKey, MetricSums, add_evaluations, add_metrics
from flags.services.unknown_keys import forget_unknown_keys

BATCHES_KEPT = timedelta(hours=72)
MINUTES_KEPT = timedelta(days=30)
HOURS_KEPT = timedelta(days=396)
HOUR = timedelta(hours=1)
_ROWS = 5_000
# As many hours as may become old between two runs, and then some: a run that is late makes up for it.
_MOST_HOURS = 48


def roll_up(*, now: datetime) -> int:
    """Write the hours that ended lately, and again those that nothing can be added to any more; how many were written.

    An hour is always written anew from its minutes, so it does not matter how often that is done.
    """
    this_hour = _hour_of(now)
    lately = [this_hour - number * HOUR for number in (1, 2, 3)]
    for_good = [this_hour - BATCHES_KEPT - number * HOUR for number in (1, 2, 3)]
    return sum(_roll_up_hour(hour) for hour in (*lately, *for_good))


def forget_old(*, now: datetime) -> int:
    """Delete batches and refused rows after 72 hours, minutes and unknown keys after 30 days, hours after 13 months;
    how many rows.

    Minutes go in the transaction that writes their hour for the last time.
    """
    deleted = _forget_minutes(_hour_of(now - MINUTES_KEPT))
    for rows in (
        TelemetryBatch.objects.filter(received_at__lt=now - BATCHES_KEPT),
        QuarantinedRow.objects.filter(received_at__lt=now - BATCHES_KEPT),
        EvaluationCount.objects.filter(span="hour", at__lt=now - HOURS_KEPT),
        MetricCount.objects.filter(span="hour", at__lt=now - HOURS_KEPT),
    ):
        deleted += _delete(rows)
    return deleted + forget_unknown_keys(now=now)


def _forget_minutes(before: datetime) -> int:
    deleted = 0
    for _ in range(_MOST_HOURS):
        oldest = _oldest_minute(before)
        if oldest is None:
            break
        hour = _hour_of(oldest)
        with transaction.atomic():
            _roll_up_hour(hour)
            deleted += sum(_minutes(model, hour).delete()[0] for model in (EvaluationCount, MetricCount))
    return deleted


def _oldest_minute(before: datetime) -> datetime | None:
    found: list[datetime] = []
    for model in (EvaluationCount, MetricCount):
        rows: Any = model._default_manager.filter(span="minute", at__lt=before).order_by("at")
        found += rows.values_list("at", flat=True)[:1]
    return min(found, default=None)


def _roll_up_hour(hour: datetime) -> int:
    """Write one hour of every environment; how many environments have any."""
    environments = {
        environment_id
        for model in (EvaluationCount, MetricCount)
        for environment_id in _minutes(model, hour).order_by().values_list("environment_id", flat=True).distinct()
    }
    for environment_id in sorted(environments):
        with transaction.atomic():
            add_evaluations(_evaluations(environment_id, hour), span="hour", replaces=True)
            add_metrics(_metrics(environment_id, hour), span="hour", replaces=True)
    return len(environments)


def _evaluations(environment_id: uuid.UUID, hour: datetime) -> dict[EvaluationKey, int]:
    counts: dict[EvaluationKey, int] = {}
    rows = _minutes(EvaluationCount, hour).filter(environment=environment_id).order_by()
    names = ("flag_key", "variant", "reason", "service", "version")
    for *labels, count in rows.values_list(*names, "count").iterator():
        key = EvaluationKey(environment_id, hour, *labels)
        counts[key] = counts.get(key, 0) + count
    return counts


def _metrics(environment_id: uuid.UUID, hour: datetime) -> dict[MetricKey, MetricSums]:
    sums: dict[MetricKey, MetricSums] = {}
    rows = _minutes(MetricCount, hour).filter(environment=environment_id).order_by("at")
    for metric, flag_key, variant, *values in rows.values_list("metric", "flag_key", "variant", *SUMS).iterator():
        found = sums.setdefault(MetricKey(environment_id, hour, metric, flag_key, variant), MetricSums())
        _add_values(found, zip(SUMS, values, strict=True))
    return sums


def _add_values(sums: MetricSums, values: Iterable[tuple[str, Any]]) -> None:
    for name, value in values:
        if name == "sketch":
            sums.add_sketch({int(bucket): count for bucket, count in value.items()})
        else:
            setattr(sums, name, getattr(sums, name) + value)


def _minutes(model: type[Model], hour: datetime) -> QuerySet[Any]:
    return model._default_manager.filter(span="minute", at__gte=hour, at__lt=hour + HOUR)


def _delete(rows: QuerySet[Any]) -> int:
    """Delete in short transactions."""
    deleted = 0
    while ids := list(rows.order_by().values_list("pk", flat=True)[:_ROWS]):
        deleted += rows.model._default_manager.filter(pk__in=ids).delete()[0]
    return deleted


def _hour_of(instant: datetime) -> datetime:
    return instant.replace(minute=0, second=0, microsecond=0)
