"""Telemetry, and the scope of tokens that report it."""

import uuid

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

from flags.guards import FLAGS_GUARDS, install_guards


def reinstall(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """SQLite rebuilds tables for new columns and drops their triggers on the way. Later tables are passed over."""
    tables = set(schema_editor.connection.introspection.table_names())
    present = {table: guard for table, guard in FLAGS_GUARDS.items() if table in tables}
    install_guards(schema_editor.connection, present)


class Migration(migrations.Migration):
    dependencies = [
        ("flags", "0006_context_samples"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="EvaluationCount",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("span", models.CharField(choices=[("minute", "Minute"), ("hour", "Hour")], max_length=6)),
                ("at", models.DateTimeField()),
                ("flag_key", models.CharField(max_length=100)),
                ("variant", models.CharField(max_length=100)),
                ("reason", models.CharField(max_length=30)),
                ("service", models.CharField(max_length=100)),
                ("version", models.CharField(max_length=100)),
                ("count", models.BigIntegerField()),
            ],
            options={
                "ordering": ["at"],
            },
        ),
        migrations.CreateModel(
            name="MetricCount",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("span", models.CharField(choices=[("minute", "Minute"), ("hour", "Hour")], max_length=6)),
                ("at", models.DateTimeField()),
                ("metric", models.CharField(max_length=100)),
                ("flag_key", models.CharField(max_length=100)),
                ("variant", models.CharField(max_length=100)),
                ("count", models.BigIntegerField(default=0)),
                ("bad", models.BigIntegerField(default=0)),
                ("units", models.BigIntegerField(default=0)),
                ("bad_units", models.BigIntegerField(default=0)),
                ("without_units", models.BigIntegerField(default=0)),
                ("bad_without_units", models.BigIntegerField(default=0)),
                ("total", models.FloatField(default=0.0)),
                ("total_squares", models.FloatField(default=0.0)),
                ("sketch", models.JSONField(default=dict)),
                ("late_count", models.BigIntegerField(default=0)),
                ("late_bad", models.BigIntegerField(default=0)),
            ],
            options={
                "ordering": ["at"],
            },
        ),
        migrations.CreateModel(
            name="QuarantinedRow",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("batch_id", models.CharField(max_length=64)),
                ("service", models.CharField(blank=True, max_length=100)),
                ("code", models.CharField(max_length=50)),
                ("message", models.CharField(max_length=500)),
                ("row", models.CharField(max_length=1000)),
                ("received_at", models.DateTimeField(db_index=True)),
            ],
            options={
                "ordering": ["-received_at", "id"],
            },
        ),
        migrations.CreateModel(
            name="TelemetryBatch",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("batch_id", models.CharField(max_length=64)),
                ("token_id", models.UUIDField(blank=True, null=True)),
                ("service", models.CharField(max_length=100)),
                ("version", models.CharField(blank=True, max_length=100)),
                ("received_at", models.DateTimeField(db_index=True)),
                ("accepted", models.PositiveIntegerField()),
                ("rejected", models.PositiveIntegerField()),
                ("late", models.PositiveIntegerField()),
            ],
            options={
                "ordering": ["-received_at"],
            },
        ),
        migrations.RemoveConstraint(
            model_name="environmenttoken",
            name="environment_token_scope_valid",
        ),
        migrations.AlterField(
            model_name="environmenttoken",
            name="scope",
            field=models.CharField(
                choices=[
                    ("evaluate", "Evaluate flags"),
                    ("client", "Evaluate client-visible flags"),
                    ("flagd", "Read the flagd definition"),
                    ("manage", "Use the management API"),
                    ("audit", "Read audit events"),
                    ("telemetry", "Report telemetry"),
                ],
                max_length=20,
            ),
        ),
        migrations.AddConstraint(
            model_name="environmenttoken",
            constraint=models.CheckConstraint(
                condition=models.Q(("scope__in", ["evaluate", "client", "flagd", "manage", "audit", "telemetry"])),
                name="environment_token_scope_valid",
            ),
        ),
        migrations.AddField(
            model_name="evaluationcount",
            name="environment",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="flags.environment"
            ),
        ),
        migrations.AddField(
            model_name="metriccount",
            name="environment",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="flags.environment"
            ),
        ),
        migrations.AddField(
            model_name="quarantinedrow",
            name="environment",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="flags.environment"
            ),
        ),
        migrations.AddField(
            model_name="telemetrybatch",
            name="environment",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="flags.environment"
            ),
        ),
        migrations.AddIndex(
            model_name="evaluationcount",
            index=models.Index(fields=["environment", "flag_key", "span", "at"], name="evaluation_count_by_flag"),
        ),
        migrations.AddIndex(
            model_name="evaluationcount",
            index=models.Index(fields=["span", "at"], name="evaluation_count_by_age"),
        ),
        migrations.AddConstraint(
            model_name="evaluationcount",
            constraint=models.UniqueConstraint(
                fields=("environment", "span", "at", "flag_key", "variant", "reason", "service", "version"),
                name="evaluation_count_unique",
            ),
        ),
        migrations.AddIndex(
            model_name="metriccount",
            index=models.Index(
                fields=["environment", "metric", "flag_key", "span", "at"], name="metric_count_by_metric"
            ),
        ),
        migrations.AddIndex(
            model_name="metriccount",
            index=models.Index(fields=["span", "at"], name="metric_count_by_age"),
        ),
        migrations.AddConstraint(
            model_name="metriccount",
            constraint=models.UniqueConstraint(
                fields=("environment", "span", "at", "metric", "flag_key", "variant"), name="metric_count_unique"
            ),
        ),
        migrations.AddConstraint(
            model_name="telemetrybatch",
            constraint=models.UniqueConstraint(
                fields=("environment", "token_id", "batch_id"), name="telemetry_batch_unique"
            ),
        ),
        migrations.AddConstraint(
            model_name="telemetrybatch",
            constraint=models.UniqueConstraint(
                condition=models.Q(("token_id", None)),
                fields=("environment", "batch_id"),
                name="telemetry_batch_unique_without_token",
            ),
        ),
        migrations.AddIndex(
            model_name="telemetrybatch",
            index=models.Index(fields=["environment", "received_at"], name="telemetry_batch_by_arrival"),
        ),
        migrations.AddIndex(
            model_name="quarantinedrow",
            index=models.Index(fields=["environment", "received_at"], name="quarantined_row_by_arrival"),
        ),
        migrations.RunPython(reinstall, migrations.RunPython.noop),
    ]
