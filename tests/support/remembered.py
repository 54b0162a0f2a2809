"""Starting points that are built once in a run: every later test finds the same rows without the services' work.

What is written back is exactly what the services left: rows, ids, hashes. Whatever a test does afterwards goes through
the services and meets every trigger.
"""

import pickle
import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from audits.guards import CHAINS, EVENTS
from audits.integrity import GENESIS_HASH
from flags.guards import FLAGS_GUARDS, TICKETS
from flags.models import ApplyTicket
from rollouts.guards import ROLLOUTS_GUARDS
from tests.support.flush import KEPT, tables_with_rows, without_triggers

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Rows:
    """What one table holds."""

    columns: Sequence[str]
    values: Sequence[Sequence[Any]]

    def of(self, column: str) -> list[Any]:
        """That column of every row."""
        place = self.columns.index(column)
        return [row[place] for row in self.values]

    def insert_into(self, table: str, cursor: CursorWrapper) -> None:
        """Write them all at once."""
        quote = connection.ops.quote_name
        row = f"({', '.join(['%s'] * len(self.columns))})"
        names = ", ".join(quote(column) for column in self.columns)
        statement = f"INSERT INTO {quote(table)} ({names}) VALUES {', '.join([row] * len(self.values))}"
        cursor.execute(statement, [value for found in self.values for value in found])


@dataclass(frozen=True, slots=True)
class Memory:
    """What a function returned, and what it left in each table it wrote to."""

    returned: bytes
    tables: dict[str, Rows]


_memories: dict[str, Memory] = {}


def remembered(name: str, make: Callable[[], T]) -> T:
    """What `make` builds in an empty database, from memory where that was built before. Elsewhere `make` runs."""
    memory = _memories.get(name)
    if memory is not None and not tables_with_rows(connection, memory.tables):
        _write_back(memory)
        kept: T = pickle.loads(memory.returned)  # noqa: S301 - this process pickled it
        return kept
    is_first = memory is None and not _own_tables_with_rows()
    made = make()
    if is_first:
        _memories[name] = Memory(pickle.dumps(made), {table: _rows(table) for table in _own_tables_with_rows()})
    return made


def forget_all() -> None:
    """For a test that makes tables anew: their numbers begin again, below those of the rows that are remembered."""
    _memories.clear()


def _write_back(memory: Memory) -> None:
    if connection.vendor == "postgresql":
        with without_triggers(connection), connection.cursor() as cursor:
            for table, rows in memory.tables.items():
                rows.insert_into(table, cursor)
        return
    # Triggers that are dropped in the test's transaction would have every refusal in it read the whole schema anew.
    with transaction.atomic(), _tickets(memory.tables), connection.cursor() as cursor:
        for table, rows in memory.tables.items():
            if table not in (CHAINS, EVENTS):
                rows.insert_into(table, cursor)
        if EVENTS in memory.tables:
            _append_events(memory.tables[CHAINS], memory.tables[EVENTS], cursor)


@contextmanager
def _tickets(tables: dict[str, Rows]) -> Iterator[None]:
    """Open the guarded tables for every environment and project that rows are of."""
    guards = {table: guard for table, guard in (FLAGS_GUARDS | ROLLOUTS_GUARDS).items() if guard.tickets == TICKETS}
    places = {
        place
        for table, guard in guards.items()
        if table in tables and "INSERT" in guard.ticketed
        for place in tables[table].of(guard.environment_column)
    }
    ApplyTicket.objects.bulk_create([ApplyTicket(environment_id=uuid.UUID(place)) for place in places])
    yield
    ApplyTicket.objects.all().delete()


def _append_events(chains: Rows, events: Rows, cursor: CursorWrapper) -> None:
    """Begin each chain and lengthen it event by event, as the trail does."""
    beginnings = [[chain, 0, GENESIS_HASH] for chain in chains.of("chain")]
    Rows(["chain", "sequence", "head_hash"], beginnings).insert_into(CHAINS, cursor)
    links = zip(events.of("chain"), events.of("sequence"), events.of("hash"), events.values, strict=True)
    for chain, sequence, hashed, event in sorted(links, key=lambda link: link[:2]):
        Rows(events.columns, [event]).insert_into(EVENTS, cursor)
        cursor.execute(
            f"UPDATE {CHAINS} SET sequence = %s, head_hash = %s WHERE chain = %s",
            [sequence, hashed, chain],
        )


def _own_tables_with_rows() -> Sequence[str]:
    tables: Collection[str] = set(connection.introspection.table_names()) - KEPT
    return tables_with_rows(connection, sorted(tables))


def _rows(table: str) -> Rows:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
        return Rows([column[0] for column in cursor.description], cursor.fetchall())
