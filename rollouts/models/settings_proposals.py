"""Proposed changes of settings that would make a protected environment less strict: a second person decides."""

import uuid
from datetime import datetime

from django.conf import settings
from django.db import models
from django.db.models import Q


class ProposalState(models.TextChoices):
    """Where a proposal stands."""

    OPEN = "open", "Open"
    CONFIRMED = "confirmed", "Confirmed"
    DECLINED = "declined", "Declined"
    WITHDRAWN = "withdrawn", "Withdrawn"
    EXPIRED = "expired", "Expired"


class SettingsProposal(models.Model):
    """One setting as it is and as somebody wants it. `environment` None concerns every environment of the project.

    `kind` names a handler in `rollouts.settings_kinds`, `subject` the thing among several of that kind, such as a
    rule's key. `digest` covers kind, scope, before and after: whoever confirms says which content he saw.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey("flags.Project", on_delete=models.PROTECT, related_name="settings_proposals")
    environment = models.ForeignKey(
        "flags.Environment", null=True, blank=True, on_delete=models.PROTECT, related_name="settings_proposals"
    )
    kind = models.CharField(max_length=40)
    subject = models.CharField(max_length=120, blank=True)
    title = models.CharField(max_length=200)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    digest = models.CharField(max_length=64)
    reason = models.TextField()
    proposed_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    state = models.CharField(max_length=10, choices=ProposalState.choices, default=ProposalState.OPEN)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    decided_at = models.DateTimeField(null=True, blank=True)
    decision_reason = models.TextField(blank=True)

    class Meta:
        ordering = ["-created_at", "id"]
        constraints = [
            models.CheckConstraint(condition=Q(state__in=ProposalState.values), name="settings_proposal_state_valid"),
            models.CheckConstraint(
                condition=Q(state=ProposalState.OPEN, decided_at=None)
                | ~Q(state=ProposalState.OPEN) & Q(decided_at__isnull=False),
                name="settings_proposal_decided_once",
            ),
            models.UniqueConstraint(
                fields=["environment", "kind", "subject"],
                condition=Q(state=ProposalState.OPEN, environment__isnull=False),
                name="settings_proposal_open_once",
            ),
            models.UniqueConstraint(
                fields=["project", "kind", "subject"],
                condition=Q(state=ProposalState.OPEN, environment=None),
                name="settings_proposal_open_once_in_project",
            ),
        ]

    def __str__(self) -> str:
        return self.title

    def is_open(self, now: datetime) -> bool:
        """Whether somebody can still decide on it."""
        return self.state == ProposalState.OPEN and now < self.expires_at
