"""Apply tickets: what the database guards look for."""

from django.db import models
from django.db.models import Q


class ApplyTicket(models.Model):
    """Opens the guarded tables for one environment inside one transaction.

    A ticket can never be committed: `seal` is a deferred foreign key that the check constraint points at a row that
    cannot exist, so a transaction that leaves a ticket behind fails as a whole, on PostgreSQL and SQLite alike.
    """

    environment_id = models.UUIDField()
    seal = models.ForeignKey("self", on_delete=models.DO_NOTHING, related_name="+", default=-1)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(seal=-1) & Q(id__gt=0), name="apply_ticket_never_commits"),
        ]

    def __str__(self) -> str:
        return f"ticket for {self.environment_id}"


class ArchiveTicket(models.Model):
    """Lets payloads of one environment leave for an archive and come back, inside one transaction; sealed likewise."""

    environment_id = models.UUIDField()
    seal = models.ForeignKey("self", on_delete=models.DO_NOTHING, related_name="+", default=-1)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(seal=-1) & Q(id__gt=0), name="archive_ticket_never_commits"),
        ]

    def __str__(self) -> str:
        return f"ticket for archiving in {self.environment_id}"
