"""Role grants: what was given to whom, by whom, why and until when, and which permissions follow."""

import uuid
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import QuerySet

from flags.models import Environment, RoleGrant
from flags.models.environments import living
from flags.permissions import PERMISSION_ROLE, ROLE_PERMISSION, SUPERUSER_HOLDS, VIEW, Role

PERMISSION_WORDS = {
    "flags.view_environment": "Look at flags, requests and the audit trail",
    "flags.propose_change": "Propose changes, edit while nothing is protected",
    "flags.approve_change": "Approve what others ask for",
    "flags.apply_change": "Schedule and apply approved changes",
    "flags.break_glass": "Change a protected environment in an emergency",
    "flags.administer_environment": "Administer protection, policies, tokens and roles",
}


def ended_grants(now: datetime) -> QuerySet[RoleGrant]:
    """Grants whose end has come and that nobody has closed."""
    return RoleGrant.objects.filter(closed_at=None, ends_at__lte=now)


def present_grants(environments: Collection[Environment]) -> QuerySet[RoleGrant]:
    """Grants in these environments that give a right by the clock."""
    rows = RoleGrant.objects.filter(living(), closed_at=None, environment__in=environments)
    return rows.select_related("custom_role", "given_by").order_by("starts_at", "pk")


def codenames_of(grant: RoleGrant) -> list[str]:
    """The permissions that one grant brings, without the app; the right to look goes without saying."""
    if grant.custom_role is not None:
        return list(grant.custom_role.permissions)
    return [ROLE_PERMISSION[Role(grant.role)].removeprefix("flags.")]


def roles_in(grants: Iterable[RoleGrant]) -> frozenset[Role]:
    """What somebody with these grants can be; a custom role counts as the roles whose permissions it brings."""
    names = {f"flags.{codename}" for grant in grants for codename in codenames_of(grant)}
    return frozenset(PERMISSION_ROLE[name] for name in names | ({VIEW} if names else set()))


@dataclass(frozen=True, slots=True)
class Holding:
    """Why one person holds one permission in one environment. Without a grant: as a site administrator."""

    person: Any
    environment: Environment
    grant: RoleGrant | None


@dataclass(frozen=True, slots=True)
class Reason:
    """One permission in words, and everything that gives it."""

    permission: str
    words: str
    holdings: Sequence[Holding]


def reasons_in(environment: Environment) -> list[Reason]:
    """Who can do what in an environment, and why: permission by permission. Two queries."""
    grants = list(present_grants([environment]).filter(person__is_active=True).select_related("person", "custom_role"))
    superusers = list(_people().filter(is_superuser=True))
    return _reasons(
        [Holding(grant.person, environment, grant) for grant in _by_name(grants)],
        [Holding(person, environment, None) for person in superusers],
    )


def reasons_for(person: Any, environments: Collection[Environment]) -> list[tuple[Environment, list[Reason]]]:
    """What a person can do in each of these environments, and why: one query. A closed account can do nothing."""
    held: dict[uuid.UUID, list[RoleGrant]] = {}
    for grant in present_grants(environments).filter(person=person) if person.is_active else ():
        held.setdefault(grant.environment_id, []).append(grant)
    is_superuser = person.is_active and person.is_superuser
    return [
        (
            item,
            _reasons(
                [Holding(person, item, grant) for grant in held.get(item.pk, [])],
                [Holding(person, item, None)] if is_superuser else [],
            ),
        )
        for item in environments
    ]


def _reasons(given: Sequence[Holding], superusers: Sequence[Holding]) -> list[Reason]:
    found = []
    for permission, words in PERMISSION_WORDS.items():
        codename = permission.removeprefix("flags.")
        through = [item for item in given if item.grant and codename in codenames_of(item.grant)]
        if permission == VIEW:
            through = _one_each(given)
        found.append(Reason(permission, words, [*through, *(superusers if permission in SUPERUSER_HOLDS else ())]))
    return found


def _one_each(given: Sequence[Holding]) -> list[Holding]:
    """One grant for each person, the one that lasts longest: every role brings the right to look."""
    best: dict[uuid.UUID, Holding] = {}
    for item in given:
        known = best.get(item.person.pk)
        if known is None or _lasts(item) > _lasts(known):
            best[item.person.pk] = item
    return list(best.values())


def _lasts(holding: Holding) -> tuple[datetime, bool]:
    """What orders grants by how long they last; a role that brings more than the right to look comes before one."""
    end = holding.grant.ends_at if holding.grant else None
    says_more = holding.grant is not None and holding.grant.role != Role.VIEWER
    return end or datetime.max.replace(tzinfo=UTC), says_more


def _by_name(grants: Iterable[RoleGrant]) -> list[RoleGrant]:
    return sorted(grants, key=lambda grant: (grant.person.get_full_name() or grant.person.get_username()).casefold())


def _people() -> QuerySet[Any]:
    return get_user_model().objects.filter(is_active=True).order_by("first_name", "last_name", "username")
