"""Intended differences between environments."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("flags", "0006_context_samples"),
        ("rollouts", "0011_drills"),
    ]

    operations = []
