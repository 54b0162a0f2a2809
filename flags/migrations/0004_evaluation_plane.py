"""Scopes of tokens, strict targeting keys, context attributes and local kills."""

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
        ("flags", "0003_environment_unprotected_by"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="ContextAttribute",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=100)),
                (
                    "value_type",
                    models.CharField(
                        choices=[
                            ("text", "Text"),
                            ("number", "Number"),
                            ("boolean", "True or false"),
                            ("version", "Version"),
                            ("instant", "Date and time"),
                        ],
                        max_length=10,
                    ),
                ),
                ("description", models.CharField(blank=True, max_length=200)),
                ("grants_access", models.BooleanField(default=True)),
                ("created_at", models.DateTimeField()),
            ],
            options={
                "ordering": ["name"],
            },
        ),
        migrations.CreateModel(
            name="LocalKill",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("flag_key", models.CharField(max_length=100)),
                ("variant", models.CharField(max_length=100)),
                ("host", models.CharField(max_length=255)),
                ("source", models.CharField(blank=True, default="", max_length=255)),
                ("since", models.DateTimeField()),
                ("noticed_at", models.DateTimeField()),
                ("confirmed_at", models.DateTimeField(blank=True, null=True)),
                ("lifted_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "ordering": ["-since"],
            },
        ),
        migrations.RemoveConstraint(
            model_name="environmenttoken",
            name="environment_token_scope_valid",
        ),
        migrations.AddField(
            model_name="environment",
            name="requires_targeting_key",
            field=models.BooleanField(default=False),
        ),
        migrations.AlterField(
            model_name="environmenttoken",
            name="scope",
            field=models.CharField(
                choices=[
                    ("evaluate", "Evaluate flags"),
                    ("client", "Evaluate client-visible flags"),
                    ("flagd", "Read the flagd definition"),
                    ("manage", "Explain evaluations"),
                    ("audit", "Read audit events"),
                ],
                max_length=20,
            ),
        ),
        migrations.AddConstraint(
            model_name="environmenttoken",
            constraint=models.CheckConstraint(
                condition=models.Q(("scope__in", ["evaluate", "client", "flagd", "manage", "audit"])),
                name="environment_token_scope_valid",
            ),
        ),
        migrations.AddField(
            model_name="contextattribute",
            name="project",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="context_attributes", to="flags.project"
            ),
        ),
        migrations.AddField(
            model_name="localkill",
            name="environment",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="local_kills", to="flags.environment"
            ),
        ),
        migrations.AddConstraint(
            model_name="contextattribute",
            constraint=models.UniqueConstraint(fields=("project", "name"), name="context_attribute_unique_in_project"),
        ),
        migrations.AddConstraint(
            model_name="contextattribute",
            constraint=models.CheckConstraint(
                condition=models.Q(("value_type__in", ["text", "number", "boolean", "version", "instant"])),
                name="context_attribute_type_valid",
            ),
        ),
        migrations.AddConstraint(
            model_name="localkill",
            constraint=models.UniqueConstraint(
                condition=models.Q(("lifted_at", None)),
                fields=("environment", "flag_key", "host", "source"),
                name="local_kill_open_once",
            ),
        ),
        migrations.RunPython(reinstall, migrations.RunPython.noop),
    ]
