"""Sampled contexts: who asked an environment lately, without anything that says who they are."""

import uuid

from django.db import models


class ContextSample(models.Model):
    """One of those who asked an environment that samples contexts.

    `key_hash` is an HMAC of the targeting key, which is kept nowhere. `attributes` are declared ones only. Samples
    decide nothing: impact runs count over them. They go a week after `seen_at`, and all at once when sampling ends.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    environment = models.ForeignKey("flags.Environment", on_delete=models.PROTECT, related_name="context_samples")
    key_hash = models.CharField(max_length=64)
    attributes = models.JSONField()
    seen_at = models.DateTimeField(db_index=True)

    class Meta:
        ordering = ["environment", "key_hash"]
        constraints = [
            models.UniqueConstraint(fields=["environment", "key_hash"], name="context_sample_unique_in_environment")
        ]

    def __str__(self) -> str:
        return f"A sampled context of {self.environment_id}"
