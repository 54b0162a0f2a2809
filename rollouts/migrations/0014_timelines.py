"""Deprecation timelines, stale verdicts, snoozes and debt scores."""

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
        ("flags", "0008_lifecycle"),
        ("rollouts", "0013_plans"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
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
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "environment",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="timelines", to="flags.environment"
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
                        on_delete=django.db.models.deletion.PROTECT, related_name="timelines", to="flags.project"
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
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
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
            },
        ),
        migrations.CreateModel(
            name="DebtScore",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("day", models.DateField()),
                ("score", models.PositiveIntegerField()),
                ("flags", models.PositiveIntegerField()),
                ("stale", models.PositiveIntegerField()),
                ("parts", models.JSONField(default=dict)),
                (
                    "project",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="debt_scores", to="flags.project"
                    ),
                ),
            ],
            options={
                "ordering": ["project", "day"],
                "constraints": [models.UniqueConstraint(fields=("project", "day"), name="debt_score_once_a_day")],
            },
        ),
        migrations.CreateModel(
            name="OwnerNudge",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("month", models.DateField()),
                ("told_at", models.DateTimeField()),
                ("flags", models.PositiveIntegerField()),
                (
                    "person",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "ordering": ["month", "person"],
                "constraints": [models.UniqueConstraint(fields=("person", "month"), name="owner_nudge_once_a_month")],
            },
        ),
        migrations.AddIndex(
            model_name="deprecationtimeline",
            index=models.Index(fields=["environment", "state"], name="timeline_by_state"),
        ),
        migrations.AddIndex(
            model_name="deprecationtimeline",
            index=models.Index(condition=models.Q(("state", "running")), fields=["next_look_at"], name="timeline_due"),
        ),
        migrations.AddConstraint(
            model_name="deprecationtimeline",
            constraint=models.UniqueConstraint(fields=("project", "number"), name="timeline_number_unique"),
        ),
        migrations.AddConstraint(
            model_name="deprecationtimeline",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state__in", ["paused", "running", "undone"])),
                fields=("environment", "flag"),
                name="timeline_one_live",
            ),
        ),
        migrations.AddConstraint(
            model_name="deprecationtimeline",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("state__in", ["draft", "proposed", "running", "paused", "undone", "done", "ended"])
                ),
                name="timeline_state_valid",
            ),
        ),
        migrations.AddConstraint(
            model_name="milestoneapproval",
            constraint=models.UniqueConstraint(
                fields=("timeline", "attempt", "milestone", "approver"), name="milestone_approval_once"
            ),
        ),
        migrations.AddIndex(
            model_name="snooze",
            index=models.Index(fields=["flag", "until"], name="snooze_by_flag"),
        ),
        migrations.AddConstraint(
            model_name="stalethresholds",
            constraint=models.UniqueConstraint(fields=("project", "kind"), name="stale_thresholds_unique"),
        ),
        migrations.AddIndex(
            model_name="staleverdict",
            index=models.Index(fields=["project", "is_stale", "readiness"], name="stale_verdict_inbox"),
        ),
        migrations.AddConstraint(
            model_name="timelinestep",
            constraint=models.UniqueConstraint(fields=("timeline", "sequence"), name="timeline_step_once"),
        ),
        migrations.RunPython(reinstall, migrations.RunPython.noop),
    ]
