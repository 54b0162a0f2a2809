"""Approvals: one person's yes to exactly one content."""

import uuid

from django.conf import settings
from django.db import models


class Approval(models.Model):
    """Append-only; the database refuses UPDATE and DELETE. Bound to the digest of what the approver saw."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    request = models.ForeignKey("rollouts.ChangeRequest", on_delete=models.PROTECT, related_name="approvals")
    environment = models.ForeignKey("flags.Environment", on_delete=models.PROTECT, related_name="+")
    approver = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    digest = models.CharField(max_length=64)
    comment = models.TextField(blank=True)
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["created_at", "id"]
        constraints = [
            models.UniqueConstraint(fields=["request", "approver", "digest"], name="approval_once_per_content"),
        ]

    def __str__(self) -> str:
        return f"{self.approver} on {self.request}"
