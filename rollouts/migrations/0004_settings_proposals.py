"""Proposed changes of settings, decided by a second person."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("flags", "0006_context_samples"),
        ("rollouts", "0003_rounds"),
    ]

    operations = []
