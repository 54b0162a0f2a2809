"""Which payloads an archive holds instead of the database."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("flags", "0009_unknown_keys"),
    ]

    operations = [
        migrations.CreateModel(
            name="ArchivedPayload",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("payload_class", models.CharField(max_length=30)),
                ("table_name", models.CharField(max_length=60)),
                ("column_name", models.CharField(max_length=60)),
                ("row_id", models.CharField(max_length=40)),
                ("sha256", models.CharField(max_length=64)),
                ("size", models.PositiveIntegerField()),
                ("file", models.CharField(max_length=200)),
                ("archived_on", models.DateField()),
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
                        fields=("table_name", "row_id", "column_name", "file"), name="archived_payload_once_in_file"
                    )
                ],
            },
        ),
    ]
