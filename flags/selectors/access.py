"""Who holds which role where."""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser
from django.db.models import QuerySet

from flags.models import Environment, EnvironmentUserGrant, Project
from flags.permissions import (
    ADMINISTER,
    PERMISSION_ROLE,
    Role,
    environments_with,
    visible_environments,
)


@dataclass(frozen=True, slots=True)
class AccessCell:
    """The roles of one person in one environment. `looks_only` is the role viewer and nothing else."""

    environment: Environment
    roles: frozenset[Role]
    may_edit: bool

    @property
    def shown(self) -> list[Role]:
        """The roles worth a word: viewing goes without saying for everybody who may do more."""
        ordered = [role for role in Role if role in self.roles]
        return [role for role in ordered if role is not Role.VIEWER] or ordered


@dataclass(frozen=True, slots=True)
class AccessRow:
    """One person in every environment of a project."""

    person: Any
    cells: Sequence[AccessCell]


def access(user: AbstractUser, project: Project) -> tuple[list[Environment], list[AccessRow]]:
    """Who holds which role in the environments of a project the person may look at: four queries.

    Everybody with an active account is listed for those who administer something here, else only people with a role.
    """
    environments = list(visible_environments(user).filter(project=project).order_by("position", "key"))
    administers = environments_with(user, ADMINISTER)
    editable = {item.pk for item in environments if user.is_superuser or item.pk in administers}
    held = _roles_by_person(environments)
    people: QuerySet[Any] = get_user_model().objects.filter(is_active=True)
    if not editable:
        people = people.filter(pk__in={person_id for person_id, _ in held})
    rows = [
        AccessRow(
            person,
            [
                AccessCell(item, held.get((person.pk, item.pk), frozenset()), item.pk in editable)
                for item in environments
            ],
        )
        for person in people.order_by("first_name", "last_name", "username")
    ]
    rows.sort(key=lambda row: not any(cell.roles for cell in row.cells))
    return environments, rows


def _roles_by_person(environments: Collection[Environment]) -> dict[tuple[uuid.UUID, uuid.UUID], frozenset[Role]]:
    grants = EnvironmentUserGrant.objects.filter(content_object__in=environments)
    held: dict[tuple[uuid.UUID, uuid.UUID], set[Role]] = {}
    for person_id, environment_id, codename in grants.values_list(
        "user_id", "content_object_id", "permission__codename"
    ):
        role = PERMISSION_ROLE.get(f"flags.{codename}")
        if role:
            held.setdefault((person_id, environment_id), set()).add(role)
    return {key: frozenset(roles) for key, roles in held.items()}
