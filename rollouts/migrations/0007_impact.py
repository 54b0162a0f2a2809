"""Impact runs."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("flags", "0006_context_samples"),
        ("rollouts", "0006_calendar"),
    ]

    operations = []
