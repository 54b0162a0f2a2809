"""Who holds which role where."""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser
from django.db.models import QuerySet

from flags.models import Environment, Project, RoleGrant
from flags.permissions import ADMINISTER, Role, environments_with, visible_environments
from flags.selectors.grants import present_grants, roles_in


@dataclass(frozen=True, slots=True)
class AccessCell:
    """The roles of one person in one environment, and the grants they come from."""

    environment: Environment
    grants: Sequence[RoleGrant]
    may_edit: bool

    @property
    def roles(self) -> frozenset[Role]:
        """What the person can be there."""
        return roles_in(self.grants)

    @property
    def shown(self) -> list[RoleGrant]:
        """The grants worth a word: viewing goes without saying for everybody who may do more."""
        order = list(Role)
        ordered = sorted(self.grants, key=lambda grant: order.index(Role(grant.role)) if grant.role else len(order))
        return [grant for grant in ordered if grant.role != Role.VIEWER] or ordered


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
    held = _grants_by_person(environments)
    people: QuerySet[Any] = get_user_model().objects.filter(is_active=True)
    if not editable:
        people = people.filter(pk__in={person_id for person_id, _ in held})
    rows = [
        AccessRow(
            person,
            [AccessCell(item, held.get((person.pk, item.pk), ()), item.pk in editable) for item in environments],
        )
        for person in people.order_by("first_name", "last_name", "username")
    ]
    rows.sort(key=lambda row: not any(cell.grants for cell in row.cells))
    return environments, rows


def _grants_by_person(environments: Collection[Environment]) -> dict[tuple[uuid.UUID, uuid.UUID], list[RoleGrant]]:
    held: dict[tuple[uuid.UUID, uuid.UUID], list[RoleGrant]] = {}
    for grant in present_grants(environments):
        held.setdefault((grant.person_id, grant.environment_id), []).append(grant)
    return held
