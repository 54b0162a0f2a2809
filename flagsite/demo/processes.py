"""The processes of the demo: started together, stopped together, and none of them left behind.

Every process leads a group of its own, so that Ctrl-C reaches only the launcher, which then stops the others in order.
"""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import IO

HOST = "127.0.0.1"
STOP_SECONDS = 8.0
POLL_SECONDS = 0.2
LAST_LINES = 12
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Program:
    """What to run. The lines of a shown program appear on the terminal behind its name; all go to its log."""

    name: str
    arguments: tuple[str, ...]
    is_shown: bool = False


class Died(Exception):
    """One of the processes ended by itself."""

    def __init__(self, program: Program, code: int, log: Path) -> None:
        """`code` is negative when a signal ended it."""
        how = f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"
        super().__init__(f"{program.name} stopped by itself ({how}), so everything is stopped.")
        self.log = log

    def last_lines(self) -> str:
        """The end of the log of the process, which usually says why."""
        with suppress(OSError):
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-LAST_LINES:])
        return ""


@dataclass(slots=True)
class Running:
    """A started program."""

    program: Program
    process: subprocess.Popen[bytes]
    log: Path


@dataclass(slots=True)
class Crew:
    """The processes that live and die together. `write` gets the lines of the shown ones."""

    folder: Path
    environment: Mapping[str, str]
    logs: Path
    write: Callable[[str], object]
    running: list[Running] = field(default_factory=list)

    def start(self, program: Program) -> None:
        """Start a program; its log begins anew."""
        self.logs.mkdir(parents=True, exist_ok=True)
        log = self.logs / f"{program.name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - our own programs with our own arguments
                [sys.executable, "-m", *program.arguments],
                cwd=self.folder,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if program.is_shown else output,
                stderr=output,
                start_new_session=True,
                preexec_fn=_die_with_parent(),
            )
        self.running.append(Running(program, process, log))
        if process.stdout:
            show = partial(self._show, program.name, process.stdout, log)
            threading.Thread(target=show, name=f"lines of {program.name}", daemon=True).start()

    def wait_until_it_answers(self, url: str, *, seconds: float) -> None:
        """Return once `url` answers with 200. Raises Died, or TimeoutError after so many seconds."""
        deadline = time.monotonic() + seconds
        while not _answers(url):
            self.check()
            if time.monotonic() > deadline:
                raise TimeoutError(f"{url} did not answer within {seconds:.0f} s. The logs are in {self.logs}.")
            time.sleep(POLL_SECONDS)

    def watch(self) -> None:
        """Block until a process ends by itself, then raise Died."""
        while True:
            self.check()
            time.sleep(POLL_SECONDS)

    def check(self) -> None:
        """Raise Died if a process has ended."""
        for member in self.running:
            code = member.process.poll()
            if code is not None:
                raise Died(member.program, code, member.log)

    def stop(self) -> None:
        """Ask all to stop, last started first; kill what is still there after a while, descendants included."""
        for member in reversed(self.running):
            if member.process.poll() is None:
                member.process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for member in self.running:
            with suppress(subprocess.TimeoutExpired):
                member.process.wait(timeout=max(0.0, deadline - time.monotonic()))
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(member.process.pid, signal.SIGKILL)
            member.process.wait()
        self.running.clear()

    def _show(self, name: str, stream: IO[bytes], log: Path) -> None:
        with log.open("ab") as output:
            for line in stream:
                output.write(line)
                output.flush()
                self.write(f"{name} | {line.decode(errors='replace').rstrip()}")


def is_port_free(port: int) -> bool:
    """Whether nobody listens on the port of this machine. Sockets that are only closing do not count."""
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def next_free_port(port: int) -> int:
    """The next port after `port` that is free; the one after `port` when none near it is."""
    return next((candidate for candidate in range(port + 1, min(port + 100, 65_536)) if is_port_free(candidate)), port)


def _answers(url: str) -> bool:
    # Without this a proxy named in the environment would be asked for our own address.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=5) as response:
            return bool(response.status == HTTPStatus.OK)
    except (OSError, urllib.error.URLError):
        return False


def _die_with_parent() -> Callable[[], None] | None:
    """On Linux the kernel stops a child whose launcher was killed; elsewhere a killed launcher leaves them running."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl

    def ask_for_a_signal() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGTERM)

    return ask_for_a_signal
