"""Projects and environments for people."""

import uuid
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

from django.contrib.auth.models import AbstractUser
from django.db.models import Count, Q, QuerySet

from flags.models import Environment, EnvironmentToken, EnvironmentUserGrant, FlagConfig, Project
from flags.permissions import (
    ADMINISTER,
    PERMISSION_ROLE,
    Role,
    environments_with,
    visible_environments,
    visible_projects,
)


def shown_project(user: AbstractUser, key: str) -> tuple[list[Project], Project | None]:
    """The projects a person may look at, and the one asked for: the first for an empty key, None for a wrong one."""
    projects = list(visible_projects(user))
    if not key:
        return projects, projects[0] if projects else None
    return projects, next((project for project in projects if project.key == key), None)


def administered_environments(user: AbstractUser) -> QuerySet[Environment]:
    """Environments whose protection, tokens and roles the person may change."""
    environments = Environment.objects.select_related("project")
    if user.is_superuser and user.is_active:
        return environments
    return environments.filter(pk__in=environments_with(user, ADMINISTER) if user.is_active else [])


@dataclass(frozen=True, slots=True)
class EnvironmentLine:
    """One environment in the list: how many flags are set up in it, and how many people hold a role that counts."""

    environment: Environment
    flags: int
    editors: int
    approvers: int
    tokens: int
    may_administer: bool


@dataclass(slots=True)
class _Counts:
    flags: dict[uuid.UUID, int] = field(default_factory=dict)
    tokens: dict[uuid.UUID, int] = field(default_factory=dict)
    roles: dict[tuple[uuid.UUID, Role], int] = field(default_factory=dict)


def environment_lines(user: AbstractUser, now: datetime) -> list[EnvironmentLine]:
    """Every environment the person may look at, by project: five queries."""
    environments = list(
        visible_environments(user).select_related("project").order_by("project__name", "position", "key")
    )
    administers = environments_with(user, ADMINISTER)
    counts = _count(environments, now)
    return [
        EnvironmentLine(
            item,
            flags=counts.flags.get(item.pk, 0),
            editors=counts.roles.get((item.pk, Role.EDITOR), 0),
            approvers=counts.roles.get((item.pk, Role.APPROVER), 0),
            tokens=counts.tokens.get(item.pk, 0),
            may_administer=user.is_superuser or item.pk in administers,
        )
        for item in environments
    ]


def _count(environments: Collection[Environment], now: datetime) -> _Counts:
    counts = _Counts()
    configs = FlagConfig.objects.filter(environment__in=environments).values_list("environment_id")
    counts.flags = dict(configs.annotate(Count("pk")))
    alive = Q(revoked_at=None) & (Q(expires_at=None) | Q(expires_at__gt=now))
    tokens = (
        EnvironmentToken.objects.filter(alive, environment__in=environments).order_by().values_list("environment_id")
    )
    counts.tokens = dict(tokens.annotate(Count("pk")))
    grants = EnvironmentUserGrant.objects.filter(content_object__in=environments, user__is_active=True)
    for environment_id, codename, count in grants.values_list("content_object_id", "permission__codename").annotate(
        Count("pk")
    ):
        role = PERMISSION_ROLE.get(f"flags.{codename}")
        if role:
            counts.roles[environment_id, role] = count
    return counts


def administers_project(user: AbstractUser, project: Project) -> bool:
    """Whether a person may change what belongs to no environment: teams and roles of the project. Two queries.

    It takes the role administrator in every guarded environment, and in some environment at all.
    """
    if not user.is_active or user.is_superuser:
        return user.is_active
    rows, held = list(Environment.objects.filter(project=project)), environments_with(user, ADMINISTER)
    return any(row.pk in held for row in rows) and all(row.pk in held for row in rows if row.is_guarded)
