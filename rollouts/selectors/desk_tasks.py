"""What waits for somebody beside requests to approve: reviews of emergencies, drift, drills, settings to confirm."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from django.contrib.auth.models import AbstractUser

Tone = Literal["bad", "wait", "quiet"]


@dataclass(frozen=True, slots=True)
class DeskTask:
    """One thing to do: what, where it is done, by when. `route` and `arguments` make the address of its page."""

    title: str
    text: str
    symbol: str
    tone: Tone
    route: str
    arguments: tuple[uuid.UUID | str, ...] = ()
    due_at: datetime | None = None
    query: str = ""


Source = Callable[[AbstractUser, datetime], Sequence[DeskTask]]

# Each asks a constant number of queries and answers only what this person can do something about.
SOURCES: tuple[Source, ...] = ()


def desk_tasks(user: AbstractUser, *, now: datetime) -> list[DeskTask]:
    """Everything that waits for a person, the most pressing first."""
    found = [task for source in SOURCES for task in source(user, now)]
    order = {"bad": 0, "wait": 1, "quiet": 2}
    return sorted(found, key=lambda task: (order[task.tone], task.due_at or datetime.max.replace(tzinfo=now.tzinfo)))
