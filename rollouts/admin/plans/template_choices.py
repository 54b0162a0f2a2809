"""The templates that the editor offers: those of the project, newest versions, and the built-in ones."""

import uuid
from dataclasses import dataclass

from rollouts.admin.plans.posted import Arms, fields_of_definition
from rollouts.models import PlanTemplate
from rollouts.plans.codec import from_json
from rollouts.plans.definition import PlanDefinition
from rollouts.plans.templates import BUILT_IN, fill

_BUILT_IN = "built-in:"


@dataclass(frozen=True, slots=True)
class TemplateChoice:
    """One template. `template_id` None for a built-in one; `kinds` are those for which it is the first choice."""

    key: str
    name: str
    description: str
    definition: PlanDefinition
    kinds: tuple[str, ...]
    template_id: uuid.UUID | None = None
    version: int = 0


def choices_for(project_id: uuid.UUID) -> list[TemplateChoice]:
    """The newest version of every template in use, then the built-in ones: one query."""
    rows: dict[str, PlanTemplate] = {}
    for row in PlanTemplate.objects.filter(project=project_id).order_by("key", "version"):
        rows[row.key] = row
    own = [
        TemplateChoice(
            str(row.pk), row.name, row.description, from_json(row.definition), tuple(row.kinds), row.pk, row.version
        )
        for row in sorted(rows.values(), key=lambda one: one.name)
        if not row.is_retired
    ]
    built_in = [
        TemplateChoice(f"{_BUILT_IN}{one.key}", one.name, one.description, one.definition, one.kinds)
        for one in BUILT_IN
    ]
    return [*own, *built_in]


def filled_fields(template: TemplateChoice, arms: Arms) -> dict[str, str]:
    """The fields of the editor with the template's stages for one flag."""
    key, variant, against = arms
    return fields_of_definition(fill(template.definition, flag_key=key, variant=variant, against=against))
