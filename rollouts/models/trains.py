"""Release trains: plans of several flags and environments that go together."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q

from rollouts.plans.trains import TrainState


class ReleaseTrain(models.Model):
    """Plans in an order: each starts when those before it have passed; one that is rolled back takes all back.

    `agreed` are by plan id the digests of what its starter let go, `rolled_back_by_id` the person who took it back,
    empty where the system did. `refused` says by plan id why it could not be started or taken back at the last try.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey("flags.Project", on_delete=models.PROTECT, related_name="trains")
    title = models.CharField(max_length=200)
    reason = models.TextField(blank=True)
    state = models.CharField(max_length=20, choices=[(state.value, state.label) for state in TrainState])
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField()
    started_by_id = models.CharField(max_length=100, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    agreed = models.JSONField(default=dict, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    rolled_back_by_id = models.CharField(max_length=100, blank=True)
    rollback_reason = models.TextField(blank=True)
    refused = models.JSONField(default=dict, blank=True)
    correlation_id = models.UUIDField()
    lock_version = models.PositiveIntegerField(default=1)

    class Meta:
        ordering = ["-created_at"]
        indexes = [models.Index(fields=["state"], name="train_by_state")]
        constraints = [
            models.CheckConstraint(condition=Q(state__in=[s.value for s in TrainState]), name="train_state_valid"),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def current_state(self) -> TrainState:
        """`state` as a member of the closed list."""
        return TrainState(self.state)


class TrainMember(models.Model):
    """A plan's place in a train; a plan is in one train at most.

    `opens_at` is the stage from which the plans behind it may start, None for once it is completed.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey("flags.Project", on_delete=models.PROTECT, related_name="+")
    train = models.ForeignKey(ReleaseTrain, on_delete=models.PROTECT, related_name="members")
    plan = models.OneToOneField("rollouts.RolloutPlan", on_delete=models.PROTECT, related_name="train_member")
    position = models.PositiveIntegerField()
    opens_at = models.PositiveIntegerField(null=True, blank=True)

    class Meta:
        ordering = ["train", "position"]
        constraints = [models.UniqueConstraint(fields=["train", "position"], name="train_position_once")]

    def __str__(self) -> str:
        return f"{self.position} in {self.train_id}"
