"""Who owns flags, for filters."""

import uuid
from collections.abc import Collection

from django.contrib.auth import get_user_model

from flags.models import Flag, Team
from rollouts.selectors.verdicts import name_of


def owners_in(project_ids: Collection[uuid.UUID]) -> list[tuple[str, str]]:
    """Everybody who owns a flag in these projects, people and teams, with the id and in the order of names: two
    queries.
    """
    rows = Flag.objects.filter(project__in=project_ids).order_by()
    people = get_user_model().objects.filter(pk__in=rows.filter(owner__isnull=False).values("owner"))
    teams = Team.objects.filter(pk__in=rows.filter(owner_team__isnull=False).values("owner_team"))
    found = [(str(one.pk), name_of(one)) for one in people]
    found += [(str(one.pk), f"Team {one.name}") for one in teams]
    return sorted(found, key=lambda one: one[1])
