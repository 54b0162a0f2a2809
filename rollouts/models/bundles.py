"""Bundles: one proposal for several environments, applied in all of them or in none."""

import uuid

from django.conf import settings
from django.db import models


class ChangeBundle(models.Model):
    """One proposal with a change request per environment. Append-only; the database refuses UPDATE and DELETE."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey("flags.Project", on_delete=models.PROTECT, related_name="change_bundles")
    title = models.CharField(max_length=200)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["-created_at", "id"]

    def __str__(self) -> str:
        return self.title


class BundleMember(models.Model):
    """A request that belongs to a bundle, for good: nobody slips out of a joint decision.

    Append-only; the database refuses UPDATE and DELETE.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    bundle = models.ForeignKey(ChangeBundle, on_delete=models.PROTECT, related_name="members")
    request = models.OneToOneField("rollouts.ChangeRequest", on_delete=models.PROTECT, related_name="membership")
    environment = models.ForeignKey("flags.Environment", on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["environment__position", "id"]
        constraints = [
            models.UniqueConstraint(fields=["bundle", "environment"], name="bundle_member_per_environment"),
        ]

    def __str__(self) -> str:
        return f"{self.request} of {self.bundle}"
