"""Environment variables: every one documented, every bad value refused by name."""

import contextlib
import os
import re
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db.utils import ConnectionHandler

from flagsite import env
from flagsite.env import ConfigurationError, Environment
from flagsite.private import PrivateConnection

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "configuration.md"

BAD_VALUES = [
    ("DEBUG", "perhaps"),
    ("DEMO", "2"),
    ("HTTPS", "https"),
    ("DATABASE_POOL_SIZE", "0"),
    ("DATABASE_POOL_SIZE", "many"),
    ("REDIS_URL", "localhost:6379"),
    ("REDIS_URL", "unix:///run/redis.sock"),
    ("STREAM_URL", "stream.example.org"),
    ("STREAM_URL", "wss://stream.example.org"),
    ("STREAM_URL", "https://user:word@stream.example.org"),
    ("STREAM_URL", "https://stream.example.org?a=b"),
    ("STREAM_URL", "https://"),
    ("RETENTION", "everything=800"),
    ("RETENTION", "versions=many"),
    ("RETENTION", "versions=399"),
    ("TIME_ZONE", "Mars/Olympus"),
    ("TIME_ZONE", "Europe"),
    ("TIME_ZONE", "../../etc/passwd"),
    ("TIME_ZONE", ""),
    ("LOG_LEVEL", "LOUD"),
    ("LOG_JSON", "json"),
    ("SNAPSHOT_POLL_SECONDS", "0"),
    ("SNAPSHOT_POLL_SECONDS", "nan"),
    ("SWEEP_SECONDS", "1e9"),
    ("SESSION_HOURS", "8.5"),
    ("TELEMETRY_LATENESS_SECONDS", "-1"),
    ("TELEMETRY_LATENESS_SECONDS", "601"),
    ("PROMETHEUS_URL", "prometheus:9090"),
    ("PROMETHEUS_URL", "http://user:word@prometheus:9090"),
    ("PROMETHEUS_URL", "http://prometheus:9090/?query=up"),
]


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Environment.model_fields:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(("name", "value"), BAD_VALUES)
def test_read__bad_value__stops_and_names_the_variable(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(ConfigurationError) as caught:
        env.read()

    assert name in str(caught.value)
    assert "docs/configuration.md" in str(caught.value)


def test_read__two_bad_values__names_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEBUG", "perhaps")
    monkeypatch.setenv("SESSION_HOURS", "0")

    with pytest.raises(ConfigurationError, match=r"(?s)DEBUG.*SESSION_HOURS"):
        env.read()


def test_read__secret_beside_a_bad_value__is_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "correct-horse-battery-staple")
    monkeypatch.setenv("DEBUG", "perhaps")

    with pytest.raises(ConfigurationError) as caught:
        env.read()

    assert "correct-horse" not in str(caught.value)


def test_settings__no_secret_key__say_how_to_talk_to_the_demo(tmp_path: Path) -> None:
    variables = {"PATH": os.environ["PATH"], "VAR_DIR": str(tmp_path)}
    command = [sys.executable, "-c", "import flagsite.settings"]
    done = subprocess.run(command, cwd=env.BASE_DIR, env=variables, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert "SECRET_KEY is not set" in done.stderr
    assert "put `DEMO=1` in front of the command" in done.stderr


@pytest.mark.parametrize("value", ["mysql://u@host/name", "flagsite.sqlite3", "oracle://u@host/name"])
def test_databases__unusable_url__stops_and_names_the_variable(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", value)

    with pytest.raises(ConfigurationError, match="DATABASE_URL"):
        _ = env.read().databases


def test_databases__empty_url__is_sqlite_with_immediate_transactions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAR_DIR", str(tmp_path / "var"))

    database = env.read().databases["default"]

    assert database["NAME"] == str(tmp_path / "var" / "flagsite.sqlite3")
    assert database["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    assert (tmp_path / "var").is_dir()


def test_databases__postgres_url__is_pooled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://flagsite:secret@db.example.org:5433/flagsite?sslmode=require")
    monkeypatch.setenv("DATABASE_POOL_SIZE", "3")

    database = env.read().databases["default"]

    assert database["ENGINE"] == "django.db.backends.postgresql"
    assert database["CONN_MAX_AGE"] == 0
    assert database["OPTIONS"]["pool"]["max_size"] == 3
    assert database["OPTIONS"]["sslmode"] == "require"


def test_make_folders__place_that_is_a_file__stops_and_names_the_variable(tmp_path: Path) -> None:
    (tmp_path / "var").write_text("a file")

    with pytest.raises(ConfigurationError, match="VAR_DIR"):
        env.make_folders(tmp_path / "var" / "broker")


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def lax_umask() -> Iterator[None]:
    """A process that by itself would let everybody read and write what it creates."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("lax_umask")
def test_make_folders__new_ones__are_for_this_user_alone_with_all_above_them(tmp_path: Path) -> None:
    env.make_folders(tmp_path / "new" / "var" / "broker", tmp_path / "new" / "var" / "logs")

    for name in ("new", "new/var", "new/var/broker", "new/var/logs"):
        assert _mode(tmp_path / name) == 0o700


def test_make_folders__one_that_exists__stays_as_it_is(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)

    env.make_folders(tmp_path, tmp_path / "broker")

    assert _mode(tmp_path) == 0o755
    assert _mode(tmp_path / "broker") == 0o700


@pytest.mark.usefixtures("lax_umask")
@pytest.mark.parametrize("given", ["", "sqlite:///{folder}/flagsite.sqlite3"], ids=["embedded", "named"])
def test_databases__sqlite__only_this_user_can_read_the_files(
    given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, django_db_blocker: Any
) -> None:
    tmp_path.chmod(0o755)
    monkeypatch.setenv("VAR_DIR", str(tmp_path))
    monkeypatch.setenv("DATABASE_URL", given.format(folder=tmp_path))
    connections = ConnectionHandler(env.read().databases)

    with django_db_blocker.unblock(), connections["default"].cursor() as cursor:
        cursor.execute("CREATE TABLE token (hash TEXT)")
        cursor.execute("INSERT INTO token VALUES ('secret')")
        modes = {path.name: _mode(path) for path in tmp_path.iterdir()}
    connections["default"].close()

    assert modes == {f"flagsite.sqlite3{end}": 0o600 for end in ("", "-wal", "-shm")}


def test_databases__sqlite__reading_settings_creates_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAR_DIR", str(tmp_path))

    _ = env.read().databases

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", [":memory:", "file:something?mode=memory"])
def test_private_connection__memory__leaves_no_file(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    with contextlib.closing(sqlite3.connect(name, uri=True, factory=PrivateConnection)) as connection:
        connection.execute("CREATE TABLE token (hash TEXT)")

    assert list(tmp_path.iterdir()) == []


def test_private_connection__folder_that_is_missing__is_an_error_of_sqlite(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError, match="unable to open"):
        sqlite3.connect(str(tmp_path / "missing" / "flagsite.sqlite3"), factory=PrivateConnection)


@pytest.mark.parametrize("value", ["a.example.org,b.example.org", " a.example.org , b.example.org ,"])
def test_allowed_hosts__comma_separated__are_names(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLOWED_HOSTS", value)

    assert env.read().ALLOWED_HOSTS == ("a.example.org", "b.example.org")


def test_documentation__names_every_variable_and_no_other() -> None:
    documented = re.findall(r"^\| `([A-Z_]+)` \|", DOCUMENT.read_text(), flags=re.MULTILINE)

    assert sorted(documented) == sorted(set(documented))
    assert set(documented) == set(Environment.model_fields)


def test_documentation__says_the_defaults_of_the_code() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \| [^|]+ \| ([^|]+) \|", DOCUMENT.read_text(), flags=re.MULTILINE)

    assert {name: value.strip() for name, value in rows} == {
        name: _as_documented(field.default) for name, field in Environment.model_fields.items()
    }


def _as_documented(default: object) -> str:
    if isinstance(default, Path):
        return f"`{default.relative_to(env.BASE_DIR)}`"
    if isinstance(default, bool):
        return f"`{int(default)}`"
    if isinstance(default, tuple):
        return f"`{','.join(default)}`" if default else "empty"
    return f"`{default}`" if default != "" else "empty"
