"""Mail about plans that stopped by themselves: to who made and started them, and to the release managers."""

import uuid
from collections.abc import Iterable
from typing import Any

from django.contrib.auth import get_user_model
from django.urls import reverse

from flags import permissions
from rollouts.models import RolloutPlan
from rollouts.services.mails import tell


def tell_about(plan: RolloutPlan, *, what: str, lines: Iterable[str]) -> list[str]:
    """Mail whoever is concerned once this transaction is committed; the ids of the people, for the evidence."""
    people = concerned(plan)
    tell(
        people,
        subject=f"{plan.label}: {what}",
        lines=[*lines, f"Project {plan.project.name}, environment {plan.environment.name}."],
        address=reverse("admin:rollouts_rolloutplan_change", args=[plan.pk]),
    )
    return sorted(str(person.pk) for person in people)


def concerned(plan: RolloutPlan) -> list[Any]:
    """Who made the plan, who started it and who releases in its environment, each once."""
    releasing = permissions.people_with(plan.environment, permissions.APPLY)
    ids = [plan.created_by_id, *_person_ids(plan.started_by_id)]
    involved = get_user_model().objects.filter(pk__in=ids, is_active=True)
    return list({person.pk: person for person in [*releasing, *involved]}.values())


def _person_ids(actor_id: str) -> list[uuid.UUID]:
    """A rule of the system that started a plan has a name instead of the id of a person."""
    try:
        return [uuid.UUID(actor_id)]
    except ValueError:
        return []
