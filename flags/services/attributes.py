"""Context attributes: what a project's services say they send, so that slips in rules are noticed."""

import uuid
from collections.abc import Mapping
from datetime import datetime

from django.db import IntegrityError, transaction

from audits import trail
from audits.actions import Action
from audits.context import Actor
from flags.documents.schema import TARGETING_KEY, attribute_problem
from flags.errors import AlreadyExists, NotFound
from flags.models import ContextAttribute
from flags.models.attributes import AttributeType
from flags.services.administering import administered_project, require_everywhere
from flags.services.attempts import attempted
from flags.services.keys import checked_text, problem

RELIED_ON = "reviewers there rely on what is declared"
_FIELDS = ("value_type", "description", "grants_access")


@attempted
def declare_attribute(
    project_id: uuid.UUID,
    *,
    actor: Actor,
    name: str,
    value_type: str,
    description: str = "",
    grants_access: bool = True,
    now: datetime,
) -> ContextAttribute:
    """Declare an attribute, or declare it differently. Nothing that is served changes: only the linter reads this.

    Needs the role administrator in some environment of the project; to say that an attribute grants nothing, which
    silences warnings that reviewers of protected environments go by, in every protected one. Raises PermissionMissing,
    InvalidInput, NotFound. A call that changes nothing records nothing.
    """
    name = _checked_name(name)
    if value_type not in AttributeType.values:
        raise problem("value_type", f"Choose one of {', '.join(AttributeType.values)}.")
    description = checked_text(description, field="description", longest=200)
    with transaction.atomic():
        project = administered_project(project_id, actor, "to declare the attribute")
        attribute = ContextAttribute.objects.filter(project=project, name=name).select_for_update().first()
        before = _facts(attribute) if attribute else None
        attribute = attribute or ContextAttribute(project=project, name=name, created_at=now)
        attribute.value_type, attribute.description = value_type, description
        attribute.grants_access = grants_access
        if before == _facts(attribute):
            return attribute
        if not grants_access and (before is None or before["grants_access"]):
            require_everywhere(project, actor, RELIED_ON, f"to declare that {name} grants no access")
        try:
            with transaction.atomic():
                attribute.save()
        except IntegrityError as error:
            raise AlreadyExists(f"Somebody declared {name} a moment ago. Look at it and try again.") from error
        data = {"before": before, "after": _facts(attribute)}
        _record(Action.CONTEXT_ATTRIBUTE_CHANGED, attribute, actor=actor, now=now, data=data)
    return attribute


@attempted
def remove_attribute(attribute_id: uuid.UUID, *, actor: Actor, now: datetime) -> None:
    """Take a declaration back; rules that use the attribute go on working.

    Needs the role administrator in every protected environment of the project: a declaration is what slips are noticed
    by. Raises PermissionMissing, NotFound.
    """
    with transaction.atomic():
        attribute = ContextAttribute.objects.filter(pk=attribute_id).select_for_update().first()
        if attribute is None:
            raise NotFound("This attribute is not declared. Somebody may have removed it.")
        project = administered_project(attribute.project_id, actor, "to declare the attribute")
        require_everywhere(project, actor, RELIED_ON, f"to remove the declaration of {attribute.name}")
        data = {"before": _facts(attribute), "after": None}
        _record(Action.CONTEXT_ATTRIBUTE_REMOVED, attribute, actor=actor, now=now, data=data)
        attribute.delete()


def _checked_name(name: str) -> str:
    message = attribute_problem(name)
    if not message and name == TARGETING_KEY:
        message = "The targeting key needs no declaration: every service sends it."
    if message:
        raise problem("name", message)
    return name


def _facts(attribute: ContextAttribute) -> dict[str, object]:
    return {name: getattr(attribute, name) for name in _FIELDS}


def _record(
    action: Action, attribute: ContextAttribute, *, actor: Actor, now: datetime, data: Mapping[str, object]
) -> None:
    trail.record(
        action,
        actor=actor,
        target=trail.Target("context_attribute", str(attribute.pk), attribute.name),
        now=now,
        project_id=attribute.project_id,
        project_key=attribute.project.key,
        data=data,
    )
