"""Starting points that are built once in a run: every later test finds the same rows without the services' work.

What is written back is exactly what the services left: rows, ids, hashes. Whatever a test does afterwards goes through
the services and meets every trigger.
"""

import pickle
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from django.db import connection

from tests.support.flush import KEPT, tables_with_rows, without_triggers

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Memory:
    """What a function returned, and an INSERT with its values for each table it wrote to."""

    returned: bytes
    inserts: dict[str, tuple[str, list[Any]]]


_memories: dict[str, Memory] = {}


def remembered(name: str, make: Callable[[], T]) -> T:
    """What `make` builds in an empty database, from memory where that was built before. Elsewhere `make` runs."""
    memory = _memories.get(name)
    if memory is not None and not tables_with_rows(connection, memory.inserts):
        _write_back(memory)
        kept: T = pickle.loads(memory.returned)  # noqa: S301 - this process pickled it
        return kept
    is_first = memory is None and not _own_tables_with_rows()
    made = make()
    if is_first:
        _memories[name] = Memory(pickle.dumps(made), {table: _insert(table) for table in _own_tables_with_rows()})
    return made


def _write_back(memory: Memory) -> None:
    with without_triggers(connection, on_insert_into=memory.inserts), connection.cursor() as cursor:
        for statement, values in memory.inserts.values():
            cursor.execute(statement, values)


def _own_tables_with_rows() -> Sequence[str]:
    tables: Collection[str] = set(connection.introspection.table_names()) - KEPT
    return tables_with_rows(connection, sorted(tables))


def _insert(table: str) -> tuple[str, list[Any]]:
    quote = connection.ops.quote_name
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {quote(table)}")
        columns, rows = [column[0] for column in cursor.description], cursor.fetchall()
    row = f"({', '.join(['%s'] * len(columns))})"
    names = ", ".join(quote(column) for column in columns)
    statement = f"INSERT INTO {quote(table)} ({names}) VALUES {', '.join([row] * len(rows))}"
    return statement, [value for found in rows for value in found]
