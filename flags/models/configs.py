"""Flag configs: what one flag serves in one environment."""

import uuid

from django.db import models
from simple_history.models import HistoricalRecords

from flags.models.history import HistoryFacts


class FlagConfig(models.Model):
    """One typed document per flag and environment. `version` counts up by one per write.

    No row means the flag is not set up in that environment: services get the code default.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    flag = models.ForeignKey("flags.Flag", on_delete=models.PROTECT, related_name="configs")
    environment = models.ForeignKey("flags.Environment", on_delete=models.PROTECT, related_name="configs")
    document = models.JSONField()
    version = models.PositiveIntegerField()
    digest = models.CharField(max_length=64)
    updated_at = models.DateTimeField()
    history = HistoricalRecords(bases=[HistoryFacts], history_change_reason_field=models.TextField(blank=True))

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["flag", "environment"], name="flag_config_unique"),
            models.CheckConstraint(condition=models.Q(version__gte=1), name="flag_config_version_positive"),
        ]

    def __str__(self) -> str:
        return f"{self.flag} in {self.environment}"
