"""Guard metrics, what is known of each guard of a running plan, and the verdicts that are evidence."""

import uuid

from django.db import models


class GuardMetric(models.Model):
    """A metric that guards of a project's plans may use; a plan copies what it needs, so editing one moves no plan.

    `defaults` are fields of a `GuardSpec`. `limit` is from where on an event of a latency metric is bad, in
    milliseconds.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey("flags.Project", on_delete=models.PROTECT, related_name="guard_metrics")
    key = models.CharField(max_length=100)
    name = models.CharField(max_length=120)
    description = models.TextField(blank=True)
    kind = models.CharField(max_length=20)
    source = models.CharField(max_length=20)
    limit = models.FloatField(null=True, blank=True)
    defaults = models.JSONField(default=dict)
    is_retired = models.BooleanField(default=False)
    changed_at = models.DateTimeField()

    class Meta:
        ordering = ["project", "name"]
        constraints = [models.UniqueConstraint(fields=["project", "key"], name="guard_metric_key_unique_in_project")]

    def __str__(self) -> str:
        return self.name

    @property
    def tolerated_percent(self) -> float:
        """How many percent worse is no breach."""
        return 100 * float(self.defaults["margin"])


class GuardWatch(models.Model):
    """How far one guard of one attempt of a plan was counted. What it holds follows from the closed minutes alone, so
    it can be thrown away and counted anew.

    `through` is the last closed minute that was looked at; `pending` are the counts of minutes that neither a verdict
    nor a sample holds yet, which are those after `kept_through`. `control_at` and `treatment_at` are the newest minutes
    with data of either arm, `sampled_at` that of all arms the stage serves, `fresh_minutes` how many minutes of the
    stage had data in time. `asked_at` is when Prometheus was last asked.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    plan = models.ForeignKey("rollouts.RolloutPlan", on_delete=models.CASCADE, related_name="watches")
    attempt = models.PositiveIntegerField()
    metric = models.CharField(max_length=100)
    through = models.DateTimeField(null=True, blank=True)
    kept_through = models.DateTimeField(null=True, blank=True)
    sampled_at = models.DateTimeField(null=True, blank=True)
    control_at = models.DateTimeField(null=True, blank=True)
    treatment_at = models.DateTimeField(null=True, blank=True)
    asked_at = models.DateTimeField(null=True, blank=True)
    accumulated = models.JSONField(default=dict)
    pending = models.JSONField(default=list)
    outcome = models.CharField(max_length=20, blank=True)
    outcome_since = models.DateTimeField(null=True, blank=True)
    fresh_minutes = models.PositiveIntegerField(default=0)
    errors_in_a_row = models.PositiveIntegerField(default=0)
    problem = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["plan", "metric"]
        constraints = [models.UniqueConstraint(fields=["plan", "attempt", "metric"], name="guard_watch_once")]

    def __str__(self) -> str:
        return f"{self.metric} of {self.plan_id}"


class GuardSample(models.Model):
    """The counts of closed minutes that one guard took between two verdicts, kept every hour; never changed.

    `through` is the last minute that was looked at then. So neither a lost watch nor minutes that telemetry no longer
    keeps take anything away from what a verdict rests on.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    plan = models.ForeignKey("rollouts.RolloutPlan", on_delete=models.PROTECT, related_name="samples")
    environment = models.ForeignKey("flags.Environment", on_delete=models.PROTECT, related_name="+")
    attempt = models.PositiveIntegerField()
    metric = models.CharField(max_length=100)
    through = models.DateTimeField()
    intervals = models.JSONField()
    at = models.DateTimeField()

    class Meta:
        ordering = ["plan", "metric", "attempt", "through"]
        constraints = [
            models.UniqueConstraint(fields=["plan", "attempt", "metric", "through"], name="guard_sample_once")
        ]

    def __str__(self) -> str:
        return f"{self.metric} of {self.plan_id} through {self.through:%Y-%m-%d %H:%M}"


class GuardVerdict(models.Model):
    """What a guard said when its outcome changed or something was decided on it; never changed.

    `parameters` are the guard's as JSON with the version of the method, `intervals` the counts of the closed minutes
    that no verdict or sample before it holds (of the same attempt), `statistics` what they came to together with all
    before them. Replaying all intervals of an attempt gives the same statistics, bit for bit.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    plan = models.ForeignKey("rollouts.RolloutPlan", on_delete=models.PROTECT, related_name="verdicts")
    environment = models.ForeignKey("flags.Environment", on_delete=models.PROTECT, related_name="+")
    attempt = models.PositiveIntegerField()
    stage = models.PositiveIntegerField()
    metric = models.CharField(max_length=100)
    number = models.PositiveIntegerField()
    outcome = models.CharField(max_length=20)
    action = models.CharField(max_length=20)
    sentence = models.TextField()
    parameters = models.JSONField()
    intervals = models.JSONField()
    statistics = models.JSONField()
    freshest_at = models.DateTimeField(null=True, blank=True)
    correlation_id = models.UUIDField()
    at = models.DateTimeField()

    class Meta:
        ordering = ["plan", "metric", "attempt", "number"]
        constraints = [
            models.UniqueConstraint(fields=["plan", "attempt", "metric", "number"], name="guard_verdict_once")
        ]

    def __str__(self) -> str:
        return self.sentence


class StageCheck(models.Model):
    """The last answer of an external check of a stage. `outcome`: passed, failed or error."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    plan = models.ForeignKey("rollouts.RolloutPlan", on_delete=models.CASCADE, related_name="checks")
    attempt = models.PositiveIntegerField()
    stage = models.PositiveIntegerField()
    name = models.CharField(max_length=100)
    outcome = models.CharField(max_length=10)
    sentence = models.CharField(max_length=500)
    errors_in_a_row = models.PositiveIntegerField(default=0)
    checked_at = models.DateTimeField()

    class Meta:
        ordering = ["plan", "stage", "name"]
        constraints = [models.UniqueConstraint(fields=["plan", "attempt", "stage", "name"], name="stage_check_once")]

    def __str__(self) -> str:
        return self.sentence
