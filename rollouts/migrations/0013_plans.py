"""Rollout plans, guard metrics and their verdicts, release trains."""

import uuid

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

from flags.guards import install_guards
from rollouts.guards import ROLLOUTS_GUARDS


def reinstall(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """SQLite rebuilds tables for new columns and drops their triggers on the way. Later tables are passed over."""
    tables = set(schema_editor.connection.introspection.table_names())
    present = {table: guard for table, guard in ROLLOUTS_GUARDS.items() if table in tables}
    install_guards(schema_editor.connection, present)


class Migration(migrations.Migration):
    dependencies = [
        ("flags", "0007_telemetry"),
        ("rollouts", "0012_promotion"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="changerequest",
            name="plan_digest",
            field=models.CharField(blank=True, max_length=64),
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
                        on_delete=django.db.models.deletion.PROTECT, related_name="plan_templates", to="flags.project"
                    ),
                ),
            ],
            options={
                "ordering": ["project", "key", "-version"],
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
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
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
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "environment",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="plans", to="flags.environment"
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
                        on_delete=django.db.models.deletion.PROTECT, related_name="steps", to="rollouts.rolloutplan"
                    ),
                ),
            ],
            options={
                "ordering": ["plan", "sequence"],
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
                        on_delete=django.db.models.deletion.PROTECT, related_name="flags", to="rollouts.rolloutplan"
                    ),
                ),
            ],
            options={
                "ordering": ["plan", "flag"],
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
                        on_delete=django.db.models.deletion.CASCADE, related_name="watches", to="rollouts.rolloutplan"
                    ),
                ),
            ],
            options={
                "ordering": ["plan", "metric"],
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
                        on_delete=django.db.models.deletion.PROTECT, related_name="samples", to="rollouts.rolloutplan"
                    ),
                ),
            ],
            options={
                "ordering": ["plan", "metric", "attempt", "through"],
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
                        on_delete=django.db.models.deletion.PROTECT, related_name="verdicts", to="rollouts.rolloutplan"
                    ),
                ),
            ],
            options={
                "ordering": ["plan", "metric", "attempt", "number"],
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
                        on_delete=django.db.models.deletion.CASCADE, related_name="checks", to="rollouts.rolloutplan"
                    ),
                ),
            ],
            options={
                "ordering": ["plan", "stage", "name"],
            },
        ),
        migrations.CreateModel(
            name="TrainMember",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("position", models.PositiveIntegerField()),
                ("opens_at", models.PositiveIntegerField(blank=True, null=True)),
                (
                    "project",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="flags.project"
                    ),
                ),
                (
                    "plan",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="train_member",
                        to="rollouts.rolloutplan",
                    ),
                ),
                (
                    "train",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="members", to="rollouts.releasetrain"
                    ),
                ),
            ],
            options={
                "ordering": ["train", "position"],
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
                        on_delete=django.db.models.deletion.PROTECT, related_name="guard_metrics", to="flags.project"
                    ),
                ),
            ],
            options={
                "ordering": ["project", "name"],
                "constraints": [
                    models.UniqueConstraint(fields=("project", "key"), name="guard_metric_key_unique_in_project")
                ],
            },
        ),
        migrations.AddConstraint(
            model_name="plantemplate",
            constraint=models.UniqueConstraint(
                fields=("project", "key", "version"), name="plan_template_version_unique"
            ),
        ),
        migrations.AddIndex(
            model_name="releasetrain",
            index=models.Index(fields=["state"], name="train_by_state"),
        ),
        migrations.AddConstraint(
            model_name="releasetrain",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("state__in", ["draft", "running", "paused", "rolled_back", "completed", "aborted"])
                ),
                name="train_state_valid",
            ),
        ),
        migrations.AddIndex(
            model_name="rolloutplan",
            index=models.Index(fields=["environment", "state"], name="plan_by_state"),
        ),
        migrations.AddIndex(
            model_name="rolloutplan",
            index=models.Index(condition=models.Q(("state", "running")), fields=["next_look_at"], name="plan_due"),
        ),
        migrations.AddConstraint(
            model_name="rolloutplan",
            constraint=models.UniqueConstraint(fields=("project", "number"), name="plan_number_unique_in_project"),
        ),
        migrations.AddConstraint(
            model_name="rolloutplan",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("state__in", ["draft", "proposed", "running", "paused", "rolled_back", "completed", "aborted"])
                ),
                name="plan_state_valid",
            ),
        ),
        migrations.AddConstraint(
            model_name="rolloutplan",
            constraint=models.CheckConstraint(
                condition=models.Q(("automatic_reversals__lte", 1)), name="plan_reverses_itself_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="planstep",
            constraint=models.UniqueConstraint(fields=("plan", "sequence"), name="plan_step_once"),
        ),
        migrations.AddConstraint(
            model_name="planflag",
            constraint=models.UniqueConstraint(fields=("plan", "flag"), name="plan_flag_once"),
        ),
        migrations.AddConstraint(
            model_name="planflag",
            constraint=models.UniqueConstraint(
                condition=models.Q(("is_live", True)), fields=("environment", "flag"), name="plan_flag_one_live_plan"
            ),
        ),
        migrations.AddConstraint(
            model_name="guardwatch",
            constraint=models.UniqueConstraint(fields=("plan", "attempt", "metric"), name="guard_watch_once"),
        ),
        migrations.AddConstraint(
            model_name="guardsample",
            constraint=models.UniqueConstraint(
                fields=("plan", "attempt", "metric", "through"), name="guard_sample_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="guardverdict",
            constraint=models.UniqueConstraint(
                fields=("plan", "attempt", "metric", "number"), name="guard_verdict_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="stageapproval",
            constraint=models.UniqueConstraint(
                fields=("plan", "attempt", "stage", "approver"), name="stage_approval_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="stagecheck",
            constraint=models.UniqueConstraint(fields=("plan", "attempt", "stage", "name"), name="stage_check_once"),
        ),
        migrations.AddConstraint(
            model_name="trainmember",
            constraint=models.UniqueConstraint(fields=("train", "position"), name="train_position_once"),
        ),
        migrations.RunPython(reinstall, migrations.RunPython.noop),
    ]
