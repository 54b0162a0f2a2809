"""What an idle stream costs in memory, and how long a change needs to reach all of them.

`python -m benchmarks.stream [clients] [changes] [granian]` loads the demo's data into a temporary folder (SQLite, or
PostgreSQL and Redis where DATABASE_URL and REDIS_URL name them), starts one stream process, opens that many streams
with one ticket, and applies changes through the services. The clock of a change starts when its commit returns and ends
when the last client has its notice. Fails when a goal is missed.
"""

import asyncio
import os
import re
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

HOST, PORT = "127.0.0.1", 8766
ENVIRONMENT, FLAG = "development", "loyalty-points"
GOAL_KIB, GOAL_SECONDS = 60.0, 2.0
# As long as it takes for the second notice of a change to be over.
QUIET_SECONDS = 1.5
SERVERS = {
    "uvicorn": ("manage", "stream", "--port", str(PORT), "--streams-per-token", "10000"),
    "granian": (
        *("granian", "flagsite.asgi:application", "--interface", "asgi", "--host", HOST, "--port", str(PORT)),
        *("--workers", "1", "--no-ws", "--workers-kill-timeout", "3", "--backlog", "4096"),
    ),
}


@dataclass
class Crowd:
    """All clients of the benchmark: how many hold a stream, and when each heard of a change."""

    connected: int = 0
    lost: int = 0
    heard: dict[str, list[float]] = field(default_factory=dict)


class Client(asyncio.Protocol):
    """One stream on a bare socket, which is much lighter than an HTTP client."""

    def __init__(self, crowd: Crowd, request: bytes) -> None:
        self._crowd, self._request, self._ids = crowd, request, set[str]()

    def connection_made(self, transport: Any) -> None:
        """Ask for the stream."""
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Note the instant of each notice that is new."""
        if data.startswith(b"HTTP/1.1 200"):
            self._crowd.connected += 1
        for found in re.findall(rb"id: (\S+)\ndata: ", data):
            if found not in self._ids:
                self._ids.add(found)
                self._crowd.heard.setdefault(found.decode(), []).append(time.perf_counter())

    def connection_lost(self, error: Exception | None) -> None:
        """Count what should not happen."""
        self._crowd.lost += 1


def main(clients: int, changes: int, server: str) -> None:
    """Run and print."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (clients + 200, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update({"DEMO": "1", "VAR_DIR": folder, "DJANGO_SETTINGS_MODULE": "flagsite.settings"})
        _prepare()
        with (Path(folder) / "stream.log").open("wb") as log:
            process = subprocess.Popen([sys.executable, "-m", *SERVERS[server]], stdout=log, stderr=log)
        try:
            _wait_until_ready()
            asyncio.run(_measure(process.pid, clients, changes, server))
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=30)


def _prepare() -> None:
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0, interactive=False)
    call_command("load_demo", verbosity=0, stdout=StringIO())


def _wait_until_ready() -> None:
    for _ in range(150):
        try:
            with urllib.request.urlopen(f"http://{HOST}:{PORT}/healthz/ready", timeout=1):
                return
        except OSError:
            time.sleep(0.2)
    raise SystemExit("The stream process did not start.")


async def _measure(pid: int, clients: int, changes: int, server: str) -> None:
    crowd = Crowd()
    request = await asyncio.to_thread(_request)
    await _connect(crowd, request, 5)
    before = _memory_kib(pid)
    started = time.perf_counter()
    await _connect(crowd, request, clients)
    opened = time.perf_counter() - started
    await asyncio.sleep(2)
    memory = (_memory_kib(pid) - before) / clients
    delays = [await _change(crowd, clients + 5) for _ in range(changes)]
    after = (_memory_kib(pid) - before) / clients
    _print(clients, changes, server, opened=opened, memory=memory, after=after, delays=delays, lost=crowd.lost)


async def _connect(crowd: Crowd, request: bytes, count: int) -> None:
    wanted = crowd.connected + count
    for start in range(0, count, 100):
        batch = range(start, min(start + 100, count))
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(loop.create_connection(lambda: Client(crowd, request), HOST, PORT) for _ in batch))
    while crowd.connected < wanted:
        await asyncio.sleep(0.01)
        if crowd.lost:
            raise SystemExit(f"{crowd.lost} streams were refused or lost.")


async def _change(crowd: Crowd, listeners: int) -> float:
    await asyncio.sleep(QUIET_SECONDS)
    revision, committed = await asyncio.to_thread(_apply)
    while len(crowd.heard.get(revision, ())) < listeners:
        await asyncio.sleep(0.01)
        if time.perf_counter() - committed > 30:
            raise SystemExit(f"Only {len(crowd.heard.get(revision, ()))} of {listeners} heard of the change.")
    return max(crowd.heard[revision]) - committed


def _request() -> bytes:
    """What every client sends: a ticket of a client token, and the position it is at."""
    from django.utils import timezone

    from audits.context import Actor
    from flags.api.stream_tickets import issue
    from flags.models import Environment
    from flags.services.tokens import issue_token
    from flagsite.models import User

    now, environment = timezone.now(), Environment.objects.get(project__key="storefront", key=ENVIRONMENT)
    ada = Actor.person(User.objects.get(username="ada"), via="command")
    issued = issue_token(environment.pk, actor=ada, name="Pages", scope="client", expires_at=None, now=now)
    time.sleep(1)
    ticket = issue(issued.token.pk, environment.pk, now=now)
    query = f"ticket={ticket}&since={environment.revision}"
    return f"GET /api/v1/stream?{query} HTTP/1.1\r\nHost: {HOST}\r\nAccept: text/event-stream\r\n\r\n".encode()


def _apply() -> tuple[str, float]:
    """One change; answers the revision it made and when its commit had returned."""
    from django.utils import timezone

    from audits.context import Actor
    from flags.models import Environment, FlagConfig
    from flags.services.configs import edit_config
    from flagsite.demo.catalogue import share
    from flagsite.models import User

    config = FlagConfig.objects.get(
        environment__project__key="storefront", environment__key=ENVIRONMENT, flag__key=FLAG
    )
    edit_config(
        config.flag_id,
        config.environment_id,
        actor=Actor.person(User.objects.get(username="mira"), via="command"),
        document={**config.document, **share(config.version % 99 + 1)},
        base_version=config.version,
        reason="Measurement",
        now=timezone.now(),
    )
    committed = time.perf_counter()
    return str(Environment.objects.get(pk=config.environment_id).revision), committed


def _memory_kib(pid: int) -> float:
    """Resident memory of a process and its children."""
    rows = subprocess.run(["ps", "-eo", "pid,ppid,rss"], capture_output=True, text=True, check=True).stdout.split("\n")
    table = [tuple(map(int, row.split())) for row in rows[1:] if row]
    return float(sum(rss for own, parent, rss in table if pid in (own, parent)))


def _print(clients: int, changes: int, server: str, *, delays: list[float], **facts: float) -> None:
    from django.conf import settings
    from django.db import connection

    stores = f"{connection.vendor}, {'Redis' if settings.REDIS_URL else 'no Redis'}"
    python, median = sys.version.split()[0], statistics.median(delays)
    print(f"{clients} idle streams on one {server} process, {changes} changes; {stores}, CPython {python}")
    print(f"opened in {facts['opened']:.1f} s ({clients / facts['opened']:,.0f}/s), lost {facts['lost']:.0f}")
    print(f"KiB per stream: {facts['memory']:.1f} idle, {facts['after']:.1f} after the changes (goal {GOAL_KIB:.0f})")
    print(f"commit to the last client, s: median {median:.2f}, worst {max(delays):.2f} (goal {GOAL_SECONDS})")
    if max(facts["memory"], facts["after"]) >= GOAL_KIB or max(delays) >= GOAL_SECONDS or facts["lost"]:
        raise SystemExit("A goal was missed.")


if __name__ == "__main__":
    given = sys.argv[1:]
    main(
        int(given[0]) if given else 2_000,
        int(given[1]) if len(given) > 1 else 20,
        given[2] if len(given) > 2 else "uvicorn",
    )
