"""Database triggers that keep governed tables shut for everybody without an apply ticket.

A write passes only while an `ApplyTicket` row for the same environment exists in the same transaction. Bare ORM writes,
`update()`, `bulk_*`, raw SQL, stock admin pages and cascades all meet the trigger; PostgreSQL and SQLite alike.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from django.db.backends.base.base import BaseDatabaseWrapper

TICKETS = "flags_applyticket"
ARCHIVE_TICKETS = "flags_archiveticket"


@dataclass(frozen=True, slots=True)
class Guard:
    """What is refused on one table.

    `environment_column` names the column that says to which environment a row belongs; `ticketed` the statements that
    need a ticket for it, `refused` those nobody may run, `immutable` the columns that never change after the insert,
    `once` those that never change again once they hold something. A row whose `state`, or `final_column`, is among
    `final` never changes. `archivable` are columns of rows that never change whose payload may leave for an archive,
    and come back: see `flags.archive_guards`; `needed` is the SQL condition on `OLD` under which it may not leave.
    `tickets` is the table of the tickets that open this one.
    """

    environment_column: str = "environment_id"
    ticketed: tuple[str, ...] = ("INSERT", "UPDATE", "DELETE")
    refused: tuple[str, ...] = ()
    immutable: tuple[str, ...] = ()
    once: tuple[str, ...] = ()
    final: tuple[str, ...] = ()
    final_column: str = "state"
    archivable: tuple[str, ...] = ()
    needed: str = ""
    tickets: str = TICKETS


EVIDENCE = Guard(ticketed=("INSERT",), refused=("UPDATE", "DELETE"))


def _is_newest_version(history: str) -> str:
    """No other version replaced the row's: it is what is served."""
    return f"NOT EXISTS (SELECT 1 FROM {history} later WHERE later.id = OLD.id AND later.version > OLD.version)"  # noqa: S608 - constants


FLAGS_GUARDS: dict[str, Guard] = {
    "flags_flagconfig": Guard(immutable=("flag_id", "environment_id")),
    "flags_segment": Guard(immutable=("key", "environment_id")),
    "flags_environment": Guard(
        environment_column="id", ticketed=("UPDATE", "DELETE"), immutable=("id", "key", "project_id")
    ),
    "flags_historicalflagconfig": replace(
        EVIDENCE, archivable=("document",), needed=_is_newest_version("flags_historicalflagconfig")
    ),
    "flags_historicalsegment": replace(
        EVIDENCE, archivable=("document",), needed=_is_newest_version("flags_historicalsegment")
    ),
    "flags_archivedpayload": replace(EVIDENCE, tickets=ARCHIVE_TICKETS),
    "flags_environmentusergrant": Guard(environment_column="content_object_id"),
    "flags_rolegrant": Guard(
        ticketed=("INSERT", "UPDATE"),
        refused=("DELETE",),
        immutable=(
            "id",
            "environment_id",
            "person_id",
            "role",
            "custom_role_id",
            "given_by_id",
            "reason",
            "starts_at",
            "ends_at",
        ),
    ),
    "flags_customrole": Guard(
        environment_column="project_id",
        ticketed=("INSERT", "UPDATE"),
        refused=("DELETE",),
        immutable=("id", "project_id", "key"),
    ),
    "flags_team": Guard(
        environment_column="project_id",
        ticketed=("INSERT", "UPDATE"),
        refused=("DELETE",),
        immutable=("id", "project_id", "key"),
    ),
    "flags_teammember": Guard(
        environment_column="project_id",
        ticketed=("INSERT", "UPDATE"),
        refused=("DELETE",),
        immutable=("id", "project_id", "team_id", "person_id", "added_by_id", "reason", "added_at"),
    ),
    "flags_flag": Guard(
        environment_column="project_id",
        ticketed=("UPDATE",),
        immutable=("id", "key", "project_id", "value_type"),
    ),
    "flags_tombstone": Guard(
        environment_column="project_id",
        ticketed=("INSERT", "UPDATE"),
        refused=("DELETE",),
        immutable=("id", "project_id", "flag_id", "key", "lifecycle", "archived_at"),
        once=("released_at",),
    ),
    "flags_environmenttoken": Guard(
        ticketed=(),
        refused=("DELETE",),
        immutable=("id", "environment_id", "scope", "secret_hash", "created_by_id", "created_at", "expires_at"),
        once=("revoked_at",),
    ),
    "flags_project": Guard(ticketed=(), immutable=("id", "key")),
}


def install_guards(connection: BaseDatabaseWrapper, guards: Mapping[str, Guard]) -> None:
    """Create the triggers for `guards`, replacing older ones of the same name. The tables must exist."""
    statements = _postgresql if connection.vendor == "postgresql" else _sqlite
    with connection.cursor() as cursor:
        for table, guard in guards.items():
            for statement in statements(table, guard):
                cursor.execute(statement)


def remove_guards(connection: BaseDatabaseWrapper, guards: Mapping[str, Guard]) -> None:
    """Drop every trigger of `guards`; for reversing a migration."""
    with connection.cursor() as cursor:
        for table in guards:
            for kind in ("ticket", "refused", "immutable", "once", "final", "archive", "truncate"):
                if connection.vendor == "postgresql":
                    cursor.execute(f"DROP TRIGGER IF EXISTS {table}_{kind} ON {table}")
                    continue
                for event in ("insert", "update", "delete"):
                    cursor.execute(f"DROP TRIGGER IF EXISTS {table}_{event}_{kind}")


def refusal(table: str) -> str:
    """What SQLite says of a write that is refused."""
    return f"flagsite: {table} is governed; change it through a change request or the services"


def _sqlite(table: str, guard: Guard) -> list[str]:
    conditions: list[tuple[str, str, str]] = []
    column = guard.environment_column
    for event in guard.ticketed:
        rows = {"INSERT": ("NEW",), "DELETE": ("OLD",), "UPDATE": ("OLD", "NEW")}[event]
        missing = " OR ".join(
            f"NOT EXISTS (SELECT 1 FROM {guard.tickets} WHERE environment_id = {row}.{column})"  # noqa: S608 - constants
            for row in rows
        )
        conditions.append((event, "ticket", missing))
    conditions += [(event, "refused", "1") for event in guard.refused]
    if guard.immutable:
        changed = " OR ".join(f"OLD.{name} IS NOT NEW.{name}" for name in guard.immutable)
        conditions.append(("UPDATE", "immutable", changed))
    if guard.once:
        changed = " OR ".join(f"OLD.{name} IS NOT NULL AND OLD.{name} IS NOT NEW.{name}" for name in guard.once)
        conditions.append(("UPDATE", "once", changed))
    if guard.final:
        conditions.append(("UPDATE", "final", f"OLD.{guard.final_column} IN ({', '.join(map(repr, guard.final))})"))
    statements = []
    for event, kind, condition in conditions:
        name = f"{table}_{event.lower()}_{kind}"
        statements.append(f"DROP TRIGGER IF EXISTS {name}")
        action = f"BEGIN SELECT RAISE(ABORT, '{refusal(table)}'); END"
        statements.append(f"CREATE TRIGGER {name} BEFORE {event} ON {table} WHEN {condition} {action}")
    return statements


_FUNCTIONS = """
CREATE OR REPLACE FUNCTION flagsite_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'flagsite: % refuses %', TG_TABLE_NAME, TG_OP USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE OR REPLACE FUNCTION flagsite_immutable() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY TG_ARGV LOOP
        IF to_jsonb(OLD) ->> name IS DISTINCT FROM to_jsonb(NEW) ->> name THEN
            RAISE EXCEPTION 'flagsite: %.% never changes', TG_TABLE_NAME, name
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;
    END LOOP;
    RETURN NEW;
END $$;
CREATE OR REPLACE FUNCTION flagsite_once() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY TG_ARGV LOOP
        IF to_jsonb(OLD) ->> name IS NOT NULL AND to_jsonb(OLD) ->> name IS DISTINCT FROM to_jsonb(NEW) ->> name THEN
            RAISE EXCEPTION 'flagsite: %.% is set once', TG_TABLE_NAME, name
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;
    END LOOP;
    RETURN NEW;
END $$;
CREATE OR REPLACE FUNCTION flagsite_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF to_jsonb(OLD) ->> TG_ARGV[0] = ANY (TG_ARGV[1:]) THEN
        RAISE EXCEPTION 'flagsite: % never changes once it has ended', TG_TABLE_NAME
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
"""


def _ticket_function(name: str, tickets: str, column: str) -> str:
    """The function that asks for a ticket by one column. It takes nothing else out of the row, which may be large."""
    return f"""
CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' AND NOT EXISTS (
        SELECT 1 FROM {tickets} WHERE environment_id = OLD.{column}
    ) OR TG_OP <> 'DELETE' AND NOT EXISTS (
        SELECT 1 FROM {tickets} WHERE environment_id = NEW.{column}
    ) THEN
        RAISE EXCEPTION 'flagsite: % is governed; change it through a change request or the services', TG_TABLE_NAME
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END $$;
"""  # noqa: S608 - constants


def _postgresql(table: str, guard: Guard) -> list[str]:
    statements = [_FUNCTIONS]

    def trigger(kind: str, events: tuple[str, ...], call: str, *, each: str = "ROW", when: str = "") -> None:
        name, condition = f"{table}_{kind}", f"WHEN ({when}) " if when else ""
        statements.append(f"DROP TRIGGER IF EXISTS {name} ON {table}")
        statements.append(
            f"CREATE TRIGGER {name} BEFORE {' OR '.join(events)} ON {table} FOR EACH {each} {condition}"
            f"EXECUTE FUNCTION {call}"
        )

    if guard.ticketed:
        kind = "ticket" if guard.tickets == TICKETS else "archive_ticket"
        function = f"flagsite_require_{kind}_{guard.environment_column}"
        statements.append(_ticket_function(function, guard.tickets, guard.environment_column))
        trigger("ticket", guard.ticketed, f"{function}()")
    if guard.refused:
        trigger("refused", guard.refused, "flagsite_refuse()")
    if guard.immutable:
        names = ", ".join(f"'{name}'" for name in guard.immutable)
        # Asked of the columns themselves: the function reads whole rows, which may hold documents of any length.
        changed = " OR ".join(f"OLD.{name} IS DISTINCT FROM NEW.{name}" for name in guard.immutable)
        trigger("immutable", ("UPDATE",), f"flagsite_immutable({names})", when=changed)
    if guard.once:
        names = ", ".join(f"'{name}'" for name in guard.once)
        trigger("once", ("UPDATE",), f"flagsite_once({names})")
    if guard.final:
        trigger("final", ("UPDATE",), f"flagsite_final({', '.join(map(repr, (guard.final_column, *guard.final)))})")
    trigger("truncate", ("TRUNCATE",), "flagsite_refuse()", each="STATEMENT")
    return statements
