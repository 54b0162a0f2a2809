"""Dissent, threads, rounds and looks."""

import uuid

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("flags", "0006_context_samples"),
        ("rollouts", "0007_impact"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="comment",
            name="reply_to",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="replies",
                to="rollouts.comment",
            ),
        ),
        migrations.CreateModel(
            name="ThreadMark",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("sequence", models.PositiveIntegerField()),
                ("is_resolved", models.BooleanField()),
                ("created_at", models.DateTimeField()),
                (
                    "author",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "comment",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="marks", to="rollouts.comment"
                    ),
                ),
            ],
            options={
                "ordering": ["comment", "sequence"],
                "constraints": [
                    models.UniqueConstraint(fields=("comment", "sequence"), name="thread_mark_in_order"),
                ],
            },
        ),
        migrations.CreateModel(
            name="Dissent",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("sequence", models.PositiveIntegerField()),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("reservation", "Approved with reservation"),
                            ("changes_requested", "Asked for changes"),
                            ("changes_lifted", "Took back the request for changes"),
                            ("abstention", "Abstained"),
                            ("rejection", "Rejected"),
                        ],
                        max_length=20,
                    ),
                ),
                ("digest", models.CharField(max_length=64)),
                ("round", models.PositiveIntegerField()),
                ("text", models.TextField(blank=True)),
                ("touched", models.JSONField(default=list)),
                ("created_at", models.DateTimeField()),
                (
                    "author",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
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
                        related_name="dissents",
                        to="rollouts.changerequest",
                    ),
                ),
            ],
            options={
                "ordering": ["request", "sequence"],
                "indexes": [
                    models.Index(fields=["environment", "-created_at"], name="dissent_by_environment"),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("request", "sequence"), name="dissent_in_order"),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "kind__in",
                                ["reservation", "changes_requested", "changes_lifted", "abstention", "rejection"],
                            )
                        ),
                        name="dissent_kind_valid",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("kind__in", ["changes_lifted", "abstention"]),
                            models.Q(("text", ""), _negated=True),
                            _connector="OR",
                        ),
                        name="dissent_says_why",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Look",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("digest", models.CharField(max_length=64)),
                ("round", models.PositiveIntegerField()),
                ("seen_at", models.DateTimeField()),
                (
                    "person",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "request",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="looks", to="rollouts.changerequest"
                    ),
                ),
            ],
            options={
                "ordering": ["seen_at", "id"],
                "constraints": [models.UniqueConstraint(fields=("request", "person"), name="look_once_per_person")],
            },
        ),
        migrations.CreateModel(
            name="RequestRound",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("round", models.PositiveIntegerField()),
                ("digest", models.CharField(max_length=64)),
                ("change_set", models.JSONField()),
                ("apply_at", models.DateTimeField(blank=True, null=True)),
                ("occasion", models.CharField(max_length=20)),
                ("created_at", models.DateTimeField()),
                (
                    "author",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
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
                        on_delete=django.db.models.deletion.PROTECT, related_name="rounds", to="rollouts.changerequest"
                    ),
                ),
            ],
            options={
                "ordering": ["round"],
                "constraints": [models.UniqueConstraint(fields=("request", "round"), name="request_round_once")],
            },
        ),
    ]
