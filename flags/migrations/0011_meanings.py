"""What versions of configs meant, noted when their documents leave for an archive."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("flags", "0010_archived_payloads"),
    ]

    operations = [
        migrations.AddField(
            model_name="archivedpayload",
            name="meaning",
            field=models.JSONField(null=True),
        ),
    ]
