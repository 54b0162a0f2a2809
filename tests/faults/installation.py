"""An installation that may be hurt: PostgreSQL, Valkey, a web process of two workers, a hand that changes things."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from tests import servers
from tests.journeys.demos import LEFT_OUT, ROOT, free_port

STALE_SECONDS = 1
METRICS_TOKEN = "whoever has this is told the names of environments"
_BATCH = 50

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)

Answer = tuple[int, Any, str | None]


@dataclass
class Store:
    """A server of the installation: kill it, freeze it, start it again at the same port."""

    server: servers.Server
    start_again: Callable[[], servers.Server]

    def kill(self) -> None:
        """As a machine that loses its power."""
        self._signal(signal.SIGKILL)
        self.server.process.wait(timeout=10)

    def freeze(self) -> None:
        """It keeps its connections and says nothing more: the server and the processes it has for its clients."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on where it was."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        pid = self.server.process.pid
        family = [pid]
        with suppress(FileNotFoundError, ProcessLookupError):
            family += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
        for member in family:
            with suppress(ProcessLookupError):
                os.kill(member, number)

    def heal(self) -> None:
        """Running and answering, whatever was done to it."""
        self.thaw()
        if self.server.process.poll() is not None:
            self.server = self.start_again()


@dataclass
class Installation:
    """What the tests hurt and ask."""

    folder: Path
    postgresql: Store
    redis: Store
    port: int = field(default_factory=free_port)
    token: str = ""
    environment_id: str = ""
    web: "subprocess.Popen[bytes] | None" = None
    _hand: "subprocess.Popen[str] | None" = None
    _changes: int = 0

    @property
    def variables(self) -> dict[str, str]:
        """The environment of its processes."""
        kept = {name: value for name, value in os.environ.items() if name not in LEFT_OUT}
        return {
            **kept,
            "DJANGO_SETTINGS_MODULE": "flagsite.settings",
            "DEMO": "1",
            "VAR_DIR": str(self.folder),
            "DATABASE_URL": self.postgresql.server.url,
            "REDIS_URL": self.redis.server.url,
            "STALE_AFTER_SECONDS": str(STALE_SECONDS),
            "LOG_LEVEL": "INFO",
            "METRICS_TOKEN": METRICS_TOKEN,
        }

    @property
    def kill_list(self) -> Path:
        """The file on this host that forces variants."""
        return self.folder / "kill-list"

    def hand(self, name: str, *arguments: Any) -> Any:
        """Let the other process do something; what it answers. Fails with its error."""
        if self._hand is None:
            self._hand = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.hand"],
                cwd=ROOT,
                env=self.variables,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        assert self._hand.stdin is not None
        assert self._hand.stdout is not None
        self._hand.stdin.write(json.dumps([name, arguments]) + "\n")
        self._hand.stdin.flush()
        answer = json.loads(self._hand.stdout.readline())
        assert "error" not in answer, answer
        return answer["result"]

    def change(self) -> dict[str, float]:
        """One more change in production; its revision and how many seconds the commit took."""
        self._changes += 1
        result: dict[str, float] = self.hand("change", self._changes)
        return result

    def start_web(self) -> None:
        """Start the web process, without waiting for it."""
        listens = ("--host", "127.0.0.1", "--port", str(self.port), "--no-ws")
        sizes = ("--workers", "2", "--blocking-threads", "4", "--workers-kill-timeout", "2")
        with (self.folder / "web.log").open("ab") as log:
            self.web = subprocess.Popen(
                [sys.executable, "-m", "granian", "flagsite.wsgi:application", "--interface", "wsgi", *listens, *sizes],
                cwd=ROOT,
                env=self.variables,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def start_web_and_ask(self, *, seconds: float) -> float:
        """Start the web process; how long after its first sign of life it answers an evaluation."""
        self.start_web()
        self.wait_until(lambda: self.health("live")[0] == 200, seconds=60)
        return self.wait_until(lambda: self.answers(["first"])[0][0] == 200, seconds=seconds)

    def stop_web(self) -> None:
        """As a machine that loses its power."""
        if self.web is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.web.pid, signal.SIGKILL)
            self.web.wait(timeout=10)

    def health(self, name: str) -> tuple[int, dict[str, Any], float]:
        """Status, facts and duration of a health address; one of the two workers answers."""
        began = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("GET", f"/healthz/{name}", headers={"Authorization": f"Bearer {METRICS_TOKEN}"})
        response = connection.getresponse()
        facts = json.loads(response.read())
        connection.close()
        return response.status, facts, time.monotonic() - began

    def wait_until(self, condition: Callable[[], bool], *, seconds: float, times: int = 1) -> float:
        """Wait until a condition holds so many times in a row; how long it took. Fails after `seconds`."""
        began, held = time.monotonic(), 0
        while held < times:
            with suppress(OSError, http.client.HTTPException):
                held = held + 1 if condition() else 0
            assert time.monotonic() - began < seconds, self.log()
            if not held:
                time.sleep(0.05)
        return time.monotonic() - began

    def wait_until_all(self, seconds: float, **facts: Any) -> float:
        """Wait until both workers say these facts at /healthz/snapshot."""

        def hold() -> bool:
            present = self.health("snapshot")[1]
            return all(present[name] == value for name, value in facts.items())

        # One of two workers takes each connection; eight in a row are hardly all the same one.
        return self.wait_until(hold, seconds=seconds, times=8)

    def wait_until_served(self, revision: float, *, seconds: float) -> float:
        """Wait until both workers serve a revision of production."""

        def hold() -> bool:
            return bool(self.health("snapshot")[1]["revisions"].get("shop/production", 0) >= revision)

        return self.wait_until(hold, seconds=seconds, times=8)

    def wait_until_token(self, secret: str, *, status: int, seconds: float) -> float:
        """Wait until both workers answer a token with this status."""

        def hold() -> bool:
            return next(iter(self.ask("split", ["somebody"], token=secret)))[0] == status

        return self.wait_until(hold, seconds=seconds, times=8)

    def wait_until_saved(self, *, seconds: float) -> float:
        """Wait until the file holds what the workers serve."""

        def hold() -> bool:
            lines = (self.folder / "snapshots.json").read_bytes().splitlines()
            environments = [facts for facts in map(json.loads, lines[2:]) if "environment_key" in facts]
            saved = {f"{one['project_key']}/{one['environment_key']}": one["revision"] for one in environments}
            served = self.health("snapshot")[1]["revisions"]
            return bool(served) and saved == served

        return self.wait_until(hold, seconds=seconds)

    def answers(self, keys: Sequence[str]) -> list[Answer]:
        """Status, value and variant of the flag `split` for each targeting key, over one connection."""
        return [(status, body.get("value"), body.get("variant")) for status, body in self.ask("split", keys)]

    def ask(self, flag_key: str, keys: Sequence[str], *, token: str = "") -> Iterator[tuple[int, dict[str, Any]]]:
        """Status and body for each targeting key. Requests are pipelined: the time belongs to the server."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            answers = _Answers(connection)
            for start in range(0, len(keys), _BATCH):
                batch = keys[start : start + _BATCH]
                connection.sendall(b"".join(self._request(flag_key, key, token or self.token) for key in batch))
                for _ in batch:
                    yield answers.read()

    def _request(self, flag_key: str, key: str, token: str) -> bytes:
        body = json.dumps({"context": {"targetingKey": key}}).encode()
        lines = (
            f"POST /ofrep/v1/evaluate/flags/{flag_key} HTTP/1.1",
            "Host: 127.0.0.1",
            f"X-API-Key: {token}",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
        )
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body

    @contextmanager
    def under_load(self) -> Iterator[list[int]]:
        """Keep asking while the block runs; the statuses that came back, 0 for a broken connection."""
        statuses: list[int] = []
        is_over = threading.Event()

        def load() -> None:
            while not is_over.wait(0.01):
                try:
                    statuses.extend(status for status, _ in self.ask("targeted", ["load"] * 5))
                except (OSError, ValueError):
                    statuses.append(0)

        thread = threading.Thread(target=load, daemon=True)
        thread.start()
        try:
            yield statuses
        finally:
            is_over.set()
            thread.join(30)

    def heal(self) -> None:
        """Everything runs and is fresh again, without a restart of the web process if it lives."""
        self.kill_list.unlink(missing_ok=True)
        self.postgresql.heal()
        self.redis.heal()
        if self.web is None or self.web.poll() is not None:
            self.start_web()
        self.wait_until_all(40, status="fresh", origin="database", kill_list=NO_KILLS)

    def log(self) -> str:
        """The end of what the web process said."""
        return (self.folder / "web.log").read_text(errors="replace")[-3000:]

    def stop(self) -> None:
        """Leave nothing behind."""
        self.stop_web()
        if self._hand is not None:
            self._hand.kill()
            self._hand.wait(timeout=10)
        for store in (self.postgresql, self.redis):
            store.thaw()
            store.server.stop()


NO_KILLS = {"entries": 0, "in_force": 0, "lines_ignored": 0}


class _Answers:
    """Reads the answers of a connection, quickly: the two cores belong to the servers."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = b""

    def read(self) -> tuple[int, dict[str, Any]]:
        """Status and body of the next answer."""
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            self._receive()
        head = self._buffer[:end]
        length = _LENGTH.search(head)
        assert length, head
        body_end = end + 4 + int(length[1])
        while len(self._buffer) < body_end:
            self._receive()
        body, self._buffer = self._buffer[end + 4 : body_end], self._buffer[body_end:]
        return int(head[9:12]), orjson.loads(body)

    def _receive(self) -> None:
        received = self._connection.recv(65536)
        if not received:
            raise ConnectionError("The server closed the connection in the middle of an answer.")
        self._buffer += received


@contextmanager
def installation(folder: Path) -> Iterator[Installation]:
    """Start everything, with the flags of `make_plane`, and stop it afterwards."""
    workspace = servers.Workspace()
    database = servers.start_postgresql(workspace)
    redis = servers.start_redis(workspace)
    made = Installation(
        folder,
        Store(database, lambda: servers.start_again(database, workspace)),
        Store(redis, lambda: servers.start_again(redis, workspace)),
    )
    try:
        facts = made.hand("seed")
        made.token, made.environment_id = facts["token"], facts["environment"]
        made.start_web()
        yield made
    finally:
        made.stop()
        workspace.remove()
