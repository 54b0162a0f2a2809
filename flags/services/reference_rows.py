"""A million references in one go: what arrived stands in a table of its own, then three statements do the rest."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.db.models import Field

from flags.models import CodeReference, CodeScan
from flags.scanning.scans import FileReferences

BATCH = 5_000
_Row = tuple[str, str, int, str, int, int, str]
_COLUMNS = 'flag_key, path, ordinal, alias, line, "column", text'
_SAME = (
    "r.repository_id = %s AND r.branch = %s AND r.flag_key = a.flag_key AND r.path = a.path AND r.ordinal = a.ordinal"
)
_INSERT = f"INSERT INTO arrived_references ({_COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s, %s)"  # noqa: S608
_LET_VANISH = f"""
UPDATE flags_codereference AS r SET vanished_at = %s, vanished_commit = %s, last_seen_at = %s
WHERE r.repository_id = %s AND r.branch = %s AND r.vanished_at IS NULL AND substr(r.path, 1, %s) = %s
AND NOT EXISTS (SELECT 1 FROM arrived_references AS a WHERE {_SAME})
"""  # noqa: S608
# Lines that moved, and references that are back.
_MOVE = f"""
UPDATE flags_codereference AS r SET line = a.line, "column" = a."column", alias = a.alias, text = a.text,
vanished_at = NULL, vanished_commit = '', last_seen_at = NULL
FROM arrived_references AS a WHERE {_SAME} AND (r.vanished_at IS NOT NULL
OR r.line <> a.line OR r."column" <> a."column" OR r.alias <> a.alias OR r.text <> a.text)
"""  # noqa: S608
_ADD = f"""
INSERT INTO flags_codereference (repository_id, branch, {_COLUMNS}, first_seen_at, first_commit, vanished_commit)
SELECT %s, %s, a.flag_key, a.path, a.ordinal, a.alias, a.line, a."column", a.text, %s, %s, ''
FROM arrived_references AS a LEFT JOIN flags_codereference AS r ON {_SAME} WHERE r.id IS NULL
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Arrived:
    """A scan whose references are taken in, and when its branch was looked at before."""

    scan: CodeScan
    looked_at: datetime


def arrive(arrived: Arrived, files: Iterable[FileReferences], keys: frozenset[str]) -> None:
    """Put the references of a scan into a table that ends with the transaction; the scan counts them.

    References to keys that are no flags of the project are left out and counted.
    """
    with transaction.get_connection().cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS arrived_references")
        cursor.execute(
            "CREATE TEMPORARY TABLE arrived_references (flag_key varchar(100), path varchar(1000), ordinal integer, "
            'alias varchar(200), line integer, "column" integer, text varchar(500))'
        )
        rows = _counted(arrived.scan, files, keys)
        _copy(cursor, rows) if connection.vendor == "postgresql" else _insert(cursor, rows)
        cursor.execute("CREATE UNIQUE INDEX arrived_reference ON arrived_references (path, flag_key, ordinal)")
        cursor.execute("ANALYZE arrived_references")


def merge(arrived: Arrived) -> None:
    """Make what arrived the references of the branch: missing ones vanish, moved ones follow, new ones are kept."""
    with transaction.get_connection().cursor() as cursor:
        arrived.scan.vanished = _let_vanish(cursor, arrived)
        cursor.execute(_MOVE, _branch(arrived))
        arrived.scan.added = _add(cursor, arrived)
        cursor.execute("DROP TABLE arrived_references")


def _counted(scan: CodeScan, files: Iterable[FileReferences], keys: frozenset[str]) -> Iterator[_Row]:
    """Rows, each with the number of its flag's line within the file: a line that moves stays the same reference."""
    scan.references = scan.left_out = 0
    for file in files:
        numbers: dict[str, int] = {}
        for found in file.found:
            if found.flag_key not in keys:
                scan.left_out += 1
                continue
            ordinal = numbers[found.flag_key] = numbers.get(found.flag_key, 0) + 1
            scan.references += 1
            yield found.flag_key, file.path, ordinal, found.alias, found.line, found.column, found.text


def _copy(cursor: CursorWrapper, rows: Iterable[_Row]) -> None:
    with cursor.copy(f"COPY arrived_references ({_COLUMNS}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def _insert(cursor: CursorWrapper, rows: Iterator[_Row]) -> None:
    while batch := list(islice(rows, BATCH)):
        cursor.executemany(_INSERT, batch)


def _branch(arrived: Arrived) -> list[Any]:
    """The repository and the branch, as the database's driver wants them."""
    return [_prepared("repository_id", arrived.scan.repository_id), arrived.scan.branch]


def _prepared(name: str, value: object) -> Any:
    field: Field[Any, Any] = getattr(CodeReference, name).field
    return field.get_db_prep_value(value, connection)


def _let_vanish(cursor: CursorWrapper, arrived: Arrived) -> int:
    scan = arrived.scan
    instants = [_prepared("vanished_at", scan.scanned_at), scan.commit, _prepared("last_seen_at", arrived.looked_at)]
    cursor.execute(_LET_VANISH, [*instants, *_branch(arrived), len(scan.root), scan.root, *_branch(arrived)])
    return int(cursor.rowcount)


def _add(cursor: CursorWrapper, arrived: Arrived) -> int:
    scan = arrived.scan
    first_seen = [_prepared("first_seen_at", scan.scanned_at), scan.commit]
    cursor.execute(_ADD, [*_branch(arrived), *first_seen, *_branch(arrived)])
    return int(cursor.rowcount)
