"""How long after its commit a change reaches the next evaluation of another process.

`python -m benchmarks.propagation [changes]` measures three arrangements: PostgreSQL with Redis, PostgreSQL alone, and
the embedded one. In each, one process applies that many changes through the services while a granian process answers
OFREP requests every two milliseconds. Prints the distribution in milliseconds.
"""

import http.client
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests import servers
from tests.journeys.demos import LEFT_OUT, ROOT, free_port

GOALS = {"PostgreSQL and Redis": 250, "PostgreSQL alone": 2_000, "embedded, SQLite": 2_000}
_BODY = b'{"context": {"targetingKey": "x"}}'


def main(changes: int) -> None:
    """Run the three and print a line for each."""
    print(f"{changes} changes each, poll interval 0.5 s, one web process, CPython {sys.version.split()[0]}")
    print("commit to next evaluation, ms")
    print(f"{'':22} {'p50':>6} {'p90':>6} {'p99':>6} {'max':>6}   goal p99")
    for name, goal in GOALS.items():
        with tempfile.TemporaryDirectory() as folder, _stores(name) as variables:
            delays = sorted(_measure(Path(folder), variables, changes))
        at = [delays[min(len(delays) - 1, int(len(delays) * share))] for share in (0.5, 0.9, 0.99)]
        verdict = "met" if at[2] < goal else "MISSED"
        print(f"{name:22} {at[0]:6.0f} {at[1]:6.0f} {at[2]:6.0f} {delays[-1]:6.0f}   < {goal} {verdict}", flush=True)


@contextmanager
def _stores(name: str) -> Iterator[dict[str, str]]:
    workspace, running = servers.Workspace(), []
    variables = {}
    try:
        if name.startswith("PostgreSQL"):
            running.append(servers.start_postgresql(workspace))
            variables["DATABASE_URL"] = running[-1].url
        if name.endswith("Redis"):
            running.append(servers.start_redis(workspace))
            variables["REDIS_URL"] = running[-1].url
        yield variables
    finally:
        for server in running:
            server.stop()
        workspace.remove()


def _measure(folder: Path, variables: dict[str, str], changes: int) -> list[float]:
    kept = {name: value for name, value in os.environ.items() if name not in LEFT_OUT}
    demo = {"DJANGO_SETTINGS_MODULE": "flagsite.settings", "DEMO": "1", "VAR_DIR": str(folder), "LOG_LEVEL": "ERROR"}
    environment = {**kept, **demo, **variables}
    hand = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.hand"],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    port = free_port()
    listens = ("--host", "127.0.0.1", "--port", str(port), "--no-ws")
    try:
        token = _command(hand, "seed")["token"]
        web = subprocess.Popen(
            [sys.executable, "-m", "granian", "flagsite.wsgi:application", "--interface", "wsgi", *listens],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            return _delays(_Asker(port, token), hand, changes)
        finally:
            web.terminate()
            web.wait(timeout=30)
    finally:
        hand.kill()
        hand.wait(timeout=30)


def _delays(asker: "_Asker", hand: "subprocess.Popen[str]", changes: int) -> list[float]:
    _command(hand, "change", 0)
    asker.start()
    while not asker.seen:
        time.sleep(0.05)
    made = []
    for number in range(1, changes + 1):
        # Anywhere between two polls.
        time.sleep(random.uniform(0, 0.5))
        made.append(_command(hand, "change", number))
        while made[-1]["revision"] not in asker.seen:
            time.sleep(0.002)
    asker.is_over.set()
    asker.join()
    return [max(0.0, asker.seen[change["revision"]] - change["committed_at"]) * 1000 for change in made]


class _Asker(threading.Thread):
    """Evaluates every two milliseconds and remembers when each revision answered first."""

    def __init__(self, port: int, token: str) -> None:
        super().__init__(daemon=True)
        self._port = port
        self._headers = {"X-API-Key": token, "Content-Type": "application/json"}
        self.seen: dict[int, float] = {}
        self.is_over = threading.Event()

    def run(self) -> None:
        while not self.is_over.is_set():
            with suppress(OSError, http.client.HTTPException, KeyError):
                self._ask_on_one_connection()
            self.is_over.wait(0.1)

    def _ask_on_one_connection(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=5)
        while not self.is_over.wait(0.002):
            connection.request("POST", "/ofrep/v1/evaluate/flags/moving", _BODY, self._headers)
            revision = json.load(connection.getresponse())["metadata"]["revision"]
            self.seen.setdefault(revision, time.monotonic())


def _command(hand: "subprocess.Popen[str]", name: str, *arguments: Any) -> dict[str, Any]:
    assert hand.stdin is not None
    assert hand.stdout is not None
    hand.stdin.write(json.dumps([name, arguments]) + "\n")
    hand.stdin.flush()
    answer: dict[str, Any] = json.loads(hand.stdout.readline())
    assert "error" not in answer, answer
    result: dict[str, Any] = answer["result"]
    return result


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
