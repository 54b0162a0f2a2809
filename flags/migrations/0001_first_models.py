"""Every table of projects, flags, people in their roles, telemetry and archives."""

import uuid

import django.db.models.deletion
import simple_history.models
from django.conf import settings
from django.db import migrations, models

from flags.operations import CreateModels


class Migration(migrations.Migration):
    initial = True
    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        CreateModels(
            [
                migrations.CreateModel(
                    name="Project",
                    fields=[
                        ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                        ("key", models.CharField(max_length=60, unique=True)),
                        ("name", models.CharField(max_length=120)),
                        ("description", models.TextField(blank=True)),
                        ("created_at", models.DateTimeField()),
                    ],
                    options={
                        "ordering": ["name"],
                    },
                ),
                migrations.CreateModel(
                    name="Environment",
                    fields=[
                        ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                        ("key", models.CharField(max_length=60)),
                        ("name", models.CharField(max_length=120)),
                        (
                            "kind",
                            models.CharField(
                                choices=[
                                    ("development", "Development"),
                                    ("staging", "Staging"),
                                    ("production", "Production"),
                                ],
                                max_length=20,
                            ),
                        ),
                        ("is_protected", models.BooleanField(default=True)),
                        ("revision", models.PositiveBigIntegerField(default=0)),
                        (
                            "generation",
                            models.CharField(
                                choices=[("flagd-v2", "flagd v2"), ("flagd-v3", "flagd v3")],
                                default="flagd-v2",
                                max_length=20,
                            ),
                        ),
                        ("requires_targeting_key", models.BooleanField(default=False)),
                        ("samples_contexts", models.BooleanField(default=False)),
                        ("position", models.PositiveSmallIntegerField(default=0)),
                        ("created_at", models.DateTimeField()),
                        (
                            "unprotected_by",
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
                                related_name="environments",
                                to="flags.project",
                            ),
                        ),
                    ],
                    options={
                        "ordering": ["project", "position", "key"],
                        "permissions": [
                            ("propose_change", "Edit unprotected environments, propose changes to protected ones"),
                            ("approve_change", "Approve changes others asked for"),
                            ("apply_change", "Schedule and apply approved changes"),
                            ("break_glass", "Change a protected environment in an emergency, without approval"),
                            ("administer_environment", "Manage protection, policies, tokens and roles"),
                        ],
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("project", "key"), name="environment_key_unique_in_project"
                            ),
                            models.CheckConstraint(
                                condition=models.Q(("kind__in", ["development", "staging", "production"])),
                                name="environment_kind_valid",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(("generation__in", ["flagd-v2", "flagd-v3"])),
                                name="environment_generation_valid",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="HistoricalSegment",
                    fields=[
                        ("actor_kind", models.CharField(max_length=10)),
                        ("actor_id", models.CharField(max_length=100)),
                        ("correlation_id", models.UUIDField()),
                        ("id", models.UUIDField(db_index=True, default=uuid.uuid4, editable=False)),
                        ("key", models.CharField(max_length=100)),
                        ("name", models.CharField(max_length=120)),
                        ("document", models.JSONField()),
                        ("version", models.PositiveIntegerField()),
                        ("digest", models.CharField(max_length=64)),
                        ("updated_at", models.DateTimeField()),
                        ("history_change_reason", models.TextField(blank=True)),
                        ("history_id", models.AutoField(primary_key=True, serialize=False)),
                        ("history_date", models.DateTimeField(db_index=True)),
                        (
                            "history_type",
                            models.CharField(
                                choices=[("+", "Created"), ("~", "Changed"), ("-", "Deleted")], max_length=1
                            ),
                        ),
                        (
                            "environment",
                            models.ForeignKey(
                                blank=True,
                                db_constraint=False,
                                null=True,
                                on_delete=django.db.models.deletion.DO_NOTHING,
                                related_name="+",
                                to="flags.environment",
                            ),
                        ),
                        (
                            "history_user",
                            models.ForeignKey(
                                null=True,
                                on_delete=django.db.models.deletion.SET_NULL,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                    ],
                    options={
                        "verbose_name": "historical segment",
                        "verbose_name_plural": "historical segments",
                        "ordering": ("-history_date", "-history_id"),
                        "get_latest_by": ("history_date", "history_id"),
                    },
                    bases=(simple_history.models.HistoricalChanges, models.Model),
                ),
                migrations.CreateModel(
                    name="CustomRole",
                    fields=[
                        ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                        ("key", models.CharField(max_length=60)),
                        ("name", models.CharField(max_length=60)),
                        ("description", models.CharField(blank=True, max_length=200)),
                        ("permissions", models.JSONField(default=list)),
                        ("created_at", models.DateTimeField()),
                        ("updated_at", models.DateTimeField()),
                        (
                            "project",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="custom_roles",
                                to="flags.project",
                            ),
                        ),
                    ],
                    options={
                        "ordering": ["name"],
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("project", "key"), name="custom_role_key_unique_in_project"
                            ),
                            models.UniqueConstraint(
                                fields=("project", "name"), name="custom_role_name_unique_in_project"
                            ),
                        ],
                    },
                ),
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
                        (
                            "project",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="context_attributes",
                                to="flags.project",
                            ),
                        ),
                    ],
                    options={
                        "ordering": ["name"],
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("project", "name"), name="context_attribute_unique_in_project"
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    ("value_type__in", ["text", "number", "boolean", "version", "instant"])
                                ),
                                name="context_attribute_type_valid",
                            ),
                        ],
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
                        (
                            "project",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="repositories",
                                to="flags.project",
                            ),
                        ),
                    ],
                    options={
                        "ordering": ["name"],
                        "constraints": [
                            models.UniqueConstraint(fields=("project", "name"), name="code_repository_unique")
                        ],
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
                        (
                            "environment",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="flags.environment"
                            ),
                        ),
                    ],
                    options={
                        "ordering": ["-received_at", "id"],
                        "indexes": [
                            models.Index(fields=["environment", "received_at"], name="quarantined_row_by_arrival")
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="RoleGrant",
                    fields=[
                        ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                        (
                            "role",
                            models.CharField(
                                blank=True,
                                choices=[
                                    ("viewer", "Viewer"),
                                    ("editor", "Editor"),
                                    ("approver", "Approver"),
                                    ("release_manager", "Release manager"),
                                    ("administrator", "Administrator"),
                                    ("break_glass", "Break glass"),
                                ],
                                max_length=20,
                            ),
                        ),
                        ("reason", models.TextField(blank=True)),
                        ("starts_at", models.DateTimeField()),
                        ("ends_at", models.DateTimeField(blank=True, null=True)),
                        ("closed_at", models.DateTimeField(blank=True, null=True)),
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
                            "custom_role",
                            models.ForeignKey(
                                blank=True,
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="grants",
                                to="flags.customrole",
                            ),
                        ),
                        (
                            "environment",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="role_grants",
                                to="flags.environment",
                            ),
                        ),
                        (
                            "given_by",
                            models.ForeignKey(
                                blank=True,
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                        (
                            "person",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="role_grants",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                    ],
                    options={
                        "ordering": ["environment", "starts_at", "id"],
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(
                                    models.Q(("custom_role__isnull", False), ("role", "")),
                                    models.Q(
                                        ("custom_role__isnull", True),
                                        (
                                            "role__in",
                                            [
                                                "viewer",
                                                "editor",
                                                "approver",
                                                "release_manager",
                                                "administrator",
                                                "break_glass",
                                            ],
                                        ),
                                    ),
                                    _connector="OR",
                                ),
                                name="role_grant_gives_one_role",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    ("ends_at", None), ("ends_at__gt", models.F("starts_at")), _connector="OR"
                                ),
                                name="role_grant_ends_after_it_starts",
                            ),
                            models.UniqueConstraint(
                                condition=models.Q(("closed_at", None), ("custom_role", None)),
                                fields=("environment", "person", "role"),
                                name="role_grant_open_once",
                            ),
                            models.UniqueConstraint(
                                condition=models.Q(("closed_at", None), ("role", "")),
                                fields=("environment", "person", "custom_role"),
                                name="custom_role_grant_open_once",
                            ),
                        ],
                        "indexes": [
                            models.Index(
                                condition=models.Q(("closed_at", None)), fields=["ends_at"], name="role_grant_that_ends"
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="Segment",
                    fields=[
                        ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                        ("key", models.CharField(max_length=100)),
                        ("name", models.CharField(max_length=120)),
                        ("document", models.JSONField()),
                        ("version", models.PositiveIntegerField()),
                        ("digest", models.CharField(max_length=64)),
                        ("updated_at", models.DateTimeField()),
                        (
                            "environment",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="segments",
                                to="flags.environment",
                            ),
                        ),
                    ],
                    options={
                        "ordering": ["name"],
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("environment", "key"), name="segment_key_unique_in_environment"
                            ),
                            models.CheckConstraint(
                                condition=models.Q(("version__gte", 1)), name="segment_version_positive"
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="Team",
                    fields=[
                        ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                        ("key", models.CharField(max_length=60)),
                        ("name", models.CharField(max_length=60)),
                        ("description", models.CharField(blank=True, max_length=200)),
                        ("created_at", models.DateTimeField()),
                        (
                            "project",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT, related_name="teams", to="flags.project"
                            ),
                        ),
                    ],
                    options={
                        "ordering": ["name"],
                        "constraints": [
                            models.UniqueConstraint(fields=("project", "key"), name="team_key_unique_in_project"),
                            models.UniqueConstraint(fields=("project", "name"), name="team_name_unique_in_project"),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="Flag",
                    fields=[
                        ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                        ("key", models.CharField(max_length=100)),
                        ("name", models.CharField(max_length=120)),
                        ("description", models.TextField(blank=True)),
                        (
                            "kind",
                            models.CharField(
                                choices=[
                                    ("release", "Release"),
                                    ("experiment", "Experiment"),
                                    ("operational", "Operational"),
                                    ("kill_switch", "Kill switch"),
                                    ("permission", "Permission"),
                                ],
                                max_length=20,
                            ),
                        ),
                        (
                            "value_type",
                            models.CharField(
                                choices=[
                                    ("boolean", "Boolean"),
                                    ("string", "String"),
                                    ("integer", "Integer"),
                                    ("float", "Float"),
                                    ("object", "Object"),
                                ],
                                max_length=10,
                            ),
                        ),
                        ("value_schema", models.JSONField(blank=True, null=True)),
                        ("tags", models.JSONField(blank=True, default=list)),
                        ("links", models.JSONField(blank=True, default=list)),
                        ("created_at", models.DateTimeField()),
                        ("lifecycle", models.PositiveIntegerField(default=1)),
                        ("lifecycle_started_at", models.DateTimeField(blank=True, null=True)),
                        ("archived_at", models.DateTimeField(blank=True, null=True)),
                        ("replaced_at", models.DateTimeField(blank=True, null=True)),
                        (
                            "owner",
                            models.ForeignKey(
                                blank=True,
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                        (
                            "successor",
                            models.ForeignKey(
                                blank=True,
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to="flags.flag",
                            ),
                        ),
                        (
                            "project",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT, related_name="flags", to="flags.project"
                            ),
                        ),
                        (
                            "owner_team",
                            models.ForeignKey(
                                blank=True,
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="flags",
                                to="flags.team",
                            ),
                        ),
                    ],
                    options={
                        "ordering": ["key"],
                        "constraints": [
                            models.UniqueConstraint(
                                condition=models.Q(("replaced_at", None)),
                                fields=("project", "key"),
                                name="flag_key_unique_in_project",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    ("replaced_at", None), ("archived_at__isnull", False), _connector="OR"
                                ),
                                name="flag_replaced_only_archived",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    ("kind__in", ["release", "experiment", "operational", "kill_switch", "permission"])
                                ),
                                name="flag_kind_valid",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    ("value_type__in", ["boolean", "string", "integer", "float", "object"])
                                ),
                                name="flag_value_type_valid",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="HistoricalFlagConfig",
                    fields=[
                        ("actor_kind", models.CharField(max_length=10)),
                        ("actor_id", models.CharField(max_length=100)),
                        ("correlation_id", models.UUIDField()),
                        ("id", models.UUIDField(db_index=True, default=uuid.uuid4, editable=False)),
                        ("document", models.JSONField()),
                        ("version", models.PositiveIntegerField()),
                        ("digest", models.CharField(max_length=64)),
                        ("updated_at", models.DateTimeField()),
                        ("history_change_reason", models.TextField(blank=True)),
                        ("history_id", models.AutoField(primary_key=True, serialize=False)),
                        ("history_date", models.DateTimeField(db_index=True)),
                        (
                            "history_type",
                            models.CharField(
                                choices=[("+", "Created"), ("~", "Changed"), ("-", "Deleted")], max_length=1
                            ),
                        ),
                        (
                            "environment",
                            models.ForeignKey(
                                blank=True,
                                db_constraint=False,
                                null=True,
                                on_delete=django.db.models.deletion.DO_NOTHING,
                                related_name="+",
                                to="flags.environment",
                            ),
                        ),
                        (
                            "flag",
                            models.ForeignKey(
                                blank=True,
                                db_constraint=False,
                                null=True,
                                on_delete=django.db.models.deletion.DO_NOTHING,
                                related_name="+",
                                to="flags.flag",
                            ),
                        ),
                        (
                            "history_user",
                            models.ForeignKey(
                                null=True,
                                on_delete=django.db.models.deletion.SET_NULL,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                    ],
                    options={
                        "verbose_name": "historical flag config",
                        "verbose_name_plural": "historical flag configs",
                        "ordering": ("-history_date", "-history_id"),
                        "get_latest_by": ("history_date", "history_id"),
                    },
                    bases=(simple_history.models.HistoricalChanges, models.Model),
                ),
                migrations.CreateModel(
                    name="ServiceOwner",
                    fields=[
                        ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                        ("service", models.CharField(max_length=100)),
                        ("changed_at", models.DateTimeField()),
                        (
                            "person",
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
                                related_name="service_owners",
                                to="flags.project",
                            ),
                        ),
                        (
                            "team",
                            models.ForeignKey(
                                blank=True,
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to="flags.team",
                            ),
                        ),
                    ],
                    options={
                        "ordering": ["service"],
                        "constraints": [
                            models.UniqueConstraint(fields=("project", "service"), name="service_owner_unique"),
                            models.CheckConstraint(
                                condition=models.Q(("person__isnull", False), ("team__isnull", False), _connector="OR"),
                                name="service_owner_somebody",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="TeamMember",
                    fields=[
                        ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                        ("reason", models.TextField(blank=True)),
                        ("added_at", models.DateTimeField()),
                        ("removed_at", models.DateTimeField(blank=True, null=True)),
                        (
                            "added_by",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                        (
                            "person",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="team_memberships",
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
                            "removed_by",
                            models.ForeignKey(
                                blank=True,
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                        (
                            "team",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT, related_name="memberships", to="flags.team"
                            ),
                        ),
                    ],
                    options={
                        "ordering": ["team", "added_at", "id"],
                        "constraints": [
                            models.UniqueConstraint(
                                condition=models.Q(("removed_at", None)),
                                fields=("team", "person"),
                                name="team_member_once_at_a_time",
                            )
                        ],
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
                        (
                            "environment",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="flags.environment"
                            ),
                        ),
                    ],
                    options={
                        "ordering": ["-received_at"],
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("environment", "token_id", "batch_id"), name="telemetry_batch_unique"
                            ),
                            models.UniqueConstraint(
                                condition=models.Q(("token_id", None)),
                                fields=("environment", "batch_id"),
                                name="telemetry_batch_unique_without_token",
                            ),
                        ],
                        "indexes": [
                            models.Index(fields=["environment", "received_at"], name="telemetry_batch_by_arrival")
                        ],
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
                        (
                            "flag",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT, related_name="tombstones", to="flags.flag"
                            ),
                        ),
                        (
                            "project",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="tombstones",
                                to="flags.project",
                            ),
                        ),
                        (
                            "released_by",
                            models.ForeignKey(
                                blank=True,
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                    ],
                    options={
                        "ordering": ["-archived_at"],
                        "constraints": [
                            models.UniqueConstraint(
                                condition=models.Q(("released_at", None)),
                                fields=("project", "key"),
                                name="tombstone_one_per_key",
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="UnknownKey",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        ("key", models.CharField(max_length=100)),
                        ("service", models.CharField(max_length=100)),
                        ("version", models.CharField(max_length=100)),
                        ("first_at", models.DateTimeField()),
                        ("last_at", models.DateTimeField()),
                        ("count", models.BigIntegerField()),
                        (
                            "environment",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="flags.environment"
                            ),
                        ),
                    ],
                    options={
                        "ordering": ["key", "service", "version"],
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("environment", "key", "service", "version"), name="unknown_key_unique"
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="ApplyTicket",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        ("environment_id", models.UUIDField()),
                        (
                            "seal",
                            models.ForeignKey(
                                default=-1,
                                on_delete=django.db.models.deletion.DO_NOTHING,
                                related_name="+",
                                to="flags.applyticket",
                            ),
                        ),
                    ],
                    options={
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(("seal", -1), ("id__gt", 0)), name="apply_ticket_never_commits"
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="ArchiveTicket",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        ("environment_id", models.UUIDField()),
                        (
                            "seal",
                            models.ForeignKey(
                                default=-1,
                                on_delete=django.db.models.deletion.DO_NOTHING,
                                related_name="+",
                                to="flags.archiveticket",
                            ),
                        ),
                    ],
                    options={
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(("seal", -1), ("id__gt", 0)), name="archive_ticket_never_commits"
                            )
                        ],
                    },
                ),
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
                        (
                            "repository",
                            models.ForeignKey(
                                db_index=False,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="references",
                                to="flags.coderepository",
                            ),
                        ),
                    ],
                    options={
                        "ordering": ["path", "line"],
                        "indexes": [
                            models.Index(
                                fields=["repository", "flag_key", "vanished_at"], name="code_reference_by_flag"
                            )
                        ],
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("repository", "branch", "path", "flag_key", "ordinal"),
                                name="code_reference_unique",
                            )
                        ],
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
                        (
                            "repository",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="scans",
                                to="flags.coderepository",
                            ),
                        ),
                    ],
                    options={
                        "ordering": ["-scanned_at"],
                        "indexes": [
                            models.Index(fields=["repository", "branch", "-scanned_at"], name="code_scan_newest")
                        ],
                    },
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
                migrations.CreateModel(
                    name="ArchivedPayload",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        ("payload_class", models.CharField(max_length=30)),
                        ("table_name", models.CharField(max_length=60)),
                        ("column_name", models.CharField(max_length=60)),
                        ("row_id", models.CharField(max_length=40)),
                        ("sha256", models.CharField(max_length=64)),
                        ("size", models.PositiveIntegerField()),
                        ("file", models.CharField(max_length=200)),
                        ("archived_on", models.DateField()),
                        ("meaning", models.JSONField(null=True)),
                        ("correlation_id", models.UUIDField()),
                        (
                            "environment",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="flags.environment"
                            ),
                        ),
                    ],
                    options={
                        "ordering": ["id"],
                        "indexes": [models.Index(fields=["file"], name="archived_payload_by_file")],
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("table_name", "row_id", "column_name", "file"),
                                name="archived_payload_once_in_file",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(("file__regex", "^[A-Za-z0-9][A-Za-z0-9_.-]*\\.gz\\Z")),
                                name="archived_payload_file_is_a_name",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="EnvironmentToken",
                    fields=[
                        ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                        ("name", models.CharField(max_length=120)),
                        (
                            "scope",
                            models.CharField(
                                choices=[
                                    ("evaluate", "Evaluate flags"),
                                    ("client", "Evaluate client-visible flags"),
                                    ("flagd", "Read the flagd definition"),
                                    ("manage", "Use the management API"),
                                    ("audit", "Read audit events"),
                                    ("telemetry", "Report telemetry"),
                                    ("references", "Report code references"),
                                ],
                                max_length=20,
                            ),
                        ),
                        ("prefix", models.CharField(max_length=16)),
                        ("secret_hash", models.CharField(max_length=64, unique=True)),
                        ("created_at", models.DateTimeField()),
                        ("expires_at", models.DateTimeField(blank=True, null=True)),
                        ("revoked_at", models.DateTimeField(blank=True, null=True)),
                        ("last_used_at", models.DateTimeField(blank=True, null=True)),
                        ("changed_at", models.DateTimeField(db_index=True)),
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
                            "environment",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="tokens",
                                to="flags.environment",
                            ),
                        ),
                    ],
                    options={
                        "ordering": ["-created_at"],
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(
                                    (
                                        "scope__in",
                                        ["evaluate", "client", "flagd", "manage", "audit", "telemetry", "references"],
                                    )
                                ),
                                name="environment_token_scope_valid",
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="EnvironmentUserGrant",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        ("ends_at", models.DateTimeField(blank=True, null=True)),
                        (
                            "content_object",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="grants",
                                to="flags.environment",
                            ),
                        ),
                        (
                            "permission",
                            models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="auth.permission"),
                        ),
                        (
                            "user",
                            models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to=settings.AUTH_USER_MODEL),
                        ),
                    ],
                    options={
                        "abstract": False,
                        "unique_together": {("user", "permission", "content_object")},
                    },
                ),
                migrations.CreateModel(
                    name="EvaluationCount",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        ("span", models.CharField(choices=[("minute", "Minute"), ("hour", "Hour")], max_length=6)),
                        ("at", models.DateTimeField()),
                        ("flag_key", models.CharField(max_length=100)),
                        ("variant", models.CharField(max_length=100)),
                        ("reason", models.CharField(max_length=30)),
                        ("service", models.CharField(max_length=100)),
                        ("version", models.CharField(max_length=100)),
                        ("count", models.BigIntegerField()),
                        (
                            "environment",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="flags.environment"
                            ),
                        ),
                    ],
                    options={
                        "ordering": ["at"],
                        "indexes": [
                            models.Index(
                                fields=["environment", "flag_key", "span", "at"], name="evaluation_count_by_flag"
                            ),
                            models.Index(fields=["span", "at"], name="evaluation_count_by_age"),
                        ],
                        "constraints": [
                            models.UniqueConstraint(
                                fields=(
                                    "environment",
                                    "span",
                                    "at",
                                    "flag_key",
                                    "variant",
                                    "reason",
                                    "service",
                                    "version",
                                ),
                                name="evaluation_count_unique",
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="FlagConfig",
                    fields=[
                        ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                        ("document", models.JSONField()),
                        ("version", models.PositiveIntegerField()),
                        ("digest", models.CharField(max_length=64)),
                        ("updated_at", models.DateTimeField()),
                        (
                            "environment",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="configs",
                                to="flags.environment",
                            ),
                        ),
                        (
                            "flag",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT, related_name="configs", to="flags.flag"
                            ),
                        ),
                    ],
                    options={
                        "constraints": [
                            models.UniqueConstraint(fields=("flag", "environment"), name="flag_config_unique"),
                            models.CheckConstraint(
                                condition=models.Q(("version__gte", 1)), name="flag_config_version_positive"
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="FlagUse",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        ("flag_key", models.CharField(max_length=100)),
                        ("service", models.CharField(max_length=100)),
                        ("version", models.CharField(max_length=100)),
                        ("first_at", models.DateTimeField()),
                        ("last_at", models.DateTimeField()),
                        ("is_unknown", models.BooleanField(default=False)),
                        (
                            "environment",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="flags.environment"
                            ),
                        ),
                    ],
                    options={
                        "ordering": ["flag_key", "service", "version"],
                        "indexes": [models.Index(fields=["environment", "last_at"], name="flag_use_by_last")],
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("environment", "flag_key", "service", "version"), name="flag_use_unique"
                            )
                        ],
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
                        (
                            "environment",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="local_kills",
                                to="flags.environment",
                            ),
                        ),
                    ],
                    options={
                        "ordering": ["-since"],
                        "constraints": [
                            models.UniqueConstraint(
                                condition=models.Q(("lifted_at", None)),
                                fields=("environment", "flag_key", "host", "source"),
                                name="local_kill_open_once",
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="MetricCount",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
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
                        (
                            "environment",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="flags.environment"
                            ),
                        ),
                    ],
                    options={
                        "ordering": ["at"],
                        "indexes": [
                            models.Index(
                                fields=["environment", "metric", "flag_key", "span", "at"],
                                name="metric_count_by_metric",
                            ),
                            models.Index(fields=["span", "at"], name="metric_count_by_age"),
                        ],
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("environment", "span", "at", "metric", "flag_key", "variant"),
                                name="metric_count_unique",
                            )
                        ],
                    },
                ),
            ]
        ),
    ]
