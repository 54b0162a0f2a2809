"""The database triggers of `rollouts.guards`."""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

from flags.guards import install_guards, remove_guards
from rollouts.guards import ROLLOUTS_GUARDS


def install(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Create the triggers. Those that let payloads go to an archive come after the migrate."""
    install_guards(schema_editor.connection, ROLLOUTS_GUARDS)


def remove(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Drop the triggers."""
    remove_guards(schema_editor.connection, ROLLOUTS_GUARDS)


class Migration(migrations.Migration):
    dependencies = [("rollouts", "0001_first_models"), ("flags", "0002_guards")]
    operations = [migrations.RunPython(install, remove)]
