"""Sampled contexts, where an environment opts in."""

import uuid

import django.db.models.deletion
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
        ("flags", "0005_roles_and_teams"),
    ]

    operations = [
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
                ],
                max_length=20,
            ),
        ),
        migrations.AddField(
            model_name="environment",
            name="samples_contexts",
            field=models.BooleanField(default=False),
        ),
        migrations.CreateModel(
            name="ContextSample",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("key_hash", models.CharField(max_length=64)),
                ("attributes", models.JSONField()),
                ("seen_at", models.DateTimeField(db_index=True)),
                (
                    "environment",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="context_samples",
                        to="flags.environment",
                    ),
                ),
            ],
            options={
                "ordering": ["environment", "key_hash"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("environment", "key_hash"), name="context_sample_unique_in_environment"
                    )
                ],
            },
        ),
        migrations.RunPython(reinstall, migrations.RunPython.noop),
    ]
