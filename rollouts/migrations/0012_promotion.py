"""Intended differences between environments."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("flags", "0006_context_samples"),
        ("rollouts", "0011_drills"),
    ]

    operations = [
        migrations.AddField(
            model_name="changerequest",
            name="source",
            field=models.JSONField(blank=True, default=dict),
        ),
    ]
