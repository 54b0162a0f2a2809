"""A running demo for journeys: the same command a newcomer runs, in a folder of its own."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 120.0


@dataclass
class Demo:
    """Where the demo answers, what it printed so far, and the facts it wrote for scripts."""

    base_url: str
    folder: Path
    process: subprocess.Popen[str]
    environment: dict[str, str]
    lines: list[str] = field(default_factory=list)

    @property
    def facts(self) -> dict[str, Any]:
        """`var/demo.json`."""
        facts: dict[str, Any] = json.loads((self.folder / "demo.json").read_text())
        return facts

    def evaluate(self, flag_key: str, targeting_key: str) -> dict[str, Any]:
        """One OFREP evaluation in the environment of the demo's token."""
        request = urllib.request.Request(  # noqa: S310 - our own address
            f"{self.base_url}/ofrep/v1/evaluate/flags/{flag_key}",
            data=json.dumps({"context": {"targetingKey": targeting_key}}).encode(),
            headers={"X-API-Key": self.facts["tokens"]["evaluate"], "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=5) as response:  # noqa: S310
            answer: dict[str, Any] = json.load(response)
            return answer

    def manage(self, *arguments: str, text: str = "") -> str:
        """Run a management command on the demo's data; answers what it printed. Fails unless it succeeds."""
        command = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(
            command, cwd=ROOT, env=self.environment, input=text, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def wait_for(self, condition: Any, *, seconds: float) -> float:
        """Poll until `condition()` holds; answers how long it took, in seconds. Fails after so many."""
        started = time.monotonic()
        while not condition():
            assert time.monotonic() - started < seconds, "\n".join(self.lines[-20:])
            time.sleep(0.05)
        return time.monotonic() - started


@contextmanager
def running_demo(folder: Path, **variables: str) -> Iterator[Demo]:
    """Start the demo on a free port, wait until the sample service has spoken, and stop all of it afterwards.

    `variables` join its environment: `DATABASE_URL` and `REDIS_URL` make it run on servers.
    """
    port = free_port()
    kept = {name: value for name, value in os.environ.items() if name not in LEFT_OUT}
    environment = {**kept, "DEMO": "1", "VAR_DIR": str(folder), "PYTHONUNBUFFERED": "1", **variables}
    command = [sys.executable, "manage.py", "demo", "--port", str(port)]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    demo = Demo(f"http://127.0.0.1:{port}", folder, process, environment)
    threading.Thread(target=_collect, args=(demo,), daemon=True).start()
    try:
        demo.wait_for(lambda: any("sample-service" in line for line in demo.lines), seconds=START_SECONDS)
        yield demo
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)


# What points the tests at their own servers must not reach the demo.
LEFT_OUT = {"DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE", "SECRET_KEY", "DATABASE", "LOG_LEVEL"}


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _collect(demo: Demo) -> None:
    assert demo.process.stdout is not None
    for line in demo.process.stdout:
        demo.lines.append(line.rstrip())
