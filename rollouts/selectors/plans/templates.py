"""The templates a project offers for plans."""

import uuid

from rollouts.models import PlanTemplate


def templates_of(project_id: uuid.UUID) -> list[PlanTemplate]:
    """The newest version of every template that is not retired, by name: one query."""
    newest: dict[str, PlanTemplate] = {}
    for template in PlanTemplate.objects.filter(project=project_id).order_by("key", "-version"):
        newest.setdefault(template.key, template)
    return sorted((one for one in newest.values() if not one.is_retired), key=lambda one: (one.name, one.key))


def first_choice(templates: list[PlanTemplate], kind: str) -> PlanTemplate | None:
    """The template for a flag kind: of several that claim it, the one saved last; None where none does."""
    claiming = [template for template in templates if kind in template.kinds]
    return max(claiming, key=lambda one: one.created_at, default=None)
