"""Calendar windows, exceptions and incidents."""

import uuid

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("flags", "0006_context_samples"),
        ("rollouts", "0005_policy_rules"),
    ]

    operations = [
        migrations.CreateModel(
            name="CalendarWindow",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("uid", models.CharField(max_length=255)),
                ("kind", models.CharField(choices=[("freeze", "Freeze"), ("allow", "Allow")], max_length=10)),
                ("title", models.CharField(max_length=120)),
                ("reason", models.TextField()),
                ("environment_ids", models.JSONField(blank=True, default=list)),
                ("flag_tags", models.JSONField(blank=True, default=list)),
                ("starts_at", models.DateTimeField(blank=True, null=True)),
                ("ends_at", models.DateTimeField(blank=True, null=True)),
                ("rrule", models.CharField(blank=True, max_length=500)),
                ("zone", models.CharField(blank=True, max_length=60)),
                ("local_start", models.CharField(blank=True, max_length=16)),
                ("duration_minutes", models.PositiveIntegerField(blank=True, null=True)),
                ("created_at", models.DateTimeField()),
                ("updated_at", models.DateTimeField()),
                ("removed_at", models.DateTimeField(blank=True, null=True)),
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
                        on_delete=django.db.models.deletion.PROTECT, related_name="calendar_windows", to="flags.project"
                    ),
                ),
            ],
            options={
                "ordering": ["created_at", "id"],
            },
        ),
        migrations.CreateModel(
            name="FreezeException",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("digest", models.CharField(max_length=64)),
                ("covers_from", models.DateTimeField()),
                ("covers_until", models.DateTimeField()),
                ("reason", models.TextField()),
                ("asked_at", models.DateTimeField()),
                ("is_granted", models.BooleanField(blank=True, null=True)),
                ("decided_at", models.DateTimeField(blank=True, null=True)),
                ("decision_reason", models.TextField(blank=True)),
                (
                    "asked_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "decided_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
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
                        related_name="freeze_exceptions",
                        to="rollouts.changerequest",
                    ),
                ),
                (
                    "window",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="exceptions",
                        to="rollouts.calendarwindow",
                    ),
                ),
            ],
            options={
                "ordering": ["asked_at", "id"],
            },
        ),
        migrations.CreateModel(
            name="Incident",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("title", models.CharField(max_length=200)),
                (
                    "severity",
                    models.CharField(
                        choices=[("critical", "Critical"), ("major", "Major"), ("minor", "Minor")], max_length=10
                    ),
                ),
                ("link", models.CharField(blank=True, max_length=500)),
                ("opened_at", models.DateTimeField()),
                ("opened_by_service", models.CharField(blank=True, max_length=120)),
                ("closed_at", models.DateTimeField(blank=True, null=True)),
                ("closed_by_service", models.CharField(blank=True, max_length=120)),
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
                    "environment",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="incidents",
                        to="flags.environment",
                    ),
                ),
                (
                    "opened_by",
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
                        on_delete=django.db.models.deletion.PROTECT, related_name="incidents", to="flags.project"
                    ),
                ),
            ],
            options={
                "ordering": ["-opened_at", "id"],
            },
        ),
        migrations.AddConstraint(
            model_name="calendarwindow",
            constraint=models.UniqueConstraint(
                condition=models.Q(("removed_at__isnull", True)),
                fields=("project", "uid"),
                name="calendar_window_uid_unique_in_project",
            ),
        ),
        migrations.AddConstraint(
            model_name="calendarwindow",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind__in", ["freeze", "allow"])), name="calendar_window_kind_valid"
            ),
        ),
        migrations.AddConstraint(
            model_name="calendarwindow",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("duration_minutes__isnull", True),
                        ("ends_at__gt", models.F("starts_at")),
                        ("local_start", ""),
                        ("rrule", ""),
                        ("starts_at__isnull", False),
                        ("zone", ""),
                    ),
                    models.Q(
                        ("duration_minutes__gte", 1),
                        ("ends_at__isnull", True),
                        ("starts_at__isnull", True),
                        models.Q(("rrule", ""), _negated=True),
                        models.Q(("zone", ""), _negated=True),
                        models.Q(("local_start", ""), _negated=True),
                    ),
                    _connector="OR",
                ),
                name="calendar_window_once_or_recurring",
            ),
        ),
        migrations.AddConstraint(
            model_name="freezeexception",
            constraint=models.UniqueConstraint(
                condition=models.Q(("is_granted__isnull", True), ("is_granted", True), _connector="OR"),
                fields=("request", "window", "digest", "covers_from"),
                name="freeze_exception_asked_once",
            ),
        ),
        migrations.AddConstraint(
            model_name="freezeexception",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("decided_at__isnull", True), ("decided_by__isnull", True), ("is_granted__isnull", True)),
                    models.Q(
                        ("decided_at__isnull", False), ("decided_by__isnull", False), ("is_granted__isnull", False)
                    ),
                    _connector="OR",
                ),
                name="freeze_exception_decided_facts",
            ),
        ),
        migrations.AddConstraint(
            model_name="freezeexception",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("decided_by__isnull", True),
                    models.Q(("decided_by", models.F("asked_by")), _negated=True),
                    _connector="OR",
                ),
                name="freeze_exception_two_people",
            ),
        ),
        migrations.AddConstraint(
            model_name="freezeexception",
            constraint=models.CheckConstraint(
                condition=models.Q(("covers_until__gt", models.F("covers_from"))), name="freeze_exception_covers_time"
            ),
        ),
        migrations.AddIndex(
            model_name="incident",
            index=models.Index(fields=["project", "closed_at"], name="incident_by_project"),
        ),
        migrations.AddConstraint(
            model_name="incident",
            constraint=models.CheckConstraint(
                condition=models.Q(("severity__in", ["critical", "major", "minor"])), name="incident_severity_valid"
            ),
        ),
        migrations.AddConstraint(
            model_name="incident",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("opened_by__isnull", False), ("opened_by_service", "")),
                    models.Q(("opened_by__isnull", True), models.Q(("opened_by_service", ""), _negated=True)),
                    _connector="OR",
                ),
                name="incident_opened_by_somebody",
            ),
        ),
    ]
