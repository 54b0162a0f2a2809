"""Release trains: plans of several flags and environments that go together."""

import uuid

from django.conf import settings
from django.db import models


class ReleaseTrain(models.Model):
    """Plans in an order: each starts when those before it have passed; one that is rolled back takes all back.

    `state` is "draft", "running", "paused", "rolled_back", "completed" or "aborted".
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey("flags.Project", on_delete=models.PROTECT, related_name="trains")
    title = models.CharField(max_length=200)
    reason = models.TextField(blank=True)
    state = models.CharField(max_length=20)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    correlation_id = models.UUIDField()
    lock_version = models.PositiveIntegerField(default=1)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.title


class TrainMember(models.Model):
    """A plan's place in a train; a plan is in one train at most."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey("flags.Project", on_delete=models.PROTECT, related_name="+")
    train = models.ForeignKey(ReleaseTrain, on_delete=models.PROTECT, related_name="members")
    plan = models.OneToOneField("rollouts.RolloutPlan", on_delete=models.PROTECT, related_name="train_member")
    position = models.PositiveIntegerField()

    class Meta:
        ordering = ["train", "position"]
        constraints = [models.UniqueConstraint(fields=["train", "position"], name="train_position_once")]

    def __str__(self) -> str:
        return f"{self.position} in {self.train_id}"
