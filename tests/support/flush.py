"""Emptying the test database although its triggers refuse it.

Tests that commit (threads, live server) leave rows behind; governed tables and audit events refuse DELETE and TRUNCATE.
Content types and permissions stay: they are made by `migrate`, and making them again after every test is slow.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.recorder import MigrationRecorder

KEPT = {model._meta.db_table for model in (ContentType, Permission, MigrationRecorder.Migration)}


def flush_database(*, using: str = "default") -> None:
    """Delete every row but those of `KEPT`, in one transaction, with the triggers out of the way."""
    connection = connections[using]
    tables = [table for table in connection.introspection.table_names() if table not in KEPT]
    with without_triggers(connection), connection.cursor() as cursor:
        for table in tables_with_rows(connection, tables):
            cursor.execute(f"DELETE FROM {connection.ops.quote_name(table)}")


@contextmanager
def without_triggers(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """A transaction in which no trigger and no foreign key speaks up. SQLite drops triggers and makes them again."""
    if connection.vendor == "postgresql":
        with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
            cursor.execute("SET LOCAL session_replication_role = 'replica'")
            yield
            cursor.execute("SET LOCAL session_replication_role = 'origin'")
        return
    with connection.constraint_checks_disabled(), transaction.atomic(using=connection.alias):
        triggers = _sqlite_triggers(connection)
        with connection.cursor() as cursor:
            for name in triggers:
                cursor.execute(f"DROP TRIGGER {connection.ops.quote_name(name)}")
            yield
            for statement in triggers.values():
                cursor.execute(statement)


def _sqlite_triggers(connection: BaseDatabaseWrapper) -> dict[str, str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        return dict(cursor.fetchall())


def tables_with_rows(connection: BaseDatabaseWrapper, tables: Collection[str]) -> list[str]:
    """Those of the tables that are not empty."""
    quote = connection.ops.quote_name
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(f"SELECT '{t}' WHERE EXISTS (SELECT 1 FROM {quote(t)})" for t in tables))
        return [row[0] for row in cursor.fetchall()]
