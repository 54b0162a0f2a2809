"""Tickets for archiving: without one the database lets no payload leave, whatever other ticket there is."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import transaction

from flags.models import ArchiveTicket


@contextmanager
def archive_write(environment_id: uuid.UUID) -> Iterator[None]:
    """Let this transaction move payloads of one environment while the block runs."""
    with transaction.atomic():
        ticket = ArchiveTicket.objects.create(environment_id=environment_id)
        yield
        ticket.delete()
