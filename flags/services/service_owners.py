"""Who answers for a service: told when a flag that it still evaluates comes to its end."""

import uuid
from datetime import datetime

from django.contrib.auth import get_user_model
from django.db import transaction

from audits import trail
from audits.actions import Action
from audits.context import Actor
from flags import permissions
from flags.errors import NotFound, PermissionMissing
from flags.models import Environment, Project, ServiceOwner, Team
from flags.services.attempts import attempted
from flags.services.keys import problem
from flags.telemetry import labels


@attempted
def set_service_owner(
    project_id: uuid.UUID,
    service: str,
    *,
    actor: Actor,
    person_id: uuid.UUID | None,
    team_id: uuid.UUID | None,
    now: datetime,
) -> ServiceOwner | None:
    """Say which person or team, or both, answers for a service; neither: nobody any more. No change records nothing.

    Raises PermissionMissing (role editor in any environment of the project), NotFound, InvalidInput.
    """
    project = Project.objects.filter(pk=project_id).first()
    if project is None:
        raise NotFound("This project does not exist.", project_id=str(project_id))
    _require_editor(actor, project)
    if not labels.is_service(service):
        raise problem("service", "Name the service as it calls itself: up to 100 letters, digits and “ ._:/+-”.")
    _check(project, person_id, team_id)
    with transaction.atomic():
        rows = ServiceOwner.objects.select_for_update().filter(project=project, service=service)
        known = rows.first()
        before = _as_told(known.person_id, known.team_id) if known else _as_told(None, None)
        after = _as_told(person_id, team_id)
        if before == after:
            return known
        owner = None
        if person_id is None and team_id is None:
            rows.delete()
        else:
            owner, _ = rows.update_or_create(
                project=project,
                service=service,
                defaults={"person_id": person_id, "team_id": team_id, "changed_at": now},
            )
        _record(project, service, before, after, actor=actor, now=now)
    return owner


def _check(project: Project, person_id: uuid.UUID | None, team_id: uuid.UUID | None) -> None:
    person = get_user_model().objects.filter(pk=person_id).first() if person_id else None
    if person_id and (person is None or not permissions.visible_projects(person).filter(pk=project.pk).exists()):
        raise problem("person", f"Choose somebody with an active account and a role in {project.name}.")
    if team_id and not Team.objects.filter(pk=team_id, project=project).exists():
        raise problem("team", "Choose a team of this project.")


def _require_editor(actor: Actor, project: Project) -> None:
    environments = Environment.objects.filter(project=project)
    if not any(permissions.holds(actor, permissions.PROPOSE, environment) for environment in environments):
        raise PermissionMissing(
            f"{actor.label} is not an editor of any environment of {project.name}. Ask an administrator for that role.",
            permission=permissions.PROPOSE,
        )


def _as_told(person_id: uuid.UUID | None, team_id: uuid.UUID | None) -> dict[str, str | None]:
    """An owner as the trail keeps it."""
    return {"person_id": str(person_id) if person_id else None, "team_id": str(team_id) if team_id else None}


def _record(
    project: Project,
    service: str,
    before: dict[str, str | None],
    after: dict[str, str | None],
    *,
    actor: Actor,
    now: datetime,
) -> None:
    trail.record(
        Action.SERVICE_OWNER_SET,
        actor=actor,
        target=trail.Target("service", service, service),
        now=now,
        project_id=project.pk,
        project_key=project.key,
        data={"before": before, "after": after},
    )
