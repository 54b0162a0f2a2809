"""Teams, custom roles and grants that end by themselves."""

import uuid

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

from flags.guards import FLAGS_GUARDS, install_guards, remove_guards

ROLE_OF = {
    "view_environment": "viewer",
    "propose_change": "editor",
    "approve_change": "approver",
    "apply_change": "release_manager",
    "administer_environment": "administrator",
}
REBUILT_TABLES = ("flags_flag", "flags_environmentusergrant")
NEW_TABLES = ("flags_rolegrant", "flags_customrole", "flags_team", "flags_teammember")


def remember_roles(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """One role grant without end for every role that somebody holds; who gave it stands in the audit trail alone."""
    grants = apps.get_model("flags", "EnvironmentUserGrant").objects.select_related("permission", "content_object")
    RoleGrant = apps.get_model("flags", "RoleGrant")
    rows = (
        RoleGrant(
            environment_id=grant.content_object_id,
            person_id=grant.user_id,
            role=ROLE_OF[grant.permission.codename],
            starts_at=grant.content_object.created_at,
        )
        for grant in grants.filter(permission__codename__in=ROLE_OF).order_by("pk").iterator(500)
    )
    RoleGrant.objects.bulk_create(rows, batch_size=500)


def install(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Triggers of the new tables, and again of those that SQLite rebuilt."""
    tables = (*REBUILT_TABLES, *NEW_TABLES)
    install_guards(schema_editor.connection, {table: FLAGS_GUARDS[table] for table in tables})


def remove(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Drop the triggers of the new tables."""
    remove_guards(schema_editor.connection, {table: FLAGS_GUARDS[table] for table in NEW_TABLES})


class Migration(migrations.Migration):
    dependencies = [
        ("flags", "0004_evaluation_plane"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AlterModelOptions(
            "environment",
            {
                "ordering": ["project", "position", "key"],
                "permissions": [
                    ("propose_change", "Edit unprotected environments, propose changes to protected ones"),
                    ("approve_change", "Approve changes others asked for"),
                    ("apply_change", "Schedule and apply approved changes"),
                    ("break_glass", "Change a protected environment in an emergency, without approval"),
                    ("administer_environment", "Manage protection, policies, tokens and roles"),
                ],
            },
        ),
        migrations.AddField(
            model_name="environmentusergrant",
            name="ends_at",
            field=models.DateTimeField(blank=True, null=True),
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
                        on_delete=django.db.models.deletion.PROTECT, related_name="custom_roles", to="flags.project"
                    ),
                ),
            ],
            options={
                "ordering": ["name"],
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
                        on_delete=django.db.models.deletion.PROTECT, related_name="role_grants", to="flags.environment"
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
            },
        ),
        migrations.AddField(
            model_name="flag",
            name="owner_team",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="flags",
                to="flags.team",
            ),
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
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
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
            },
        ),
        migrations.AddConstraint(
            model_name="customrole",
            constraint=models.UniqueConstraint(fields=("project", "key"), name="custom_role_key_unique_in_project"),
        ),
        migrations.AddConstraint(
            model_name="customrole",
            constraint=models.UniqueConstraint(fields=("project", "name"), name="custom_role_name_unique_in_project"),
        ),
        migrations.AddIndex(
            model_name="rolegrant",
            index=models.Index(
                condition=models.Q(("closed_at", None)), fields=["ends_at"], name="role_grant_that_ends"
            ),
        ),
        migrations.AddConstraint(
            model_name="rolegrant",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("custom_role__isnull", False), ("role", "")),
                    models.Q(
                        ("custom_role__isnull", True),
                        (
                            "role__in",
                            ["viewer", "editor", "approver", "release_manager", "administrator", "break_glass"],
                        ),
                    ),
                    _connector="OR",
                ),
                name="role_grant_gives_one_role",
            ),
        ),
        migrations.AddConstraint(
            model_name="rolegrant",
            constraint=models.CheckConstraint(
                condition=models.Q(("ends_at", None), ("ends_at__gt", models.F("starts_at")), _connector="OR"),
                name="role_grant_ends_after_it_starts",
            ),
        ),
        migrations.AddConstraint(
            model_name="rolegrant",
            constraint=models.UniqueConstraint(
                condition=models.Q(("closed_at", None), ("custom_role", None)),
                fields=("environment", "person", "role"),
                name="role_grant_open_once",
            ),
        ),
        migrations.AddConstraint(
            model_name="rolegrant",
            constraint=models.UniqueConstraint(
                condition=models.Q(("closed_at", None), ("role", "")),
                fields=("environment", "person", "custom_role"),
                name="custom_role_grant_open_once",
            ),
        ),
        migrations.AddConstraint(
            model_name="team",
            constraint=models.UniqueConstraint(fields=("project", "key"), name="team_key_unique_in_project"),
        ),
        migrations.AddConstraint(
            model_name="team",
            constraint=models.UniqueConstraint(fields=("project", "name"), name="team_name_unique_in_project"),
        ),
        migrations.AddConstraint(
            model_name="teammember",
            constraint=models.UniqueConstraint(
                condition=models.Q(("removed_at", None)), fields=("team", "person"), name="team_member_once_at_a_time"
            ),
        ),
        migrations.RunPython(remember_roles, migrations.RunPython.noop),
        migrations.RunPython(install, remove),
    ]
