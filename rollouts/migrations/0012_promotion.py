"""Where a request came from; drift between environments and the differences that are intended."""

import uuid

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import F, Q


class Migration(migrations.Migration):
    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("flags", "0006_context_samples"),
        ("rollouts", "0011_drills"),
    ]

    operations = [
        migrations.AddField(
            model_name="changerequest",
            name="source",
            field=models.JSONField(blank=True, default=dict),
        ),
        migrations.CreateModel(
            name="Drift",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("aspects", models.JSONField()),
                ("since", models.DateTimeField()),
                (
                    "downstream",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="flags.environment"
                    ),
                ),
                (
                    "flag",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="drifts", to="flags.flag"
                    ),
                ),
                (
                    "project",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="flags.project"
                    ),
                ),
                (
                    "upstream",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="flags.environment"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=["flag", "upstream", "downstream"], name="drift_unique_in_pair"),
                    models.CheckConstraint(condition=~Q(upstream=F("downstream")), name="drift_of_two_environments"),
                ],
                "indexes": [models.Index(fields=["project", "since"], name="drift_by_project")],
            },
        ),
        migrations.CreateModel(
            name="IntendedDifference",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("aspects", models.JSONField()),
                ("reason", models.TextField()),
                ("created_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                (
                    "created_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "downstream",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="flags.environment"
                    ),
                ),
                (
                    "ended_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "flag",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="intended_differences",
                        to="flags.flag",
                    ),
                ),
                (
                    "owner",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "project",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="intended_differences",
                        to="flags.project",
                    ),
                ),
                (
                    "upstream",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="flags.environment"
                    ),
                ),
            ],
            options={
                "ordering": ["-created_at", "id"],
                "constraints": [
                    models.CheckConstraint(condition=~Q(upstream=F("downstream")), name="intended_in_two_environments"),
                    models.CheckConstraint(condition=Q(expires_at__gt=F("created_at")), name="intended_for_a_time"),
                    models.CheckConstraint(
                        condition=Q(ended_at__isnull=True, ended_by__isnull=True)
                        | Q(ended_at__isnull=False, ended_by__isnull=False),
                        name="intended_ended_by_somebody",
                    ),
                ],
                "indexes": [models.Index(fields=["project", "expires_at"], name="intended_by_project")],
            },
        ),
    ]
