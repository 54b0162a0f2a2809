"""What services reported: minutes for guards and pictures, and what arrives for the page of an environment."""

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from operator import or_
from typing import Literal, NamedTuple

from django.contrib.auth.models import AbstractUser
from django.db.models import Count, Max, Q, Sum

from flags.models import Environment, EvaluationCount, MetricCount, QuarantinedRow, TelemetryBatch
from flags.models.environments import EnvironmentKind
from flags.permissions import visible_environments
from flags.telemetry import latency

Span = Literal["minute", "hour"]


class MetricSeries(NamedTuple):
    """What guards follow: a metric of those served one flag in one environment."""

    environment_id: uuid.UUID
    metric: str
    flag_key: str


@dataclass(frozen=True, slots=True)
class VariantCount:
    """How often a flag was evaluated to a variant in the minute or hour that begins at `at`."""

    at: datetime
    variant: str
    count: int


def metric_minutes(
    keys: Collection[tuple[uuid.UUID, str, str]], *, since: datetime, until: datetime, span: Span = "minute"
) -> tuple[MetricCount, ...]:
    """The counts of these (environment id, metric, flag key) that begin in [since, until), oldest first: one query."""
    wanted = frozenset(keys)
    if not wanted:
        return ()
    rows = MetricCount.objects.filter(**_any_of(wanted), span=span, at__gte=since, at__lt=until)
    found = rows.order_by("at", "environment_id", "metric", "flag_key", "variant")
    return tuple(row for row in found if (row.environment_id, row.metric, row.flag_key) in wanted)


def newest_minutes(
    keys: Collection[tuple[uuid.UUID, str, str]], *, since: datetime
) -> Mapping[tuple[uuid.UUID, str, str], datetime]:
    """The newest minute that was reported on time since then, of those keys that have one: one query."""
    wanted = frozenset(keys)
    if not wanted:
        return {}
    rows = MetricCount.objects.filter(**_any_of(wanted), span="minute", at__gte=since).exclude(
        count=0, late_count__gt=0
    )
    grouped = rows.order_by().values_list("environment_id", "metric", "flag_key").annotate(newest=Max("at"))
    return {
        MetricSeries(environment_id, metric, flag_key): newest
        for environment_id, metric, flag_key, newest in grouped
        if (environment_id, metric, flag_key) in wanted
    }


def evaluations_of(
    flag_key: str, environment: Environment | uuid.UUID, since: datetime, until: datetime, *, span: Span = "minute"
) -> tuple[VariantCount, ...]:
    """Evaluations of a flag by variant in [since, until), oldest first; a code default has the variant ""."""
    rows = EvaluationCount.objects.filter(
        environment=environment, flag_key=flag_key, span=span, at__gte=since, at__lt=until
    )
    grouped = rows.order_by("at", "variant").values_list("at", "variant").annotate(total=Sum("count"))
    return tuple(VariantCount(*row) for row in grouped)


def is_production(environment_id: uuid.UUID) -> bool:
    """Whether an environment is of the kind production."""
    return Environment.objects.filter(pk=environment_id, kind=EnvironmentKind.PRODUCTION).exists()


def _any_of(wanted: Collection[tuple[uuid.UUID, str, str]]) -> dict[str, set[object]]:
    """A wider question the database answers from one index; what is not wanted is sorted out afterwards."""
    environments, metrics, flag_keys = (set[object](each) for each in zip(*wanted, strict=True))
    return {"environment__in": environments, "metric__in": metrics, "flag_key__in": flag_keys}


@dataclass(frozen=True, slots=True)
class ArrivalLine:
    """One environment: what came in the last hour, and when something came at last."""

    environment: Environment
    batches: int
    rows: int
    rejected: int
    late: int
    newest_at: datetime | None


def arrival_lines(user: AbstractUser, now: datetime) -> list[ArrivalLine]:
    """Every environment the person may look at, by project: three queries."""
    environments = list(
        visible_environments(user).select_related("project").order_by("project__name", "position", "key")
    )
    batches = TelemetryBatch.objects.filter(environment__in=environments, received_at__gt=now - timedelta(hours=72))
    newest = dict(batches.order_by().values_list("environment_id").annotate(newest=Max("received_at")))
    hour = batches.filter(received_at__gt=now - timedelta(hours=1)).order_by().values_list("environment_id")
    sums = hour.annotate(batches=Count("pk"), rows=Sum("accepted"), refused=Sum("rejected"), came_late=Sum("late"))
    counts = {environment_id: found for environment_id, *found in sums}
    none = [0, 0, 0, 0]
    lines = []
    for item in environments:
        number, counted, refused, came_late = counts.get(item.pk, none)
        lines.append(ArrivalLine(item, number, counted, refused, came_late, newest.get(item.pk)))
    return lines


@dataclass(frozen=True, slots=True)
class SourceLine:
    """One service and version: what it reported in the last day."""

    service: str
    version: str
    batches: int
    rows: int
    rejected: int
    late: int
    newest_at: datetime


def source_lines(environment: Environment, now: datetime) -> list[SourceLine]:
    """Services and versions that reported in the last day, those heard last first."""
    rows = TelemetryBatch.objects.filter(environment=environment, received_at__gt=now - timedelta(hours=24))
    grouped = rows.order_by().values_list("service", "version")
    sums = grouped.annotate(
        batches=Count("pk"),
        rows=Sum("accepted"),
        refused=Sum("rejected"),
        came_late=Sum("late"),
        newest=Max("received_at"),
    )
    return [SourceLine(*row) for row in sums.order_by("-newest", "service", "version")]


@dataclass(frozen=True, slots=True)
class SeriesLine:
    """A metric of a flag: what came in the last hour, late or on time, and its newest minute."""

    metric: str
    flag_key: str
    count: int
    bad: int
    late: int
    newest_at: datetime


def series_lines(environment: Environment, now: datetime, *, most: int = 100) -> list[SeriesLine]:
    """Metrics by flag of the last hour, those with the most events first."""
    rows = MetricCount.objects.filter(environment=environment, span="minute", at__gt=now - timedelta(hours=1))
    sums = rows.order_by().values_list("metric", "flag_key")
    grouped = sums.annotate(
        events=Sum("count"), bad_events=Sum("bad"), came_late=Sum("late_count"), newest=Max("at")
    ).order_by("-events", "metric", "flag_key")
    return [SeriesLine(*row) for row in grouped[:most]]


@dataclass(frozen=True, slots=True)
class LatencyLine:
    """How long it took those served a variant, in milliseconds: half, 95 and 99 % of the events took no longer."""

    metric: str
    flag_key: str
    variant: str
    events: int
    half: float
    most: float
    nearly_all: float


def latency_lines(environment: Environment, now: datetime, *, most_minutes: int = 5_000) -> list[LatencyLine]:
    """Latencies of the last hour by metric, flag and variant; of its newest minutes where there are very many."""
    rows = MetricCount.objects.filter(environment=environment, span="minute", at__gt=now - timedelta(hours=1))
    sketches: dict[tuple[str, str, str], list[latency.Sketch]] = {}
    found = rows.exclude(sketch={}).order_by("-at").values_list("metric", "flag_key", "variant", "sketch")
    for metric, flag_key, variant, sketch in found[:most_minutes]:
        sketches.setdefault((metric, flag_key, variant), []).append(
            {int(bucket): count for bucket, count in sketch.items()}
        )
    lines = [_latency_line(place, latency.merged(sketches[place])) for place in sorted(sketches)]
    return [line for line in lines if line.events]


def _latency_line(place: tuple[str, str, str], sketch: latency.Sketch) -> LatencyLine:
    half, most, nearly_all = (latency.quantile(sketch, part) or 0.0 for part in (0.5, 0.95, 0.99))
    return LatencyLine(*place, sum(sketch.values()), half, most, nearly_all)


@dataclass(frozen=True, slots=True)
class FlagLine:
    """A flag: how often it was evaluated in the last hour, here and by services that said so."""

    flag_key: str
    count: int
    newest_at: datetime


def flag_lines(environment: Environment, now: datetime, *, most: int = 100) -> list[FlagLine]:
    """Evaluations by flag of the last hour, the most first."""
    rows = EvaluationCount.objects.filter(environment=environment, span="minute", at__gt=now - timedelta(hours=1))
    grouped = rows.order_by().values_list("flag_key").annotate(total=Sum("count"), newest=Max("at"))
    return [FlagLine(*row) for row in grouped.order_by("-total", "flag_key")[:most]]


@dataclass(frozen=True, slots=True)
class RefusalLine:
    """A reason why rows were refused: how many were kept, and the newest of them."""

    code: str
    count: int
    newest: QuarantinedRow


def refusal_lines(environment: Environment, now: datetime) -> list[RefusalLine]:
    """Reasons of the last 72 hours with one example each, the most frequent first: two queries."""
    rows = QuarantinedRow.objects.filter(environment=environment, received_at__gt=now - timedelta(hours=72))
    groups = rows.order_by().values_list("code").annotate(total=Count("pk"), newest=Max("received_at"))
    found = {code: (total, at) for code, total, at in groups}
    newest: dict[str, QuarantinedRow] = {}
    any_newest = [Q(code=code, received_at=at) for code, (_, at) in found.items()]
    for row in rows.filter(reduce(or_, any_newest)) if any_newest else ():
        newest.setdefault(row.code, row)
    lines = [RefusalLine(code, total, newest[code]) for code, (total, _) in found.items() if code in newest]
    return sorted(lines, key=lambda line: (-line.count, line.code))
