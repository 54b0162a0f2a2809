"""Change requests, approvals, comments and approval policies."""

import uuid

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("flags", "0002_guards"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
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
                ("contributors", models.JSONField(default=list)),
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
                        on_delete=django.db.models.deletion.PROTECT, related_name="change_requests", to="flags.project"
                    ),
                ),
                (
                    "requester",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "ordering": ["-created_at"],
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
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
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
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
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
                        condition=models.Q(("required_approvals__gte", 1)), name="approval_policy_required_positive"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("expires_after_hours__gte", 1)), name="approval_policy_expiry_positive"
                    ),
                ],
            },
        ),
        migrations.AddIndex(
            model_name="changerequest",
            index=models.Index(fields=["environment", "state"], name="change_request_by_state"),
        ),
        migrations.AddIndex(
            model_name="changerequest",
            index=models.Index(fields=["state", "apply_at"], name="change_request_due"),
        ),
        migrations.AddIndex(
            model_name="changerequest",
            index=models.Index(fields=["requester", "-created_at"], name="change_request_by_requester"),
        ),
        migrations.AddConstraint(
            model_name="changerequest",
            constraint=models.UniqueConstraint(
                fields=("project", "number"), name="change_request_number_unique_in_project"
            ),
        ),
        migrations.AddConstraint(
            model_name="changerequest",
            constraint=models.CheckConstraint(
                condition=models.Q(("number__gte", 1)), name="change_request_number_positive"
            ),
        ),
        migrations.AddConstraint(
            model_name="changerequest",
            constraint=models.CheckConstraint(
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
        ),
        migrations.AddConstraint(
            model_name="changerequest",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("state__in", ["in_review", "approved", "applied", "rejected", "expired", "rolled_back"]),
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
        ),
        migrations.AddConstraint(
            model_name="changerequest",
            constraint=models.CheckConstraint(
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
        ),
        migrations.AddConstraint(
            model_name="approval",
            constraint=models.UniqueConstraint(
                fields=("request", "approver", "digest"), name="approval_once_per_content"
            ),
        ),
    ]
