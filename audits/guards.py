"""Database triggers that make evidence append-only, whoever asks: ORM, raw SQL, cascades; PostgreSQL and SQLite alike.

Events refuse UPDATE and DELETE, and an INSERT passes only as the next event of its chain. Chain heads refuse DELETE and
every UPDATE but one step forward. On PostgreSQL both tables refuse TRUNCATE.
"""

# ruff: noqa: S608 - the only names put into SQL are constants of this file

from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

EVENTS = "audits_auditevent"
CHAINS = "audits_auditchain"

_SQLITE: dict[str, tuple[str, str, str]] = {
    # The test on the id stands against INSERT OR REPLACE, which removes the older row without firing a DELETE trigger.
    f"{EVENTS}_insert_next": (
        f"INSERT ON {EVENTS}",
        f"NOT EXISTS (SELECT 1 FROM {CHAINS} WHERE chain = NEW.chain AND sequence = NEW.sequence - 1 "
        f"AND head_hash = NEW.previous_hash) OR EXISTS (SELECT 1 FROM {EVENTS} WHERE id = NEW.id)",
        "an audit event is appended by the trail, as the next of its chain",
    ),
    f"{EVENTS}_update_refused": (f"UPDATE ON {EVENTS}", "1", "audit events never change"),
    f"{EVENTS}_delete_refused": (f"DELETE ON {EVENTS}", "1", "audit events are never removed"),
    f"{CHAINS}_insert_new": (
        f"INSERT ON {CHAINS}",
        f"NEW.sequence <> 0 OR EXISTS (SELECT 1 FROM {CHAINS} WHERE chain = NEW.chain)",
        "an audit chain begins once, empty",
    ),
    f"{CHAINS}_update_forward": (
        f"UPDATE ON {CHAINS}",
        "NEW.chain IS NOT OLD.chain OR NEW.sequence IS NOT OLD.sequence + 1",
        "an audit chain moves one event forward at a time",
    ),
    f"{CHAINS}_delete_refused": (f"DELETE ON {CHAINS}", "1", "audit chains are never removed"),
}

_POSTGRESQL_FUNCTIONS = f"""
CREATE OR REPLACE FUNCTION audits_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'flagsite: % refuses %: evidence never changes', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE OR REPLACE FUNCTION audits_next_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT 1 FROM {CHAINS}
        WHERE chain = NEW.chain AND sequence = NEW.sequence - 1 AND head_hash = NEW.previous_hash
    ) THEN
        RAISE EXCEPTION 'flagsite: an audit event is appended by the trail, as the next of its chain'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE OR REPLACE FUNCTION audits_new_chain() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.sequence <> 0 THEN
        RAISE EXCEPTION 'flagsite: an audit chain begins once, empty' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE OR REPLACE FUNCTION audits_forward_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.chain IS DISTINCT FROM OLD.chain OR NEW.sequence IS DISTINCT FROM OLD.sequence + 1 THEN
        RAISE EXCEPTION 'flagsite: an audit chain moves one event forward at a time'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
"""

_POSTGRESQL: dict[str, tuple[str, str, str]] = {
    f"{EVENTS}_insert_next": (EVENTS, f"INSERT ON {EVENTS} FOR EACH ROW", "audits_next_event"),
    f"{EVENTS}_refused": (EVENTS, f"UPDATE OR DELETE ON {EVENTS} FOR EACH ROW", "audits_refuse"),
    f"{EVENTS}_truncate": (EVENTS, f"TRUNCATE ON {EVENTS} FOR EACH STATEMENT", "audits_refuse"),
    f"{CHAINS}_insert_new": (CHAINS, f"INSERT ON {CHAINS} FOR EACH ROW", "audits_new_chain"),
    f"{CHAINS}_update_forward": (CHAINS, f"UPDATE ON {CHAINS} FOR EACH ROW", "audits_forward_only"),
    f"{CHAINS}_refused": (CHAINS, f"DELETE ON {CHAINS} FOR EACH ROW", "audits_refuse"),
    f"{CHAINS}_truncate": (CHAINS, f"TRUNCATE ON {CHAINS} FOR EACH STATEMENT", "audits_refuse"),
}


def install_guards(connection: BaseDatabaseWrapper) -> None:
    """Create the triggers, replacing older ones of the same name. The tables must exist."""
    remove_guards(connection)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(_POSTGRESQL_FUNCTIONS)
            for name, (_, event, function) in _POSTGRESQL.items():
                cursor.execute(f"CREATE TRIGGER {name} BEFORE {event} EXECUTE FUNCTION {function}()")
            return
        for name, (event, condition, message) in _SQLITE.items():
            cursor.execute(
                f"CREATE TRIGGER {name} BEFORE {event} WHEN {condition} "
                f"BEGIN SELECT RAISE(ABORT, 'flagsite: {message}'); END"
            )


def remove_guards(connection: BaseDatabaseWrapper) -> None:
    """Drop every trigger; for reversing a migration."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            for name, (table, _, _) in _POSTGRESQL.items():
                cursor.execute(f"DROP TRIGGER IF EXISTS {name} ON {table}")
            return
        for name in _SQLITE:
            cursor.execute(f"DROP TRIGGER IF EXISTS {name}")


def reinstall_guards(*, using: str, **kwargs: Any) -> None:
    """`post_migrate`: put back what a rebuilt SQLite table lost. Nothing happens before the tables exist."""
    connection = connections[using]
    if {EVENTS, CHAINS} <= set(connection.introspection.table_names()):
        install_guards(connection)
