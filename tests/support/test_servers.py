"""The ground of the tests: what is tried, what is swept, how a run ends."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import run, servers
from tests.servers import PREFIX, Unavailable, Workspace


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    space = Workspace()
    yield space
    space.remove()


def _finished_process() -> int:
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return done.pid


def test_sweep__folder_of_a_dead_run__is_removed(workspace: Workspace) -> None:
    (workspace.path / "pid").write_text(str(_finished_process()))

    servers.sweep_stale_workspaces()

    assert not workspace.path.exists()


@pytest.mark.parametrize("content", [str(os.getpid()), "", "not a number"])
def test_sweep__folder_of_a_living_or_unknown_run__stays(content: str, workspace: Workspace) -> None:
    (workspace.path / "pid").write_text(content)

    servers.sweep_stale_workspaces()

    assert workspace.path.exists()
    assert workspace.path.name.startswith(PREFIX)


def test_start__no_candidate__says_what_to_install(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "find_spec", lambda name: None)
    monkeypatch.setattr(servers, "POSTGRES_FOLDERS", ())
    monkeypatch.setattr(servers, "REDIS_FOLDERS", ())
    monkeypatch.setenv("PATH", "")

    with pytest.raises(Unavailable, match=r"PostgreSQL .*no candidate.*DATABASE_URL"):
        servers.start_postgresql(workspace)
    with pytest.raises(Unavailable, match=r"Valkey .*no candidate.*REDIS_URL"):
        servers.start_redis(workspace)


def test_start__broken_candidate__is_named_with_its_reason(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "_server_user", lambda: None)
    broken = tmp_path / "postgres"
    broken.write_text("#!/bin/sh\necho 'libicu is missing' >&2\nexit 127\n")
    broken.chmod(0o755)

    with pytest.raises(Unavailable, match="libicu is missing"):
        servers._first_working(
            "PostgreSQL", [tmp_path], lambda folder: servers._start_postgresql(folder, workspace), hint="Install it."
        )


@pytest.mark.parametrize(
    ("code", "counts", "engine", "required", "expected"),
    [
        (0, {"passed": 3}, "sqlite", "", True),
        (1, {"failed": 1}, "sqlite", "", False),
        (5, {"passed": 0}, "postgresql", "", True),
        (2, {}, "sqlite", "", False),
        (4, {}, "postgresql", "", True),
        (4, {}, "postgresql", "1", False),
        (-9, {"failed": 1}, "postgresql", "", False),
    ],
)
def test_run__how_a_pass_ended__decides(
    code: int, counts: dict[str, int], engine: str, required: str, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUIRE_REAL_SERVERS", required)

    assert run._is_success(code, counts, engine) is expected


def test_closing__counts__stand_alone_on_the_last_line(capsys: pytest.CaptureFixture[str]) -> None:
    run._print_closing({"passed": 7, "failed": 1, "skipped": 2}, ["SQLite: 2 browser tests: no chromium"])

    lines = capsys.readouterr().out.rstrip("\n").splitlines()

    assert lines[-1] == "7 passed, 1 failed, 2 skipped"
    assert "SQLite: 2 browser tests: no chromium" in lines
