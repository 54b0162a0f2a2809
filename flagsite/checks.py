"""System checks: settings that are unsafe outside this machine (`flagsite.E0xx`) and guards that are gone.

They run with `manage.py check`, with every `migrate` and before the demo starts. Those that ask the database need
`check --database default`; `migrate` always asks it.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor

from audits import guards as audits_guards
from flags.archive_guards import install_archiving
from flags.guards import FLAGS_GUARDS, install_guards
from rollouts.guards import ROLLOUTS_GUARDS

LOOPBACK = {"localhost", "127.0.0.1", "[::1]"}
SECRET_KEY_CHARACTERS = 50
SECRET_KEY_BITS = 128
NEW_KEY = "Make one with: python -c 'import secrets; print(secrets.token_urlsafe(50))'"

Apps = Sequence[AppConfig] | None


@register(Tags.security)
def check_debug(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """Tracebacks with settings and data are for the person at the keyboard only."""
    if settings.DEBUG and _is_reachable():
        return [
            Error(
                "DEBUG shows tracebacks with data to everybody, and ALLOWED_HOSTS lets others than this machine in.",
                hint="Unset DEBUG, or set ALLOWED_HOSTS to localhost.",
                id="flagsite.E001",
            )
        ]
    return []


@register(Tags.security)
def check_secret_key(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """Whoever knows or guesses the key signs in as anybody."""
    if settings.DEMO:
        return []
    if settings.SECRET_KEY == settings.DEMO_SECRET_KEY:
        return [
            Error("SECRET_KEY is the demo's, which everybody can read in the source.", hint=NEW_KEY, id="flagsite.E002")
        ]
    if len(settings.SECRET_KEY) < SECRET_KEY_CHARACTERS or _bits(settings.SECRET_KEY) < SECRET_KEY_BITS:
        return [
            Error(
                f"SECRET_KEY can be guessed: it needs {SECRET_KEY_CHARACTERS} random characters or more.",
                hint=NEW_KEY,
                id="flagsite.E003",
            )
        ]
    return []


@register(Tags.security)
def check_hosts(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """Who is let in, and how."""
    found: list[CheckMessage] = []
    if settings.DEMO and _is_reachable():
        found.append(
            Error(
                "DEMO has accounts with public passwords, and ALLOWED_HOSTS lets others than this machine in.",
                hint="Unset DEMO for a real installation, or unset ALLOWED_HOSTS for the demo.",
                id="flagsite.E004",
            )
        )
    elif "*" in settings.ALLOWED_HOSTS:
        found.append(
            Warning(
                "ALLOWED_HOSTS contains *, so links in pages follow whatever Host header a client sends.",
                hint="Name the hosts that people and services use.",
                id="flagsite.W001",
            )
        )
    if _is_reachable() and not settings.ENV.HTTPS:
        found.append(
            Warning(
                "HTTPS is off, so passwords, sessions and tokens cross the network readable.",
                hint="Serve Flagsite behind TLS and set HTTPS=1.",
                id="flagsite.W002",
            )
        )
    return found


@register(Tags.security)
def check_stream_address(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """Pages over TLS may not open a stream without it, and its address holds a ticket."""
    if not (settings.ENV.HTTPS and settings.STREAM_URL.startswith("http://")):
        return []
    return [
        Warning(
            "STREAM_URL is http while Flagsite is served over TLS: browsers refuse such streams to pages over TLS, and "
            "tickets would cross the network readable.",
            hint="Serve the stream behind TLS too and set STREAM_URL to its https:// address.",
            id="flagsite.W005",
        )
    ]


@register(Tags.compatibility)
def check_sqlite_options(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """What keeps SQLite right under several processes."""
    database = settings.DATABASES["default"]
    if database["ENGINE"] != "django.db.backends.sqlite3":
        return []
    found: list[CheckMessage] = []
    options = database.get("OPTIONS", {})
    pragmas = str(options.get("init_command", "")).lower().replace(" ", "")
    if options.get("transaction_mode") != "IMMEDIATE":
        found.append(
            Error(
                "SQLite runs without transaction_mode IMMEDIATE, so two writers at once fail or lose a change.",
                hint="Leave the database to flagsite.env.",
                id="flagsite.E005",
            )
        )
    if "foreign_keys=off" in pragmas or "journal_mode=wal" not in pragmas:
        found.append(
            Error(
                "SQLite runs without foreign keys or without WAL, so references dangle or readers block writers.",
                hint="Leave the database to flagsite.env.",
                id="flagsite.E006",
            )
        )
    if settings.ENV.REDIS_URL:
        found.append(
            Warning(
                "REDIS_URL is set, but the database is a SQLite file, which processes on other machines cannot share.",
                hint="Set DATABASE_URL to a PostgreSQL database; on one machine, SQLite needs no Redis.",
                id="flagsite.W003",
            )
        )
    return found


@register(Tags.database)
def check_guards(app_configs: Apps, databases: Iterable[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Every governed table has its triggers, as our migrations wrote them."""
    if "default" not in (databases or ()):
        return []
    connection = connections["default"]
    if _has_pending_migrations(connection):
        return []
    present = _triggers(connection)
    wrong = sorted(name for name, sql in _expected_triggers(connection.vendor).items() if present.get(name) != sql)
    if not wrong:
        return _check_superuser(connection)
    return [
        Error(
            "The database no longer refuses writes that go around approvals: triggers are missing, switched off or "
            f"altered: {', '.join(wrong)}.",
            hint="Put them back with `manage.py migrate --skip-checks`, then find out who took them away and look at "
            "what was written meanwhile: `manage.py verify_audit_trail`.",
            id="flagsite.E007",
        )
    ]


def _check_superuser(connection: BaseDatabaseWrapper) -> list[CheckMessage]:
    if connection.vendor != "postgresql":
        return []
    with connection.cursor() as cursor:
        cursor.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
        if cursor.fetchone() != (True,):
            return []
    return [
        Warning(
            "Flagsite connects to PostgreSQL as a superuser, who can switch triggers off in a session.",
            hint="Name an ordinary user that owns the database in DATABASE_URL.",
            id="flagsite.W004",
        )
    ]


def _is_reachable() -> bool:
    return any(host not in LOOPBACK for host in settings.ALLOWED_HOSTS)


def _bits(text: str) -> float:
    """The length of `text` in bits as if its characters were drawn independently: an upper bound of its secrecy."""
    total = len(text)
    return -sum(count * math.log2(count / total) for count in Counter(text).values())


def _has_pending_migrations(connection: BaseDatabaseWrapper) -> bool:
    executor = MigrationExecutor(connection)
    return bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def _triggers(connection: BaseDatabaseWrapper) -> Mapping[str, str]:
    """The triggers that are at work: on SQLite with their text, on PostgreSQL those that are switched on."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT tgname, '' FROM pg_trigger WHERE NOT tgisinternal AND tgenabled IN ('O', 'A')")
        else:
            cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        return dict(cursor.fetchall())


def _expected_triggers(vendor: str) -> Mapping[str, str]:
    """Ask the installers what they would create, so that no second list can fall behind."""
    recorder = _Recorder(vendor)
    connection = cast("BaseDatabaseWrapper", recorder)
    install_guards(connection, FLAGS_GUARDS)
    install_guards(connection, ROLLOUTS_GUARDS)
    install_archiving(connection, FLAGS_GUARDS)
    install_archiving(connection, ROLLOUTS_GUARDS)
    audits_guards.install_guards(connection)
    created = {match[1]: sql for sql in recorder.statements if (match := re.match(r"CREATE TRIGGER (\w+)", sql))}
    return created if vendor != "postgresql" else dict.fromkeys(created, "")


class _Recorder:
    """Stands in for a connection and keeps the statements instead of running them."""

    def __init__(self, vendor: str) -> None:
        self.vendor = vendor
        self.statements: list[str] = []

    @contextmanager
    def cursor(self) -> Any:
        yield self

    def execute(self, sql: str) -> None:
        self.statements.append(sql)
