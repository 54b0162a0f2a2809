"""The one change that evidence allows: a payload leaves for an archive, or comes back from it.

A column of `Guard.archivable` may change from a text to the note about it, and back, only while a ticket for archiving
of the row's environment is open, while nobody needs the text any longer (`Guard.needed`), while every other column
stays as it is, and where an `ArchivedPayload` of that row names the SHA-256 of exactly that text. A note is no text
that may leave. So nothing can ever stand there but the payload itself and the note where it is.
"""

# ruff: noqa: S608 - the only names put into SQL are constants of the guards and columns of models

from collections.abc import Iterator, Mapping
from typing import Any

from django.apps import apps
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from flags.guards import ARCHIVE_TICKETS, FLAGS_GUARDS, Guard, install_guards, refusal

ARCHIVES = "flags_archivedpayload"


def install_archiving(connection: BaseDatabaseWrapper, guards: Mapping[str, Guard]) -> None:
    """Let archivable columns of `guards` change in that one way; after `install_guards`, which refuses every change."""
    statements = _postgresql if connection.vendor == "postgresql" else _sqlite
    with connection.cursor() as cursor:
        for table, guard in guards.items():
            if guard.archivable:
                for statement in statements(table, guard):
                    cursor.execute(statement)


def reinstall(using: str, guards: Mapping[str, Guard]) -> None:
    """Put back the triggers of `guards` that a rebuilt SQLite table lost. Tables not made yet are passed over."""
    connection = connections[using]
    tables = set(connection.introspection.table_names())
    present = {table: guard for table, guard in guards.items() if {table, guard.tickets} <= tables}
    install_guards(connection, present)
    if {ARCHIVES, ARCHIVE_TICKETS} <= tables:
        install_archiving(connection, present)


def reinstall_guards(*, using: str, **kwargs: Any) -> None:
    """`post_migrate`: the triggers of this app."""
    reinstall(using, FLAGS_GUARDS)


def _columns(table: str) -> tuple[str, list[str]]:
    """The primary key of a table and all its other columns, as the model has them."""
    [model] = [model for model in apps.get_models() if model._meta.db_table == table]
    key = str(model._meta.pk.column)
    return key, [str(field.column) for field in model._meta.concrete_fields if field.column != key]


def _is_refused(guard: Guard) -> bool:
    return "UPDATE" in guard.refused


def _sqlite(table: str, guard: Guard) -> Iterator[str]:
    kind = "refused" if _is_refused(guard) else "final"
    ended = f"OLD.{guard.final_column} IN ({', '.join(map(repr, guard.final))}) AND " if kind == "final" else ""
    name = f"{table}_update_{kind}"
    yield f"DROP TRIGGER IF EXISTS {name}"
    yield (
        f"CREATE TRIGGER {name} BEFORE UPDATE ON {table} WHEN {ended}NOT ({_sqlite_swap(table, guard)}) "
        f"BEGIN SELECT RAISE(ABORT, '{refusal(table)}'); END"
    )


def _sqlite_swap(table: str, guard: Guard) -> str:
    """Whether an UPDATE is the allowed one, as an SQL condition that is never NULL."""
    key, others = _columns(table)
    place = f"OLD.{guard.environment_column}"
    kept = [f"OLD.{name} IS NEW.{name}" for name in (key, *others) if name not in guard.archivable]
    ticket = f"EXISTS (SELECT 1 FROM {ARCHIVE_TICKETS} WHERE environment_id = {place})"
    moved = " OR ".join(f"OLD.{name} IS NOT NEW.{name}" for name in guard.archivable)
    swaps = [
        f"(OLD.{name} IS NEW.{name} OR EXISTS (SELECT 1 FROM {ARCHIVES} a WHERE a.table_name = '{table}' "
        f"AND a.row_id = CAST(OLD.{key} AS TEXT) AND a.column_name = '{name}' AND a.environment_id = {place} "
        f"AND ({_sqlite_pair(f'OLD.{name}', f'NEW.{name}')} OR {_sqlite_pair(f'NEW.{name}', f'OLD.{name}')})))"
        for name in guard.archivable
    ]
    leaves = " OR ".join(f"json_type(NEW.{name}, '$.archived') IS NOT NULL" for name in guard.archivable)
    return " AND ".join([ticket, f"({moved})", f"NOT (({leaves}) AND {guard.needed})", *kept, *swaps])


def _sqlite_pair(text: str, note: str) -> str:
    """`SHA256` is one of the functions that Django adds to SQLite; where it is missing, the UPDATE fails."""
    stub = "json_object('archived', json_object('file', a.file, 'on', a.archived_on, 'sha256', a.sha256))"
    is_payload = f"json_type({text}, '$.archived') IS NULL"
    return f"({is_payload} AND SHA256({text}) = a.sha256 AND json_valid({note}) AND json({note}) = {stub})"


_FUNCTION = f"""
CREATE OR REPLACE FUNCTION flagsite_is_archive_swap(
    named text, place uuid, key text, before jsonb, after jsonb, columns text[]
) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
DECLARE name text;
BEGIN
    IF before::text = after::text OR (before - columns)::text <> (after - columns)::text
        OR NOT EXISTS (SELECT 1 FROM {ARCHIVE_TICKETS} WHERE environment_id = place)
    THEN
        RETURN false;
    END IF;
    FOREACH name IN ARRAY columns LOOP
        IF (before -> name)::text <> (after -> name)::text AND NOT EXISTS (
            SELECT 1 FROM (
                SELECT a.sha256, jsonb_build_object('archived', jsonb_build_object(
                    'file', a.file, 'on', to_char(a.archived_on, 'YYYY-MM-DD'), 'sha256', a.sha256
                )) AS note
                FROM {ARCHIVES} a
                WHERE a.table_name = named AND a.row_id = replace(key, '-', '') AND a.column_name = name
                    AND a.environment_id = place
            ) AS kept
            WHERE after -> name = note AND NOT before -> name ? 'archived'
                    AND encode(sha256(convert_to((before -> name)::text, 'UTF8')), 'hex') = kept.sha256
                OR before -> name = note AND NOT after -> name ? 'archived'
                    AND encode(sha256(convert_to((after -> name)::text, 'UTF8')), 'hex') = kept.sha256
        ) THEN
            RETURN false;
        END IF;
    END LOOP;
    RETURN true;
END $$;
"""


def _postgresql(table: str, guard: Guard) -> Iterator[str]:
    key, _ = _columns(table)
    columns = ", ".join(f"'{name}'" for name in guard.archivable)
    leaves = " OR ".join(f"coalesce(NEW.{name} ? 'archived', false)" for name in guard.archivable)
    swap = (
        f"NOT (({leaves}) AND flagsite_needs_{table}(OLD)) AND "
        f"flagsite_is_archive_swap('{table}', OLD.{guard.environment_column}, OLD.{key}::text, "
        f"to_jsonb(OLD), to_jsonb(NEW), ARRAY[{columns}])"
    )
    yield _FUNCTION
    yield _needs(table, guard)
    if not _is_refused(guard):
        call = f"flagsite_final({', '.join(map(repr, (guard.final_column, *guard.final)))})"
        yield from _trigger(f"{table}_final", table, f"UPDATE ON {table} FOR EACH ROW WHEN (NOT ({swap}))", call)
        return
    others = " OR ".join(event for event in guard.refused if event != "UPDATE")
    yield from _trigger(f"{table}_refused", table, f"{others} ON {table} FOR EACH ROW", "flagsite_refuse()")
    event = f"UPDATE ON {table} FOR EACH ROW WHEN (NOT ({swap}))"
    yield from _trigger(f"{table}_archive", table, event, "flagsite_refuse()")


def _needs(table: str, guard: Guard) -> str:
    """The function that says whether somebody needs a row's payload: conditions of triggers cannot query themselves."""
    return f"""
CREATE OR REPLACE FUNCTION flagsite_needs_{table}(held {table}) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN {guard.needed.replace("OLD.", "held.")};
END $$;
"""


def _trigger(name: str, table: str, event: str, call: str) -> Iterator[str]:
    yield f"DROP TRIGGER IF EXISTS {name} ON {table}"
    yield f"CREATE TRIGGER {name} BEFORE {event} EXECUTE FUNCTION {call}"
