"""Who still uses flags: service, version, first and last time, and evaluations by day.

Counts are those that services reported or this installation made; first and last times are kept longer than they.
"""

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from django.db.models import Exists, OuterRef, Q, QuerySet, Sum
from django.db.models.functions import TruncDay

from flags.lifecycle.silences import is_silent
from flags.models import Environment, EvaluationCount, FlagUse
from flags.telemetry.labels import TEST_TRAFFIC

# Hours are written twice: at once, and when their minutes take nothing more. Until then minutes say it all.
_SETTLED_AFTER = timedelta(hours=76)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class ResidualUse:
    """One service in one version that uses a flag in an environment. `days` are its evaluations by day, in UTC.

    `is_unknown`: what it asked for at last was not there, so it got its code default.
    """

    environment_id: uuid.UUID
    flag_key: str
    service: str
    version: str
    first_at: datetime
    last_at: datetime
    is_unknown: bool = False
    days: Mapping[date, int] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """All evaluations since the day that was asked for."""
        return sum(self.days.values())

    def count_since(self, day: date) -> int:
        """Evaluations on this day and after."""
        return sum(count for each, count in self.days.items() if each >= day)


_Place = tuple[uuid.UUID, str, str, str]


def residual_use(
    environment_ids: Collection[uuid.UUID], flag_keys: Collection[str], *, since: datetime, now: datetime
) -> list[ResidualUse]:
    """Who used these flags in these environments since an instant, those that did lately first: two queries."""
    rows = FlagUse.objects.filter(environment__in=environment_ids, flag_key__in=flag_keys, last_at__gte=since)
    found = list(rows.order_by("-last_at", "flag_key", "service", "version"))
    days = _days(environment_ids, flag_keys, since=since, now=now) if found else {}
    return [
        ResidualUse(
            row.environment_id,
            row.flag_key,
            row.service,
            row.version,
            row.first_at,
            row.last_at,
            row.is_unknown,
            days.get((row.environment_id, row.flag_key, row.service, row.version), {}),
        )
        for row in found
    ]


def has_figures(environment_id: uuid.UUID, since: datetime) -> bool:
    """Whether services reported evaluations of any flag since then. Without, no use of a flag means nothing."""
    return _reported().filter(environment=environment_id, at__gte=since).exists()


def covered(environment_ids: Collection[uuid.UUID], *, days: int, now: datetime) -> set[uuid.UUID]:
    """Environments from which figures came all along these days, as `is_silent` has it: one query. Only there
    nobody's use over these days means that nobody used a flag.
    """
    found = reported_days(environment_ids, days=days, now=now)
    return {pk for pk, reported in found.items() if not is_silent(reported)}


def reported_days(
    environment_ids: Collection[uuid.UUID], *, days: int, now: datetime
) -> dict[uuid.UUID, Sequence[bool]]:
    """Whether figures of any flag came in each of the last days, the newest first, by environment: one query."""
    places = Environment.objects.filter(pk__in=environment_ids).order_by()
    reported = {
        f"day_{back}": Exists(
            _reported().filter(environment=OuterRef("pk"), at__gt=now - (back + 1) * _DAY, at__lte=now - back * _DAY)
        )
        for back in range(days)
    }
    return {pk: has_any for pk, *has_any in places.annotate(**reported).values_list("pk", *reported)}


def _reported() -> QuerySet[EvaluationCount]:
    """Counts of whom there is. Spans are named, so that the index by environment, span and instant serves."""
    return EvaluationCount.objects.filter(span__in=["minute", "hour"]).exclude(service=TEST_TRAFFIC)


def last_use(flag_key: str, environment_ids: Collection[uuid.UUID], *, since: datetime) -> list[FlagUse]:
    """Who used a flag since then, the last first; the counts are not asked: one query."""
    rows = FlagUse.objects.filter(environment__in=environment_ids, flag_key=flag_key, last_at__gte=since)
    return list(rows.select_related("environment").order_by("-last_at", "service"))


def burn_down(uses: Iterable[ResidualUse]) -> dict[str, dict[date, int]]:
    """Evaluations by service and day, those of all versions and environments together, the busiest service first."""
    services: dict[str, dict[date, int]] = {}
    for use in uses:
        days = services.setdefault(use.service, {})
        for day, count in use.days.items():
            days[day] = days.get(day, 0) + count
    return dict(sorted(services.items(), key=lambda item: (-sum(item[1].values()), item[0])))


def _days(
    environment_ids: Collection[uuid.UUID], flag_keys: Collection[str], *, since: datetime, now: datetime
) -> dict[_Place, dict[date, int]]:
    rows = each_once(since, now).filter(environment__in=environment_ids, flag_key__in=flag_keys)
    grouped = (
        rows.order_by()
        .annotate(day=TruncDay("at"))
        .values_list("environment_id", "flag_key", "service", "version", "day")
        .annotate(total=Sum("count"))
    )
    found: dict[_Place, dict[date, int]] = {}
    for *place, day, total in grouped:
        found.setdefault((place[0], place[1], place[2], place[3]), {})[day.date()] = total
    return found


def each_once(since: datetime, now: datetime) -> QuerySet[EvaluationCount]:
    """Counts since the beginning of a day, each evaluation once: hours repeat what their minutes say."""
    begins = since.replace(hour=0, minute=0, second=0, microsecond=0)
    minutes_from = max(begins, (now - _SETTLED_AFTER).replace(minute=0, second=0, microsecond=0))
    in_minutes = Q(span="minute", at__gte=minutes_from)
    in_hours = Q(span="hour", at__gte=begins, at__lt=minutes_from)
    return EvaluationCount.objects.filter(in_minutes | in_hours)
