"""Numbers of change requests, plans and timelines: they count per project."""

from django.db import IntegrityError, transaction
from django.db.models import Max

from flags.services.tickets import governed_write
from rollouts.errors import ConcurrentUpdate
from rollouts.models import ChangeRequest, DeprecationTimeline, RolloutPlan

ATTEMPTS = 5


def insert_numbered(row: ChangeRequest | RolloutPlan | DeprecationTimeline, *, noun: str) -> None:
    """Insert a row under the next number of its project. Raises ConcurrentUpdate where others keep taking it."""
    rows = type(row)._default_manager.filter(project=row.project_id)
    for _ in range(ATTEMPTS):
        row.number = (rows.aggregate(Max("number"))["number__max"] or 0) + 1
        try:
            with transaction.atomic(), governed_write(row.environment_id):
                row.save(force_insert=True)
        except IntegrityError as error:
            if "number" not in str(error):
                raise
        else:
            return
    raise ConcurrentUpdate(f"Many {noun} are made in this project right now. Nothing was done: try again in a moment.")
