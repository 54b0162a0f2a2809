"""Incidents: something is broken in a project, and reviewers and policies should know."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q


class Severity(models.TextChoices):
    """How bad it is."""

    CRITICAL = "critical", "Critical"
    MAJOR = "major", "Major"
    MINOR = "minor", "Minor"


class Incident(models.Model):
    """Something that is broken in one environment, or in the whole project where `environment` is None.

    A person or a service opens and closes it: `opened_by` or `opened_by_service`, the name of a token.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey("flags.Project", on_delete=models.PROTECT, related_name="incidents")
    environment = models.ForeignKey(
        "flags.Environment", null=True, blank=True, on_delete=models.PROTECT, related_name="incidents"
    )
    title = models.CharField(max_length=200)
    severity = models.CharField(max_length=10, choices=Severity.choices)
    link = models.CharField(max_length=500, blank=True)
    opened_at = models.DateTimeField()
    opened_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    opened_by_service = models.CharField(max_length=120, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    closed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    closed_by_service = models.CharField(max_length=120, blank=True)

    class Meta:
        ordering = ["-opened_at", "id"]
        indexes = [models.Index(fields=["project", "closed_at"], name="incident_by_project")]
        constraints = [
            models.CheckConstraint(condition=Q(severity__in=Severity.values), name="incident_severity_valid"),
            models.CheckConstraint(
                condition=Q(opened_by__isnull=False, opened_by_service="")
                | (Q(opened_by__isnull=True) & ~Q(opened_by_service="")),
                name="incident_opened_by_somebody",
            ),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def opener(self) -> str:
        """Who opened it, as people know them."""
        if self.opened_by is None:
            return self.opened_by_service
        return self.opened_by.get_full_name() or self.opened_by.get_username()
