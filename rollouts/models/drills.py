"""Rollback drills: the promise that something can be put back in time, and the proof of every exercise."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q


class DrillTarget(models.TextChoices):
    """Which state a drill puts back."""

    PREVIOUS = "previous", "The version before the present one"
    VERSION = "version", "A certain version"
    INSTANT = "instant", "How it was some hours ago"


class RollbackDrill(models.Model):
    """An exercise that is due every `interval_days`: put a flag, or the whole environment, back within the limit.

    It never touches what is served. `flag` None: the whole environment, which has a target `instant` always.
    `next_due_at` moves on when a run passes; `overdue_since` is when the alarm was raised, None while there is none.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    environment = models.ForeignKey("flags.Environment", on_delete=models.PROTECT, related_name="drills")
    flag = models.ForeignKey("flags.Flag", null=True, blank=True, on_delete=models.PROTECT, related_name="drills")
    title = models.CharField(max_length=200)
    target = models.CharField(max_length=10, choices=DrillTarget.choices)
    target_version = models.PositiveIntegerField(null=True, blank=True)
    target_hours = models.PositiveIntegerField(null=True, blank=True)
    limit_seconds = models.PositiveIntegerField()
    interval_days = models.PositiveIntegerField()
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    is_active = models.BooleanField(default=True)
    next_due_at = models.DateTimeField()
    last_run_at = models.DateTimeField(null=True, blank=True)
    overdue_since = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["title", "id"]
        indexes = [models.Index(fields=["next_due_at"], condition=Q(is_active=True), name="drill_due")]
        constraints = [
            models.CheckConstraint(
                condition=Q(
                    target="previous", flag__isnull=False, target_version__isnull=True, target_hours__isnull=True
                )
                | Q(
                    target="version",
                    flag__isnull=False,
                    target_version__isnull=False,
                    target_version__gte=1,
                    target_hours__isnull=True,
                )
                | Q(target="instant", target_version__isnull=True, target_hours__isnull=False, target_hours__gte=1),
                name="drill_target_complete",
            ),
            models.CheckConstraint(condition=Q(limit_seconds__gte=1), name="drill_limit_positive"),
            models.CheckConstraint(condition=Q(interval_days__gte=1), name="drill_interval_positive"),
        ]

    def __str__(self) -> str:
        return self.title


class DrillRun(models.Model):
    """The evidence of one exercise; never changed.

    `took_ms` is the time from the start until the shadow store served the restored state. `evidence` holds versions
    and digests of the anchor, the time of each step, and what was compared; `problem` says why it failed.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    drill = models.ForeignKey(RollbackDrill, on_delete=models.PROTECT, related_name="runs")
    environment = models.ForeignKey("flags.Environment", on_delete=models.PROTECT, related_name="+")
    started_at = models.DateTimeField()
    took_ms = models.PositiveIntegerField()
    limit_seconds = models.PositiveIntegerField()
    has_passed = models.BooleanField()
    problem = models.TextField(blank=True)
    evidence = models.JSONField(default=dict)
    actor_kind = models.CharField(max_length=10)
    actor_id = models.CharField(max_length=100)
    correlation_id = models.UUIDField()

    class Meta:
        ordering = ["-started_at", "id"]
        indexes = [models.Index(fields=["drill", "-started_at"], name="drill_run_by_drill")]
        constraints = [
            models.CheckConstraint(
                condition=Q(has_passed=True, problem="") | (Q(has_passed=False) & ~Q(problem="")),
                name="drill_run_failure_explained",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.drill}, {self.started_at:%d %B %Y}"
