"""Rounds of review, and the segments a change relies on."""

from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

from flags.guards import install_guards
from rollouts.guards import ROLLOUTS_GUARDS


def install(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Create the triggers again: SQLite rebuilds the table and loses them."""
    install_guards(schema_editor.connection, {"rollouts_changerequest": ROLLOUTS_GUARDS["rollouts_changerequest"]})


class Migration(migrations.Migration):
    dependencies = [("rollouts", "0002_guards")]
    operations = [
        # In reverse, operations run backwards: the table is rebuilt first, then gets its triggers.
        migrations.RunPython(migrations.RunPython.noop, install),
        # Requests from before have round 0 and no segments: the digests they were approved with stay true.
        migrations.AddField("changerequest", "round", models.PositiveIntegerField(default=0)),
        migrations.AlterField("changerequest", "round", models.PositiveIntegerField(default=1)),
        migrations.AddField("changerequest", "relies_on", models.JSONField(blank=True, default=dict)),
        migrations.RunPython(install, migrations.RunPython.noop),
    ]
