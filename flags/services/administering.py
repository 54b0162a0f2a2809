"""Who administers a whole project: what attributes, teams and custom roles ask, since they belong to no environment."""

import uuid

from audits.context import Actor
from flags import permissions
from flags.errors import NotFound, PermissionMissing
from flags.models import Environment, Project


def administered_project(project_id: uuid.UUID, actor: Actor, purpose: str) -> Project:
    """The project, if the actor administers something in it. `purpose` goes on after “Ask an administrator”.

    Raises NotFound, PermissionMissing.
    """
    project = Project.objects.filter(pk=project_id).first()
    if project is None:
        raise NotFound("This project does not exist.", project_id=str(project_id))
    environments = Environment.objects.filter(project=project)
    if not permissions.is_superuser(actor) and not any(
        permissions.holds(actor, permissions.ADMINISTER, environment) for environment in environments
    ):
        raise PermissionMissing(
            f"{actor.label} does not have the role administrator in any environment of {project.name}. "
            f"Ask an administrator {purpose}.",
            permission=permissions.ADMINISTER,
        )
    return project


def require_everywhere(project: Project, actor: Actor, why: str, purpose: str) -> None:
    """Raise PermissionMissing for whoever does not administer all guarded environments of the project.

    `why` says what depends on it there: “reviewers there rely on what is declared”.
    """
    if permissions.is_superuser(actor):
        return
    environments = Environment.objects.filter(project=project).order_by("position", "key")
    guarded = [item for item in environments if item.is_guarded]
    lacking = [item.name for item in guarded if not permissions.holds(actor, permissions.ADMINISTER, item)]
    if lacking:
        raise PermissionMissing(
            f"{actor.label} does not have the role administrator in {', '.join(lacking)}, and {why}. "
            f"Ask an administrator of {lacking[0]} {purpose}.",
            permission=permissions.ADMINISTER,
        )
