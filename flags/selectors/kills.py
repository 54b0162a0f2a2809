"""Reading local kills."""

import uuid
from collections.abc import Collection

from django.db.models import QuerySet

from flags.models import LocalKill


def open_kills(environment_ids: Collection[uuid.UUID]) -> QuerySet[LocalKill]:
    """What kill lists of single hosts force right now in these environments, the newest first: one query.

    A host reports once it can reach the database, so one that is cut off is missing here.
    """
    rows = LocalKill.objects.filter(environment_id__in=environment_ids, lifted_at=None)
    return rows.select_related("environment__project").order_by("-since", "flag_key", "host")
