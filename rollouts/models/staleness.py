"""What the nightly look found about each flag, what people said to it, and what it comes to for a project."""

import uuid

from django.conf import settings
from django.db import models


class StaleVerdict(models.Model):
    """The newest verdict on a flag: stage, reasons with confidence, whether it can be removed. Derived, not governed.

    `stages` is the stage in each environment by key, with since when and why. `reasons`, `blockers` and `cautions` are
    lists of objects with a code and a sentence.
    """

    flag = models.OneToOneField("flags.Flag", primary_key=True, on_delete=models.PROTECT, related_name="stale_verdict")
    project = models.ForeignKey("flags.Project", on_delete=models.PROTECT, related_name="+")
    stage = models.CharField(max_length=20)
    stage_since = models.DateTimeField(null=True, blank=True)
    stages = models.JSONField(default=dict)
    is_stale = models.BooleanField()
    stale_since = models.DateTimeField(null=True, blank=True)
    reasons = models.JSONField(default=list)
    confidence = models.CharField(max_length=10, blank=True)
    readiness = models.CharField(max_length=10)
    blockers = models.JSONField(default=list)
    cautions = models.JSONField(default=list)
    judged_at = models.DateTimeField()

    class Meta:
        ordering = ["project", "flag"]
        indexes = [models.Index(fields=["project", "is_stale", "readiness"], name="stale_verdict_inbox")]

    def __str__(self) -> str:
        return f"{self.flag_id}: {self.readiness}"


class Snooze(models.Model):
    """Somebody says that a flag is wanted until an instant, and why. `ended_at`: taken back before."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey("flags.Project", on_delete=models.PROTECT, related_name="+")
    flag = models.ForeignKey("flags.Flag", on_delete=models.PROTECT, related_name="snoozes")
    until = models.DateTimeField()
    reason = models.TextField()
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]
        indexes = [models.Index(fields=["flag", "until"], name="snooze_by_flag")]

    def __str__(self) -> str:
        return f"{self.flag_id} until {self.until:%d %B %Y}"


class StaleThresholds(models.Model):
    """The periods after which flags of a kind count as stale in a project, where they differ from the usual ones."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey("flags.Project", on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=20)
    values = models.JSONField(default=dict)
    changed_at = models.DateTimeField()

    class Meta:
        ordering = ["project", "kind"]
        constraints = [models.UniqueConstraint(fields=["project", "kind"], name="stale_thresholds_unique")]

    def __str__(self) -> str:
        return f"{self.kind} in {self.project_id}"


class DebtScore(models.Model):
    """What flags past their life came to for a project on a day. `parts` says by reason how the score is made up."""

    project = models.ForeignKey("flags.Project", on_delete=models.PROTECT, related_name="debt_scores")
    day = models.DateField()
    score = models.PositiveIntegerField()
    flags = models.PositiveIntegerField()
    stale = models.PositiveIntegerField()
    parts = models.JSONField(default=dict)

    class Meta:
        ordering = ["project", "day"]
        constraints = [models.UniqueConstraint(fields=["project", "day"], name="debt_score_once_a_day")]

    def __str__(self) -> str:
        return f"{self.score} on {self.day}"


class OwnerNudge(models.Model):
    """Somebody was told of his stale flags in a month, given by its first day; nobody is told twice."""

    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    month = models.DateField()
    told_at = models.DateTimeField()
    flags = models.PositiveIntegerField()

    class Meta:
        ordering = ["month", "person"]
        constraints = [models.UniqueConstraint(fields=["person", "month"], name="owner_nudge_once_a_month")]

    def __str__(self) -> str:
        return f"{self.person_id} in {self.month:%B %Y}"
