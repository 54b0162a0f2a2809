"""Policy rules: what is demanded of which changes, every version of it, and what the rules found about a request."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q


class PolicyRule(models.Model):
    """One rule of a project. `document` is the form of `rollouts.policies.rules.Rule`; `version` counts its changes."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey("flags.Project", on_delete=models.PROTECT, related_name="policy_rules")
    key = models.CharField(max_length=60)
    version = models.PositiveIntegerField(default=1)
    document = models.JSONField()
    digest = models.CharField(max_length=64)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        ordering = ["project", "key"]
        constraints = [
            models.UniqueConstraint(fields=["project", "key"], name="policy_rule_key_unique_in_project"),
            models.CheckConstraint(condition=Q(version__gte=1), name="policy_rule_version_positive"),
        ]

    def __str__(self) -> str:
        return str(self.document.get("name", self.key))


class PolicyRuleVersion(models.Model):
    """One version of a rule: who wrote it and why. Append-only; the database refuses UPDATE and DELETE."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey("flags.Project", on_delete=models.PROTECT, related_name="+")
    rule = models.ForeignKey(PolicyRule, on_delete=models.PROTECT, related_name="versions")
    version = models.PositiveIntegerField()
    document = models.JSONField()
    digest = models.CharField(max_length=64)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    reason = models.TextField()
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["-version"]
        constraints = [
            models.UniqueConstraint(fields=["rule", "version"], name="policy_rule_version_once"),
        ]

    def __str__(self) -> str:
        return f"{self.rule} version {self.version}"


class Judgement(models.Model):
    """What the rules said about one content of a request: the rules as they were, the facts they saw, their findings.

    Append-only; the database refuses UPDATE and DELETE. `occasion` is the act that asked.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    request = models.ForeignKey("rollouts.ChangeRequest", on_delete=models.PROTECT, related_name="judgements")
    environment = models.ForeignKey("flags.Environment", on_delete=models.PROTECT, related_name="+")
    digest = models.CharField(max_length=64)
    occasion = models.CharField(max_length=20)
    rules = models.JSONField(default=list)
    facts = models.JSONField(default=dict)
    findings = models.JSONField(default=list)
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["created_at", "id"]
        indexes = [models.Index(fields=["request", "created_at"], name="judgement_by_request")]

    def __str__(self) -> str:
        return f"{self.request} at {self.occasion}"


class ServiceApproval(models.Model):
    """A service's yes to exactly one content, given with a token. It never counts as a person's approval.

    Append-only; the database refuses UPDATE and DELETE.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    request = models.ForeignKey("rollouts.ChangeRequest", on_delete=models.PROTECT, related_name="service_approvals")
    environment = models.ForeignKey("flags.Environment", on_delete=models.PROTECT, related_name="+")
    token = models.ForeignKey("flags.EnvironmentToken", on_delete=models.PROTECT, related_name="+")
    token_name = models.CharField(max_length=120)
    digest = models.CharField(max_length=64)
    comment = models.TextField(blank=True)
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["created_at", "id"]
        constraints = [
            models.UniqueConstraint(fields=["request", "token", "digest"], name="service_approval_once_per_content"),
        ]

    def __str__(self) -> str:
        return f"{self.token_name} on {self.request}"
