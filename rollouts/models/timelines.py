"""Deprecation timelines: how a flag ends in an environment, what did happen to it, and on whose word."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q

from rollouts.deprecations.transitions import LIVE_STATES, TimelineState


class DeprecationTimeline(models.Model):
    """Dated milestones that end one flag in one environment.

    `definition` is a `TimelineDefinition` as JSON, `base` what the config was when it was prepared (document, version,
    digest), `written` version and digest as the timeline last left it. `digest` covers definition and base, and stays
    when milestones are postponed: their later dates stand in `postponed`, by number.
    `milestone` is the last one behind it, 0 none; `reached_number` the last that was not missed, at `reached_at`.
    `attempt` counts up whenever it is undone, and where a milestone that somebody approved is postponed; `sequence`
    with every step. `in_brownout`: the document of a brownout is written, and the tidy one is not yet. `request` asks
    for the approval.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey("flags.Project", on_delete=models.PROTECT, related_name="timelines")
    environment = models.ForeignKey("flags.Environment", on_delete=models.PROTECT, related_name="timelines")
    flag = models.ForeignKey("flags.Flag", on_delete=models.PROTECT, related_name="timelines")
    number = models.PositiveIntegerField()
    reason = models.TextField(blank=True)
    definition = models.JSONField()
    base = models.JSONField()
    written = models.JSONField(default=dict, blank=True)
    postponed = models.JSONField(default=dict, blank=True)
    digest = models.CharField(max_length=64)
    request = models.OneToOneField(
        "rollouts.ChangeRequest", on_delete=models.PROTECT, null=True, blank=True, related_name="timeline"
    )
    state = models.CharField(max_length=20, choices=[(state.value, state.label) for state in TimelineState])
    milestone = models.PositiveIntegerField(default=0)
    in_brownout = models.BooleanField(default=False)
    reached_number = models.PositiveIntegerField(default=0)
    reached_at = models.DateTimeField(null=True, blank=True)
    attempt = models.PositiveIntegerField(default=1)
    sequence = models.PositiveIntegerField(default=0)
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
            models.Index(fields=["environment", "state"], name="timeline_by_state"),
            models.Index(fields=["next_look_at"], condition=Q(state="running"), name="timeline_due"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["project", "number"], name="timeline_number_unique"),
            models.UniqueConstraint(
                fields=["environment", "flag"],
                condition=Q(state__in=sorted(state.value for state in LIVE_STATES)),
                name="timeline_one_live",
            ),
            models.CheckConstraint(
                condition=Q(state__in=[s.value for s in TimelineState]), name="timeline_state_valid"
            ),
        ]

    def __str__(self) -> str:
        return self.label

    @property
    def label(self) -> str:
        """Number and flag, as people and the audit trail call it."""
        return f"Timeline {self.number} of {self.flag.key}"

    @property
    def current_state(self) -> TimelineState:
        """`state` as a member of the closed list."""
        return TimelineState(self.state)


class TimelineStep(models.Model):
    """One thing that happened to a timeline; never changed. Of two that claim the same `sequence` one wins."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    timeline = models.ForeignKey(DeprecationTimeline, on_delete=models.PROTECT, related_name="steps")
    environment = models.ForeignKey("flags.Environment", on_delete=models.PROTECT, related_name="+")
    sequence = models.PositiveIntegerField()
    act = models.CharField(max_length=20)
    from_milestone = models.PositiveIntegerField()
    to_milestone = models.PositiveIntegerField()
    is_automatic = models.BooleanField()
    actor_kind = models.CharField(max_length=10)
    actor_id = models.CharField(max_length=100)
    reason = models.TextField(blank=True)
    revision = models.PositiveBigIntegerField(null=True, blank=True)
    evidence = models.JSONField(default=dict)
    correlation_id = models.UUIDField()
    at = models.DateTimeField()

    class Meta:
        ordering = ["timeline", "sequence"]
        constraints = [models.UniqueConstraint(fields=["timeline", "sequence"], name="timeline_step_once")]

    def __str__(self) -> str:
        return f"{self.act} at {self.at:%d %B %Y %H:%M}"


class MilestoneApproval(models.Model):
    """One person's yes to go on to a milestone; never changed. `sequence` is where the timeline stood: undone, it asks
    anew. `digest` is that of the timeline that was looked at.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    timeline = models.ForeignKey(DeprecationTimeline, on_delete=models.PROTECT, related_name="approvals")
    environment = models.ForeignKey("flags.Environment", on_delete=models.PROTECT, related_name="+")
    milestone = models.PositiveIntegerField()
    attempt = models.PositiveIntegerField()
    digest = models.CharField(max_length=64)
    approver = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    reason = models.TextField(blank=True)
    at = models.DateTimeField()

    class Meta:
        ordering = ["at"]
        constraints = [
            models.UniqueConstraint(
                fields=["timeline", "attempt", "milestone", "approver"], name="milestone_approval_once"
            )
        ]

    def __str__(self) -> str:
        return f"Milestone {self.milestone} by {self.approver_id}"
