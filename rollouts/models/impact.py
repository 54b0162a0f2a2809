"""Impact runs: who gets another answer, worked out over a population before anybody approves."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q


class ImpactState(models.TextChoices):
    """Where a run stands."""

    QUEUED = "queued", "Waiting"
    RUNNING = "running", "Running"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"


ENDED = (ImpactState.DONE, ImpactState.FAILED)


class ImpactRun(models.Model):
    """One comparison of what is served with what a request would serve. Evidence once it has ended.

    `digest` is that of the content it looks at. `population` describes the people without any of their values.
    `result` holds counts and masked samples; None until it is done. `problem` says why it failed. `attempts` counts the
    workers that took it up, `seen_at` is the last sign of life of the latest.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    request = models.ForeignKey("rollouts.ChangeRequest", on_delete=models.PROTECT, related_name="impact_runs")
    environment = models.ForeignKey("flags.Environment", on_delete=models.PROTECT, related_name="+")
    digest = models.CharField(max_length=64)
    population = models.JSONField()
    state = models.CharField(max_length=10, choices=ImpactState.choices, default=ImpactState.QUEUED)
    progress = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField()
    result = models.JSONField(null=True, blank=True)
    problem = models.TextField(blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    token = models.ForeignKey(
        "flags.EnvironmentToken", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField()
    seen_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    correlation_id = models.UUIDField()

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            models.Index(fields=["request", "-created_at"], name="impact_run_by_request"),
            models.Index(fields=["created_at"], condition=Q(state__in=["queued", "running"]), name="impact_run_open"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["request"], condition=Q(state__in=["queued", "running"]), name="impact_run_one_at_a_time"
            ),
            models.CheckConstraint(condition=Q(state__in=ImpactState.values), name="impact_run_state_valid"),
            models.CheckConstraint(
                condition=Q(asked_by__isnull=False, token__isnull=True) | Q(asked_by__isnull=True, token__isnull=False),
                name="impact_run_asked_by_somebody",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["queued", "running"], finished_at__isnull=True, result__isnull=True)
                | Q(state="done", finished_at__isnull=False, result__isnull=False)
                | (Q(state="failed", finished_at__isnull=False, result__isnull=True) & ~Q(problem="")),
                name="impact_run_end_complete",
            ),
        ]

    def __str__(self) -> str:
        return f"Impact of {self.request}"

    @property
    def current_state(self) -> ImpactState:
        """`state` as a member of the closed list."""
        return ImpactState(self.state)

    @property
    def has_ended(self) -> bool:
        """Whether it is done or failed, and thus evidence."""
        return self.current_state in ENDED


class ImpactUpload(models.Model):
    """The contexts that somebody handed in for one run, compressed. They go when it ends, or an hour after they came.

    Nothing of them is kept anywhere else.
    """

    run = models.OneToOneField(ImpactRun, on_delete=models.PROTECT, primary_key=True, related_name="upload")
    contexts = models.BinaryField()
    created_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"Contexts for {self.run_id}"
