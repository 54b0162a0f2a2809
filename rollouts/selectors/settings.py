"""Proposed settings: which are open, what they say in words, and who could confirm them."""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser
from django.db.models import Q, QuerySet

from flags import permissions
from flags.models import Environment, EnvironmentUserGrant, Project
from rollouts.models import SettingsProposal
from rollouts.models.settings_proposals import ProposalState
from rollouts.selectors.desk_kinds import DeskTask
from rollouts.settings_kinds import Scope, kind_named

SHOWN_DECIDED = 30


@dataclass(frozen=True, slots=True)
class ProposalView:
    """One proposal as a person sees it. `refusal` says why this person cannot confirm it; None: he can."""

    proposal: SettingsProposal
    sentences: Sequence[str]
    confirmers: Sequence[Any]
    refusal: str | None
    is_mine: bool
    may_decline: bool


def scope_of(proposal: SettingsProposal) -> Scope:
    """Where the setting of a proposal belongs."""
    return Scope(proposal.project, proposal.environment, proposal.subject)


def concerned(scope: Scope) -> list[Environment]:
    """The environments whose administrators decide: the setting's own, else the guarded ones of its project.

    A project without guarded environments is decided by the administrators of all its environments.
    """
    if scope.environment is not None:
        return [scope.environment]
    environments = list(Environment.objects.filter(project=scope.project).order_by("position", "key"))
    return [item for item in environments if item.is_guarded] or environments


def possible_confirmers(environments: Collection[Environment], *, but: uuid.UUID | str) -> list[Any]:
    """Active people who administer all of these environments, site administrators included, without one person."""
    wanted = {item.pk for item in environments}
    held: dict[uuid.UUID, set[uuid.UUID]] = {}
    grants = EnvironmentUserGrant.objects.filter(
        content_object__in=wanted, permission__codename=permissions.ADMINISTER.removeprefix("flags.")
    )
    for person_id, environment_id in grants.values_list("user_id", "content_object_id"):
        held.setdefault(person_id, set()).add(environment_id)
    everywhere = [person_id for person_id, places in held.items() if places == wanted]
    people = get_user_model().objects.filter(Q(is_superuser=True) | Q(pk__in=everywhere), is_active=True)
    return list(people.exclude(pk=but).order_by("first_name", "last_name", "username"))


def visible_proposals(user: AbstractUser) -> QuerySet[SettingsProposal]:
    """Proposals about environments and projects that the person may look at, newest first."""
    environments = permissions.visible_environments(user)
    seen = Q(environment__in=environments) | Q(environment=None, project__in=environments.values("project_id"))
    rows = SettingsProposal.objects.filter(seen)
    return rows.select_related("project", "environment", "environment__project", "proposed_by", "decided_by")


def open_proposals(user: AbstractUser, *, now: datetime) -> list[SettingsProposal]:
    """Open proposals that the person may look at, the oldest first."""
    return list(visible_proposals(user).filter(state=ProposalState.OPEN, expires_at__gt=now).order_by("created_at"))


def lapsed_proposals(now: datetime) -> QuerySet[SettingsProposal]:
    """Open proposals on which nobody decided in time."""
    return SettingsProposal.objects.filter(state=ProposalState.OPEN, expires_at__lte=now)


def decided_proposals(user: AbstractUser, *, now: datetime) -> list[SettingsProposal]:
    """The latest proposals on which nobody decides any more."""
    over = ~Q(state=ProposalState.OPEN) | Q(expires_at__lte=now)
    return list(visible_proposals(user).filter(over)[:SHOWN_DECIDED])


def view_of(proposal: SettingsProposal, user: AbstractUser, *, now: datetime) -> ProposalView:
    """A proposal in words, and what this person can do with it: a handful of queries."""
    environments = concerned(scope_of(proposal))
    confirmers = possible_confirmers(environments, but=proposal.proposed_by_id)
    is_mine = proposal.proposed_by_id == user.pk
    is_confirmer = any(person.pk == user.pk for person in confirmers)
    return ProposalView(
        proposal,
        sentences_of(proposal),
        confirmers,
        _refusal(proposal, is_mine=is_mine, is_confirmer=is_confirmer, now=now),
        is_mine and proposal.is_open(now),
        is_confirmer and proposal.is_open(now),
    )


def sentences_of(proposal: SettingsProposal) -> Sequence[str]:
    """What is different once the proposal is confirmed."""
    return kind_named(proposal.kind).describe(scope_of(proposal), proposal.before, proposal.after)


def _refusal(proposal: SettingsProposal, *, is_mine: bool, is_confirmer: bool, now: datetime) -> str | None:
    if not proposal.is_open(now):
        return "Nobody decides on this any more."
    if is_mine:
        return "You proposed this, so another administrator has to confirm it."
    if not is_confirmer:
        return "Only administrators of the environments concerned confirm this."
    return None


def proposals_to_confirm(user: AbstractUser, now: datetime) -> list[DeskTask]:
    """The desk's tasks: what others proposed and this person can confirm. A constant number of queries."""
    if not user.is_active:
        return []
    waiting = [row for row in open_proposals(user, now=now) if row.proposed_by_id != user.pk]
    if not waiting:
        return []
    administers = permissions.environments_with(user, permissions.ADMINISTER)
    places = _concerned_by_project({row.project for row in waiting if row.environment_id is None})
    return [
        _task(row)
        for row in waiting
        if user.is_superuser
        or (places[row.project_id] if row.environment_id is None else {row.environment_id}) <= administers
    ]


def _concerned_by_project(projects: Collection[Project]) -> dict[uuid.UUID, set[uuid.UUID]]:
    every: dict[uuid.UUID, set[uuid.UUID]] = {}
    guarded: dict[uuid.UUID, set[uuid.UUID]] = {}
    for item in Environment.objects.filter(project__in=projects) if projects else ():
        every.setdefault(item.project_id, set()).add(item.pk)
        if item.is_guarded:
            guarded.setdefault(item.project_id, set()).add(item.pk)
    return {project.pk: guarded.get(project.pk) or every.get(project.pk, set()) for project in projects}


def _task(proposal: SettingsProposal) -> DeskTask:
    person = proposal.proposed_by
    return DeskTask(
        title=proposal.title,
        text=f"{person.get_full_name() or person.get_username()} proposes this and cannot confirm it alone. "
        f"{proposal.reason}",
        symbol="verified_user",
        tone="wait",
        route="admin:rollouts_settingsproposal_change",
        arguments=(proposal.pk,),
        due_at=proposal.expires_at,
    )
