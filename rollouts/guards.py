"""Database triggers on the tables that decide about consent. Same mechanism as `flags.guards`."""

from typing import Any

from django.db import connections

from flags.guards import TICKETS, Guard, install_guards

ROLLOUTS_GUARDS: dict[str, Guard] = {
    "rollouts_approvalpolicy": Guard(immutable=("environment_id",)),
    "rollouts_approval": Guard(ticketed=("INSERT",), refused=("UPDATE", "DELETE")),
    "rollouts_changerequest": Guard(
        ticketed=("INSERT", "UPDATE"),
        refused=("DELETE",),
        immutable=("id", "project_id", "environment_id", "requester_id", "number", "created_at"),
    ),
    "rollouts_comment": Guard(ticketed=(), refused=("UPDATE", "DELETE")),
}


def reinstall_guards(*, using: str, **kwargs: Any) -> None:
    """`post_migrate`: put back what a rebuilt SQLite table lost. Tables that do not exist yet are passed over."""
    connection = connections[using]
    tables = set(connection.introspection.table_names())
    if TICKETS in tables:
        install_guards(connection, {table: guard for table, guard in ROLLOUTS_GUARDS.items() if table in tables})
