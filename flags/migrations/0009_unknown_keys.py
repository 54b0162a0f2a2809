"""Keys that services ask for and that are no flag's."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("flags", "0008_lifecycle"),
    ]

    operations = [
        migrations.CreateModel(
            name="UnknownKey",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
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
    ]
