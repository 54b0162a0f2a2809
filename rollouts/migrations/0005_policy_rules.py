"""Policy rules, their versions, and what they found."""

import uuid

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("flags", "0006_context_samples"),
        ("rollouts", "0004_settings_proposals"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="changerequest",
            name="ticket_url",
            field=models.CharField(blank=True, max_length=500),
        ),
        migrations.CreateModel(
            name="PolicyRule",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("key", models.CharField(max_length=60)),
                ("version", models.PositiveIntegerField(default=1)),
                ("document", models.JSONField()),
                ("digest", models.CharField(max_length=64)),
                ("created_at", models.DateTimeField()),
                ("updated_at", models.DateTimeField()),
                (
                    "project",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="policy_rules", to="flags.project"
                    ),
                ),
            ],
            options={
                "ordering": ["project", "key"],
                "constraints": [
                    models.UniqueConstraint(fields=["project", "key"], name="policy_rule_key_unique_in_project"),
                    models.CheckConstraint(
                        condition=models.Q(("version__gte", 1)), name="policy_rule_version_positive"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="PolicyRuleVersion",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("version", models.PositiveIntegerField()),
                ("document", models.JSONField()),
                ("digest", models.CharField(max_length=64)),
                ("reason", models.TextField()),
                ("created_at", models.DateTimeField()),
                (
                    "author",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
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
                    "rule",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="versions",
                        to="rollouts.policyrule",
                    ),
                ),
            ],
            options={
                "ordering": ["-version"],
                "constraints": [
                    models.UniqueConstraint(fields=["rule", "version"], name="policy_rule_version_once"),
                ],
            },
        ),
        migrations.CreateModel(
            name="Judgement",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("digest", models.CharField(max_length=64)),
                ("occasion", models.CharField(max_length=20)),
                ("rules", models.JSONField(default=list)),
                ("facts", models.JSONField(default=dict)),
                ("findings", models.JSONField(default=list)),
                ("created_at", models.DateTimeField()),
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
                        related_name="judgements",
                        to="rollouts.changerequest",
                    ),
                ),
            ],
            options={
                "ordering": ["created_at", "id"],
                "indexes": [models.Index(fields=["request", "created_at"], name="judgement_by_request")],
            },
        ),
        migrations.CreateModel(
            name="ServiceApproval",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("token_name", models.CharField(max_length=120)),
                ("digest", models.CharField(max_length=64)),
                ("comment", models.TextField(blank=True)),
                ("created_at", models.DateTimeField()),
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
                        related_name="service_approvals",
                        to="rollouts.changerequest",
                    ),
                ),
                (
                    "token",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="flags.environmenttoken",
                    ),
                ),
            ],
            options={
                "ordering": ["created_at", "id"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=["request", "token", "digest"], name="service_approval_once_per_content"
                    ),
                ],
            },
        ),
    ]
