"""Rollout plans: what is to happen stage by stage, what did happen, and on whose word."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q

from rollouts.plans.transitions import PlanState


class PlanTemplate(models.Model):
    """One version of a named shape for plans of a project. A version never changes; the highest one is offered.

    `definition` is that of a plan with the placeholders of `rollouts.plans.templates` instead of flags and variants.
    `kinds` are the flag kinds for which it is the first choice.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey("flags.Project", on_delete=models.PROTECT, related_name="plan_templates")
    key = models.CharField(max_length=100)
    version = models.PositiveIntegerField()
    name = models.CharField(max_length=120)
    description = models.TextField(blank=True)
    definition = models.JSONField()
    kinds = models.JSONField(default=list)
    is_retired = models.BooleanField(default=False)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", null=True)
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["project", "key", "-version"]
        constraints = [
            models.UniqueConstraint(fields=["project", "key", "version"], name="plan_template_version_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.name} (version {self.version})"


class RolloutPlan(models.Model):
    """Ordered stages for one or several flags of one environment.

    `definition` is a `PlanDefinition` as JSON, `base` what the flags were when it was prepared (document, version and
    digest by key), `documents` for each stage the whole document of every flag that the stage changes, `written` the
    version and digest of every flag as the plan last left it. `digest` covers definition, base digests and documents.
    `relies_on` are the versions of the segments that the documents of any stage refer to; it is part of `digest`.
    `stage` is the one that is served, 0 how it was before; `good_stage` the last one that its guards found good.
    `attempt` counts up whenever the plan goes back, `sequence` with every step. `request` asks for the approval.
    `extra_soak_minutes` is what an undecided stage was given beyond its soak.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey("flags.Project", on_delete=models.PROTECT, related_name="plans")
    environment = models.ForeignKey("flags.Environment", on_delete=models.PROTECT, related_name="plans")
    number = models.PositiveIntegerField()
    title = models.CharField(max_length=200)
    reason = models.TextField(blank=True)
    template = models.ForeignKey(PlanTemplate, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    definition = models.JSONField()
    base = models.JSONField()
    documents = models.JSONField()
    written = models.JSONField(default=dict, blank=True)
    relies_on = models.JSONField(default=dict, blank=True)
    digest = models.CharField(max_length=64)
    request = models.OneToOneField(
        "rollouts.ChangeRequest", on_delete=models.PROTECT, null=True, blank=True, related_name="plan"
    )
    state = models.CharField(max_length=20, choices=[(state.value, state.label) for state in PlanState])
    stage = models.PositiveIntegerField(default=0)
    good_stage = models.PositiveIntegerField(default=0)
    attempt = models.PositiveIntegerField(default=1)
    sequence = models.PositiveIntegerField(default=0)
    stage_entered_at = models.DateTimeField(null=True, blank=True)
    extra_soak_minutes = models.PositiveIntegerField(default=0)
    automatic_reversals = models.PositiveIntegerField(default=0)
    blocked_code = models.CharField(max_length=50, blank=True)
    blocked_detail = models.JSONField(default=dict, blank=True)
    next_look_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    contributors = models.JSONField(default=list)
    created_at = models.DateTimeField()
    started_by_id = models.CharField(max_length=100, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    correlation_id = models.UUIDField()
    lock_version = models.PositiveIntegerField(default=1)

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            models.Index(fields=["environment", "state"], name="plan_by_state"),
            models.Index(fields=["next_look_at"], condition=Q(state="running"), name="plan_due"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["project", "number"], name="plan_number_unique_in_project"),
            models.CheckConstraint(condition=Q(state__in=[s.value for s in PlanState]), name="plan_state_valid"),
            models.CheckConstraint(condition=Q(automatic_reversals__lte=1), name="plan_reverses_itself_once"),
        ]

    def __str__(self) -> str:
        return self.label

    @property
    def label(self) -> str:
        """Number and title, as people and the audit trail call it."""
        return f"Plan {self.number} {self.title}"

    @property
    def current_state(self) -> PlanState:
        """`state` as a member of the closed list."""
        return PlanState(self.state)

    @property
    def is_blocked(self) -> bool:
        """Whether something stands in the engine's way."""
        return bool(self.blocked_code)


class PlanFlag(models.Model):
    """A flag that a plan changes. While the plan may still act on it, no other plan does in that environment."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    plan = models.ForeignKey(RolloutPlan, on_delete=models.PROTECT, related_name="flags")
    environment = models.ForeignKey("flags.Environment", on_delete=models.PROTECT, related_name="+")
    flag = models.ForeignKey("flags.Flag", on_delete=models.PROTECT, related_name="plans")
    is_live = models.BooleanField(default=False)

    class Meta:
        ordering = ["plan", "flag"]
        constraints = [
            models.UniqueConstraint(fields=["plan", "flag"], name="plan_flag_once"),
            models.UniqueConstraint(
                fields=["environment", "flag"], condition=Q(is_live=True), name="plan_flag_one_live_plan"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.flag_id} in {self.plan_id}"


class PlanStep(models.Model):
    """One thing that happened to a plan; never changed. Of two that claim the same `sequence` one wins.

    `act` is a PlanAct; `from_stage` and `to_stage` say what it did to the share, `revision` which revision of the
    environment it wrote, None where it wrote nothing. `evidence` holds what it was decided on: gates, verdict ids,
    shares, who saw what.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    plan = models.ForeignKey(RolloutPlan, on_delete=models.PROTECT, related_name="steps")
    environment = models.ForeignKey("flags.Environment", on_delete=models.PROTECT, related_name="+")
    sequence = models.PositiveIntegerField()
    attempt = models.PositiveIntegerField()
    act = models.CharField(max_length=20)
    from_stage = models.PositiveIntegerField()
    to_stage = models.PositiveIntegerField()
    is_automatic = models.BooleanField()
    actor_kind = models.CharField(max_length=10)
    actor_id = models.CharField(max_length=100)
    reason = models.TextField(blank=True)
    revision = models.PositiveBigIntegerField(null=True, blank=True)
    evidence = models.JSONField(default=dict)
    correlation_id = models.UUIDField()
    at = models.DateTimeField()

    class Meta:
        ordering = ["plan", "sequence"]
        constraints = [models.UniqueConstraint(fields=["plan", "sequence"], name="plan_step_once")]

    def __str__(self) -> str:
        return f"{self.act} at {self.at:%d %B %Y %H:%M}"


class StageApproval(models.Model):
    """One person's yes to leave a stage, for one attempt of it; never changed."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    plan = models.ForeignKey(RolloutPlan, on_delete=models.PROTECT, related_name="stage_approvals")
    environment = models.ForeignKey("flags.Environment", on_delete=models.PROTECT, related_name="+")
    attempt = models.PositiveIntegerField()
    stage = models.PositiveIntegerField()
    digest = models.CharField(max_length=64)
    approver = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    reason = models.TextField(blank=True)
    at = models.DateTimeField()

    class Meta:
        ordering = ["at"]
        constraints = [
            models.UniqueConstraint(fields=["plan", "attempt", "stage", "approver"], name="stage_approval_once")
        ]

    def __str__(self) -> str:
        return f"Stage {self.stage} by {self.approver_id}"
