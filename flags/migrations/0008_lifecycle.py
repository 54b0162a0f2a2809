"""Archived flags and their tombstones, who uses a flag, who answers for a service, code references and their tokens."""

import uuid

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

from flags.guards import FLAGS_GUARDS, install_guards

SCOPES = [
    ("evaluate", "Evaluate flags"),
    ("client", "Evaluate client-visible flags"),
    ("flagd", "Read the flagd definition"),
    ("manage", "Use the management API"),
    ("audit", "Read audit events"),
    ("telemetry", "Report telemetry"),
    ("references", "Report code references"),
]

ROWS_AT_ONCE = 1_000


def reinstall(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """SQLite rebuilds tables for new columns and drops their triggers on the way. Later tables are passed over."""
    tables = set(schema_editor.connection.introspection.table_names())
    present = {table: guard for table, guard in FLAGS_GUARDS.items() if table in tables}
    install_guards(schema_editor.connection, present)


def keep_use_of_counts(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Who evaluated flags as far as counts reach back, so that nobody counts as new from the day of the upgrade."""
    use, counts = apps.get_model("flags", "FlagUse"), apps.get_model("flags", "EvaluationCount")
    for environment_id in apps.get_model("flags", "Environment").objects.values_list("pk", flat=True):
        rows = counts.objects.filter(environment=environment_id, count__gt=0).order_by()
        seen = rows.values("flag_key", "service", "version").annotate(
            first_at=models.Min("at"), last_at=models.Max("at")
        )
        found = [use(environment_id=environment_id, **row) for row in seen.iterator(chunk_size=ROWS_AT_ONCE)]
        use.objects.bulk_create(found, batch_size=ROWS_AT_ONCE)


class Migration(migrations.Migration):
    dependencies = [
        ("flags", "0007_telemetry"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="CodeReference",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("branch", models.CharField(max_length=200)),
                ("flag_key", models.CharField(max_length=100)),
                ("alias", models.CharField(blank=True, max_length=200)),
                ("path", models.CharField(max_length=1000)),
                ("ordinal", models.PositiveIntegerField()),
                ("line", models.PositiveIntegerField()),
                ("column", models.PositiveIntegerField()),
                ("text", models.CharField(blank=True, max_length=500)),
                ("first_seen_at", models.DateTimeField()),
                ("first_commit", models.CharField(blank=True, max_length=64)),
                ("last_seen_at", models.DateTimeField(blank=True, null=True)),
                ("vanished_at", models.DateTimeField(blank=True, null=True)),
                ("vanished_commit", models.CharField(blank=True, max_length=64)),
            ],
            options={
                "ordering": ["path", "line"],
            },
        ),
        migrations.CreateModel(
            name="CodeRepository",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=200)),
                ("default_branch", models.CharField(max_length=200)),
                ("url_template", models.CharField(blank=True, max_length=500)),
                ("created_at", models.DateTimeField()),
            ],
            options={
                "ordering": ["name"],
            },
        ),
        migrations.CreateModel(
            name="CodeScan",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("branch", models.CharField(max_length=200)),
                ("commit", models.CharField(blank=True, max_length=64)),
                ("committed_at", models.DateTimeField(blank=True, null=True)),
                ("root", models.CharField(blank=True, max_length=1000)),
                ("scanned_at", models.DateTimeField()),
                ("received_at", models.DateTimeField()),
                ("files_read", models.PositiveIntegerField()),
                ("files_skipped", models.PositiveIntegerField(default=0)),
                ("references", models.PositiveIntegerField()),
                ("added", models.PositiveIntegerField()),
                ("vanished", models.PositiveIntegerField()),
                ("left_out", models.PositiveIntegerField()),
                ("reported_by", models.CharField(max_length=120)),
            ],
            options={
                "ordering": ["-scanned_at"],
            },
        ),
        migrations.CreateModel(
            name="FlagUse",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("flag_key", models.CharField(max_length=100)),
                ("service", models.CharField(max_length=100)),
                ("version", models.CharField(max_length=100)),
                ("first_at", models.DateTimeField()),
                ("last_at", models.DateTimeField()),
                ("is_unknown", models.BooleanField(default=False)),
            ],
            options={
                "ordering": ["flag_key", "service", "version"],
            },
        ),
        migrations.CreateModel(
            name="ServiceOwner",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("service", models.CharField(max_length=100)),
                ("changed_at", models.DateTimeField()),
            ],
            options={
                "ordering": ["service"],
            },
        ),
        migrations.CreateModel(
            name="Tombstone",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("key", models.CharField(max_length=100)),
                ("lifecycle", models.PositiveIntegerField()),
                ("archived_at", models.DateTimeField()),
                ("released_at", models.DateTimeField(blank=True, null=True)),
                ("release_reason", models.TextField(blank=True)),
            ],
            options={
                "ordering": ["-archived_at"],
            },
        ),
        migrations.RemoveConstraint(
            model_name="flag",
            name="flag_key_unique_in_project",
        ),
        migrations.AddField(
            model_name="flag",
            name="archived_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="flag",
            name="lifecycle",
            field=models.PositiveIntegerField(default=1),
        ),
        migrations.AddField(
            model_name="flag",
            name="lifecycle_started_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="flag",
            name="replaced_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddConstraint(
            model_name="flag",
            constraint=models.UniqueConstraint(
                condition=models.Q(("replaced_at", None)), fields=("project", "key"), name="flag_key_unique_in_project"
            ),
        ),
        migrations.AddConstraint(
            model_name="flag",
            constraint=models.CheckConstraint(
                condition=models.Q(("replaced_at", None), ("archived_at__isnull", False), _connector="OR"),
                name="flag_replaced_only_archived",
            ),
        ),
        migrations.AddField(
            model_name="coderepository",
            name="project",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="repositories", to="flags.project"
            ),
        ),
        migrations.AddField(
            model_name="codereference",
            name="repository",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="references",
                to="flags.coderepository",
            ),
        ),
        migrations.AddField(
            model_name="codescan",
            name="repository",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="scans", to="flags.coderepository"
            ),
        ),
        migrations.AddField(
            model_name="flaguse",
            name="environment",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="flags.environment"
            ),
        ),
        migrations.AddField(
            model_name="serviceowner",
            name="person",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="serviceowner",
            name="project",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="service_owners", to="flags.project"
            ),
        ),
        migrations.AddField(
            model_name="serviceowner",
            name="team",
            field=models.ForeignKey(
                blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="flags.team"
            ),
        ),
        migrations.AddField(
            model_name="tombstone",
            name="flag",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="tombstones", to="flags.flag"
            ),
        ),
        migrations.AddField(
            model_name="tombstone",
            name="project",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="tombstones", to="flags.project"
            ),
        ),
        migrations.AddField(
            model_name="tombstone",
            name="released_by",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddConstraint(
            model_name="coderepository",
            constraint=models.UniqueConstraint(fields=("project", "name"), name="code_repository_unique"),
        ),
        migrations.AddIndex(
            model_name="codereference",
            index=models.Index(fields=["repository", "flag_key", "vanished_at"], name="code_reference_by_flag"),
        ),
        migrations.AddConstraint(
            model_name="codereference",
            constraint=models.UniqueConstraint(
                fields=("repository", "branch", "path", "flag_key", "ordinal"), name="code_reference_unique"
            ),
        ),
        migrations.AddIndex(
            model_name="codescan",
            index=models.Index(fields=["repository", "branch", "-scanned_at"], name="code_scan_newest"),
        ),
        migrations.AddIndex(
            model_name="flaguse",
            index=models.Index(fields=["environment", "last_at"], name="flag_use_by_last"),
        ),
        migrations.AddConstraint(
            model_name="flaguse",
            constraint=models.UniqueConstraint(
                fields=("environment", "flag_key", "service", "version"), name="flag_use_unique"
            ),
        ),
        migrations.AddConstraint(
            model_name="serviceowner",
            constraint=models.UniqueConstraint(fields=("project", "service"), name="service_owner_unique"),
        ),
        migrations.AddConstraint(
            model_name="serviceowner",
            constraint=models.CheckConstraint(
                condition=models.Q(("person__isnull", False), ("team__isnull", False), _connector="OR"),
                name="service_owner_somebody",
            ),
        ),
        migrations.AddConstraint(
            model_name="tombstone",
            constraint=models.UniqueConstraint(
                condition=models.Q(("released_at", None)), fields=("project", "key"), name="tombstone_one_per_key"
            ),
        ),
        migrations.RemoveConstraint(model_name="environmenttoken", name="environment_token_scope_valid"),
        migrations.AlterField(
            model_name="environmenttoken",
            name="scope",
            field=models.CharField(choices=SCOPES, max_length=20),
        ),
        migrations.AddConstraint(
            model_name="environmenttoken",
            constraint=models.CheckConstraint(
                condition=models.Q(("scope__in", [scope for scope, _ in SCOPES])), name="environment_token_scope_valid"
            ),
        ),
        migrations.RunPython(reinstall, migrations.RunPython.noop),
        migrations.RunPython(keep_use_of_counts, migrations.RunPython.noop),
    ]
