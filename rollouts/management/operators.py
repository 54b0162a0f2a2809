"""Who runs a command: a person by user name, or the system itself."""

from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import CommandError

from audits.context import Actor
from audits.management.exits import UNUSABLE


def operator(username: str | None, rule: str) -> Actor:
    """The actor for `--as`; without it the system, named by the rule it carries out."""
    if not username:
        return Actor.system(rule, via="command")
    return Actor.person(active_person(username), via="command")


def active_person(username: str) -> Any:
    """Whoever has this user name. Raises CommandError where nobody active has it."""
    person = get_user_model().objects.filter(username=username, is_active=True).first()
    if person is None:
        message = f"There is no active person “{username[:150]}”. Check the user name."
        raise CommandError(message, returncode=UNUSABLE)
    return person
