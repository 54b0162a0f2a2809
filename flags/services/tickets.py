"""Opening the guarded tables for one environment."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import transaction

from flags.models import ApplyTicket


@contextmanager
def governed_write(environment_id: uuid.UUID) -> Iterator[None]:
    """Let this transaction write governed rows of one environment while the block runs.

    The ticket is invisible to other sessions and gone before the commit; the database refuses one left behind.
    """
    with transaction.atomic():
        ticket = ApplyTicket.objects.create(environment_id=environment_id)
        yield
        ticket.delete()
