"""Every table of requests, rules, the calendar, plans, guards and timelines."""

import uuid

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from flags.operations import CreateModels


class Migration(migrations.Migration):
    initial = True
    dependencies = [
        ("flags", "0002_guards"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        CreateModels(
            [
                migrations.CreateModel(
                    name="CalendarWindow",
                    fields=[
                        ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                        ("uid", models.CharField(max_length=255)),
                        ("kind", models.CharField(choices=[("freeze", "Freeze"), ("allow", "Allow")], max_length=10)),
                        ("title", models.CharField(max_length=120)),
                        ("reason", models.TextField()),
                        ("environment_ids", models.JSONField(blank=True, default=list)),
                        ("flag_tags", models.JSONField(blank=True, default=list)),
                        ("starts_at", models.DateTimeField(blank=True, null=True)),
                        ("ends_at", models.DateTimeField(blank=True, null=True)),
                        ("rrule", models.CharField(blank=True, max_length=500)),
                        ("zone", models.CharField(blank=True, max_length=60)),
                        ("local_start", models.CharField(blank=True, max_length=16)),
                        ("duration_minutes", models.PositiveIntegerField(blank=True, null=True)),
                        ("created_at", models.DateTimeField()),
                        ("updated_at", models.DateTimeField()),
                        ("removed_at", models.DateTimeField(blank=True, null=True)),
                        ("lock_version", models.PositiveIntegerField(default=1)),
                        (
                            "created_by",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                        (
                            "project",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="calendar_windows",
                                to="flags.project",
                            ),
                        ),
                    ],
                    options={
                        "ordering": ["created_at", "id"],
                        "constraints": [
                            models.UniqueConstraint(
                                condition=models.Q(("removed_at__isnull", True)),
                                fields=("project", "uid"),
                                name="calendar_window_uid_unique_in_project",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(("kind__in", ["freeze", "allow"])), name="calendar_window_kind_valid"
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    models.Q(
                                        ("duration_minutes__isnull", True),
                                        ("ends_at__gt", models.F("starts_at")),
                                        ("local_start", ""),
                                        ("rrule", ""),
                                        ("starts_at__isnull", False),
                                        ("zone", ""),
                                    ),
                                    models.Q(
                                        ("duration_minutes__gte", 1),
                                        ("ends_at__isnull", True),
                                        ("starts_at__isnull", True),
                                        models.Q(("rrule", ""), _negated=True),
                                        models.Q(("zone", ""), _negated=True),
                                        models.Q(("local_start", ""), _negated=True),
                                    ),
                                    _connector="OR",
                                ),
                                name="calendar_window_once_or_recurring",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="ChangeBundle",
                    fields=[
                        ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                        ("title", models.CharField(max_length=200)),
                        ("created_at", models.DateTimeField()),
                        (
                            "created_by",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                        (
                            "project",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="change_bundles",
                                to="flags.project",
                            ),
                        ),
                    ],
                    options={
                        "ordering": ["-created_at", "id"],
                    },
                ),
                migrations.CreateModel(
                    name="ChangeRequest",
                    fields=[
                        ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                        ("number", models.PositiveIntegerField()),
                        ("title", models.CharField(max_length=200)),
                        ("reason", models.TextField()),
                        (
                            "state",
                            models.CharField(
                                choices=[
                                    ("draft", "Draft"),
                                    ("in_review", "In review"),
                                    ("approved", "Approved"),
                                    ("applied", "Applied"),
                                    ("rejected", "Rejected"),
                                    ("withdrawn", "Withdrawn"),
                                    ("expired", "Expired"),
                                    ("rolled_back", "Rolled back"),
                                ],
                                max_length=20,
                            ),
                        ),
                        ("change_set", models.JSONField()),
                        ("digest", models.CharField(max_length=64)),
                        ("apply_at", models.DateTimeField(blank=True, null=True)),
                        ("round", models.PositiveIntegerField(default=1)),
                        ("relies_on", models.JSONField(blank=True, default=dict)),
                        ("contributors", models.JSONField(default=list)),
                        ("source", models.JSONField(blank=True, default=dict)),
                        ("ticket_url", models.CharField(blank=True, max_length=500)),
                        ("plan_digest", models.CharField(blank=True, max_length=64)),
                        ("policy_snapshot", models.JSONField(blank=True, null=True)),
                        ("created_at", models.DateTimeField()),
                        ("submitted_at", models.DateTimeField(blank=True, null=True)),
                        ("expires_at", models.DateTimeField(blank=True, null=True)),
                        ("applied_at", models.DateTimeField(blank=True, null=True)),
                        ("applied_revision", models.PositiveBigIntegerField(blank=True, null=True)),
                        ("blocked_code", models.CharField(blank=True, max_length=50)),
                        ("blocked_detail", models.JSONField(blank=True, default=dict)),
                        ("correlation_id", models.UUIDField()),
                        ("lock_version", models.PositiveIntegerField(default=1)),
                        (
                            "environment",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="change_requests",
                                to="flags.environment",
                            ),
                        ),
                        (
                            "project",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="change_requests",
                                to="flags.project",
                            ),
                        ),
                        (
                            "requester",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                    ],
                    options={
                        "ordering": ["-created_at"],
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("project", "number"), name="change_request_number_unique_in_project"
                            ),
                            models.CheckConstraint(
                                condition=models.Q(("number__gte", 1)), name="change_request_number_positive"
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    (
                                        "state__in",
                                        [
                                            "draft",
                                            "in_review",
                                            "approved",
                                            "applied",
                                            "rejected",
                                            "withdrawn",
                                            "expired",
                                            "rolled_back",
                                        ],
                                    )
                                ),
                                name="change_request_state_valid",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    models.Q(
                                        (
                                            "state__in",
                                            ["in_review", "approved", "applied", "rejected", "expired", "rolled_back"],
                                        ),
                                        _negated=True,
                                    ),
                                    models.Q(
                                        ("expires_at__isnull", False),
                                        ("policy_snapshot__isnull", False),
                                        ("submitted_at__isnull", False),
                                    ),
                                    _connector="OR",
                                ),
                                name="change_request_submitted_facts",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    models.Q(
                                        ("applied_at__isnull", False),
                                        ("applied_revision__isnull", False),
                                        ("state__in", ["applied", "rolled_back"]),
                                    ),
                                    models.Q(
                                        models.Q(("state__in", ["applied", "rolled_back"]), _negated=True),
                                        ("applied_at__isnull", True),
                                        ("applied_revision__isnull", True),
                                    ),
                                    _connector="OR",
                                ),
                                name="change_request_applied_facts",
                            ),
                        ],
                        "indexes": [
                            models.Index(fields=["environment", "state"], name="change_request_by_state"),
                            models.Index(fields=["state", "apply_at"], name="change_request_due"),
                            models.Index(fields=["requester", "-created_at"], name="change_request_by_requester"),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="ImpactRun",
                    fields=[
                        ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                        ("digest", models.CharField(max_length=64)),
                        ("population", models.JSONField()),
                        (
                            "state",
                            models.CharField(
                                choices=[
                                    ("queued", "Waiting"),
                                    ("running", "Running"),
                                    ("done", "Done"),
                                    ("failed", "Failed"),
                                ],
                                default="queued",
                                max_length=10,
                            ),
                        ),
                        ("progress", models.PositiveIntegerField(default=0)),
                        ("total", models.PositiveIntegerField()),
                        ("result", models.JSONField(blank=True, null=True)),
                        ("problem", models.TextField(blank=True)),
                        ("attempts", models.PositiveSmallIntegerField(default=0)),
                        ("created_at", models.DateTimeField()),
                        ("seen_at", models.DateTimeField(blank=True, null=True)),
                        ("finished_at", models.DateTimeField(blank=True, null=True)),
                        ("correlation_id", models.UUIDField()),
                        (
                            "asked_by",
                            models.ForeignKey(
                                blank=True,
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                        (
                            "environment",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="flags.environment"
                            ),
                        ),
                        (
                            "request",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="impact_runs",
                                to="rollouts.changerequest",
                            ),
                        ),
                        (
                            "token",
                            models.ForeignKey(
                                blank=True,
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to="flags.environmenttoken",
                            ),
                        ),
                    ],
                    options={
                        "ordering": ["-created_at"],
                        "constraints": [
                            models.UniqueConstraint(
                                condition=models.Q(("state__in", ["queued", "running"])),
                                fields=("request",),
                                name="impact_run_one_at_a_time",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(("state__in", ["queued", "running", "done", "failed"])),
                                name="impact_run_state_valid",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    models.Q(("asked_by__isnull", False), ("token__isnull", True)),
                                    models.Q(("asked_by__isnull", True), ("token__isnull", False)),
                                    _connector="OR",
                                ),
                                name="impact_run_asked_by_somebody",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    models.Q(
                                        ("finished_at__isnull", True),
                                        ("result__isnull", True),
                                        ("state__in", ["queued", "running"]),
                                    ),
                                    models.Q(
                                        ("finished_at__isnull", False), ("result__isnull", False), ("state", "done")
                                    ),
                                    models.Q(
                                        ("finished_at__isnull", False),
                                        ("result__isnull", True),
                                        ("state", "failed"),
                                        models.Q(("problem", ""), _negated=True),
                                    ),
                                    _connector="OR",
                                ),
                                name="impact_run_end_complete",
                            ),
                        ],
                        "indexes": [
                            models.Index(fields=["request", "-created_at"], name="impact_run_by_request"),
                            models.Index(
                                condition=models.Q(("state__in", ["queued", "running"])),
                                fields=["created_at"],
                                name="impact_run_open",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="BundleMember",
                    fields=[
                        ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                        (
                            "environment",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="flags.environment"
                            ),
                        ),
                        (
                            "bundle",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="members",
                                to="rollouts.changebundle",
                            ),
                        ),
                        (
                            "request",
                            models.OneToOneField(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="membership",
                                to="rollouts.changerequest",
                            ),
                        ),
                    ],
                    options={
                        "ordering": ["environment__position", "id"],
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("bundle", "environment"), name="bundle_member_per_environment"
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="Approval",
                    fields=[
                        ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                        ("digest", models.CharField(max_length=64)),
                        ("comment", models.TextField(blank=True)),
                        ("created_at", models.DateTimeField()),
                        (
                            "approver",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                        (
                            "environment",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="flags.environment"
                            ),
                        ),
                        (
                            "request",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="approvals",
                                to="rollouts.changerequest",
                            ),
                        ),
                    ],
                    options={
                        "ordering": ["created_at", "id"],
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("request", "approver", "digest"), name="approval_once_per_content"
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="Comment",
                    fields=[
                        ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                        ("body", models.TextField()),
                        ("created_at", models.DateTimeField()),
                        (
                            "author",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                        (
                            "reply_to",
                            models.ForeignKey(
                                blank=True,
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="replies",
                                to="rollouts.comment",
                            ),
                        ),
                        (
                            "request",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="comments",
                                to="rollouts.changerequest",
                            ),
                        ),
                    ],
                    options={
                        "ordering": ["created_at", "id"],
                    },
                ),
                migrations.CreateModel(
                    name="DebtScore",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        ("day", models.DateField()),
                        ("score", models.PositiveIntegerField()),
                        ("flags", models.PositiveIntegerField()),
                        ("stale", models.PositiveIntegerField()),
                        ("parts", models.JSONField(default=dict)),
                        (
                            "project",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="debt_scores",
                                to="flags.project",
                            ),
                        ),
                    ],
                    options={
                        "ordering": ["project", "day"],
                        "constraints": [
                            models.UniqueConstraint(fields=("project", "day"), name="debt_score_once_a_day")
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="DeprecationTimeline",
                    fields=[
                        ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                        ("number", models.PositiveIntegerField()),
                        ("reason", models.TextField(blank=True)),
                        ("definition", models.JSONField()),
                        ("base", models.JSONField()),
                        ("written", models.JSONField(blank=True, default=dict)),
                        ("postponed", models.JSONField(blank=True, default=dict)),
                        ("digest", models.CharField(max_length=64)),
                        (
                            "state",
                            models.CharField(
                                choices=[
                                    ("draft", "Draft"),
                                    ("proposed", "Proposed"),
                                    ("running", "Running"),
                                    ("paused", "Paused"),
                                    ("undone", "Undone"),
                                    ("done", "Done"),
                                    ("ended", "Ended"),
                                ],
                                max_length=20,
                            ),
                        ),
                        ("milestone", models.PositiveIntegerField(default=0)),
                        ("in_brownout", models.BooleanField(default=False)),
                        ("reached_number", models.PositiveIntegerField(default=0)),
                        ("reached_at", models.DateTimeField(blank=True, null=True)),
                        ("attempt", models.PositiveIntegerField(default=1)),
                        ("sequence", models.PositiveIntegerField(default=0)),
                        ("blocked_code", models.CharField(blank=True, max_length=50)),
                        ("blocked_detail", models.JSONField(blank=True, default=dict)),
                        ("next_look_at", models.DateTimeField(blank=True, null=True)),
                        ("contributors", models.JSONField(default=list)),
                        ("created_at", models.DateTimeField()),
                        ("started_by_id", models.CharField(blank=True, max_length=100)),
                        ("started_at", models.DateTimeField(blank=True, null=True)),
                        ("ended_at", models.DateTimeField(blank=True, null=True)),
                        ("correlation_id", models.UUIDField()),
                        ("lock_version", models.PositiveIntegerField(default=1)),
                        (
                            "created_by",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                        (
                            "environment",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="timelines",
                                to="flags.environment",
                            ),
                        ),
                        (
                            "flag",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT, related_name="timelines", to="flags.flag"
                            ),
                        ),
                        (
                            "project",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="timelines",
                                to="flags.project",
                            ),
                        ),
                        (
                            "request",
                            models.OneToOneField(
                                blank=True,
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="timeline",
                                to="rollouts.changerequest",
                            ),
                        ),
                    ],
                    options={
                        "ordering": ["-created_at"],
                        "constraints": [
                            models.UniqueConstraint(fields=("project", "number"), name="timeline_number_unique"),
                            models.UniqueConstraint(
                                condition=models.Q(("state__in", ["paused", "running", "undone"])),
                                fields=("environment", "flag"),
                                name="timeline_one_live",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    ("state__in", ["draft", "proposed", "running", "paused", "undone", "done", "ended"])
                                ),
                                name="timeline_state_valid",
                            ),
                        ],
                        "indexes": [
                            models.Index(fields=["environment", "state"], name="timeline_by_state"),
                            models.Index(
                                condition=models.Q(("state", "running")), fields=["next_look_at"], name="timeline_due"
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="Dissent",
                    fields=[
                        ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                        ("sequence", models.PositiveIntegerField()),
                        (
                            "kind",
                            models.CharField(
                                choices=[
                                    ("reservation", "Approved with reservation"),
                                    ("changes_requested", "Asked for changes"),
                                    ("changes_lifted", "Took back the request for changes"),
                                    ("abstention", "Abstained"),
                                    ("rejection", "Rejected"),
                                ],
                                max_length=20,
                            ),
                        ),
                        ("digest", models.CharField(max_length=64)),
                        ("round", models.PositiveIntegerField()),
                        ("text", models.TextField(blank=True)),
                        ("touched", models.JSONField(default=list)),
                        ("created_at", models.DateTimeField()),
                        (
                            "author",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                        (
                            "environment",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="flags.environment"
                            ),
                        ),
                        (
                            "request",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="dissents",
                                to="rollouts.changerequest",
                            ),
                        ),
                    ],
                    options={
                        "ordering": ["request", "sequence"],
                        "constraints": [
                            models.UniqueConstraint(fields=("request", "sequence"), name="dissent_in_order"),
                            models.CheckConstraint(
                                condition=models.Q(
                                    (
                                        "kind__in",
                                        [
                                            "reservation",
                                            "changes_requested",
                                            "changes_lifted",
                                            "abstention",
                                            "rejection",
                                        ],
                                    )
                                ),
                                name="dissent_kind_valid",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    ("kind__in", ["changes_lifted", "abstention"]),
                                    models.Q(("text", ""), _negated=True),
                                    _connector="OR",
                                ),
                                name="dissent_says_why",
                            ),
                        ],
                        "indexes": [models.Index(fields=["environment", "-created_at"], name="dissent_by_environment")],
                    },
                ),
                migrations.CreateModel(
                    name="Drift",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        ("aspects", models.JSONField()),
                        ("since", models.DateTimeField()),
                        (
                            "downstream",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="flags.environment"
                            ),
                        ),
                        (
                            "flag",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT, related_name="drifts", to="flags.flag"
                            ),
                        ),
                        (
                            "project",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="flags.project"
                            ),
                        ),
                        (
                            "upstream",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="flags.environment"
                            ),
                        ),
                    ],
                    options={
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("flag", "upstream", "downstream"), name="drift_unique_in_pair"
                            ),
                            models.CheckConstraint(
                                condition=models.Q(("upstream", models.F("downstream")), _negated=True),
                                name="drift_of_two_environments",
                            ),
                        ],
                        "indexes": [models.Index(fields=["project", "since"], name="drift_by_project")],
                    },
                ),
                migrations.CreateModel(
                    name="FreezeException",
                    fields=[
                        ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                        ("digest", models.CharField(max_length=64)),
                        ("covers_from", models.DateTimeField()),
                        ("covers_until", models.DateTimeField()),
                        ("reason", models.TextField()),
                        ("asked_at", models.DateTimeField()),
                        ("is_granted", models.BooleanField(blank=True, null=True)),
                        ("decided_at", models.DateTimeField(blank=True, null=True)),
                        ("decision_reason", models.TextField(blank=True)),
                        (
                            "asked_by",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                        (
                            "decided_by",
                            models.ForeignKey(
                                blank=True,
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                        (
                            "environment",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="flags.environment"
                            ),
                        ),
                        (
                            "request",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="freeze_exceptions",
                                to="rollouts.changerequest",
                            ),
                        ),
                        (
                            "window",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="exceptions",
                                to="rollouts.calendarwindow",
                            ),
                        ),
                    ],
                    options={
                        "ordering": ["asked_at", "id"],
                        "constraints": [
                            models.UniqueConstraint(
                                condition=models.Q(("is_granted__isnull", True), ("is_granted", True), _connector="OR"),
                                fields=("request", "window", "digest", "covers_from"),
                                name="freeze_exception_asked_once",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    models.Q(
                                        ("decided_at__isnull", True),
                                        ("decided_by__isnull", True),
                                        ("is_granted__isnull", True),
                                    ),
                                    models.Q(
                                        ("decided_at__isnull", False),
                                        ("decided_by__isnull", False),
                                        ("is_granted__isnull", False),
                                    ),
                                    _connector="OR",
                                ),
                                name="freeze_exception_decided_facts",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    ("decided_by__isnull", True),
                                    models.Q(("decided_by", models.F("asked_by")), _negated=True),
                                    _connector="OR",
                                ),
                                name="freeze_exception_two_people",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(("covers_until__gt", models.F("covers_from"))),
                                name="freeze_exception_covers_time",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="GuardMetric",
                    fields=[
                        ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                        ("key", models.CharField(max_length=100)),
                        ("name", models.CharField(max_length=120)),
                        ("description", models.TextField(blank=True)),
                        ("kind", models.CharField(max_length=20)),
                        ("source", models.CharField(max_length=20)),
                        ("limit", models.FloatField(blank=True, null=True)),
                        ("defaults", models.JSONField(default=dict)),
                        ("is_retired", models.BooleanField(default=False)),
                        ("changed_at", models.DateTimeField()),
                        (
                            "project",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="guard_metrics",
                                to="flags.project",
                            ),
                        ),
                    ],
                    options={
                        "ordering": ["project", "name"],
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("project", "key"), name="guard_metric_key_unique_in_project"
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="ImpactUpload",
                    fields=[
                        (
                            "run",
                            models.OneToOneField(
                                on_delete=django.db.models.deletion.PROTECT,
                                primary_key=True,
                                related_name="upload",
                                serialize=False,
                                to="rollouts.impactrun",
                            ),
                        ),
                        ("contexts", models.BinaryField()),
                        ("created_at", models.DateTimeField(db_index=True)),
                    ],
                ),
                migrations.CreateModel(
                    name="Incident",
                    fields=[
                        ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                        ("title", models.CharField(max_length=200)),
                        (
                            "severity",
                            models.CharField(
                                choices=[("critical", "Critical"), ("major", "Major"), ("minor", "Minor")],
                                max_length=10,
                            ),
                        ),
                        ("link", models.CharField(blank=True, max_length=500)),
                        ("opened_at", models.DateTimeField()),
                        ("opened_by_service", models.CharField(blank=True, max_length=120)),
                        ("closed_at", models.DateTimeField(blank=True, null=True)),
                        ("closed_by_service", models.CharField(blank=True, max_length=120)),
                        (
                            "closed_by",
                            models.ForeignKey(
                                blank=True,
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                        (
                            "environment",
                            models.ForeignKey(
                                blank=True,
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="incidents",
                                to="flags.environment",
                            ),
                        ),
                        (
                            "opened_by",
                            models.ForeignKey(
                                blank=True,
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                        (
                            "project",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="incidents",
                                to="flags.project",
                            ),
                        ),
                    ],
                    options={
                        "ordering": ["-opened_at", "id"],
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(("severity__in", ["critical", "major", "minor"])),
                                name="incident_severity_valid",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    models.Q(("opened_by__isnull", False), ("opened_by_service", "")),
                                    models.Q(
                                        ("opened_by__isnull", True), models.Q(("opened_by_service", ""), _negated=True)
                                    ),
                                    _connector="OR",
                                ),
                                name="incident_opened_by_somebody",
                            ),
                        ],
                        "indexes": [models.Index(fields=["project", "closed_at"], name="incident_by_project")],
                    },
                ),
                migrations.CreateModel(
                    name="IntendedDifference",
                    fields=[
                        ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                        ("aspects", models.JSONField()),
                        ("reason", models.TextField()),
                        ("created_at", models.DateTimeField()),
                        ("expires_at", models.DateTimeField()),
                        ("ended_at", models.DateTimeField(blank=True, null=True)),
                        (
                            "created_by",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                        (
                            "downstream",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="flags.environment"
                            ),
                        ),
                        (
                            "ended_by",
                            models.ForeignKey(
                                blank=True,
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                        (
                            "flag",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="intended_differences",
                                to="flags.flag",
                            ),
                        ),
                        (
                            "owner",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                        (
                            "project",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="intended_differences",
                                to="flags.project",
                            ),
                        ),
                        (
                            "upstream",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="flags.environment"
                            ),
                        ),
                    ],
                    options={
                        "ordering": ["-created_at", "id"],
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(("upstream", models.F("downstream")), _negated=True),
                                name="intended_in_two_environments",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(("expires_at__gt", models.F("created_at"))),
                                name="intended_for_a_time",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    models.Q(("ended_at__isnull", True), ("ended_by__isnull", True)),
                                    models.Q(("ended_at__isnull", False), ("ended_by__isnull", False)),
                                    _connector="OR",
                                ),
                                name="intended_ended_by_somebody",
                            ),
                        ],
                        "indexes": [models.Index(fields=["project", "expires_at"], name="intended_by_project")],
                    },
                ),
                migrations.CreateModel(
                    name="Judgement",
                    fields=[
                        ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                        ("digest", models.CharField(max_length=64)),
                        ("occasion", models.CharField(max_length=20)),
                        ("rules", models.JSONField(default=list)),
                        ("facts", models.JSONField(default=dict)),
                        ("findings", models.JSONField(default=list)),
                        ("created_at", models.DateTimeField()),
                        (
                            "environment",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="flags.environment"
                            ),
                        ),
                        (
                            "request",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="judgements",
                                to="rollouts.changerequest",
                            ),
                        ),
                    ],
                    options={
                        "ordering": ["created_at", "id"],
                        "indexes": [models.Index(fields=["request", "created_at"], name="judgement_by_request")],
                    },
                ),
                migrations.CreateModel(
                    name="Look",
                    fields=[
                        ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                        ("digest", models.CharField(max_length=64)),
                        ("round", models.PositiveIntegerField()),
                        ("seen_at", models.DateTimeField()),
                        (
                            "person",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                        (
                            "request",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="looks",
                                to="rollouts.changerequest",
                            ),
                        ),
                    ],
                    options={
                        "ordering": ["seen_at", "id"],
                        "constraints": [
                            models.UniqueConstraint(fields=("request", "person"), name="look_once_per_person")
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="MilestoneApproval",
                    fields=[
                        ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                        ("milestone", models.PositiveIntegerField()),
                        ("attempt", models.PositiveIntegerField()),
                        ("digest", models.CharField(max_length=64)),
                        ("reason", models.TextField(blank=True)),
                        ("at", models.DateTimeField()),
                        (
                            "approver",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                        (
                            "environment",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="flags.environment"
                            ),
                        ),
                        (
                            "timeline",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="approvals",
                                to="rollouts.deprecationtimeline",
                            ),
                        ),
                    ],
                    options={
                        "ordering": ["at"],
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("timeline", "attempt", "milestone", "approver"), name="milestone_approval_once"
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="OwnerNudge",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        ("month", models.DateField()),
                        ("told_at", models.DateTimeField()),
                        ("flags", models.PositiveIntegerField()),
                        (
                            "person",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                    ],
                    options={
                        "ordering": ["month", "person"],
                        "constraints": [
                            models.UniqueConstraint(fields=("person", "month"), name="owner_nudge_once_a_month")
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="PlanTemplate",
                    fields=[
                        ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                        ("key", models.CharField(max_length=100)),
                        ("version", models.PositiveIntegerField()),
                        ("name", models.CharField(max_length=120)),
                        ("description", models.TextField(blank=True)),
                        ("definition", models.JSONField()),
                        ("kinds", models.JSONField(default=list)),
                        ("is_retired", models.BooleanField(default=False)),
                        ("created_at", models.DateTimeField()),
                        (
                            "created_by",
                            models.ForeignKey(
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                        (
                            "project",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="plan_templates",
                                to="flags.project",
                            ),
                        ),
                    ],
                    options={
                        "ordering": ["project", "key", "-version"],
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("project", "key", "version"), name="plan_template_version_unique"
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="PolicyRule",
                    fields=[
                        ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                        ("key", models.CharField(max_length=60)),
                        ("version", models.PositiveIntegerField(default=1)),
                        ("document", models.JSONField()),
                        ("digest", models.CharField(max_length=64)),
                        ("created_at", models.DateTimeField()),
                        ("updated_at", models.DateTimeField()),
                        (
                            "project",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="policy_rules",
                                to="flags.project",
                            ),
                        ),
                    ],
                    options={
                        "ordering": ["project", "key"],
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("project", "key"), name="policy_rule_key_unique_in_project"
                            ),
                            models.CheckConstraint(
                                condition=models.Q(("version__gte", 1)), name="policy_rule_version_positive"
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="PolicyRuleVersion",
                    fields=[
                        ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                        ("version", models.PositiveIntegerField()),
                        ("document", models.JSONField()),
                        ("digest", models.CharField(max_length=64)),
                        ("reason", models.TextField()),
                        ("created_at", models.DateTimeField()),
                        (
                            "author",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                        (
                            "project",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="flags.project"
                            ),
                        ),
                        (
                            "rule",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="versions",
                                to="rollouts.policyrule",
                            ),
                        ),
                    ],
                    options={
                        "ordering": ["-version"],
                        "constraints": [
                            models.UniqueConstraint(fields=("rule", "version"), name="policy_rule_version_once")
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="ReleaseTrain",
                    fields=[
                        ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                        ("title", models.CharField(max_length=200)),
                        ("reason", models.TextField(blank=True)),
                        (
                            "state",
                            models.CharField(
                                choices=[
                                    ("draft", "Draft"),
                                    ("running", "Running"),
                                    ("paused", "Paused"),
                                    ("rolled_back", "Rolled back"),
                                    ("completed", "Completed"),
                                    ("aborted", "Aborted"),
                                ],
                                max_length=20,
                            ),
                        ),
                        ("created_at", models.DateTimeField()),
                        ("started_by_id", models.CharField(blank=True, max_length=100)),
                        ("started_at", models.DateTimeField(blank=True, null=True)),
                        ("agreed", models.JSONField(blank=True, default=dict)),
                        ("ended_at", models.DateTimeField(blank=True, null=True)),
                        ("rolled_back_by_id", models.CharField(blank=True, max_length=100)),
                        ("rollback_reason", models.TextField(blank=True)),
                        ("refused", models.JSONField(blank=True, default=dict)),
                        ("correlation_id", models.UUIDField()),
                        ("lock_version", models.PositiveIntegerField(default=1)),
                        (
                            "created_by",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                        (
                            "project",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT, related_name="trains", to="flags.project"
                            ),
                        ),
                    ],
                    options={
                        "ordering": ["-created_at"],
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(
                                    ("state__in", ["draft", "running", "paused", "rolled_back", "completed", "aborted"])
                                ),
                                name="train_state_valid",
                            )
                        ],
                        "indexes": [models.Index(fields=["state"], name="train_by_state")],
                    },
                ),
                migrations.CreateModel(
                    name="RequestRound",
                    fields=[
                        ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                        ("round", models.PositiveIntegerField()),
                        ("digest", models.CharField(max_length=64)),
                        ("change_set", models.JSONField()),
                        ("apply_at", models.DateTimeField(blank=True, null=True)),
                        ("occasion", models.CharField(max_length=20)),
                        ("created_at", models.DateTimeField()),
                        (
                            "author",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                        (
                            "environment",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="flags.environment"
                            ),
                        ),
                        (
                            "request",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="rounds",
                                to="rollouts.changerequest",
                            ),
                        ),
                    ],
                    options={
                        "ordering": ["round"],
                        "constraints": [
                            models.UniqueConstraint(fields=("request", "round"), name="request_round_once")
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="RollbackDrill",
                    fields=[
                        ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                        ("title", models.CharField(max_length=200)),
                        (
                            "target",
                            models.CharField(
                                choices=[
                                    ("previous", "The version before the present one"),
                                    ("version", "A certain version"),
                                    ("instant", "How it was some hours ago"),
                                ],
                                max_length=10,
                            ),
                        ),
                        ("target_version", models.PositiveIntegerField(blank=True, null=True)),
                        ("target_hours", models.PositiveIntegerField(blank=True, null=True)),
                        ("limit_seconds", models.PositiveIntegerField()),
                        ("interval_days", models.PositiveIntegerField()),
                        ("is_active", models.BooleanField(default=True)),
                        ("next_due_at", models.DateTimeField()),
                        ("last_run_at", models.DateTimeField(blank=True, null=True)),
                        ("overdue_since", models.DateTimeField(blank=True, null=True)),
                        ("created_at", models.DateTimeField()),
                        (
                            "environment",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="drills",
                                to="flags.environment",
                            ),
                        ),
                        (
                            "flag",
                            models.ForeignKey(
                                blank=True,
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="drills",
                                to="flags.flag",
                            ),
                        ),
                        (
                            "owner",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                    ],
                    options={
                        "ordering": ["title", "id"],
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(
                                    models.Q(
                                        ("flag__isnull", False),
                                        ("target", "previous"),
                                        ("target_hours__isnull", True),
                                        ("target_version__isnull", True),
                                    ),
                                    models.Q(
                                        ("flag__isnull", False),
                                        ("target", "version"),
                                        ("target_hours__isnull", True),
                                        ("target_version__gte", 1),
                                        ("target_version__isnull", False),
                                    ),
                                    models.Q(
                                        ("target", "instant"),
                                        ("target_hours__gte", 1),
                                        ("target_hours__isnull", False),
                                        ("target_version__isnull", True),
                                    ),
                                    _connector="OR",
                                ),
                                name="drill_target_complete",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(("limit_seconds__gte", 1)), name="drill_limit_positive"
                            ),
                            models.CheckConstraint(
                                condition=models.Q(("interval_days__gte", 1)), name="drill_interval_positive"
                            ),
                        ],
                        "indexes": [
                            models.Index(
                                condition=models.Q(("is_active", True)), fields=["next_due_at"], name="drill_due"
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="DrillRun",
                    fields=[
                        ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                        ("started_at", models.DateTimeField()),
                        ("took_ms", models.PositiveIntegerField()),
                        ("limit_seconds", models.PositiveIntegerField()),
                        ("has_passed", models.BooleanField()),
                        ("problem", models.TextField(blank=True)),
                        ("evidence", models.JSONField(default=dict)),
                        ("actor_kind", models.CharField(max_length=10)),
                        ("actor_id", models.CharField(max_length=100)),
                        ("correlation_id", models.UUIDField()),
                        (
                            "environment",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="flags.environment"
                            ),
                        ),
                        (
                            "drill",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="runs",
                                to="rollouts.rollbackdrill",
                            ),
                        ),
                    ],
                    options={
                        "ordering": ["-started_at", "id"],
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(
                                    models.Q(("has_passed", True), ("problem", "")),
                                    models.Q(("has_passed", False), models.Q(("problem", ""), _negated=True)),
                                    _connector="OR",
                                ),
                                name="drill_run_failure_explained",
                            )
                        ],
                        "indexes": [models.Index(fields=["drill", "-started_at"], name="drill_run_by_drill")],
                    },
                ),
                migrations.CreateModel(
                    name="RolloutPlan",
                    fields=[
                        ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                        ("number", models.PositiveIntegerField()),
                        ("title", models.CharField(max_length=200)),
                        ("reason", models.TextField(blank=True)),
                        ("definition", models.JSONField()),
                        ("base", models.JSONField()),
                        ("documents", models.JSONField()),
                        ("written", models.JSONField(blank=True, default=dict)),
                        ("relies_on", models.JSONField(blank=True, default=dict)),
                        ("digest", models.CharField(max_length=64)),
                        (
                            "state",
                            models.CharField(
                                choices=[
                                    ("draft", "Draft"),
                                    ("proposed", "Proposed"),
                                    ("running", "Running"),
                                    ("paused", "Paused"),
                                    ("rolled_back", "Rolled back"),
                                    ("completed", "Completed"),
                                    ("aborted", "Aborted"),
                                ],
                                max_length=20,
                            ),
                        ),
                        ("stage", models.PositiveIntegerField(default=0)),
                        ("good_stage", models.PositiveIntegerField(default=0)),
                        ("attempt", models.PositiveIntegerField(default=1)),
                        ("sequence", models.PositiveIntegerField(default=0)),
                        ("stage_entered_at", models.DateTimeField(blank=True, null=True)),
                        ("extra_soak_minutes", models.PositiveIntegerField(default=0)),
                        ("automatic_reversals", models.PositiveIntegerField(default=0)),
                        ("blocked_code", models.CharField(blank=True, max_length=50)),
                        ("blocked_detail", models.JSONField(blank=True, default=dict)),
                        ("next_look_at", models.DateTimeField(blank=True, null=True)),
                        ("contributors", models.JSONField(default=list)),
                        ("created_at", models.DateTimeField()),
                        ("started_by_id", models.CharField(blank=True, max_length=100)),
                        ("started_at", models.DateTimeField(blank=True, null=True)),
                        ("ended_at", models.DateTimeField(blank=True, null=True)),
                        ("correlation_id", models.UUIDField()),
                        ("lock_version", models.PositiveIntegerField(default=1)),
                        (
                            "created_by",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                        (
                            "environment",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="plans",
                                to="flags.environment",
                            ),
                        ),
                        (
                            "project",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT, related_name="plans", to="flags.project"
                            ),
                        ),
                        (
                            "request",
                            models.OneToOneField(
                                blank=True,
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="plan",
                                to="rollouts.changerequest",
                            ),
                        ),
                        (
                            "template",
                            models.ForeignKey(
                                blank=True,
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to="rollouts.plantemplate",
                            ),
                        ),
                    ],
                    options={
                        "ordering": ["-created_at"],
                        "constraints": [
                            models.UniqueConstraint(fields=("project", "number"), name="plan_number_unique_in_project"),
                            models.CheckConstraint(
                                condition=models.Q(
                                    (
                                        "state__in",
                                        [
                                            "draft",
                                            "proposed",
                                            "running",
                                            "paused",
                                            "rolled_back",
                                            "completed",
                                            "aborted",
                                        ],
                                    )
                                ),
                                name="plan_state_valid",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(("automatic_reversals__lte", 1)), name="plan_reverses_itself_once"
                            ),
                        ],
                        "indexes": [
                            models.Index(fields=["environment", "state"], name="plan_by_state"),
                            models.Index(
                                condition=models.Q(("state", "running")), fields=["next_look_at"], name="plan_due"
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="PlanStep",
                    fields=[
                        ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                        ("sequence", models.PositiveIntegerField()),
                        ("attempt", models.PositiveIntegerField()),
                        ("act", models.CharField(max_length=20)),
                        ("from_stage", models.PositiveIntegerField()),
                        ("to_stage", models.PositiveIntegerField()),
                        ("is_automatic", models.BooleanField()),
                        ("actor_kind", models.CharField(max_length=10)),
                        ("actor_id", models.CharField(max_length=100)),
                        ("reason", models.TextField(blank=True)),
                        ("revision", models.PositiveBigIntegerField(blank=True, null=True)),
                        ("evidence", models.JSONField(default=dict)),
                        ("correlation_id", models.UUIDField()),
                        ("at", models.DateTimeField()),
                        (
                            "environment",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="flags.environment"
                            ),
                        ),
                        (
                            "plan",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="steps",
                                to="rollouts.rolloutplan",
                            ),
                        ),
                    ],
                    options={
                        "ordering": ["plan", "sequence"],
                        "constraints": [models.UniqueConstraint(fields=("plan", "sequence"), name="plan_step_once")],
                    },
                ),
                migrations.CreateModel(
                    name="PlanFlag",
                    fields=[
                        ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                        ("is_live", models.BooleanField(default=False)),
                        (
                            "environment",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="flags.environment"
                            ),
                        ),
                        (
                            "flag",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT, related_name="plans", to="flags.flag"
                            ),
                        ),
                        (
                            "plan",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="flags",
                                to="rollouts.rolloutplan",
                            ),
                        ),
                    ],
                    options={
                        "ordering": ["plan", "flag"],
                        "constraints": [
                            models.UniqueConstraint(fields=("plan", "flag"), name="plan_flag_once"),
                            models.UniqueConstraint(
                                condition=models.Q(("is_live", True)),
                                fields=("environment", "flag"),
                                name="plan_flag_one_live_plan",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="GuardWatch",
                    fields=[
                        ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                        ("attempt", models.PositiveIntegerField()),
                        ("metric", models.CharField(max_length=100)),
                        ("through", models.DateTimeField(blank=True, null=True)),
                        ("kept_through", models.DateTimeField(blank=True, null=True)),
                        ("sampled_at", models.DateTimeField(blank=True, null=True)),
                        ("control_at", models.DateTimeField(blank=True, null=True)),
                        ("treatment_at", models.DateTimeField(blank=True, null=True)),
                        ("asked_at", models.DateTimeField(blank=True, null=True)),
                        ("accumulated", models.JSONField(default=dict)),
                        ("pending", models.JSONField(default=list)),
                        ("outcome", models.CharField(blank=True, max_length=20)),
                        ("outcome_since", models.DateTimeField(blank=True, null=True)),
                        ("fresh_minutes", models.PositiveIntegerField(default=0)),
                        ("errors_in_a_row", models.PositiveIntegerField(default=0)),
                        ("problem", models.CharField(blank=True, max_length=500)),
                        (
                            "plan",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.CASCADE,
                                related_name="watches",
                                to="rollouts.rolloutplan",
                            ),
                        ),
                    ],
                    options={
                        "ordering": ["plan", "metric"],
                        "constraints": [
                            models.UniqueConstraint(fields=("plan", "attempt", "metric"), name="guard_watch_once")
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="GuardVerdict",
                    fields=[
                        ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                        ("attempt", models.PositiveIntegerField()),
                        ("stage", models.PositiveIntegerField()),
                        ("metric", models.CharField(max_length=100)),
                        ("number", models.PositiveIntegerField()),
                        ("outcome", models.CharField(max_length=20)),
                        ("action", models.CharField(max_length=20)),
                        ("sentence", models.TextField()),
                        ("parameters", models.JSONField()),
                        ("intervals", models.JSONField()),
                        ("statistics", models.JSONField()),
                        ("freshest_at", models.DateTimeField(blank=True, null=True)),
                        ("correlation_id", models.UUIDField()),
                        ("at", models.DateTimeField()),
                        (
                            "environment",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="flags.environment"
                            ),
                        ),
                        (
                            "plan",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="verdicts",
                                to="rollouts.rolloutplan",
                            ),
                        ),
                    ],
                    options={
                        "ordering": ["plan", "metric", "attempt", "number"],
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("plan", "attempt", "metric", "number"), name="guard_verdict_once"
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="GuardSample",
                    fields=[
                        ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                        ("attempt", models.PositiveIntegerField()),
                        ("metric", models.CharField(max_length=100)),
                        ("through", models.DateTimeField()),
                        ("intervals", models.JSONField()),
                        ("at", models.DateTimeField()),
                        (
                            "environment",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="flags.environment"
                            ),
                        ),
                        (
                            "plan",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="samples",
                                to="rollouts.rolloutplan",
                            ),
                        ),
                    ],
                    options={
                        "ordering": ["plan", "metric", "attempt", "through"],
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("plan", "attempt", "metric", "through"), name="guard_sample_once"
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="ServiceApproval",
                    fields=[
                        ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                        ("token_name", models.CharField(max_length=120)),
                        ("digest", models.CharField(max_length=64)),
                        ("comment", models.TextField(blank=True)),
                        ("created_at", models.DateTimeField()),
                        (
                            "environment",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="flags.environment"
                            ),
                        ),
                        (
                            "request",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="service_approvals",
                                to="rollouts.changerequest",
                            ),
                        ),
                        (
                            "token",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to="flags.environmenttoken",
                            ),
                        ),
                    ],
                    options={
                        "ordering": ["created_at", "id"],
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("request", "token", "digest"), name="service_approval_once_per_content"
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="SettingsProposal",
                    fields=[
                        ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                        ("kind", models.CharField(max_length=40)),
                        ("subject", models.CharField(blank=True, max_length=120)),
                        ("title", models.CharField(max_length=200)),
                        ("before", models.JSONField(null=True)),
                        ("after", models.JSONField(null=True)),
                        ("digest", models.CharField(max_length=64)),
                        ("reason", models.TextField()),
                        ("created_at", models.DateTimeField()),
                        ("expires_at", models.DateTimeField()),
                        (
                            "state",
                            models.CharField(
                                choices=[
                                    ("open", "Open"),
                                    ("confirmed", "Confirmed"),
                                    ("declined", "Declined"),
                                    ("withdrawn", "Withdrawn"),
                                    ("expired", "Expired"),
                                ],
                                default="open",
                                max_length=10,
                            ),
                        ),
                        ("decided_at", models.DateTimeField(blank=True, null=True)),
                        ("decision_reason", models.TextField(blank=True)),
                        (
                            "decided_by",
                            models.ForeignKey(
                                blank=True,
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                        (
                            "environment",
                            models.ForeignKey(
                                blank=True,
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="settings_proposals",
                                to="flags.environment",
                            ),
                        ),
                        (
                            "project",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="settings_proposals",
                                to="flags.project",
                            ),
                        ),
                        (
                            "proposed_by",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                    ],
                    options={
                        "ordering": ["-created_at", "id"],
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(
                                    ("state__in", ["open", "confirmed", "declined", "withdrawn", "expired"])
                                ),
                                name="settings_proposal_state_valid",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    models.Q(("decided_at", None), ("state", "open")),
                                    models.Q(models.Q(("state", "open"), _negated=True), ("decided_at__isnull", False)),
                                    _connector="OR",
                                ),
                                name="settings_proposal_decided_once",
                            ),
                            models.UniqueConstraint(
                                condition=models.Q(("environment__isnull", False), ("state", "open")),
                                fields=("environment", "kind", "subject"),
                                name="settings_proposal_open_once",
                            ),
                            models.UniqueConstraint(
                                condition=models.Q(("environment", None), ("state", "open")),
                                fields=("project", "kind", "subject"),
                                name="settings_proposal_open_once_in_project",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="Snooze",
                    fields=[
                        ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                        ("until", models.DateTimeField()),
                        ("reason", models.TextField()),
                        ("created_at", models.DateTimeField()),
                        ("ended_at", models.DateTimeField(blank=True, null=True)),
                        (
                            "created_by",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                        (
                            "flag",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT, related_name="snoozes", to="flags.flag"
                            ),
                        ),
                        (
                            "project",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="flags.project"
                            ),
                        ),
                    ],
                    options={
                        "ordering": ["-created_at"],
                        "indexes": [models.Index(fields=["flag", "until"], name="snooze_by_flag")],
                    },
                ),
                migrations.CreateModel(
                    name="StageApproval",
                    fields=[
                        ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                        ("attempt", models.PositiveIntegerField()),
                        ("stage", models.PositiveIntegerField()),
                        ("digest", models.CharField(max_length=64)),
                        ("reason", models.TextField(blank=True)),
                        ("at", models.DateTimeField()),
                        (
                            "approver",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                        (
                            "environment",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="flags.environment"
                            ),
                        ),
                        (
                            "plan",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="stage_approvals",
                                to="rollouts.rolloutplan",
                            ),
                        ),
                    ],
                    options={
                        "ordering": ["at"],
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("plan", "attempt", "stage", "approver"), name="stage_approval_once"
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="StageCheck",
                    fields=[
                        ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                        ("attempt", models.PositiveIntegerField()),
                        ("stage", models.PositiveIntegerField()),
                        ("name", models.CharField(max_length=100)),
                        ("outcome", models.CharField(max_length=10)),
                        ("sentence", models.CharField(max_length=500)),
                        ("errors_in_a_row", models.PositiveIntegerField(default=0)),
                        ("checked_at", models.DateTimeField()),
                        (
                            "plan",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.CASCADE,
                                related_name="checks",
                                to="rollouts.rolloutplan",
                            ),
                        ),
                    ],
                    options={
                        "ordering": ["plan", "stage", "name"],
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("plan", "attempt", "stage", "name"), name="stage_check_once"
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="StaleThresholds",
                    fields=[
                        ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                        ("kind", models.CharField(max_length=20)),
                        ("values", models.JSONField(default=dict)),
                        ("changed_at", models.DateTimeField()),
                        (
                            "project",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="flags.project"
                            ),
                        ),
                    ],
                    options={
                        "ordering": ["project", "kind"],
                        "constraints": [
                            models.UniqueConstraint(fields=("project", "kind"), name="stale_thresholds_unique")
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="StaleVerdict",
                    fields=[
                        (
                            "flag",
                            models.OneToOneField(
                                on_delete=django.db.models.deletion.PROTECT,
                                primary_key=True,
                                related_name="stale_verdict",
                                serialize=False,
                                to="flags.flag",
                            ),
                        ),
                        ("stage", models.CharField(max_length=20)),
                        ("stage_since", models.DateTimeField(blank=True, null=True)),
                        ("stages", models.JSONField(default=dict)),
                        ("is_stale", models.BooleanField()),
                        ("stale_since", models.DateTimeField(blank=True, null=True)),
                        ("reasons", models.JSONField(default=list)),
                        ("confidence", models.CharField(blank=True, max_length=10)),
                        ("readiness", models.CharField(max_length=10)),
                        ("blockers", models.JSONField(default=list)),
                        ("cautions", models.JSONField(default=list)),
                        ("judged_at", models.DateTimeField()),
                        (
                            "project",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="flags.project"
                            ),
                        ),
                    ],
                    options={
                        "ordering": ["project", "flag"],
                        "indexes": [
                            models.Index(fields=["project", "is_stale", "readiness"], name="stale_verdict_inbox")
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="ThreadMark",
                    fields=[
                        ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                        ("sequence", models.PositiveIntegerField()),
                        ("is_resolved", models.BooleanField()),
                        ("created_at", models.DateTimeField()),
                        (
                            "author",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                        (
                            "comment",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT, related_name="marks", to="rollouts.comment"
                            ),
                        ),
                    ],
                    options={
                        "ordering": ["comment", "sequence"],
                        "constraints": [
                            models.UniqueConstraint(fields=("comment", "sequence"), name="thread_mark_in_order")
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="TimelineStep",
                    fields=[
                        ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                        ("sequence", models.PositiveIntegerField()),
                        ("act", models.CharField(max_length=20)),
                        ("from_milestone", models.PositiveIntegerField()),
                        ("to_milestone", models.PositiveIntegerField()),
                        ("is_automatic", models.BooleanField()),
                        ("actor_kind", models.CharField(max_length=10)),
                        ("actor_id", models.CharField(max_length=100)),
                        ("reason", models.TextField(blank=True)),
                        ("revision", models.PositiveBigIntegerField(blank=True, null=True)),
                        ("evidence", models.JSONField(default=dict)),
                        ("correlation_id", models.UUIDField()),
                        ("at", models.DateTimeField()),
                        (
                            "environment",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="flags.environment"
                            ),
                        ),
                        (
                            "timeline",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="steps",
                                to="rollouts.deprecationtimeline",
                            ),
                        ),
                    ],
                    options={
                        "ordering": ["timeline", "sequence"],
                        "constraints": [
                            models.UniqueConstraint(fields=("timeline", "sequence"), name="timeline_step_once")
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="TrainMember",
                    fields=[
                        ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                        ("position", models.PositiveIntegerField()),
                        ("opens_at", models.PositiveIntegerField(blank=True, null=True)),
                        (
                            "plan",
                            models.OneToOneField(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="train_member",
                                to="rollouts.rolloutplan",
                            ),
                        ),
                        (
                            "project",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="flags.project"
                            ),
                        ),
                        (
                            "train",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="members",
                                to="rollouts.releasetrain",
                            ),
                        ),
                    ],
                    options={
                        "ordering": ["train", "position"],
                        "constraints": [
                            models.UniqueConstraint(fields=("train", "position"), name="train_position_once")
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="ApprovalPolicy",
                    fields=[
                        ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                        ("required_approvals", models.PositiveSmallIntegerField(default=1)),
                        ("named_approvers", models.JSONField(blank=True, default=list)),
                        ("expires_after_hours", models.PositiveIntegerField(default=336)),
                        ("updated_at", models.DateTimeField()),
                        (
                            "environment",
                            models.OneToOneField(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="approval_policy",
                                to="flags.environment",
                            ),
                        ),
                    ],
                    options={
                        "verbose_name_plural": "approval policies",
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(("required_approvals__gte", 1)),
                                name="approval_policy_required_positive",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(("expires_after_hours__gte", 1)),
                                name="approval_policy_expiry_positive",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="BreakGlassUse",
                    fields=[
                        ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                        ("reason", models.TextField()),
                        ("change_set", models.JSONField()),
                        ("digest", models.CharField(max_length=64)),
                        ("movement", models.JSONField(default=list)),
                        ("revision", models.PositiveBigIntegerField()),
                        ("created_at", models.DateTimeField()),
                        ("review_due_at", models.DateTimeField()),
                        ("escalated_at", models.DateTimeField(blank=True, null=True)),
                        (
                            "outcome",
                            models.CharField(
                                blank=True,
                                choices=[("justified", "Justified"), ("not_justified", "Not justified")],
                                max_length=20,
                            ),
                        ),
                        ("reviewed_at", models.DateTimeField(blank=True, null=True)),
                        ("comment", models.TextField(blank=True)),
                        ("correlation_id", models.UUIDField()),
                        (
                            "environment",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="break_glass_uses",
                                to="flags.environment",
                            ),
                        ),
                        (
                            "reviewer",
                            models.ForeignKey(
                                blank=True,
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                        (
                            "user",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                    ],
                    options={
                        "verbose_name": "use of break-glass",
                        "verbose_name_plural": "uses of break-glass",
                        "ordering": ["-created_at"],
                        "indexes": [
                            models.Index(fields=["environment", "-created_at"], name="break_glass_by_environment"),
                            models.Index(
                                condition=models.Q(("outcome", "")), fields=["review_due_at"], name="break_glass_open"
                            ),
                        ],
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(
                                    models.Q(
                                        ("outcome", ""), ("reviewed_at__isnull", True), ("reviewer__isnull", True)
                                    ),
                                    models.Q(
                                        ("outcome__in", ["justified", "not_justified"]),
                                        ("reviewed_at__isnull", False),
                                        ("reviewer__isnull", False),
                                    ),
                                    _connector="OR",
                                ),
                                name="break_glass_review_facts",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    ("reviewer__isnull", True),
                                    models.Q(("reviewer", models.F("user")), _negated=True),
                                    _connector="OR",
                                ),
                                name="break_glass_reviewed_by_another",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(("review_due_at__gt", models.F("created_at"))),
                                name="break_glass_due_later",
                            ),
                        ],
                    },
                ),
            ]
        ),
    ]
