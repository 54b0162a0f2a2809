"""Who runs a command of the installation: a superuser by name, or the system itself."""

from django.contrib.auth import get_user_model
from django.core.management.base import CommandError

from audits.context import Actor


def operator(username: str | None, rule: str) -> Actor:
    """The actor for `--as`; without it the system, named by the rule it carries out."""
    if not username:
        return Actor.system(rule, via="command")
    person = get_user_model().objects.filter(username=username, is_active=True).first()
    if person is None:
        raise CommandError(f"There is no active person “{username}”. Check the user name.")
    return Actor.person(person, via="command")
