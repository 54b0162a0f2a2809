"""Uses of break-glass and their review."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("flags", "0006_context_samples"),
        ("rollouts", "0009_bundles"),
    ]

    operations = []
