"""The database triggers of `audits.guards`: evidence is append-only from the first event on."""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

from audits.guards import install_guards, remove_guards


def install(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Create the triggers."""
    install_guards(schema_editor.connection)


def remove(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Drop the triggers."""
    remove_guards(schema_editor.connection)


class Migration(migrations.Migration):
    dependencies = [("audits", "0001_audit_events")]
    operations = [migrations.RunPython(install, remove)]
