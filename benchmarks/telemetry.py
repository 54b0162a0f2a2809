"""How many events a second one web process takes, and whether people notice.

`python -m benchmarks.telemetry [seconds]` starts granian with one worker process, once over PostgreSQL and Valkey with
a process that drains the buffer every two seconds, once embedded. Batches have 200 rows of 40 events each, as a busy
service sends them. First as fast as it goes over four connections; then the list of flags in the admin is asked for
five times a second: without telemetry, beside 10,000 events a second, and beside forty times as many, 10,000 rows.
"""

import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.propagation import _stores
from tests.journeys.demos import LEFT_OUT, ROOT, free_port

GOAL = 10_000
ROWS = 200
EVENTS = 40
ROWS_BESIDE = (GOAL // EVENTS, 10_000)
CONNECTIONS = 4
PAGES_A_SECOND = 5
ADDRESS = "/api/v1/telemetry"
LIST = "/admin/flags/flag/"


def main(seconds: float) -> None:
    """Measure both arrangements and print a line for each."""
    print(
        f"one web process, 4 threads, batches of {ROWS} rows; {seconds:g} s a figure; CPython {sys.version.split()[0]};"
    )
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} shared cores\n")
    print(
        "| Arrangement | rows/s | events/s | goal | batch, p50/p99 ms | stored "
        "| list of flags, p95 ms: alone, beside 10,000 events/s, beside 10,000 rows/s |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name in ("PostgreSQL and Valkey", "embedded, SQLite"):
        stores = "PostgreSQL and Redis" if name.startswith("P") else "embedded"
        with tempfile.TemporaryDirectory() as folder, _stores(stores) as variables:
            print(_line(name, Path(folder), variables, seconds), flush=True)


def _line(name: str, folder: Path, variables: dict[str, str], seconds: float) -> str:
    kept = {key: value for key, value in os.environ.items() if key not in LEFT_OUT}
    demo = {"DJANGO_SETTINGS_MODULE": "flagsite.settings", "DEMO": "1", "VAR_DIR": str(folder), "LOG_LEVEL": "ERROR"}
    environment = {**kept, **demo, **variables}
    seeded = json.loads(_role("seed", environment).communicate()[0])
    drain = _role("drain", environment)
    try:
        with _web(environment) as port:
            taken = _flood(port, seeded["token"], seconds)
            batches = sorted(taken)
            idle = _pages(port, seeded["session"], seconds)
            busy = [_pages_beside(rows, port, seeded, seconds) for rows in ROWS_BESIDE]
        sent = len(batches) + sum(_sent)
        _sent.clear()
        time.sleep(5)
        stored = json.loads(_role("count", environment).communicate()[0])["batches"]
    finally:
        drain.terminate()
        drain.wait(timeout=20)
    rate = len(batches) * ROWS / seconds
    at = [batches[int(len(batches) * share)] * 1000 for share in (0.5, 0.99)]
    verdict = "met" if rate * EVENTS >= GOAL else "MISSED"
    beside = ", ".join(f"{_p95(times):.0f} ({_p95(times) / _p95(idle) - 1:+.0%})" for times in busy)
    pages = f"{_p95(idle):.0f}, {beside}"
    taken_words = f"{rate:,.0f} | {rate * EVENTS:,.0f} | {verdict} | {at[0]:.1f} / {at[1]:.1f}"
    return f"| {name} | {taken_words} | {stored} of {sent} batches | {pages} |"


_sent: list[int] = []


def _flood(port: int, token: str, seconds: float) -> list[float]:
    """Seconds each batch took, as fast as they go."""
    found: list[float] = []
    ends_at = time.monotonic() + seconds

    def run(number: int) -> None:
        send = _sender(port, token, f"flood-{number}")
        while time.monotonic() < ends_at:
            found.append(send())

    threads = [threading.Thread(target=run, args=(number,)) for number in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def _pages_beside(rows: int, port: int, seeded: dict[str, str], seconds: float) -> list[float]:
    """What `_pages` finds while `rows` a second arrive."""
    stop = threading.Event()
    steady = [
        threading.Thread(target=_steady, args=(port, seeded["token"], number, rows, stop))
        for number in range(CONNECTIONS)
    ]
    for thread in steady:
        thread.start()
    found = _pages(port, seeded["session"], seconds)
    stop.set()
    for thread in steady:
        thread.join()
    return found


def _steady(port: int, token: str, number: int, rows: int, stop: threading.Event) -> None:
    """So many rows a second, shared by the connections."""
    send, pause, sent = _sender(port, token, f"steady-{number}-{rows}"), ROWS * CONNECTIONS / rows, 0
    # One after the other, as services do, not all at once.
    due = time.monotonic() + pause * number / CONNECTIONS
    while not stop.wait(max(0.0, due - time.monotonic())):
        send()
        sent += 1
        due += pause
    _sent.append(sent)


def _sender(port: int, token: str, name: str) -> Callable[[], float]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"X-API-Key": token, "Content-Type": "application/json"}
    number = 0

    def send() -> float:
        nonlocal number
        number += 1
        body = _body(f"{name}-{number}")
        began_at = time.perf_counter()
        connection.request("POST", ADDRESS, body, headers)
        response = connection.getresponse()
        answer = response.read()
        assert response.status == 202, answer
        return time.perf_counter() - began_at

    return send


def _body(batch_id: str) -> bytes:
    minute = datetime.now(UTC).replace(second=0, microsecond=0).isoformat()
    flags = ("split", "a-boolean", "targeted", "disabled", "code-default")
    rows = [(flags[number % 5], ("on", "off")[number % 2]) for number in range(ROWS // 2)]
    evaluations = [
        {"flag": flag, "variant": variant, "reason": "SPLIT", "minute": minute, "count": EVENTS}
        for flag, variant in rows
    ]
    counts = {"minute": minute, "count": EVENTS, "bad": 2, "units": 20, "bad_units": 1, "sum": 3.5, "sum_squares": 9.5}
    metrics = [
        {"metric": f"metric-{number % 10}", "flag": flag, "variant": variant, **counts}
        for number, (flag, variant) in enumerate(rows)
    ]
    batch = {"batch_id": batch_id, "service": "shop", "version": "1", "evaluations": evaluations, "metrics": metrics}
    return json.dumps(batch).encode()


def _pages(port: int, session: str, seconds: float) -> list[float]:
    """Seconds each page took, from when it was due: a late answer makes the next one late."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    found = []
    for number in range(int(seconds * PAGES_A_SECOND) + 10):
        began_at = time.perf_counter()
        connection.request("GET", LIST, headers={"Cookie": f"sessionid={session}"})
        response = connection.getresponse()
        response.read()
        assert response.status == 200, response.status
        spent = time.perf_counter() - began_at
        if number >= 10:
            found.append(spent)
        time.sleep(max(0.0, 1 / PAGES_A_SECOND - spent))
    return found


def _p95(values: list[float]) -> float:
    return sorted(values)[int(len(values) * 0.95)] * 1000


@contextmanager
def _web(environment: dict[str, str]) -> Iterator[int]:
    port = free_port()
    command = [sys.executable, "-m", "granian", "flagsite.wsgi:application", "--interface", "wsgi", "--no-ws"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1", "--blocking-threads", "4"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, **quiet)
    try:
        for _ in range(300):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait(timeout=30)


def _role(name: str, environment: dict[str, str]) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "benchmarks.telemetry", name]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)


def _play(role: str) -> None:
    """One of the processes beside the web process."""
    import django

    django.setup()
    print(json.dumps({"seed": _seed, "drain": _drain, "count": _count}[role]()))


def _seed() -> dict[str, str]:
    from django.core.management import call_command

    from tests.factories import make_world
    from tests.flags.api.plane import make_plane
    from tests.support.admin import signed_in

    call_command("migrate", verbosity=0)
    plane = make_plane(make_world("shop"))
    token = plane.issue(scope="telemetry", name="Benchmark").secret
    return {"token": token, "session": signed_in(plane.world.ada).cookies["sessionid"].value}


def _drain() -> Any:
    from flags.tasks import drain_telemetry

    while True:
        drain_telemetry()
        time.sleep(2)


def _count() -> dict[str, int]:
    from flags.models import TelemetryBatch

    return {"batches": TelemetryBatch.objects.count()}


if __name__ == "__main__":
    if sys.argv[1:2] in (["seed"], ["drain"], ["count"]):
        _play(sys.argv[1])
    else:
        main(float(sys.argv[1]) if len(sys.argv) > 1 else 15.0)
