"""Open incidents: what reviewers and policies should know of."""

import uuid
from collections.abc import Collection
from datetime import datetime

from django.contrib.auth.models import AbstractUser
from django.db.models import Q, QuerySet

from flags import permissions
from flags.models import Environment
from rollouts.models import Incident, Severity

_ORDER = {Severity.CRITICAL: 0, Severity.MAJOR: 1, Severity.MINOR: 2}


def open_incidents(environment: Environment, *, now: datetime) -> list[Incident]:
    """Incidents that were open in an environment at an instant, also those of its whole project, the worst first."""
    return _at(_about([environment]), now)


def open_incidents_for(user: AbstractUser, *, now: datetime) -> list[Incident]:
    """Open incidents that concern an environment the person may look at, the worst first: one query."""
    return _at(visible_incidents(user), now)


def visible_incidents(user: AbstractUser) -> QuerySet[Incident]:
    """Incidents of the environments, and of the projects, that the person may look at."""
    environments = permissions.visible_environments(user)
    seen = Q(environment__in=environments) | Q(environment=None, project__in=environments.values("project_id"))
    return Incident.objects.filter(seen).select_related("project", "environment", "opened_by", "closed_by")


def _about(environments: Collection[Environment]) -> QuerySet[Incident]:
    projects: set[uuid.UUID] = {environment.project_id for environment in environments}
    rows = Incident.objects.filter(Q(environment__in=environments) | Q(environment=None, project__in=projects))
    return rows.select_related("project", "environment", "opened_by")


def _at(rows: QuerySet[Incident], now: datetime) -> list[Incident]:
    found = rows.filter(Q(closed_at=None) | Q(closed_at__gt=now), opened_at__lte=now)
    return sorted(found, key=lambda incident: (_ORDER[Severity(incident.severity)], incident.opened_at))
