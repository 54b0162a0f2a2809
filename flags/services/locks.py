"""Locks in one order: project, environment, then configs by flag key.

SQLite ignores row locks (its transactions are serial instead); correctness rests on conditional updates and unique
keys, the locks only save retries. On PostgreSQL they leave keys readable, so that a deferred foreign key
that is checked at another session's commit never waits for them.
"""

import uuid

from django.db.models import QuerySet

from flags.errors import NotFound
from flags.models import Environment


def lock_environment(environment_id: uuid.UUID | str) -> Environment:
    """The environment row, locked until the transaction ends. Raises NotFound."""
    rows = Environment.objects.select_for_update(of=("self",), no_key=True).select_related("project")
    environment = rows.filter(pk=environment_id).first()
    if environment is None:
        raise NotFound(
            "This environment does not exist. It may have been mistyped.", environment_id=str(environment_id)
        )
    return environment


def lock_environments(rows: QuerySet[Environment]) -> list[Environment]:
    """All of these environments in the one order that every writer keeps, locked until the transaction ends.

    Whatever takes a right away locks the environments where it counts, so that an apply comes before it or meets it.
    """
    return list(rows.select_for_update(of=("self",), no_key=True).select_related("project").order_by("pk"))
