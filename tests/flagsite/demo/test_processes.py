"""The demo's processes live and die together, and nothing is left behind."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from flagsite.demo import processes
from flagsite.demo.processes import HOST, Crew, Died, Program, is_port_free, next_free_port

ROOT = Path(__file__).parent.parent.parent.parent
SECONDS = 20.0
PROGRAMS = {
    "sleeper": "import time\ntime.sleep(600)",
    "failing": "import sys\nprint('the reason', file=sys.stderr)\nsys.exit(3)",
    "talking": "import time\nprint('on for 5 of 20', flush=True)\ntime.sleep(600)",
    # A process that ignores the polite request, with a child that does too.
    "stubborn": """
import os, pathlib, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = os.fork()
if child:
    pathlib.Path("pids").write_text(f"{os.getpid()} {child}")
time.sleep(600)
""",
}


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def crew(tmp_path: Path, lines: list[str]) -> Iterator[Crew]:
    for name, source in PROGRAMS.items():
        (tmp_path / f"{name}.py").write_text(source)
    crew = Crew(tmp_path, dict(os.environ), tmp_path / "log", lines.append)
    yield crew
    crew.stop()


def _wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A child of nobody that waits to be collected is no longer running.
    stat = Path(f"/proc/{pid}/stat")
    return not (stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z")


def test_watch__one_ends_by_itself__says_which_and_why(crew: Crew) -> None:
    crew.start(Program("sleeper", ("sleeper",)))
    crew.start(Program("worker", ("failing",)))

    with pytest.raises(Died, match=r"worker stopped by itself \(exit code 3\)") as caught:
        crew.watch()

    assert "the reason" in caught.value.last_lines()


def test_watch__one_is_killed__names_the_signal(crew: Crew) -> None:
    crew.start(Program("beat", ("sleeper",)))
    crew.running[0].process.kill()

    with pytest.raises(Died, match="SIGKILL"):
        crew.watch()


def test_stop__processes_that_listen__are_gone(crew: Crew) -> None:
    crew.start(Program("one", ("sleeper",)))
    crew.start(Program("two", ("sleeper",)))
    pids = [member.process.pid for member in crew.running]

    crew.stop()

    assert not any(_is_running(pid) for pid in pids)


def test_stop__process_and_child_that_do_not_listen__are_killed(
    crew: Crew, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "STOP_SECONDS", 0.2)
    crew.start(Program("stubborn", ("stubborn",)))
    _wait_for(lambda: (tmp_path / "pids").exists() and (tmp_path / "pids").read_text().count(" "))
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]

    crew.stop()

    _wait_for(lambda: not any(_is_running(pid) for pid in pids))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its launcher was killed")
def test_crew__launcher_killed__leaves_nothing_running(crew: Crew, tmp_path: Path) -> None:
    script = f"""
import os, time
from pathlib import Path
from flagsite.demo.processes import Crew, Program
crew = Crew(Path({str(tmp_path)!r}), dict(os.environ), Path({str(tmp_path)!r}) / "log", print)
crew.start(Program("sleeper", ("sleeper",)))
print(crew.running[0].process.pid, flush=True)
time.sleep(600)
"""
    launcher = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert launcher.stdout
    with launcher.stdout:
        pid = int(launcher.stdout.readline())

    launcher.kill()
    launcher.wait()

    _wait_for(lambda: not _is_running(pid))


def test_start__shown_program__lines_carry_its_name_and_reach_the_log(
    crew: Crew, tmp_path: Path, lines: list[str]
) -> None:
    crew.start(Program("sample-service", ("talking",), is_shown=True))

    _wait_for(lambda: lines)

    assert lines == ["sample-service | on for 5 of 20"]
    assert "on for 5 of 20" in (tmp_path / "log" / "sample-service.log").read_text()


def test_wait__server_that_never_answers__gives_up(crew: Crew) -> None:
    crew.start(Program("web", ("sleeper",)))

    with pytest.raises(TimeoutError, match="did not answer"):
        crew.wait_until_it_answers(f"http://{HOST}:{_unused_port()}/", seconds=0.1)


def test_wait__server_that_died__is_said_at_once(crew: Crew) -> None:
    crew.start(Program("web", ("failing",)))

    with pytest.raises(Died, match="web"):
        crew.wait_until_it_answers(f"http://{HOST}:{_unused_port()}/", seconds=SECONDS)


@pytest.mark.parametrize("address", [HOST, "0.0.0.0"])  # noqa: S104 - another program's listener
def test_port__somebody_listens__is_taken_and_another_is_named(address: str) -> None:
    with closing(socket.socket()) as listener:
        listener.bind((address, 0))
        listener.listen()
        port = listener.getsockname()[1]

        assert not is_port_free(port)
        assert is_port_free(next_free_port(port))


def test_port__listener_shares_its_port__is_taken() -> None:
    with closing(socket.socket()) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((HOST, 0))
        listener.listen()

        assert not is_port_free(listener.getsockname()[1])


def _unused_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
