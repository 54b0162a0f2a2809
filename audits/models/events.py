"""Audit events, the heads of their chains, and the names of actors, which live outside the chains."""

import json
import uuid
from collections.abc import Sequence
from typing import Any

from django.db import models
from django.db.models import Q

from audits.belonging import Matter
from audits.context import ActorKind
from audits.integrity import FACTS, GENESIS_HASH, instant_text


class AuditEvent(models.Model):
    """One act, for ever. Written by `audits.trail.record` alone; database triggers refuse every change and removal.

    There are no foreign keys: evidence outlives what it is about. The actor's name is in `AuditActor`, so that a person
    can be erased without breaking a hash. `audits.selectors` fills `actor_label`, `target_name` and `matters` in.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    chain = models.CharField(max_length=60)
    sequence = models.BigIntegerField()
    occurred_at = models.DateTimeField()
    action = models.CharField(max_length=60)
    actor_kind = models.CharField(max_length=10)
    actor_id = models.CharField(max_length=200)
    via = models.CharField(max_length=60, blank=True)
    correlation_id = models.UUIDField()
    project_key = models.CharField(max_length=60, blank=True)
    environment_key = models.CharField(max_length=60, blank=True)
    flag_key = models.CharField(max_length=100, blank=True)
    target_type = models.CharField(max_length=60)
    target_id = models.CharField(max_length=200)
    target_label = models.TextField(blank=True)
    reason = models.TextField(blank=True)
    data = models.TextField(default="{}")
    previous_hash = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)

    actor_label: str = ""
    target_name: str = ""
    matters: Sequence[Matter] = ()

    class Meta:
        verbose_name = "audit event"
        default_permissions = ("view",)
        ordering = ["-occurred_at", "-sequence", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["chain", "sequence"], name="audit_event_sequence_unique"),
            models.CheckConstraint(condition=Q(sequence__gte=1), name="audit_event_sequence_positive"),
            models.CheckConstraint(
                condition=Q(actor_kind__in=[kind.value for kind in ActorKind]), name="audit_event_actor_kind_valid"
            ),
            models.CheckConstraint(condition=~Q(actor_id=""), name="audit_event_actor_named"),
        ]
        indexes = [
            models.Index(fields=["occurred_at", "sequence", "id"], name="audit_event_time"),
            models.Index(fields=["project_key", "occurred_at"], name="audit_event_project"),
            models.Index(fields=["project_key", "environment_key", "occurred_at"], name="audit_event_place"),
            models.Index(fields=["flag_key", "occurred_at"], name="audit_event_flag"),
            models.Index(fields=["actor_id", "occurred_at"], name="audit_event_actor"),
            models.Index(fields=["action", "occurred_at"], name="audit_event_action"),
            models.Index(fields=["target_id", "target_type", "occurred_at"], name="audit_event_target"),
            models.Index(fields=["correlation_id", "occurred_at"], name="audit_event_correlation"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.target_label}".strip()

    @property
    def details(self) -> dict[str, Any]:
        """What `data` holds, as Python values. A damaged row must stay readable, or nobody could look at it."""
        try:
            value = json.loads(self.data)
        except ValueError:
            value = None
        return value if isinstance(value, dict) else {"unreadable": self.data}

    def facts(self) -> dict[str, Any]:
        """The columns the hash covers, in hashed form: ids and instants as text."""
        facts: dict[str, Any] = {name: getattr(self, name) for name in FACTS}
        facts["id"], facts["correlation_id"] = str(self.id), str(self.correlation_id)
        facts["occurred_at"] = instant_text(self.occurred_at)
        return facts


class AuditChain(models.Model):
    """Where a chain ends. `record` locks and advances it; triggers refuse removal and every step but one forward."""

    chain = models.CharField(max_length=60, primary_key=True)
    sequence = models.BigIntegerField(default=0)
    head_hash = models.CharField(max_length=64, default=GENESIS_HASH)

    class Meta:
        verbose_name = "audit chain"
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.chain} at {self.sequence}"


class AuditActor(models.Model):
    """The name of an actor, or of a person an event is about. Not evidence: it may change or be erased."""

    pk = models.CompositePrimaryKey("kind", "id")
    kind = models.CharField(max_length=10)
    id = models.CharField(max_length=200)
    label = models.TextField()
    erased_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "audit actor"
        default_permissions = ()

    def __str__(self) -> str:
        return self.label
