"""Teams and who is in them."""

import uuid
from collections.abc import Iterable
from typing import Any

from flags.models import TeamMember


def members(team_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, list[Any]]:
    """The people with an active account in each of these teams, by name: one query. A team of nobody has no entry."""
    rows = TeamMember.objects.filter(team__in=list(team_ids), removed_at=None, person__is_active=True)
    found: dict[uuid.UUID, list[Any]] = {}
    for row in rows.select_related("person").order_by("person__first_name", "person__last_name", "person__username"):
        found.setdefault(row.team_id, []).append(row.person)
    return found


def teams_of(person_id: uuid.UUID) -> set[uuid.UUID]:
    """Ids of the teams a person is in: one query."""
    rows = TeamMember.objects.filter(person=person_id, removed_at=None, person__is_active=True)
    return set(rows.values_list("team_id", flat=True))
