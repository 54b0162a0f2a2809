"""Teams of a project and who is in them. Policies ask for approvals from teams, so nobody adds himself."""

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.contrib.auth import get_user_model
from django.db import IntegrityError, transaction

from audits import trail
from audits.actions import Action
from audits.context import Actor
from flags import permissions
from flags.errors import AlreadyExists, NotFound, OwnGrant
from flags.models import Environment, Project, Team, TeamMember
from flags.services.administering import administered_project, require_everywhere
from flags.services.attempts import attempted
from flags.services.keys import checked_key, checked_text
from flags.services.locks import lock_environments
from flags.services.tickets import governed_write
from flags.services.watches import lets_pass, member_change
from flags.settings_authority import ALONE, SettingsAuthority, SoleAct

RELIED_ON = "approvals there may be asked of teams"


@attempted
def create_team(
    project_id: uuid.UUID, *, actor: Actor, key: str, name: str, description: str = "", now: datetime
) -> Team:
    """Create a team of nobody yet. Needs the role administrator in every protected environment of the project.

    Raises PermissionMissing, InvalidInput, NotFound, AlreadyExists.
    """
    key = checked_key(key, what="team", longest=60)
    name = checked_text(name, field="name", longest=60, required=True)
    description = checked_text(description, field="description", longest=200)
    with transaction.atomic():
        project = _administered(project_id, actor)
        team = Team(project=project, key=key, name=name, description=description, created_at=now)
        _save(team)
        after = {"name": name, "description": description}
        _record(Action.TEAM_CHANGED, team, actor=actor, now=now, data={"before": None, "after": after})
    return team


@attempted
def update_team(team_id: uuid.UUID, *, actor: Actor, name: str, description: str, now: datetime) -> Team:
    """Call a team something else. Rights and errors are those of `create_team`; no change records nothing."""
    name = checked_text(name, field="name", longest=60, required=True)
    description = checked_text(description, field="description", longest=200)
    with transaction.atomic():
        team = _locked(team_id, actor)
        before = {"name": team.name, "description": team.description}
        after = {"name": name, "description": description}
        if before != after:
            team.name, team.description = name, description
            _save(team)
            _record(Action.TEAM_CHANGED, team, actor=actor, now=now, data={"before": before, "after": after})
    return team


@attempted
def add_member(
    team_id: uuid.UUID,
    person_id: uuid.UUID,
    *,
    actor: Actor,
    reason: str,
    now: datetime,
    authority: SettingsAuthority = ALONE,
) -> None:
    """Put a person into a team, with a reason. Nobody adds himself while somebody else could.

    Takes two people where a rule demands approvals of the team. Raises PermissionMissing, InvalidInput, NotFound,
    OwnGrant, SecondPersonNeeded. Somebody who is in it already stays.
    """
    reason = checked_text(reason, field="reason", longest=4000, required=True)
    with transaction.atomic():
        team = _locked(team_id, actor)
        person = get_user_model().objects.filter(pk=person_id, is_active=True).first()
        if person is None:
            raise NotFound("This person has no active account.", person_id=str(person_id))
        if is_member(team, person.pk):
            return
        if isinstance(authority, SoleAct):
            _refuse_own_gain(actor, person, team)
        change = member_change(team, person.pk, is_member=False, now=now)
        authority.check(change, is_looser=lets_pass(change))
        adder: Any = permissions.person_of(actor)
        member = TeamMember(project=team.project, team=team, person=person, added_by=adder, reason=reason, added_at=now)
        with governed_write(team.project_id):
            member.save(force_insert=True)
        data = {"person_id": str(person.pk), **(authority.evidence() if lets_pass(change) else {})}
        _record(Action.TEAM_MEMBER_ADDED, team, actor=actor, now=now, reason=reason, data=data)


def is_member(team: Team, person_id: uuid.UUID) -> bool:
    """Whether a person is in a team now."""
    return TeamMember.objects.filter(team=team, person=person_id, removed_at=None).exists()


@attempted
def remove_member(team_id: uuid.UUID, person_id: uuid.UUID, *, actor: Actor, reason: str, now: datetime) -> None:
    """Take a person out of a team, with a reason. Somebody who is not in it changes nothing. Raises as `add_member`."""
    reason = checked_text(reason, field="reason", longest=4000, required=True)
    with transaction.atomic():
        team = _locked(team_id, actor)
        person: Any = permissions.person_of(actor)
        rows = TeamMember.objects.filter(team=team, person=person_id, removed_at=None)
        with governed_write(team.project_id):
            removed = rows.update(removed_at=now, removed_by=person)
        if removed:
            data = {"person_id": str(person_id)}
            _record(Action.TEAM_MEMBER_REMOVED, team, actor=actor, now=now, reason=reason, data=data)


def _administered(project_id: uuid.UUID, actor: Actor) -> Project:
    project = administered_project(project_id, actor, "to change teams")
    require_everywhere(project, actor, RELIED_ON, "to change the team")
    return project


def _locked(team_id: uuid.UUID, actor: Actor) -> Team:
    """The team, the environments of its project locked first, so that an apply comes before its change or meets it."""
    rows = Team.objects.filter(pk=team_id)
    project_id = rows.values_list("project_id", flat=True).first()
    if project_id is None:
        raise NotFound("This team does not exist.", team_id=str(team_id))
    lock_environments(Environment.objects.filter(project=project_id))
    _administered(project_id, actor)
    return rows.select_for_update(of=("self",), no_key=True).select_related("project").get()


def _save(team: Team) -> None:
    try:
        with transaction.atomic(), governed_write(team.project_id):
            team.save()
    except IntegrityError as error:
        raise AlreadyExists(
            f"{team.project.name} has a team with this key or name already. Choose another one."
        ) from error


def _refuse_own_gain(actor: Actor, person: Any, team: Team) -> None:
    if actor.id != str(person.pk):
        return
    environments = Environment.objects.filter(project=team.project)
    others = {other for item in environments for other in permissions.people_with(item, permissions.ADMINISTER)} | set(
        get_user_model().objects.filter(is_active=True, is_superuser=True)
    )
    names = sorted({str(other.get_full_name() or other.get_username()) for other in others - {person}})
    if names:
        raise OwnGrant(f"Nobody adds himself to a team. Ask an administrator: {', '.join(names[:5])}.", team=team.key)


def _record(
    action: Action, team: Team, *, actor: Actor, now: datetime, data: Mapping[str, object], reason: str = ""
) -> None:
    trail.record(
        action,
        actor=actor,
        target=trail.Target("team", str(team.pk), team.name),
        now=now,
        project_id=team.project_id,
        project_key=team.project.key,
        reason=reason,
        data=data,
    )
