"""Who may do what in which environment: roles, and the questions every service asks.

A role is one distinctive guardian object permission on an environment; every role brings the right to look. Superusers
administer and look. Proposing, approving and applying always needs a grant that somebody gave and the trail shows.

A grant may end. Every question here is answered by the clock at the moment it is asked, not by the instant an act
began: `EnvironmentUserGrant.objects` leaves out what has ended, whether or not somebody has removed it.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING

from django.contrib.auth import get_user_model
from django.db.models import Q, QuerySet

from audits.context import Actor, ActorKind
from flags.errors import PermissionMissing
from flags.models import Environment, EnvironmentUserGrant, Project
from flags.models.environments import living

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractUser, AnonymousUser

VIEW = "flags.view_environment"
PROPOSE = "flags.propose_change"
APPROVE = "flags.approve_change"
APPLY = "flags.apply_change"
BREAK_GLASS = "flags.break_glass"
ADMINISTER = "flags.administer_environment"


class Role(StrEnum):
    """What a person can be in an environment; several roles add up."""

    VIEWER = "viewer"
    EDITOR = "editor"
    APPROVER = "approver"
    RELEASE_MANAGER = "release_manager"
    BREAK_GLASS = "break_glass"
    ADMINISTRATOR = "administrator"

    @property
    def label(self) -> str:
        """The role in words."""
        return self.value.replace("_", " ").capitalize()


ROLE_PERMISSION: dict[Role, str] = {
    Role.VIEWER: VIEW,
    Role.EDITOR: PROPOSE,
    Role.APPROVER: APPROVE,
    Role.RELEASE_MANAGER: APPLY,
    Role.BREAK_GLASS: BREAK_GLASS,
    Role.ADMINISTRATOR: ADMINISTER,
}
PERMISSION_ROLE: dict[str, Role] = {permission: role for role, permission in ROLE_PERMISSION.items()}
SUPERUSER_HOLDS = frozenset({VIEW, ADMINISTER})
# Rules of the system may apply what people approved; they never edit, approve or administer.
SYSTEM_GRANTS: dict[str, frozenset[str]] = {
    "rollouts.apply_due_changes": frozenset({APPLY}),
    "rollouts.advance_plans": frozenset({APPLY}),
    "rollouts.advance_timelines": frozenset({APPLY}),
}


def require(actor: Actor, permission: str, environment: Environment) -> None:
    """Raise PermissionMissing unless the actor holds the permission in the environment."""
    if not holds(actor, permission, environment):
        role = PERMISSION_ROLE[permission].label.lower()
        raise PermissionMissing(
            f"{actor.label} does not have the role {role} in {environment.name}. "
            f"Ask an administrator of {environment.name} for it.",
            permission=permission,
            environment=environment.key,
        )


def require_any(actor: Actor, wanted: Sequence[str], environment: Environment) -> None:
    """Raise PermissionMissing unless the actor holds one of the permissions in the environment."""
    if not any(holds(actor, permission, environment) for permission in wanted[:-1]):
        require(actor, wanted[-1], environment)


def holds(actor: Actor, permission: str, environment: Environment) -> bool:
    """Whether the actor holds the permission in the environment, now."""
    if actor.kind is ActorKind.SYSTEM:
        return permission in SYSTEM_GRANTS.get(actor.id, frozenset())
    if actor.kind is ActorKind.SERVICE:
        return False
    user = person_of(actor)
    return user is not None and user_holds(user, permission, environment)


def user_holds(user: AbstractUser | AnonymousUser, permission: str, environment: Environment) -> bool:
    """The same question for a person at hand. Only grants to the person count, never model-level permissions."""
    if not user.is_active:
        return False
    if user.is_superuser and permission in SUPERUSER_HOLDS:
        return True
    codename = permission.removeprefix("flags.")
    grants = EnvironmentUserGrant.objects.filter(user_id=user.pk, content_object=environment)
    return grants.filter(permission__codename=codename).exists()


def person_of(actor: Actor) -> AbstractUser | None:
    """The person behind an actor, None for services, the system and people who are gone."""
    if actor.kind is not ActorKind.PERSON:
        return None
    return get_user_model().objects.filter(pk=actor.id).first()


def is_superuser(actor: Actor) -> bool:
    """Whether the actor is an active person with the superuser mark."""
    user = person_of(actor)
    return user is not None and user.is_active and user.is_superuser


def people_with(environment: Environment, permission: str) -> list[AbstractUser]:
    """Active people who were granted the permission in the environment, by name."""
    grants = EnvironmentUserGrant.objects.filter(
        content_object=environment, permission__codename=permission.removeprefix("flags.")
    )
    people = get_user_model().objects.filter(is_active=True, pk__in=grants.values("user_id"))
    return list(people.order_by("first_name", "last_name", "username"))


def people_who_see(project: Project) -> QuerySet[AbstractUser]:
    """Active people who may look at something in the project, by name."""
    grants = EnvironmentUserGrant.objects.filter(content_object__project=project)
    people = get_user_model().objects.filter(Q(is_superuser=True) | Q(pk__in=grants.values("user_id")), is_active=True)
    return people.order_by("first_name", "last_name", "username")


def roles_of(user: AbstractUser, environment: Environment) -> set[Role]:
    """The roles a person was granted in an environment; they stay with a closed account, where they give no rights."""
    grants = EnvironmentUserGrant.objects.filter(user_id=user.pk, content_object=environment)
    codenames = set(grants.values_list("permission__codename", flat=True))
    return {role for role, permission in ROLE_PERMISSION.items() if permission.removeprefix("flags.") in codenames}


def environments_with(user: AbstractUser, permission: str) -> set[uuid.UUID]:
    """Ids of the environments in which the person was granted the permission: one query."""
    return set(
        EnvironmentUserGrant.objects.filter(
            user=user, permission__codename=permission.removeprefix("flags.")
        ).values_list("content_object_id", flat=True)
    )


def visible_environments(user: AbstractUser | AnonymousUser) -> QuerySet[Environment]:
    """Environments the person may look at."""
    if not user.is_active:
        return Environment.objects.none()
    if user.is_superuser:
        return Environment.objects.all()
    return Environment.objects.filter(living("grants__"), grants__user_id=user.pk).distinct()


def visible_projects(user: AbstractUser | AnonymousUser) -> QuerySet[Project]:
    """Projects with at least one environment that the person may look at."""
    return Project.objects.filter(pk__in=visible_environments(user).values("project_id"))
