"""Environment tokens: how services identify themselves."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q


class TokenScope(models.TextChoices):
    """What a token may do; a token has exactly one scope."""

    EVALUATE = "evaluate", "Evaluate flags"
    CLIENT = "client", "Evaluate client-visible flags"
    FLAGD = "flagd", "Read the flagd definition"
    MANAGE = "manage", "Use the management API"
    AUDIT = "audit", "Read audit events"
    TELEMETRY = "telemetry", "Report telemetry"
    REFERENCES = "references", "Report code references"


class EnvironmentToken(models.Model):
    """A secret of a service for one environment. Only its SHA-256 is stored; the secret is shown once."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    environment = models.ForeignKey("flags.Environment", on_delete=models.PROTECT, related_name="tokens")
    name = models.CharField(max_length=120)
    scope = models.CharField(max_length=20, choices=TokenScope.choices)
    prefix = models.CharField(max_length=16)
    secret_hash = models.CharField(max_length=64, unique=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", null=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    changed_at = models.DateTimeField(db_index=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(condition=Q(scope__in=TokenScope.values), name="environment_token_scope_valid"),
        ]

    def __str__(self) -> str:
        return self.name
