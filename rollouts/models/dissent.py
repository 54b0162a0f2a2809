"""Dissent: what people had against a content, whatever was decided in the end."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q


class DissentKind(models.TextChoices):
    """How somebody disagreed. `CHANGES_LIFTED` takes back the same person's `CHANGES_REQUESTED`."""

    RESERVATION = "reservation", "Approved with reservation"
    CHANGES_REQUESTED = "changes_requested", "Asked for changes"
    CHANGES_LIFTED = "changes_lifted", "Took back the request for changes"
    ABSTENTION = "abstention", "Abstained"
    REJECTION = "rejection", "Rejected"


class Dissent(models.Model):
    """One person's disagreement with exactly one content. Append-only; the database refuses UPDATE and DELETE.

    It stays attached to the request, and to the versions that the request became. `touched` are kind and key of all
    that the content changes, as "flag checkout": whoever reviews the next change of the same is told. `sequence` counts
    per request: of what one person said, the last counts.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    request = models.ForeignKey("rollouts.ChangeRequest", on_delete=models.PROTECT, related_name="dissents")
    environment = models.ForeignKey("flags.Environment", on_delete=models.PROTECT, related_name="+")
    sequence = models.PositiveIntegerField()
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=20, choices=DissentKind.choices)
    digest = models.CharField(max_length=64)
    round = models.PositiveIntegerField()
    text = models.TextField(blank=True)
    touched = models.JSONField(default=list)
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["request", "sequence"]
        indexes = [models.Index(fields=["environment", "-created_at"], name="dissent_by_environment")]
        constraints = [
            models.UniqueConstraint(fields=["request", "sequence"], name="dissent_in_order"),
            models.CheckConstraint(condition=Q(kind__in=DissentKind.values), name="dissent_kind_valid"),
            models.CheckConstraint(
                condition=Q(kind__in=["changes_lifted", "abstention"]) | ~Q(text=""), name="dissent_says_why"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.author} on {self.request}"
