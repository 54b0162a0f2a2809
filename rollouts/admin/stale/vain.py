"""What the inbox says of keys that services ask for and that no flag answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import AbstractUser

from flags import permissions
from flags.models import Project
from flags.selectors.asked_for import AskedFor, AskedLine, asked_for, say_what_was_meant

MOST_SHOWN = 50


@dataclass(frozen=True, slots=True)
class Vain:
    """The newest keys that were asked for in vain, how many more there are, and what has no line of its own."""

    lines: Sequence[AskedLine]
    more: int
    found: AskedFor


def vain_of(user: AbstractUser, project: Project, *, now: datetime) -> Vain | None:
    """What is asked for in vain where the person may look, None if nothing is: at most seven queries."""
    environments = list(permissions.visible_environments(user).filter(project=project))
    found = asked_for(project, environments, now=now)
    if not found:
        return None
    shown = found.lines[:MOST_SHOWN]
    say_what_was_meant(project, shown)
    return Vain(shown, len(found.lines) - len(shown), found)
