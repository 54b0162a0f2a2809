"""The database triggers of `rollouts.guards`."""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

from flags.guards import Guard, install_guards, remove_guards
from rollouts.guards import ROLLOUTS_GUARDS


def install(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Create the triggers of the tables there are; those of later tables come after the migrate."""
    install_guards(schema_editor.connection, _of_present_tables(schema_editor))


def remove(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Drop the triggers."""
    remove_guards(schema_editor.connection, _of_present_tables(schema_editor))


def _of_present_tables(schema_editor: BaseDatabaseSchemaEditor) -> dict[str, Guard]:
    tables = set(schema_editor.connection.introspection.table_names())
    return {table: guard for table, guard in ROLLOUTS_GUARDS.items() if table in tables}


class Migration(migrations.Migration):
    dependencies = [("rollouts", "0001_first_models"), ("flags", "0002_guards")]
    operations = [migrations.RunPython(install, remove)]
