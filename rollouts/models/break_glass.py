"""Uses of break-glass: changes that nobody approved beforehand, and their review afterwards."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from flags.changes import ChangeSet, ConfigEdit


class BreakGlassOutcome(models.TextChoices):
    """What the review found."""

    JUSTIFIED = "justified", "Justified"
    NOT_JUSTIFIED = "not_justified", "Not justified"


class BreakGlassUse(models.Model):
    """One change applied without approval. It stays open until somebody else has reviewed it.

    `digest` is that of the change set as it was applied, `movement` which flags it moved and which way. `escalated_at`
    is when its review was found overdue.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    environment = models.ForeignKey("flags.Environment", on_delete=models.PROTECT, related_name="break_glass_uses")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    reason = models.TextField()
    change_set = models.JSONField()
    digest = models.CharField(max_length=64)
    movement = models.JSONField(default=list)
    revision = models.PositiveBigIntegerField()
    created_at = models.DateTimeField()
    review_due_at = models.DateTimeField()
    escalated_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=20, choices=BreakGlassOutcome.choices, blank=True)
    reviewer = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    reviewed_at = models.DateTimeField(null=True, blank=True)
    comment = models.TextField(blank=True)
    correlation_id = models.UUIDField()

    class Meta:
        verbose_name = "use of break-glass"
        verbose_name_plural = "uses of break-glass"
        ordering = ["-created_at"]
        indexes = [
            models.Index(fields=["environment", "-created_at"], name="break_glass_by_environment"),
            models.Index(fields=["review_due_at"], condition=Q(outcome=""), name="break_glass_open"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(outcome="", reviewer__isnull=True, reviewed_at__isnull=True)
                | Q(outcome__in=BreakGlassOutcome.values, reviewer__isnull=False, reviewed_at__isnull=False),
                name="break_glass_review_facts",
            ),
            models.CheckConstraint(
                condition=Q(reviewer__isnull=True) | ~Q(reviewer=F("user")), name="break_glass_reviewed_by_another"
            ),
            models.CheckConstraint(condition=Q(review_due_at__gt=F("created_at")), name="break_glass_due_later"),
        ]

    def __str__(self) -> str:
        return f"Break-glass in {self.environment} by {self.user}"

    @property
    def content(self) -> ChangeSet:
        """`change_set` as a value."""
        return ChangeSet.from_json(self.change_set)

    @property
    def keys(self) -> list[str]:
        """The keys of the flags and segments it changed."""
        return [edit.flag_key if isinstance(edit, ConfigEdit) else edit.segment_key for edit in self.content.edits]

    @property
    def is_open(self) -> bool:
        """Whether nobody has reviewed it yet."""
        return not self.outcome
