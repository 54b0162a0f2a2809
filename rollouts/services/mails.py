"""Mail about what cannot wait until somebody looks at the desk. Without `EMAIL_URL` nothing is sent."""

from collections.abc import Iterable
from functools import partial
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction


def tell(people: Iterable[Any], *, subject: str, lines: Iterable[str], address: str) -> None:
    """Send each of `people` a mail once the transaction is committed. A mail server that is away stops nothing.

    `address` is the path of the page to open.
    """
    recipients = sorted({person.email for person in people if person.is_active and person.email})
    if not recipients:
        return
    body = "\n\n".join([*lines, f"{settings.SITE_URL}{address}"])
    # One line of printable characters: what people typed stands in it.
    title = " ".join(subject.split())
    transaction.on_commit(partial(_send, recipients, title, body), robust=True)


def _send(recipients: list[str], subject: str, body: str) -> None:
    for recipient in recipients:
        EmailMessage(subject, body, to=[recipient]).send()
