"""Services that evaluate flags, and who answers for each."""

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Max

from flags.models import FlagUse, ServiceOwner
from flags.telemetry.labels import ALL_AT_ONCE, EVALUATED_HERE, OTHER

SEEN_WITHIN = timedelta(days=90)
# Not services: what this installation evaluated itself, and what had no place of its own.
NOBODYS = frozenset({EVALUATED_HERE, ALL_AT_ONCE, OTHER})


@dataclass(frozen=True, slots=True)
class ServiceLine:
    """A service: how many flags it evaluated in 90 days and when at last (None: not seen), and who answers for it."""

    service: str
    flags: int
    last_at: datetime | None
    owner: ServiceOwner | None


def owners_of(project_id: uuid.UUID, services: Collection[str]) -> Mapping[str, ServiceOwner]:
    """Who answers for these services, by name; nobody for one that is not among them: one query."""
    rows = ServiceOwner.objects.filter(project=project_id, service__in=services).select_related("person", "team")
    return {row.service: row for row in rows}


def service_lines(project_id: uuid.UUID, environment_ids: Collection[uuid.UUID], *, now: datetime) -> list[ServiceLine]:
    """Services seen in these environments, and those somebody answers for: first those nobody answers for."""
    rows = FlagUse.objects.filter(environment__in=environment_ids, last_at__gte=now - SEEN_WITHIN)
    seen = {
        service: (flags, last_at)
        for service, flags, last_at in rows.exclude(service__in=NOBODYS)
        .order_by()
        .values_list("service")
        .annotate(flags=Count("flag_key", distinct=True), last=Max("last_at"))
    }
    owners = {
        row.service: row for row in ServiceOwner.objects.filter(project=project_id).select_related("person", "team")
    }
    lines = [ServiceLine(service, *seen.get(service, (0, None)), owners.get(service)) for service in {*seen, *owners}]
    return sorted(lines, key=lambda line: (line.owner is not None, line.service.casefold()))
