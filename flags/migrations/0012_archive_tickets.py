"""Archiving needs a ticket of its own, and a promise names a file and nothing else."""

import django.db.models.deletion
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps


def let_go(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """SQLite rebuilds the table, which no trigger may name meanwhile. They are put back after the migrate."""
    if schema_editor.connection.vendor != "sqlite":
        return
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND instr(sql, 'flags_archivedpayload') > 0"
        )
        for (name,) in cursor.fetchall():
            cursor.execute(f"DROP TRIGGER {name}")


class Migration(migrations.Migration):
    dependencies = [
        ("flags", "0011_meanings"),
    ]

    operations = [
        migrations.CreateModel(
            name="ArchiveTicket",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("environment_id", models.UUIDField()),
                (
                    "seal",
                    models.ForeignKey(
                        default=-1,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="flags.archiveticket",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("seal", -1), ("id__gt", 0)), name="archive_ticket_never_commits"
                    )
                ],
            },
        ),
        migrations.RunPython(let_go, migrations.RunPython.noop),
        migrations.AddConstraint(
            model_name="archivedpayload",
            constraint=models.CheckConstraint(
                condition=models.Q(("file__regex", r"^[A-Za-z0-9][A-Za-z0-9_.-]*\.gz\Z")),
                name="archived_payload_file_is_a_name",
            ),
        ),
    ]
