"""Policy rules, their versions, and what they found."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("flags", "0006_context_samples"),
        ("rollouts", "0004_settings_proposals"),
    ]

    operations = []
