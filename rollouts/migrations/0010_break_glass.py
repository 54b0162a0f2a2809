"""Uses of break-glass and their review."""

import uuid

from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("flags", "0006_context_samples"),
        ("rollouts", "0009_bundles"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="BreakGlassUse",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("reason", models.TextField()),
                ("change_set", models.JSONField()),
                ("digest", models.CharField(max_length=64)),
                ("movement", models.JSONField(default=list)),
                ("revision", models.PositiveBigIntegerField()),
                ("created_at", models.DateTimeField()),
                ("review_due_at", models.DateTimeField()),
                ("escalated_at", models.DateTimeField(blank=True, null=True)),
                (
                    "outcome",
                    models.CharField(
                        blank=True,
                        choices=[("justified", "Justified"), ("not_justified", "Not justified")],
                        max_length=20,
                    ),
                ),
                ("reviewed_at", models.DateTimeField(blank=True, null=True)),
                ("comment", models.TextField(blank=True)),
                ("correlation_id", models.UUIDField()),
                (
                    "environment",
                    models.ForeignKey(
                        on_delete=models.PROTECT, related_name="break_glass_uses", to="flags.environment"
                    ),
                ),
                (
                    "reviewer",
                    models.ForeignKey(
                        blank=True, null=True, on_delete=models.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                ("user", models.ForeignKey(on_delete=models.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL)),
            ],
            options={
                "verbose_name": "use of break-glass",
                "verbose_name_plural": "uses of break-glass",
                "ordering": ["-created_at"],
                "indexes": [
                    models.Index(fields=["environment", "-created_at"], name="break_glass_by_environment"),
                    models.Index(
                        condition=models.Q(("outcome", "")), fields=["review_due_at"], name="break_glass_open"
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("outcome", ""), ("reviewed_at__isnull", True), ("reviewer__isnull", True)),
                            models.Q(
                                ("outcome__in", ["justified", "not_justified"]),
                                ("reviewed_at__isnull", False),
                                ("reviewer__isnull", False),
                            ),
                            _connector="OR",
                        ),
                        name="break_glass_review_facts",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("reviewer__isnull", True),
                            models.Q(("reviewer", models.F("user")), _negated=True),
                            _connector="OR",
                        ),
                        name="break_glass_reviewed_by_another",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("review_due_at__gt", models.F("created_at"))), name="break_glass_due_later"
                    ),
                ],
            },
        ),
    ]
