"""`manage.py demo` refuses in one sentence what it cannot do."""

import fcntl
import os
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from django.core.management.base import CommandError

from flagsite.demo import processes
from flagsite.management.commands.demo import Command

# Starts the embedded arrangement, whatever database the other tests use.
pytestmark = pytest.mark.sqlite
ROOT = Path(__file__).parent.parent.parent.parent


def _run_demo(var: Path, *arguments: str, demo: str = "1") -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("DJANGO_SETTINGS_MODULE", "DATABASE_URL")}
    return subprocess.run(
        [sys.executable, "manage.py", "demo", *arguments],
        cwd=ROOT,
        env={**kept, "DEMO": demo, "VAR_DIR": str(var)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_demo__taken_port__one_sentence_names_another(tmp_path: Path) -> None:
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]

        done = _run_demo(tmp_path, "--port", str(port))

    assert done.returncode == 1
    assert f"Port {port} is taken by another program; choose another one: make demo PORT=" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "flagsite.sqlite3").exists()
    assert not (tmp_path / "demo.pid").exists()


def test_demo__next_port_taken__stream_takes_another_and_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = {8001, 8002}
    monkeypatch.setattr(processes, "is_port_free", lambda port: port not in taken)

    assert Command()._stream_port(7000) == 7001
    assert capsys.readouterr().out == ""
    assert Command()._stream_port(8000) == 8003
    assert "Port 8001 is taken by another program, so the stream listens at 8003." in capsys.readouterr().out


def test_demo__no_port_left_for_the_stream__is_refused() -> None:
    with pytest.raises(CommandError, match="No port after 65535 is free for the stream; choose a lower one"):
        Command()._stream_port(65_535)


def test_demo__already_running__names_the_process(tmp_path: Path) -> None:
    with (tmp_path / "demo.pid").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write("4711")
        file.flush()

        done = _run_demo(tmp_path)

    assert done.returncode == 1
    assert "already running (process 4711)" in done.stderr


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1", "", "８０００"])
def test_demo__impossible_port__is_refused(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = Command()
    command._called_from_command_line = True  # type: ignore[attr-defined]
    parser = command.create_parser("manage.py", "demo")

    with pytest.raises(SystemExit, match="2"):
        parser.parse_args([f"--port={port}"])

    assert "is not a port" in capsys.readouterr().err


def test_demo__outside_demo_mode__is_refused(tmp_path: Path) -> None:
    done = _run_demo(tmp_path, demo="0")

    assert done.returncode == 1
    assert "make demo" in done.stderr
