"""Teams, custom roles and grants that end by themselves."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("flags", "0004_evaluation_plane"),
    ]

    operations = []
