"""Open incidents: what reviewers and policies should know of."""

import uuid
from collections.abc import Collection
from datetime import datetime

from django.contrib.auth.models import AbstractUser
from django.db.models import Q, QuerySet

from flags import permissions
from flags.models import Environment
from rollouts.models import ChangeRequest, Incident, Severity
from rollouts.selectors.rules import active_rules, judgements_of
from rollouts.transitions import OPEN_STATES

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


def request_held_by_incident(incident: Incident, person_id: str) -> ChangeRequest | None:
    """An open request that the person shaped, where the incident is, under a rule that asks about incidents."""
    requests = ChangeRequest.objects.filter(project=incident.project_id, state__in=[*OPEN_STATES])
    if incident.environment_id is not None:
        requests = requests.filter(environment=incident.environment_id)
    own = [request for request in requests if person_id in request.contributor_ids]
    if not own:
        return None
    present, former = active_rules(incident.project_id), judgements_of(own)
    for request in own:
        stored = former[request.pk].rules if request.pk in former else ()
        if any(condition.kind == "incident" for rule in (*present, *stored) for condition in rule.conditions):
            return request
    return None


def _about(environments: Collection[Environment]) -> QuerySet[Incident]:
    projects: set[uuid.UUID] = {environment.project_id for environment in environments}
    rows = Incident.objects.filter(Q(environment__in=environments) | Q(environment=None, project__in=projects))
    return rows.select_related("project", "environment", "opened_by")


def _at(rows: QuerySet[Incident], now: datetime) -> list[Incident]:
    found = rows.filter(Q(closed_at=None) | Q(closed_at__gt=now), opened_at__lte=now)
    return sorted(found, key=lambda incident: (_ORDER[Severity(incident.severity)], incident.opened_at))
