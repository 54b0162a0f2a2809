"""Templates of a project: named shapes of plans, kept version by version.

Whoever may propose changes in any environment of the project saves them. A template serves nobody anything: a plan made
of it holds a copy, and is started or approved like any other.
"""

import uuid
from collections.abc import Collection
from datetime import datetime

from django.db import IntegrityError, transaction

from audits import trail
from audits.actions import Action
from audits.context import Actor
from flags import permissions
from flags.errors import NotFound, PermissionMissing
from flags.models import Environment, Project
from flags.models.flags import FlagKind
from flags.services.attempts import attempted
from flags.services.keys import checked_key, checked_text, problem
from flags.services.tickets import governed_write
from rollouts.errors import ConcurrentUpdate
from rollouts.models import PlanTemplate
from rollouts.plans.codec import as_json, invalid
from rollouts.plans.definition import PlanDefinition
from rollouts.plans.templates import template_problems
from rollouts.services.checks import checked_prose
from rollouts.services.stage_checks import check_problems
from rollouts.services.writing import require_person

LONGEST_NAME = 120


@attempted
def save_template(
    project_id: uuid.UUID,
    *,
    key: str,
    name: str,
    definition: PlanDefinition,
    actor: Actor,
    now: datetime,
    description: str = "",
    kinds: Collection[str] = (),
    seen_version: int = 0,
) -> PlanTemplate:
    """A new template, or the next version of one; `seen_version` is the one that was looked at, 0 for none.

    `kinds` are the flag kinds for which it is the first choice from now on. Raises PermissionMissing (role editor in
    any environment of the project), InvalidPlan, InvalidInput, ConcurrentUpdate.
    """
    project = _locked_project(project_id)
    author = require_person(actor)
    _require_editor(actor, project)
    last = PlanTemplate.objects.filter(project=project, key=key).order_by("-version").first()
    if (last.version if last else 0) != seen_version:
        raise ConcurrentUpdate(f"Somebody saved the template {key} meanwhile. Look at it again, then save yours.")
    template = PlanTemplate(
        project=project,
        key=checked_key(key, what="template"),
        version=seen_version + 1,
        name=checked_text(name, field="name", longest=LONGEST_NAME, required=True),
        description=checked_prose(description, field="description"),
        definition=as_json(_checked(definition)),
        kinds=_checked_kinds(kinds),
        created_by_id=author,
        created_at=now,
    )
    try:
        with transaction.atomic(), governed_write(project.pk):
            template.save(force_insert=True)
    except IntegrityError as error:
        if "flagsite:" in str(error):
            raise
        raise ConcurrentUpdate(f"Somebody saved the template {key} meanwhile. Look at it again.") from error
    _record(Action.PLAN_TEMPLATE_SAVED, template, actor=actor, now=now)
    return template


@attempted
def retire_template(project_id: uuid.UUID, *, key: str, actor: Actor, now: datetime, reason: str = "") -> None:
    """Offer a template no more; plans made of it keep what they have. Saved again it is offered again.

    Raises PermissionMissing, NotFound; retiring it twice records nothing.
    """
    project = _locked_project(project_id)
    require_person(actor)
    _require_editor(actor, project)
    reason = checked_prose(reason, field="reason")
    template = PlanTemplate.objects.filter(project=project, key=key).order_by("-version").first()
    if template is None:
        raise NotFound(f"There is no template {key} in {project.name}.", key=key[:100])
    if template.is_retired:
        return
    with governed_write(project.pk):
        PlanTemplate.objects.filter(pk=template.pk).update(is_retired=True)
    template.is_retired = True
    _record(Action.PLAN_TEMPLATE_RETIRED, template, actor=actor, now=now, reason=reason)


def _locked_project(project_id: uuid.UUID) -> Project:
    project = Project.objects.select_for_update(of=("self",), no_key=True).filter(pk=project_id).first()
    if project is None:
        raise NotFound("This project does not exist.", project_id=str(project_id))
    return project


def _require_editor(actor: Actor, project: Project) -> None:
    places = Environment.objects.filter(project=project)
    if not any(permissions.holds(actor, permissions.PROPOSE, place) for place in places):
        raise PermissionMissing(
            f"Templates are saved by people with the role editor in an environment of {project.name}. Ask an "
            "administrator for it.",
            permission=permissions.PROPOSE,
            project=project.key,
        )


def _checked(definition: PlanDefinition) -> PlanDefinition:
    problems = [*template_problems(definition)] or [*check_problems(definition)]
    if problems:
        raise invalid(problems)
    return definition


def _checked_kinds(kinds: Collection[str]) -> list[str]:
    unknown = [kind for kind in kinds if kind not in FlagKind.values]
    if unknown:
        raise problem("kinds", f"Choose kinds among {', '.join(FlagKind.values)}.")
    return sorted(set(kinds))


def _record(action: Action, template: PlanTemplate, *, actor: Actor, now: datetime, reason: str = "") -> None:
    trail.record(
        action,
        actor=actor,
        target=trail.Target("plan_template", str(template.pk), template.name),
        now=now,
        project_id=template.project_id,
        project_key=template.project.key,
        reason=reason,
        data={
            "key": template.key,
            "version": template.version,
            "kinds": template.kinds,
            "definition": template.definition,
        },
    )
