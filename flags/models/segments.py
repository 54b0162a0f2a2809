"""Segments: reusable audiences of one environment."""

import uuid

from django.db import models
from simple_history.models import HistoricalRecords

from flags.models.history import HistoryFacts


class Segment(models.Model):
    """A named condition that rules refer to. It belongs to one environment, so its approvals do too."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    environment = models.ForeignKey("flags.Environment", on_delete=models.PROTECT, related_name="segments")
    key = models.CharField(max_length=100)
    name = models.CharField(max_length=120)
    document = models.JSONField()
    version = models.PositiveIntegerField()
    digest = models.CharField(max_length=64)
    updated_at = models.DateTimeField()
    history = HistoricalRecords(bases=[HistoryFacts], history_change_reason_field=models.TextField(blank=True))

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["environment", "key"], name="segment_key_unique_in_environment"),
            models.CheckConstraint(condition=models.Q(version__gte=1), name="segment_version_positive"),
        ]

    def __str__(self) -> str:
        return self.name
