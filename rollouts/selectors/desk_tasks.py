"""What waits for somebody beside requests to approve: emergencies, drift, drills, plans, endings, settings."""

from collections.abc import Callable, Sequence
from datetime import datetime

from django.contrib.auth.models import AbstractUser

from rollouts.selectors.desk_kinds import DeskTask
from rollouts.selectors.drift_tasks import drift_tasks
from rollouts.selectors.drills import drill_tasks
from rollouts.selectors.emergencies import review_tasks
from rollouts.selectors.ending_tasks import ending_tasks
from rollouts.selectors.freeze_tasks import exceptions_to_decide
from rollouts.selectors.plan_tasks import plan_tasks
from rollouts.selectors.settings import proposals_to_confirm

__all__ = ["DeskTask", "desk_tasks"]

Source = Callable[[AbstractUser, datetime], Sequence[DeskTask]]

# Each asks a constant number of queries and answers only what this person can do something about.
SOURCES: tuple[Source, ...] = (
    proposals_to_confirm,
    review_tasks,
    drill_tasks,
    exceptions_to_decide,
    drift_tasks,
    plan_tasks,
    ending_tasks,
)


def desk_tasks(user: AbstractUser, *, now: datetime) -> list[DeskTask]:
    """Everything that waits for a person, the most pressing first."""
    found = [task for source in SOURCES for task in source(user, now)]
    order = {"bad": 0, "wait": 1, "quiet": 2}
    return sorted(found, key=lambda task: (order[task.tone], task.due_at or datetime.max.replace(tzinfo=now.tzinfo)))
