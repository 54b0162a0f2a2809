"""Rollback drills."""

import uuid

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("flags", "0006_context_samples"),
        ("rollouts", "0010_break_glass"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
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
                        on_delete=django.db.models.deletion.PROTECT, related_name="drills", to="flags.environment"
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
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "ordering": ["title", "id"],
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
                        on_delete=django.db.models.deletion.PROTECT, related_name="runs", to="rollouts.rollbackdrill"
                    ),
                ),
            ],
            options={
                "ordering": ["-started_at", "id"],
            },
        ),
        migrations.AddIndex(
            model_name="rollbackdrill",
            index=models.Index(condition=models.Q(("is_active", True)), fields=["next_due_at"], name="drill_due"),
        ),
        migrations.AddConstraint(
            model_name="rollbackdrill",
            constraint=models.CheckConstraint(
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
        ),
        migrations.AddConstraint(
            model_name="rollbackdrill",
            constraint=models.CheckConstraint(
                condition=models.Q(("limit_seconds__gte", 1)), name="drill_limit_positive"
            ),
        ),
        migrations.AddConstraint(
            model_name="rollbackdrill",
            constraint=models.CheckConstraint(
                condition=models.Q(("interval_days__gte", 1)), name="drill_interval_positive"
            ),
        ),
        migrations.AddIndex(
            model_name="drillrun",
            index=models.Index(fields=["drill", "-started_at"], name="drill_run_by_drill"),
        ),
        migrations.AddConstraint(
            model_name="drillrun",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("has_passed", True), ("problem", "")),
                    models.Q(("has_passed", False), models.Q(("problem", ""), _negated=True)),
                    _connector="OR",
                ),
                name="drill_run_failure_explained",
            ),
        ),
    ]
