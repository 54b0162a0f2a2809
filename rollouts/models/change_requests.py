"""Change requests: a proposed change set, what was decided about it and what became of it."""

import uuid
from datetime import datetime

from django.conf import settings
from django.db import models
from django.db.models import Q

from flags.changes import ChangeSet
from rollouts.policies import Policy
from rollouts.transitions import RequestState

_SUBMITTED = [state.value for state in RequestState if state not in (RequestState.DRAFT, RequestState.WITHDRAWN)]
_APPLIED = [RequestState.APPLIED.value, RequestState.ROLLED_BACK.value]


class ChangeRequest(models.Model):
    """One change set for one environment on its way from draft to applied.

    `digest` covers change set, `apply_at`, `round` and `relies_on`; approvals are bound to it. `round` goes up with
    every edit after submit, so that no former approval comes back with former content. `relies_on` are the versions of
    the segments that the documents refer to. `contributors` are the ids of everybody who shaped the content.
    `source` names where the content came from, such as a promotion or a rollback; empty: somebody wrote it.
    `ticket_url` is where the work is planned, outside of here.
    `plan_digest` is that of the rollout plan or deprecation timeline by which the content is reached; empty: at once.
    It is part of `digest`.
    `policy_snapshot` is the approval policy at submit. `blocked_code` says why an approved request is held back.
    `lock_version` counts every write, so that of two writers exactly one wins on every database.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey("flags.Project", on_delete=models.PROTECT, related_name="change_requests")
    number = models.PositiveIntegerField()
    environment = models.ForeignKey("flags.Environment", on_delete=models.PROTECT, related_name="change_requests")
    requester = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    title = models.CharField(max_length=200)
    reason = models.TextField()
    state = models.CharField(max_length=20, choices=[(state.value, state.label) for state in RequestState])
    change_set = models.JSONField()
    digest = models.CharField(max_length=64)
    apply_at = models.DateTimeField(null=True, blank=True)
    round = models.PositiveIntegerField(default=1)
    relies_on = models.JSONField(default=dict, blank=True)
    contributors = models.JSONField(default=list)
    source = models.JSONField(default=dict, blank=True)
    ticket_url = models.CharField(max_length=500, blank=True)
    plan_digest = models.CharField(max_length=64, blank=True)
    policy_snapshot = models.JSONField(null=True, blank=True)
    created_at = models.DateTimeField()
    submitted_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    applied_at = models.DateTimeField(null=True, blank=True)
    applied_revision = models.PositiveBigIntegerField(null=True, blank=True)
    blocked_code = models.CharField(max_length=50, blank=True)
    blocked_detail = models.JSONField(default=dict, blank=True)
    correlation_id = models.UUIDField()
    lock_version = models.PositiveIntegerField(default=1)

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            models.Index(fields=["environment", "state"], name="change_request_by_state"),
            models.Index(fields=["state", "apply_at"], name="change_request_due"),
            models.Index(fields=["requester", "-created_at"], name="change_request_by_requester"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["project", "number"], name="change_request_number_unique_in_project"),
            models.CheckConstraint(condition=Q(number__gte=1), name="change_request_number_positive"),
            models.CheckConstraint(
                condition=Q(state__in=[state.value for state in RequestState]), name="change_request_state_valid"
            ),
            models.CheckConstraint(
                condition=~Q(state__in=_SUBMITTED)
                | Q(submitted_at__isnull=False, expires_at__isnull=False, policy_snapshot__isnull=False),
                name="change_request_submitted_facts",
            ),
            models.CheckConstraint(
                condition=Q(state__in=_APPLIED, applied_at__isnull=False, applied_revision__isnull=False)
                | (~Q(state__in=_APPLIED) & Q(applied_at__isnull=True, applied_revision__isnull=True)),
                name="change_request_applied_facts",
            ),
        ]

    def __str__(self) -> str:
        return self.label

    @property
    def label(self) -> str:
        """Number and title, as people and the audit trail call it."""
        return f"#{self.number} {self.title}"

    @property
    def current_state(self) -> RequestState:
        """`state` as a member of the closed list."""
        return RequestState(self.state)

    @property
    def content(self) -> ChangeSet:
        """`change_set` as a value."""
        return ChangeSet.from_json(self.change_set)

    @property
    def contributor_ids(self) -> frozenset[str]:
        """Everybody who asked for or shaped the content; none of them may approve it."""
        return frozenset([str(self.requester_id), *map(str, self.contributors)])

    @property
    def submitted_policy(self) -> Policy | None:
        """The approval policy at submit, None for a draft."""
        return Policy.from_json(self.policy_snapshot) if self.policy_snapshot else None

    @property
    def asks_for_timeline(self) -> bool:
        """Whether what reaches the content is a deprecation timeline: for words, not for what is done."""
        return bool(self.plan_digest) and self.source.get("kind") == "timeline"

    @property
    def is_blocked(self) -> bool:
        """Whether it is held back although it is approved."""
        return bool(self.blocked_code)

    def is_due(self, now: datetime) -> bool:
        """Whether its time has come; without a schedule that is as soon as it is approved."""
        return self.apply_at is None or self.apply_at <= now

    def has_expired(self, now: datetime) -> bool:
        """Whether its life is over, swept or not."""
        return self.expires_at is not None and self.expires_at <= now
