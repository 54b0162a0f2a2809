"""Projects and environments."""

import uuid
from datetime import datetime

from django.db import IntegrityError, transaction

from audits import trail
from audits.actions import Action
from audits.context import Actor
from flags import permissions
from flags.errors import AlreadyExists, NotFound, PermissionMissing
from flags.models import Environment, Project
from flags.models.environments import BucketingGeneration, EnvironmentKind
from flags.services.attempts import attempted
from flags.services.keys import checked_key, checked_text, problem
from flags.services.locks import lock_environment
from flags.services.tickets import governed_write
from flags.settings_authority import ALONE, SettingChange, SettingsAuthority


@attempted
def create_project(*, actor: Actor, key: str, name: str, description: str = "", now: datetime) -> Project:
    """Create a project. Raises PermissionMissing (superusers only), InvalidInput, AlreadyExists."""
    _require_superuser(actor, "create projects")
    project = Project(
        key=checked_key(key, what="project", longest=60),
        name=checked_text(name, field="name", longest=120, required=True),
        description=checked_text(description, field="description", longest=4000),
        created_at=now,
    )
    try:
        with transaction.atomic():
            project.save(force_insert=True)
            trail.record(
                Action.PROJECT_CREATED,
                actor=actor,
                target=trail.Target("project", str(project.pk), project.name),
                now=now,
                project_id=project.pk,
                project_key=project.key,
                data={"key": project.key},
            )
    except IntegrityError as error:
        raise AlreadyExists(f"There is a project with the key {key} already. Choose another key.") from error
    return project


@attempted
def create_environment(
    project_id: uuid.UUID,
    *,
    actor: Actor,
    key: str,
    name: str,
    kind: str,
    is_protected: bool,
    now: datetime,
    generation: str = BucketingGeneration.FLAGD_V2,
    position: int = 0,
) -> Environment:
    """Create an environment, empty at revision 0.

    Raises PermissionMissing (superusers only), InvalidInput, AlreadyExists.
    """
    _require_superuser(actor, "create environments")
    project = Project.objects.filter(pk=project_id).first()
    if project is None:
        raise NotFound("This project does not exist.", project_id=str(project_id))
    if kind not in EnvironmentKind.values:
        raise problem("kind", f"Choose one of {', '.join(EnvironmentKind.values)}.")
    if generation not in BucketingGeneration.values:
        raise problem("generation", f"Choose one of {', '.join(BucketingGeneration.values)}.")
    environment = Environment(
        project=project,
        key=checked_key(key, what="environment", longest=60),
        name=checked_text(name, field="name", longest=120, required=True),
        kind=kind,
        is_protected=is_protected,
        generation=generation,
        position=position,
        created_at=now,
    )
    try:
        with transaction.atomic():
            environment.save(force_insert=True)
            _record(
                Action.ENVIRONMENT_CREATED,
                environment,
                actor=actor,
                now=now,
                data={"kind": kind, "is_protected": is_protected, "generation": generation},
            )
    except IntegrityError as error:
        raise AlreadyExists(f"{project.name} has an environment with the key {key} already.") from error
    return environment


@attempted
def set_protection(
    environment_id: uuid.UUID,
    *,
    actor: Actor,
    is_protected: bool,
    now: datetime,
    reason: str,
    authority: SettingsAuthority = ALONE,
) -> Environment:
    """Protect an environment, or stop protecting it. Needs the role administrator and a reason.

    Taking the protection off takes two people, and whoever proposed it may not edit there directly until it is back.
    Raises PermissionMissing, InvalidInput, NotFound, SecondPersonNeeded. A call that changes nothing records nothing.
    """
    reason = checked_text(reason, field="reason", longest=4000, required=True)
    with transaction.atomic():
        environment = lock_environment(environment_id)
        permissions.require(actor, permissions.ADMINISTER, environment)
        if environment.is_protected == is_protected:
            return environment
        change = SettingChange(
            kind="protection",
            project_id=str(environment.project_id),
            environment_id=str(environment.pk),
            before={"is_protected": environment.is_protected},
            after={"is_protected": is_protected},
        )
        authority.check(change, is_looser=not is_protected)
        opener = None if is_protected else uuid.UUID(authority.initiator(actor.id))
        with governed_write(environment.pk):
            rows = Environment.objects.filter(pk=environment.pk)
            rows.update(is_protected=is_protected, unprotected_by_id=opener)
        environment.is_protected = is_protected
        _record(
            Action.ENVIRONMENT_PROTECTION_CHANGED,
            environment,
            actor=actor,
            now=now,
            reason=reason,
            data={"is_protected": is_protected, **authority.evidence()},
        )
    return environment


def _require_superuser(actor: Actor, act: str) -> None:
    if not permissions.is_superuser(actor):
        raise PermissionMissing(f"{actor.label} may not {act}. Ask a site administrator.")


def _record(
    action: Action,
    environment: Environment,
    *,
    actor: Actor,
    now: datetime,
    data: dict[str, object],
    reason: str = "",
) -> None:
    trail.record(
        action,
        actor=actor,
        target=trail.Target("environment", str(environment.pk), environment.name),
        now=now,
        project_id=environment.project_id,
        project_key=environment.project.key,
        environment_key=environment.key,
        reason=reason,
        data=data,
    )
