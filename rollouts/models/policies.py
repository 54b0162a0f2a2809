"""Approval policies: how many approvals an environment demands, and whose."""

import uuid

from django.db import models
from django.db.models import Q

from rollouts.policies import DEFAULT_EXPIRES_AFTER_HOURS, DEFAULT_REQUIRED_APPROVALS, Policy


class ApprovalPolicy(models.Model):
    """The policy of one environment. `named_approvers` are user ids; an empty list admits every approver."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    environment = models.OneToOneField("flags.Environment", on_delete=models.PROTECT, related_name="approval_policy")
    required_approvals = models.PositiveSmallIntegerField(default=DEFAULT_REQUIRED_APPROVALS)
    named_approvers = models.JSONField(default=list, blank=True)
    expires_after_hours = models.PositiveIntegerField(default=DEFAULT_EXPIRES_AFTER_HOURS)
    updated_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "approval policies"
        constraints = [
            models.CheckConstraint(condition=Q(required_approvals__gte=1), name="approval_policy_required_positive"),
            models.CheckConstraint(condition=Q(expires_after_hours__gte=1), name="approval_policy_expiry_positive"),
        ]

    def __str__(self) -> str:
        return f"Policy of {self.environment}"

    def as_policy(self) -> Policy:
        """The policy as a value."""
        named = frozenset(map(str, self.named_approvers)) or None
        return Policy(self.required_approvals, named, self.expires_after_hours)
