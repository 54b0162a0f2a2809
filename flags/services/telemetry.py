"""Storing what services report: each batch once, each row in its minute, and what came too late apart.

A row is on time if it is stored before its minute is closed. Closed minutes never change: verdicts rest on them.
"""

import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from time import monotonic

from django.conf import settings
from django.db import transaction
from django.db.models import Count

from flags.models import QuarantinedRow, TelemetryBatch
from flags.services.flag_use import keep_use, use_of_counts
from flags.services.not_served import keep_not_served, not_served_in
from flags.services.telemetry_places import has_metric_place, source_of
from flags.services.telemetry_rows import (
    EvaluationKey,
    MetricKey,
    MetricSums,
    add_evaluations,
    add_metrics,
)
from flags.telemetry import labels
from flags.telemetry.closing import closed_through
from flags.telemetry.labels import Source
from flags.telemetry.packing import Delivery
from flags.telemetry.rows import Batch, RejectedRow
from flags.telemetry.telling import Telling

# Refused rows for each reason: in a batch, and of a service on one day.
MOST_KEPT_OF_A_BATCH = 5
MOST_KEPT_OF_A_DAY = 50
# How long before guards read a minute it is closed: so long a transaction may take to commit.
COMMITS_WITHIN = timedelta(seconds=3)


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of a batch: how many rows were counted, refused, and counted late among those counted."""

    accepted: int
    rejected: int
    late: int
    is_duplicate: bool = False


DUPLICATE = Accepted(0, 0, 0, is_duplicate=True)


class _MinuteClosed(Exception):
    """A minute was closed while something was being added to it."""


def accept(batch: Batch, environment_id: uuid.UUID, token_id: uuid.UUID | None, *, now: datetime) -> Accepted:
    """Count the rows of a batch that were checked; nothing if the token sent a batch of this id before."""
    return store([Delivery(batch, environment_id, token_id, now)], now=now)[0]


def store(deliveries: Sequence[Delivery], *, now: datetime) -> list[Accepted]:
    """Count many deliveries in one transaction; what became of each, in their order.

    Safe to call again with the same ones, also at once from several processes.
    """
    began_at = monotonic()
    while True:
        later = now + timedelta(seconds=monotonic() - began_at)
        try:
            with transaction.atomic():
                done = _store(deliveries, now=later)
                ended_at = now + timedelta(seconds=monotonic() - began_at)
                if _closed(ended_at) != _closed(later):
                    # What was added to it would change a minute that somebody may be judging by now.
                    raise _MinuteClosed
                return done
        except _MinuteClosed:
            continue


def lateness() -> timedelta:
    """How long after its end a minute still takes reports. Guards read it a little later, when all is committed."""
    return max(timedelta(0), timedelta(seconds=settings.TELEMETRY_LATENESS_SECONDS) - COMMITS_WITHIN)


def _closed(now: datetime) -> datetime:
    return closed_through(now, lateness())


@dataclass(frozen=True, slots=True)
class _Judged:
    """A delivery with its labels, as its batch will be remembered."""

    delivery: Delivery
    source: Source
    row: TelemetryBatch


def _store(deliveries: Sequence[Delivery], *, now: datetime) -> list[Accepted]:
    closed = _closed(now)
    judged = [_judge(delivery, closed) for delivery in deliveries]
    # In one order everywhere: two processes that have the same batches wait for each other only once.
    rows = sorted((each.row for each in judged), key=lambda row: (row.environment_id, str(row.token_id), row.batch_id))
    TelemetryBatch.objects.bulk_create(rows, ignore_conflicts=True)
    new = set(TelemetryBatch.objects.filter(pk__in=[row.pk for row in rows]).values_list("pk", flat=True))
    fresh = [each for each in judged if each.row.pk in new]
    _count(fresh, closed, now)
    _keep_rejected(fresh)
    return [
        Accepted(each.row.accepted, each.row.rejected, each.row.late) if each.row.pk in new else DUPLICATE
        for each in judged
    ]


def _judge(delivery: Delivery, closed: datetime) -> _Judged:
    delivery = _without_surplus_metrics(delivery)
    batch = delivery.batch
    source = source_of(delivery)
    minutes = [row.minute for row in batch.evaluations] + [row.minute for row in batch.metrics]
    row = TelemetryBatch(
        environment_id=delivery.environment_id,
        batch_id=batch.batch_id,
        token_id=delivery.token_id,
        service=source.service,
        version=source.version,
        received_at=delivery.received_at,
        accepted=len(minutes),
        rejected=len(batch.rejected),
        late=sum(minute <= closed for minute in minutes),
    )
    return _Judged(delivery, source, row)


def _without_surplus_metrics(delivery: Delivery) -> Delivery:
    """The delivery without rows of metrics for which the environment has no place any more today."""
    batch = delivery.batch
    admitted = {name for name in {row.metric for row in batch.metrics} if has_metric_place(delivery, name)}
    surplus = [row for row in batch.metrics if row.metric not in admitted]
    if not surplus:
        return delivery
    message = (
        f"This environment had {labels.MOST_METRICS} metrics in the last days already. Report fewer different ones."
    )
    # These were checked: their flags and variants are served.
    telling = Telling({row.flag_key: {row.variant for row in surplus} for row in surplus})
    refused = (RejectedRow("too_many_metrics", message, telling.checked_row(row)) for row in surplus)
    rejected = (*batch.rejected, *refused)
    kept = tuple(row for row in batch.metrics if row.metric in admitted)
    return replace(delivery, batch=replace(batch, metrics=kept, rejected=rejected))


def _count(judged: Sequence[_Judged], closed: datetime, now: datetime) -> None:
    evaluations: Counter[EvaluationKey] = Counter()
    metrics: dict[MetricKey, MetricSums] = {}
    for each in judged:
        environment_id, batch = each.delivery.environment_id, each.delivery.batch
        for row in batch.evaluations:
            key = EvaluationKey(environment_id, row.minute, row.flag_key, row.variant, row.reason, *each.source)
            evaluations[key] += row.count
        for one in batch.metrics:
            place = MetricKey(environment_id, one.minute, one.metric, one.flag_key, one.variant)
            metrics.setdefault(place, MetricSums()).add(one, is_late=one.minute <= closed)
    add_evaluations(evaluations)
    add_metrics(metrics)
    keep_use(use_of_counts(evaluations))
    keep_not_served(not_served_in((each.delivery, each.source) for each in judged), now=now)


def _keep_rejected(judged: Iterable[_Judged]) -> None:
    """Put refused rows where people can see them: some for each reason, so that many of one kind hide no other."""
    kept: dict[tuple[uuid.UUID, date], list[QuarantinedRow]] = {}
    for each in judged:
        delivery, seen = each.delivery, Counter[str]()
        day = kept.setdefault((delivery.environment_id, delivery.received_at.date()), [])
        for rejected in delivery.batch.rejected:
            seen[rejected.code] += 1
            if seen[rejected.code] <= MOST_KEPT_OF_A_BATCH:
                day.append(quarantined(delivery, rejected, service=each.source.service))
    for (environment_id, _), rows in kept.items():
        if rows:
            QuarantinedRow.objects.bulk_create(_within_the_day(environment_id, rows))


def _within_the_day(environment_id: uuid.UUID, rows: Sequence[QuarantinedRow]) -> list[QuarantinedRow]:
    """Those of the rows, all of one environment and day, that it still takes."""
    begins = rows[0].received_at.replace(hour=0, minute=0, second=0, microsecond=0)
    found = QuarantinedRow.objects.filter(environment=environment_id, received_at__gte=begins).order_by()
    there = Counter({tuple(place): n for *place, n in found.values_list("service", "code").annotate(n=Count("pk"))})
    taken = []
    for row in rows:
        there[row.service, row.code] += 1
        if there[row.service, row.code] <= MOST_KEPT_OF_A_DAY:
            taken.append(row)
    return taken


def quarantined(delivery: Delivery, rejected: RejectedRow, *, service: str) -> QuarantinedRow:
    """A refused row of a delivery, to be kept."""
    return QuarantinedRow(
        environment_id=delivery.environment_id,
        batch_id=delivery.batch.batch_id,
        service=service,
        code=rejected.code[:50],
        message=rejected.message[:500],
        row=rejected.row[:1000],
        received_at=delivery.received_at,
    )
