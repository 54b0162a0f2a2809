"""System checks: unsafe settings and missing guards are said, safe ones are not."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.conf import settings
from django.core.checks import CheckMessage, run_checks
from django.db import connection, transaction
from django.test import override_settings

from flagsite import checks
from flagsite.settings import DEMO_SECRET_KEY, ENV

pytestmark = pytest.mark.engines

LOCAL = ["localhost", "127.0.0.1", "[::1]"]
PUBLIC = ["flags.example.org"]
RANDOM_KEY = "w3Jt9vQzR1kXyB7uNfE5mHs0PdLgCaO8iTqV2ZbYr6KxUeWjGn4MhD"
SQLITE: dict[str, Any] = {
    "ENGINE": "django.db.backends.sqlite3",
    "NAME": "x",
    "OPTIONS": {"transaction_mode": "IMMEDIATE", "init_command": "PRAGMA journal_mode=WAL; PRAGMA foreign_keys=ON;"},
}
SAFE = {"DEBUG": False, "DEMO": False, "SECRET_KEY": RANDOM_KEY, "ALLOWED_HOSTS": PUBLIC, "HTTPS": True}

UNSAFE: list[tuple[dict[str, Any], str]] = [
    ({"DEBUG": True}, "flagsite.E001"),
    ({"DEBUG": True, "ALLOWED_HOSTS": [*LOCAL, "10.0.0.7"]}, "flagsite.E001"),
    ({"SECRET_KEY": DEMO_SECRET_KEY}, "flagsite.E002"),
    ({"SECRET_KEY": RANDOM_KEY[:49]}, "flagsite.E003"),
    ({"SECRET_KEY": "x" * 80}, "flagsite.E003"),
    ({"SECRET_KEY": "ab" * 40}, "flagsite.E003"),
    ({"DEMO": True}, "flagsite.E004"),
    ({"DEMO": True, "ALLOWED_HOSTS": ["*"]}, "flagsite.E004"),
    ({"ALLOWED_HOSTS": ["*"]}, "flagsite.W001"),
    ({"HTTPS": False}, "flagsite.W002"),
    ({"STREAM_URL": "http://stream.example.org"}, "flagsite.W005"),
]

ACCEPTED: list[dict[str, Any]] = [
    {},
    {"DEBUG": True, "ALLOWED_HOSTS": LOCAL, "HTTPS": False},
    {"DEMO": True, "ALLOWED_HOSTS": LOCAL, "HTTPS": False, "SECRET_KEY": DEMO_SECRET_KEY},
    {"ALLOWED_HOSTS": LOCAL, "HTTPS": False},
    {"STREAM_URL": "https://stream.example.org"},
    {"ALLOWED_HOSTS": LOCAL, "HTTPS": False, "STREAM_URL": "http://127.0.0.1:8001"},
]


@contextmanager
def _settings(changes: dict[str, Any]) -> Iterator[None]:
    values = {**SAFE, **changes}
    environment = ENV.model_copy(update={"HTTPS": values.pop("HTTPS"), "REDIS_URL": values.pop("REDIS_URL", "")})
    with override_settings(**values, DEMO_SECRET_KEY=DEMO_SECRET_KEY, ENV=environment):
        yield


def _ids(found: list[CheckMessage]) -> list[str]:
    return [message.id for message in found if message.id and message.id.startswith("flagsite.")]


@pytest.mark.parametrize(("changes", "expected"), UNSAFE)
def test_checks__unsafe_setting__is_named(changes: dict[str, Any], expected: str) -> None:
    with _settings(changes):
        assert expected in _ids(run_checks())


@pytest.mark.parametrize("changes", ACCEPTED)
def test_checks__safe_settings__say_nothing(changes: dict[str, Any]) -> None:
    with _settings(changes):
        assert _ids(run_checks()) == []


def test_checks__every_message__says_what_to_do() -> None:
    for changes, _ in UNSAFE:
        with _settings(changes):
            assert all(message.hint for message in run_checks() if _ids([message]))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"transaction_mode": "DEFERRED"}, "flagsite.E005"),
        ({"transaction_mode": None}, "flagsite.E005"),
        ({"init_command": ""}, "flagsite.E006"),
        ({"init_command": "PRAGMA journal_mode=WAL; PRAGMA foreign_keys = OFF;"}, "flagsite.E006"),
    ],
)
def test_checks__sqlite_options_that_lose_writes__are_named(
    options: dict[str, Any], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = {**SQLITE, "OPTIONS": {**SQLITE["OPTIONS"], **options}}
    monkeypatch.setitem(settings.DATABASES, "default", database)

    with _settings({}):
        assert _ids(checks.check_sqlite_options(None)) == [expected]


def test_checks__redis_with_sqlite__warns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(settings.DATABASES, "default", SQLITE)

    with _settings({"REDIS_URL": "redis://cache:6379/0"}):
        assert _ids(checks.check_sqlite_options(None)) == ["flagsite.W003"]


@contextmanager
def _undone(*statements: str) -> Iterator[None]:
    """Run statements that change the schema and take them back; both engines do that inside a transaction."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
        yield
        transaction.set_rollback(True)


def _guard_errors() -> list[CheckMessage]:
    return [message for message in checks.check_guards(None, ["default"]) if message.id == "flagsite.E007"]


def _drop(trigger: str, table: str) -> str:
    return f"DROP TRIGGER {trigger}" + (f" ON {table}" if connection.vendor == "postgresql" else "")


@pytest.mark.django_db
def test_guards__after_migrate__are_complete() -> None:
    assert _guard_errors() == []


@pytest.mark.django_db
def test_guards__database_not_asked_for__is_not_touched(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        assert checks.check_guards(None) == []


@pytest.mark.django_db
def test_guards__every_expected_trigger_dropped_in_turn__is_named() -> None:
    expected = checks._expected_triggers(connection.vendor)
    assert len(expected) > 20

    for trigger in expected:
        with _undone(_drop(trigger, _table_of(trigger))):
            (error,) = _guard_errors()
            assert trigger in error.msg


@pytest.mark.sqlite
@pytest.mark.django_db
def test_guards__trigger_replaced_by_a_tame_one__is_named() -> None:
    trigger = "flags_flagconfig_update_ticket"
    tame = f"CREATE TRIGGER {trigger} BEFORE UPDATE ON flags_flagconfig WHEN 0 BEGIN SELECT 1; END"

    with _undone(_drop(trigger, "flags_flagconfig"), tame):
        (error,) = _guard_errors()

    assert trigger in error.msg


@pytest.mark.postgres
@pytest.mark.django_db
@pytest.mark.parametrize("how", ["DISABLE", "ENABLE REPLICA"])
def test_guards__trigger_switched_off__is_named(how: str) -> None:
    with _undone(f"ALTER TABLE flags_flagconfig {how} TRIGGER flags_flagconfig_ticket"):
        (error,) = _guard_errors()

    assert "flags_flagconfig_ticket" in error.msg


@pytest.mark.postgres
@pytest.mark.django_db
def test_guards__superuser__warns_only_then() -> None:
    assert _ids(checks.check_guards(None, ["default"])) == ["flagsite.W004"]
    with _undone(
        "CREATE ROLE flagsite_ordinary",
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO flagsite_ordinary",
        "SET LOCAL ROLE flagsite_ordinary",
    ):
        assert _ids(checks.check_guards(None, ["default"])) == []


def _table_of(trigger: str) -> str:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname = %s", [trigger])
        else:
            cursor.execute("SELECT tbl_name FROM sqlite_master WHERE type = 'trigger' AND name = %s", [trigger])
        return str(cursor.fetchone()[0])
