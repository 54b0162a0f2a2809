"""Calendar windows, exceptions and incidents."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("flags", "0006_context_samples"),
        ("rollouts", "0005_policy_rules"),
    ]

    operations = []
