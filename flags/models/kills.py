"""Local kills: what a kill list on one host forced while nobody could be asked, written down afterwards."""

import uuid

from django.db import models
from django.db.models import Q


class LocalKill(models.Model):
    """One flag forced to one variant by a kill list of one host. Open while `lifted_at` is empty."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    environment = models.ForeignKey("flags.Environment", on_delete=models.PROTECT, related_name="local_kills")
    flag_key = models.CharField(max_length=100)
    variant = models.CharField(max_length=100)
    host = models.CharField(max_length=255)
    # Which list there: processes of one host may have different ones, and each speaks for its own only.
    source = models.CharField(max_length=255, default="", blank=True)
    # When the list began to force it (the file's time), and when that reached the database.
    since = models.DateTimeField()
    noticed_at = models.DateTimeField()
    # When a process last said that it still holds; empty: when it was noticed.
    confirmed_at = models.DateTimeField(null=True, blank=True)
    lifted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-since"]
        constraints = [
            models.UniqueConstraint(
                fields=["environment", "flag_key", "host", "source"],
                condition=Q(lifted_at=None),
                name="local_kill_open_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.flag_key} → {self.variant} on {self.host}"
