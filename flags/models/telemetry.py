"""What services reported, added up: minutes, then hours. No row knows a targeting key or a context."""

import uuid

from django.db import models


class TelemetryBatch(models.Model):
    """One delivery, remembered so that a second one of its token with the same id counts nothing. Kept for 72 hours."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    environment = models.ForeignKey("flags.Environment", on_delete=models.PROTECT, related_name="+")
    batch_id = models.CharField(max_length=64)
    token_id = models.UUIDField(null=True, blank=True)
    service = models.CharField(max_length=100)
    version = models.CharField(max_length=100, blank=True)
    received_at = models.DateTimeField(db_index=True)
    accepted = models.PositiveIntegerField()
    rejected = models.PositiveIntegerField()
    late = models.PositiveIntegerField()

    class Meta:
        ordering = ["-received_at"]
        constraints = [
            models.UniqueConstraint(fields=["environment", "token_id", "batch_id"], name="telemetry_batch_unique"),
            models.UniqueConstraint(
                fields=["environment", "batch_id"],
                condition=models.Q(token_id=None),
                name="telemetry_batch_unique_without_token",
            ),
        ]
        indexes = [models.Index(fields=["environment", "received_at"], name="telemetry_batch_by_arrival")]

    def __str__(self) -> str:
        return self.batch_id


class EvaluationCount(models.Model):
    """Evaluations of a flag by variant, reason and service in one minute or hour (`span`), which begins at `at`."""

    environment = models.ForeignKey("flags.Environment", on_delete=models.PROTECT, related_name="+")
    span = models.CharField(max_length=6, choices=[("minute", "Minute"), ("hour", "Hour")])
    at = models.DateTimeField()
    flag_key = models.CharField(max_length=100)
    variant = models.CharField(max_length=100)
    reason = models.CharField(max_length=30)
    service = models.CharField(max_length=100)
    version = models.CharField(max_length=100)
    count = models.BigIntegerField()

    class Meta:
        ordering = ["at"]
        constraints = [
            models.UniqueConstraint(
                fields=["environment", "span", "at", "flag_key", "variant", "reason", "service", "version"],
                name="evaluation_count_unique",
            )
        ]
        indexes = [
            models.Index(fields=["environment", "flag_key", "span", "at"], name="evaluation_count_by_flag"),
            models.Index(fields=["span", "at"], name="evaluation_count_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.flag_key}={self.variant} at {self.at:%d %B %H:%M}"


class MetricCount(models.Model):
    """A metric among those served one variant, in one minute or hour. Closed minutes never change: what comes later is
    counted in the `late_*` columns and decides nothing.
    """

    environment = models.ForeignKey("flags.Environment", on_delete=models.PROTECT, related_name="+")
    span = models.CharField(max_length=6, choices=[("minute", "Minute"), ("hour", "Hour")])
    at = models.DateTimeField()
    metric = models.CharField(max_length=100)
    flag_key = models.CharField(max_length=100)
    variant = models.CharField(max_length=100)
    count = models.BigIntegerField(default=0)
    bad = models.BigIntegerField(default=0)
    units = models.BigIntegerField(default=0)
    bad_units = models.BigIntegerField(default=0)
    without_units = models.BigIntegerField(default=0)
    bad_without_units = models.BigIntegerField(default=0)
    total = models.FloatField(default=0.0)
    total_squares = models.FloatField(default=0.0)
    sketch = models.JSONField(default=dict)
    late_count = models.BigIntegerField(default=0)
    late_bad = models.BigIntegerField(default=0)

    class Meta:
        ordering = ["at"]
        constraints = [
            models.UniqueConstraint(
                fields=["environment", "span", "at", "metric", "flag_key", "variant"], name="metric_count_unique"
            )
        ]
        indexes = [
            models.Index(fields=["environment", "metric", "flag_key", "span", "at"], name="metric_count_by_metric"),
            models.Index(fields=["span", "at"], name="metric_count_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.metric} of {self.flag_key}={self.variant} at {self.at:%d %B %H:%M}"


class QuarantinedRow(models.Model):
    """A reported row that was refused, with the reason, so that whoever sends it can see why. Kept for 72 hours."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    environment = models.ForeignKey("flags.Environment", on_delete=models.PROTECT, related_name="+")
    batch_id = models.CharField(max_length=64)
    service = models.CharField(max_length=100, blank=True)
    code = models.CharField(max_length=50)
    message = models.CharField(max_length=500)
    row = models.CharField(max_length=1000)
    received_at = models.DateTimeField(db_index=True)

    class Meta:
        ordering = ["-received_at", "id"]
        indexes = [models.Index(fields=["environment", "received_at"], name="quarantined_row_by_arrival")]

    def __str__(self) -> str:
        return self.message
