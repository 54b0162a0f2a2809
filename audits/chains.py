"""Verification of stored chains: streams raw rows, in constant memory, and asks `audits.integrity` about them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import DatabaseError, connection

from audits.guards import CHAINS, EVENTS
from audits.integrity import ROW_COLUMNS, BadRow, Fault, Head, verify
from audits.models import AuditChain, AuditEvent

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

PAGE = 2000
Progress = Callable[[int], None]

# Raw columns, not model fields: a converter would fail on a damaged value before it could be named.
_SQLITE_COLUMNS = {
    "id": "CAST(id AS TEXT)",
    "correlation_id": "CAST(correlation_id AS TEXT)",
    "occurred_at": "CAST(occurred_at AS TEXT)",
}
_POSTGRESQL_COLUMNS = {
    "id": "id::text",
    "correlation_id": "correlation_id::text",
    "occurred_at": """to_char(occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')""",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the verification of one chain found. `bad` is None for a sound chain."""

    chain: str
    events: int
    head_hash: str
    seconds: float
    bad: BadRow | None


def chain_names(project_key: str | None = None) -> list[str]:
    """The chains there are, or those of one project. Events whose chain has lost its head count too."""
    events = AuditEvent.objects.order_by().values_list("chain", flat=True)
    if project_key is not None:
        return sorted(events.filter(project_key=project_key).exclude(chain="site").distinct())
    return sorted({*events.distinct(), *AuditChain.objects.values_list("chain", flat=True)})


def verify_chain(chain: str, *, on_progress: Progress | None = None) -> Verdict:
    """Walk one chain from its first event to its head. Acts recorded meanwhile do not disturb it."""
    started = time.perf_counter()
    head = _head(chain)
    rows = _Rows(chain, last=head.sequence if head else None, on_progress=on_progress)
    bad = verify(rows, chain=chain, head=head) if head else verify(rows, chain=chain)
    if rows.failure is not None and (bad is None or bad.fault is Fault.TRUNCATED):
        bad = rows.failure
    bad = bad or _beyond_head(chain, head)
    return Verdict(chain, rows.count, head.hash if head else "", time.perf_counter() - started, bad)


def _head(chain: str) -> Head | None:
    row = AuditChain.objects.filter(chain=chain).first()
    return Head(row.sequence, row.head_hash) if row else None


def _beyond_head(chain: str, head: Head | None) -> BadRow | None:
    """Events behind the end of the chain. One statement, so that it sees head and events of the same moment."""
    if head is None:
        return BadRow(chain, 0, "", Fault.HEAD_MISSING, "the chain's head was removed, so its end cannot be checked")
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT sequence, CAST(id AS TEXT) FROM {EVENTS} WHERE chain = %s AND sequence > "  # noqa: S608
            f"(SELECT sequence FROM {CHAINS} WHERE chain = %s) ORDER BY sequence LIMIT 1",
            [chain, chain],
        )
        row = cursor.fetchone()
    if row is None:
        return None
    message = f"event {row[0]} exists although the chain ends before it"
    return BadRow(chain, row[0], _dashed(row[1]), Fault.BEYOND_HEAD, message)


class _Rows:
    """The rows of a chain by sequence, up to `last`, in hashed form; read in pages so that no cursor stays open."""

    def __init__(self, chain: str, *, last: int | None, on_progress: Progress | None) -> None:
        self.chain, self.last, self.on_progress = chain, last, on_progress
        self.count = 0
        self.failure: BadRow | None = None

    def __iter__(self) -> Iterator[dict[str, Any]]:
        after: Any = None
        while True:
            before = self.count
            try:
                for row in self._page(after):
                    after = row["sequence"]
                    self.count += 1
                    yield row
            except DatabaseError as error:
                message = f"the event after event {after or 0} cannot be read: {error}"
                self.failure = BadRow(self.chain, self.count + 1, "", Fault.UNREADABLE, message)
                return
            if self.on_progress is not None:
                self.on_progress(self.count)
            if self.count - before < PAGE:
                return

    def _page(self, after: Any) -> Iterator[dict[str, Any]]:
        special = _columns(connection)
        columns = ", ".join(special.get(name, name) for name in ROW_COLUMNS)
        sql = f"SELECT {columns} FROM {EVENTS} WHERE chain = %s"  # noqa: S608
        values: list[Any] = [self.chain]
        for value, comparison in ((after, ">"), (self.last, "<=")):
            if value is not None:
                sql += f" AND sequence {comparison} %s"
                values.append(value)
        with connection.cursor() as cursor:
            cursor.execute(f"{sql} ORDER BY sequence LIMIT {PAGE}", values)
            hashed = _from_sqlite if connection.vendor == "sqlite" else _as_is
            for stored in cursor:
                yield hashed(dict(zip(ROW_COLUMNS, stored, strict=True)))


def _columns(connection: BaseDatabaseWrapper) -> dict[str, str]:
    return _SQLITE_COLUMNS if connection.vendor == "sqlite" else _POSTGRESQL_COLUMNS


def _as_is(row: dict[str, Any]) -> dict[str, Any]:
    return row


def _from_sqlite(row: dict[str, Any]) -> dict[str, Any]:
    row["id"], row["correlation_id"] = _dashed(row["id"]), _dashed(row["correlation_id"])
    row["occurred_at"] = _instant(row["occurred_at"])
    return row


def _dashed(value: Any) -> str:
    """A UUID as SQLite keeps it, as it is hashed. Damaged values come out damaged, never equal to a sound one."""
    text = str(value)
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}" if len(text) == 32 else text


def _instant(value: Any) -> str:
    """An instant as Django writes it to SQLite (`2026-11-21 09:30:00.5`), as it is hashed. Damage stays damage."""
    text = str(value)
    moment, dot, fraction = text.partition(".")
    if len(moment) != 19 or moment[10] != " " or (dot and len(fraction) != 6):
        return text
    return f"{moment[:10]}T{moment[11:]}.{fraction or '000000'}Z"
