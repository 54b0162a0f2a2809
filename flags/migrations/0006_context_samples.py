"""Sampled contexts, where an environment opts in."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("flags", "0005_roles_and_teams"),
    ]

    operations = []
