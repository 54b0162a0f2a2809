"""How flags were evaluated, as far as their lives are concerned: when at last, which variants, by whom."""

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import Max, Min, Q, QuerySet, Sum

from flags.lifecycle.facts import Figures, ServiceUse, Use
from flags.lifecycle.thresholds import RECENT_DAYS
from flags.models import EvaluationCount, FlagUse
from flags.selectors.residual import reported_days
from flags.telemetry.labels import TEST_TRAFFIC

# The hours before this are written down by now; after it minutes say it all.
_HOURS_WRITTEN_AFTER = timedelta(hours=3)
_UNKNOWN_FOR = timedelta(days=30)
Place = tuple[uuid.UUID, str]


@dataclass(slots=True)
class _Found:
    first_at: datetime | None = None
    last_at: datetime | None = None
    variants: dict[str, datetime] = field(default_factory=dict)
    services: dict[str, tuple[datetime, int]] = field(default_factory=dict)
    unknown: dict[str, tuple[datetime, datetime]] = field(default_factory=dict)

    def saw(self, service: str, first_at: datetime, last_at: datetime, recent: int = 0) -> None:
        """A service asked between these instants."""
        self.first_at = first_at if self.first_at is None else min(self.first_at, first_at)
        self.last_at = last_at if self.last_at is None else max(self.last_at, last_at)
        known_at, known = self.services.get(service, (last_at, 0))
        self.services[service] = (max(known_at, last_at), known + recent)

    def saw_unknown(self, service: str, first_at: datetime, last_at: datetime) -> None:
        """A service asked between these instants and got nothing."""
        first, last = self.unknown.get(service, (first_at, last_at))
        self.unknown[service] = (min(first, first_at), max(last, last_at))

    def as_use(self) -> Use:
        """What was found as a value, the busiest service first."""
        services = [ServiceUse(name, at, recent) for name, (at, recent) in self.services.items()]
        unknown = [ServiceUse(name, last, first_at=first) for name, (first, last) in sorted(self.unknown.items())]
        services.sort(key=lambda each: (-each.recent, each.service))
        return Use(self.first_at, self.last_at, self.variants, tuple(services), tuple(unknown))


def uses_of(
    environment_ids: Collection[uuid.UUID], flag_keys: Collection[str] | None, *, days: int, now: datetime
) -> Mapping[Place, Use]:
    """The use of flags by environment and key; None asks for every flag: two queries. Counts go `days` back."""
    found: dict[Place, _Found] = {}
    for environment_id, key, variant, service, first_at, last_at, recent in _counts(
        environment_ids, flag_keys, days=days, now=now
    ):
        each = found.setdefault((environment_id, key), _Found())
        each.saw(service, first_at, last_at, recent or 0)
        each.variants[variant] = max(last_at, each.variants.get(variant, last_at))
    for row in _kept(environment_ids, flag_keys):
        each = found.setdefault((row.environment_id, row.flag_key), _Found())
        if not row.is_unknown:
            each.saw(row.service, row.first_at, row.last_at)
        elif row.last_at > now - _UNKNOWN_FOR:
            each.saw_unknown(row.service, row.first_at, row.last_at)
    return {place: each.as_use() for place, each in found.items()}


def _counts(
    environment_ids: Collection[uuid.UUID], flag_keys: Collection[str] | None, *, days: int, now: datetime
) -> QuerySet[EvaluationCount, tuple[uuid.UUID, str, str, str, datetime, datetime, int | None]]:
    edge = (now - _HOURS_WRITTEN_AFTER).replace(minute=0, second=0, microsecond=0)
    in_hours = Q(span="hour", at__gte=now - timedelta(days=days), at__lt=edge)
    rows = EvaluationCount.objects.filter(
        in_hours | Q(span="minute", at__gte=edge, at__lte=now), environment__in=environment_ids
    )
    if flag_keys is not None:
        rows = rows.filter(flag_key__in=flag_keys)
    lately = Q(at__gte=now - timedelta(days=RECENT_DAYS))
    # What people send to try guards is nobody's use.
    return (
        rows.exclude(service=TEST_TRAFFIC)
        .order_by()
        .values_list("environment_id", "flag_key", "variant", "service")
        .annotate(first=Min("at"), last=Max("at"), recent=Sum("count", filter=lately))
    )


def _kept(environment_ids: Collection[uuid.UUID], flag_keys: Collection[str] | None) -> QuerySet[FlagUse]:
    rows = FlagUse.objects.filter(environment__in=environment_ids).exclude(service=TEST_TRAFFIC)
    return (rows if flag_keys is None else rows.filter(flag_key__in=flag_keys)).order_by()


def figures_of(environment_ids: Collection[uuid.UUID], *, days: int, now: datetime) -> Mapping[uuid.UUID, Figures]:
    """Since when and until when each environment reported evaluations of any flag, and on which of the last days: two
    queries.
    """
    rows = FlagUse.objects.filter(environment__in=environment_ids, is_unknown=False).exclude(service=TEST_TRAFFIC)
    grouped = rows.order_by().values_list("environment_id").annotate(first=Min("first_at"), last=Max("last_at"))
    reported = reported_days(environment_ids, days=days, now=now)
    return {pk: Figures(first_at, last_at, reported.get(pk, ())) for pk, first_at, last_at in grouped}
