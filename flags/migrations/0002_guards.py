"""The database triggers of `flags.guards`: governed tables need an apply ticket."""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

from flags.guards import FLAGS_GUARDS, install_guards, remove_guards


def install(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Create the triggers. Those that let payloads go to an archive come after the migrate."""
    install_guards(schema_editor.connection, FLAGS_GUARDS)


def remove(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Drop the triggers."""
    remove_guards(schema_editor.connection, FLAGS_GUARDS)


class Migration(migrations.Migration):
    dependencies = [("flags", "0001_first_models")]
    operations = [migrations.RunPython(install, remove)]
