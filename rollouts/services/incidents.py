"""Declaring and closing incidents: by people with a role, and by services with a token of the environment."""

import uuid
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from django.db.models import Q

from audits import trail
from audits.actions import Action
from audits.context import Actor, ActorKind
from flags import permissions
from flags.errors import NotFound, PermissionMissing
from flags.models import Environment, EnvironmentToken, Project
from flags.models.tokens import TokenScope
from flags.services.attempts import attempt
from flags.services.keys import problem
from flags.services.tickets import governed_write
from rollouts.errors import ConcurrentUpdate
from rollouts.models import Incident, Severity
from rollouts.selectors.incidents import request_held_by_incident
from rollouts.services.checks import checked_prose, checked_title
from rollouts.services.writing import require_person

LONGEST_LINK = 500
DECLARERS = (permissions.PROPOSE, permissions.APPROVE, permissions.APPLY, permissions.ADMINISTER)
CLOSERS = (permissions.APPLY, permissions.ADMINISTER)


def open_incident(
    project_id: uuid.UUID,
    *,
    environment_id: uuid.UUID | None,
    title: str,
    severity: str,
    link: str,
    actor: Actor,
    now: datetime,
) -> Incident:
    """Declare an incident in one environment, or in the whole project. One that is open under this title already comes
    back, so that an alarm may ring twice; it gets the new severity if that is worse.

    Takes any role but viewer there; of services, a management token of that environment. Raises PermissionMissing,
    InvalidInput, NotFound.
    """

    def act() -> Incident:
        project = _locked(project_id)
        place = _place(project, environment_id)
        _require(actor, DECLARERS, place, project, now=now)
        wanted = checked_title(title)
        if severity not in Severity.values:
            raise problem("severity", f"Choose one of: {', '.join(Severity.values)}.")
        present = Incident.objects.filter(project=project, environment=place, title=wanted, closed_at=None).first()
        if present is not None:
            present.project = project
            return _raised(present, severity, actor=actor, now=now)
        incident = Incident(
            project=project,
            environment=place,
            title=wanted,
            severity=severity,
            link=_checked_link(link),
            opened_at=now,
            **_who(actor, "opened_by"),
        )
        with governed_write(project.pk):
            incident.save(force_insert=True)
        _record(Action.INCIDENT_OPENED, incident, actor=actor, now=now, reason="")
        return incident

    return attempt(act)


def close_incident(incident_id: uuid.UUID, *, actor: Actor, reason: str, now: datetime) -> Incident:
    """End an incident; one that is closed already comes back as it is.

    Takes a reason and the role release manager or administrator there. A service closes what a service declared, in
    the environment of its token. While a rule asks about incidents, nobody who shaped an open request there closes one
    that he did not declare. Raises PermissionMissing, NotFound, InvalidInput.
    """

    def act() -> Incident:
        found = Incident.objects.filter(pk=incident_id).values_list("project_id", flat=True).first()
        if found is None:
            raise _unknown()
        project = _locked(found)
        incident = Incident.objects.select_related("environment", "opened_by").get(pk=incident_id)
        incident.project = project
        _require(actor, CLOSERS, incident.environment, project, now=now)
        if actor.kind is ActorKind.SERVICE and incident.opened_by is not None:
            raise PermissionMissing("A person declared this incident, so a person closes it. Ask a release manager.")
        if incident.closed_at is not None:
            return incident
        why = checked_prose(reason, field="reason", required=True)
        _refuse_interest(incident, actor)
        fields = {"closed_at": now, **_who(actor, "closed_by")}
        with governed_write(project.pk):
            written = Incident.objects.filter(pk=incident.pk, closed_at=None).update(**fields)
        if written != 1:
            raise ConcurrentUpdate("Somebody else closed this incident at the same moment. Reload the page.")
        for name, value in fields.items():
            setattr(incident, name, value)
        _record(Action.INCIDENT_CLOSED, incident, actor=actor, now=now, reason=why)
        return incident

    return attempt(act)


def _raised(incident: Incident, severity: str, *, actor: Actor, now: datetime) -> Incident:
    """The incident with this severity if that is worse than what was said before; it never becomes milder."""
    gravest_first = Severity.values
    if gravest_first.index(severity) >= gravest_first.index(incident.severity):
        return incident
    with governed_write(incident.project_id):
        Incident.objects.filter(pk=incident.pk).update(severity=severity)
    incident.severity = severity
    _record(Action.INCIDENT_RAISED, incident, actor=actor, now=now, reason="")
    return incident


def _refuse_interest(incident: Incident, actor: Actor) -> None:
    """Raise PermissionMissing for whoever waits for this incident to be over, unless it is his own."""
    person_id, is_own = _behind(incident, actor)
    held = None if is_own else request_held_by_incident(incident, person_id)
    if held is not None:
        raise PermissionMissing(
            f"A rule of {incident.project.name} asks about incidents, and you had a hand in #{held.number}, which it "
            "concerns. Ask another release manager or administrator to close this incident."
        )


def _behind(incident: Incident, actor: Actor) -> tuple[str, bool]:
    """The person who closes the incident, for a service whoever issued its token, and whether he declared it."""
    if actor.kind is ActorKind.PERSON:
        return actor.id, str(incident.opened_by_id) == actor.id
    token = EnvironmentToken.objects.get(pk=actor.id)
    is_own = incident.opened_by_service == token.name and token.created_at <= incident.opened_at
    return str(token.created_by_id), is_own


def _locked(project_id: uuid.UUID) -> Project:
    """The project, locked, so that two alarms at once declare one incident."""
    project = Project.objects.select_for_update(of=("self",), no_key=True).filter(pk=project_id).first()
    if project is None:
        raise NotFound("This project does not exist. It may have been mistyped.", project_id=str(project_id))
    return project


def _place(project: Project, environment_id: uuid.UUID | None) -> Environment | None:
    if environment_id is None:
        return None
    place = Environment.objects.select_related("project").filter(pk=environment_id, project=project).first()
    if place is None:
        raise NotFound("This environment does not exist in the project. It may have been mistyped.")
    return place


def _require(
    actor: Actor, wanted: tuple[str, ...], place: Environment | None, project: Project, *, now: datetime
) -> None:
    if actor.kind is ActorKind.SERVICE:
        _require_token(actor, place, now=now)
        return
    places = [place] if place else list(Environment.objects.filter(project=project).order_by("position", "key"))
    for environment in places:
        permissions.require_any(actor, wanted, environment)


def _require_token(actor: Actor, place: Environment | None, *, now: datetime) -> None:
    """A service acts in the environment of its token only; the token is read anew, as it is now."""
    valid = Q(expires_at=None) | Q(expires_at__gt=now)
    tokens = EnvironmentToken.objects.filter(valid, pk=actor.id, scope=TokenScope.MANAGE, revoked_at=None)
    if place is None or not tokens.filter(environment=place).exists():
        raise PermissionMissing("This token declares and closes incidents of its own environment only.")


def _who(actor: Actor, name: str) -> dict[str, Any]:
    if actor.kind is ActorKind.SERVICE:
        return {f"{name}_service": actor.label}
    return {f"{name}_id": require_person(actor)}


def _checked_link(link: str) -> str:
    link = checked_prose(link, field="link", longest=LONGEST_LINK)
    try:
        parts = urlsplit(link)
        is_usable = (
            parts.scheme in {"http", "https"} and bool(parts.netloc) and not any(char.isspace() for char in link)
        )
    except ValueError:
        is_usable = False
    if link and not is_usable:
        raise problem("link", "Give an address that begins with https:// or http://, or leave it out.")
    return link


def _unknown() -> NotFound:
    return NotFound("This incident does not exist. It may have been mistyped.")


def _record(action: Action, incident: Incident, *, actor: Actor, now: datetime, reason: str) -> None:
    trail.record(
        action,
        actor=actor,
        target=trail.Target("incident", str(incident.pk), incident.title),
        now=now,
        project_id=incident.project_id,
        project_key=incident.project.key,
        environment_key=incident.environment.key if incident.environment else "",
        reason=reason,
        data={"severity": incident.severity, "link": incident.link},
    )
