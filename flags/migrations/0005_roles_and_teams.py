"""Teams, custom roles and grants that end by themselves."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("flags", "0004_evaluation_plane"),
    ]

    operations = [
        migrations.AlterModelOptions(
            "environment",
            {
                "ordering": ["project", "position", "key"],
                "permissions": [
                    ("propose_change", "Edit unprotected environments, propose changes to protected ones"),
                    ("approve_change", "Approve changes others asked for"),
                    ("apply_change", "Schedule and apply approved changes"),
                    ("break_glass", "Change a protected environment in an emergency, without approval"),
                    ("administer_environment", "Manage protection, policies, tokens and roles"),
                ],
            },
        ),
    ]
