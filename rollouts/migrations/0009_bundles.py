"""Requests for several environments."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("flags", "0006_context_samples"),
        ("rollouts", "0008_reviews"),
    ]

    operations = []
