"""What an evaluation over HTTP costs the server: CPU time per request behind granian, beside bare Django and stock DRF.

`python -m benchmarks.http [seconds] [--unleash FOLDER]` starts five servers, each a granian WSGI process with one
thread on core 0, and asks them from core 1 over 16 kept-alive connections (a load generator of its own, in `load`).
Rounds are interleaved, figures are medians. CPU time is user + system of the server's processes. Nothing is stored:
flags and tokens come from memory, everything else is the product's: token check, rate limit, metrics, headers, tags.
With a folder in which `npm install unleash-server` was run, Unleash is asked beside them (`_unleash`).
"""

import argparse
import http.client
import os
import selectors
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks import _unleash

SECRET = "fse_" + "b" * 43
BULK = "/ofrep/v1/evaluate/flags"
# Stands for the tag of the answer that the request had before.
KNOWN = "If-None-Match"
CONNECTIONS = 16
ROUNDS = 5
SERVERS = ("raw", "front", "drf", "bare", "stock")
CASES = {
    "empty WSGI function, same request": ("raw", "/one", ""),
    "front, one flag": ("front", f"{BULK}/rules-0", ""),
    "front, 100 flags": ("front", BULK, ""),
    "front, 100 flags, 304": ("front", BULK, KNOWN),
    "front, 100 flags, gzip": ("front", BULK, "Accept-Encoding: gzip\r\n"),
    "DRF, one flag": ("drf", f"{BULK}/rules-0", ""),
    "DRF, 100 flags": ("drf", BULK, ""),
    "bare Django view, dictionary look-up": ("bare", "/one", ""),
    "stock DRF view, dictionary look-up": ("stock", "/one", ""),
}
GOALS = {
    "front, one flag": 45,
    "front, 100 flags": 110,
    "front, 100 flags, 304": 90,
    "DRF, one flag": 330,
}
# What the bare Django view cost where the goals were set.
BARE_THERE = 184
BARE = "bare Django view, dictionary look-up"
# The flags of Unleash that a case is answered by.
UNLEASH = {"Unleash, one flag": "one", "Unleash, 100 flags": "all"}
# How often Unleash's CPU time per request a case of ours has to fit into it.
RATIOS = {
    "front, one flag": ("Unleash, one flag", 20),
    "front, 100 flags": ("Unleash, 100 flags", 18),
    "DRF, one flag": ("Unleash, one flag", 2.5),
}
SLOW = ("front, one flag", "DRF, one flag")


def main(seconds: float, unleash: Path | None) -> None:
    """Measure and print."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[-1:])
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        servers: dict[str, _Process] = {}
        for index, name in enumerate(SERVERS):
            servers[name] = server = _Server(name, 8811 + index, folder, core=cores[0])
            stack.callback(server.stop)
        for name in SERVERS:
            servers[name].wait()
        if unleash is not None:
            servers["unleash"] = _Process(_unleash.PORT, stack.enter_context(_unleash.running(unleash, core=cores[0])))
            CASES.update({name: ("unleash", _unleash.PATH, "") for name in UNLEASH})
        found = _measure(servers, seconds)
        at_200 = [*SLOW, *(["Unleash, one flag"] if unleash is not None else [])]
        latencies = {name: _latency(servers[CASES[name][0]], name) for name in at_200}
    middle = {
        name: [statistics.median(values) for values in zip(*rounds, strict=True)] for name, rounds in found.items()
    }
    _print_conditions(seconds)
    _print_costs(found, middle)
    _print_ratios(middle)
    for name, values in latencies.items():
        at = [values[int(len(values) * share)] * 1000 for share in (0.5, 0.99)]
        print(f"\n{name} at 200/s, ms: median {at[0]:.2f}, p99 {at[1]:.2f}, {len(values)} requests")


def _measure(servers: "dict[str, _Process]", seconds: float) -> dict[str, list[tuple[float, float]]]:
    """CPU microseconds per request and requests per second of each case, round by round."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in CASES}
    messages = {name: requests(name, port=servers[key].port) for name, (key, _, _) in CASES.items()}
    for number in range(ROUNDS + 1):
        for name, (key, _, _) in CASES.items():
            before, started = servers[key].cpu_seconds(), time.perf_counter()
            answered = load(servers[key].port, messages[name], seconds=seconds if number else 0.5)
            spent, wall = servers[key].cpu_seconds() - before, time.perf_counter() - started
            if number:
                found[name].append((spent / answered * 1e6, answered / wall))
    return found


def _print_conditions(seconds: float) -> None:
    print(
        f"granian WSGI, 1 process, 1 thread on one core; load from another core, {CONNECTIONS} connections kept alive;"
    )
    print(f"medians of {ROUNDS} interleaved rounds of {seconds:g} s; CPython {sys.version.split()[0]};")
    print(
        f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} shared cores. One flag: three rules, then a split;"
    )
    print("1,000 different contexts; token, rate limit and metrics on.\n")


def _print_costs(found: dict[str, list[tuple[float, float]]], middle: dict[str, list[float]]) -> None:
    bare, stock = middle[BARE][0], middle["stock DRF view, dictionary look-up"][0]
    scale = bare / BARE_THERE
    print(f"Goals were set where the bare Django view cost {BARE_THERE} µs. Here it costs {bare:.0f}, so a goal scaled")
    print(f"to this machine is {scale:.2f} times as much.\n")
    print("| What | CPU µs per request | spread | goal | goal scaled | requests/s | of bare Django | of stock DRF |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, (cpu, rate) in middle.items():
        values = [each for each, _ in found[name]]
        goals = [f"≤ {GOALS[name]}", f"≤ {GOALS[name] * scale:.0f}"] if name in GOALS else ["-", "-"]
        row = [name, f"{cpu:.0f}", f"{min(values):.0f}-{max(values):.0f}", *goals, f"{rate:,.0f}"]
        print(f"| {' | '.join(row)} | {cpu / bare:.2f} | {cpu / stock:.2f} |")


def _print_ratios(middle: dict[str, list[float]]) -> None:
    """How many of our requests fit into the CPU time of one of Unleash's."""
    if not UNLEASH.keys() <= middle.keys():
        return
    print("\n| Requests per CPU second | ours | Unleash | ratio | goal |")
    print("| --- | --- | --- | --- | --- |")
    for name, (peer, goal) in RATIOS.items():
        ours, theirs = middle[name][0], middle[peer][0]
        print(f"| {name} | {1e6 / ours:,.0f} | {1e6 / theirs:,.0f} | {theirs / ours:.1f} | ≥ {goal} |")


class _Process:
    """A server that is asked, with the CPU time of its processes."""

    def __init__(self, port: int, pid: int) -> None:
        self.port = port
        self._pid = pid

    def wait(self) -> None:
        for _ in range(300):
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.1)
            else:
                return
        raise SystemExit("A server did not start.")

    def cpu_seconds(self) -> float:
        """User and system time of the process and its children."""
        ticks = 0
        for pid in _family(self._pid):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")


class _Server(_Process):
    """One of the five."""

    def __init__(self, name: str, port: int, folder: str, *, core: int) -> None:
        environment = {**os.environ, "BENCH_SERVER": name, "DEMO": "1", "VAR_DIR": folder, "LOG_LEVEL": "ERROR"}
        environment |= {"PYTHONPATH": ".", "DJANGO_SETTINGS_MODULE": "flagsite.settings"}
        command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--workers", "1", "--blocking-threads", "1"]
        command += ["--port", str(port), "--no-access-log", "--log-level", "error", "benchmarks.http:application"]
        self._process = subprocess.Popen(command, env=environment, preexec_fn=lambda: os.sched_setaffinity(0, {core}))
        super().__init__(port, self._process.pid)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=20)


def _family(pid: int) -> Iterator[int]:
    yield pid
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        yield from _family(int(child))


def requests(name: str, *, port: int) -> list[bytes]:
    """A thousand requests of a case, each for another user."""
    if name in UNLEASH:
        return [_unleash.request(UNLEASH[name], number) for number in range(1_000)]
    _, path, headers = CASES[name]
    made = []
    for number in range(1_000):
        context = f'"targetingKey":"user-{number}","plan":"{("beta", "free")[number % 2]}","age":{number % 90}'
        body = f'{{"context":{{{context},"country":"DE","version":"1.{number % 9}.0"}}}}'
        further = f"{KNOWN}: {_tag(port, path, body)}\r\n" if headers == KNOWN else headers
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {SECRET}\r\n{further}"
        made.append(f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
    return made


def _tag(port: int, path: str, body: str) -> str:
    """The entity tag of the answer to a request."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("POST", path, body, {"X-API-Key": SECRET, "Content-Type": "application/json"})
    tag = connection.getresponse().headers["ETag"]
    connection.close()
    return tag


def load(port: int, messages: list[bytes], *, seconds: float) -> int:
    """Keep every connection busy with one request at a time for so long; the number of requests answered."""
    chooser = selectors.DefaultSelector()
    for _ in range(CONNECTIONS):
        connection = _connect(port)
        chooser.register(connection, selectors.EVENT_READ)
        connection.sendall(messages[0])
    answered, total, deadline = 0, len(messages), time.perf_counter() + seconds
    while time.perf_counter() < deadline:
        for key, _ in chooser.select(1):
            connection = key.fileobj  # type: ignore[assignment]
            _receive(connection)
            answered += 1
            connection.sendall(messages[answered % total])
    for key in list(chooser.get_map().values()):
        key.fileobj.close()  # type: ignore[union-attr]
    return answered


def _latency(server: _Process, name: str) -> list[float]:
    """Seconds from the instant a request is due to its answer, sorted; one every 5 ms."""
    messages, taken = requests(name, port=server.port), []
    connections = [_connect(server.port) for _ in range(4)]
    started = time.perf_counter()
    for number in range(2_000):
        due = started + number * 0.005
        time.sleep(max(0.0, due - time.perf_counter()))
        connection = connections[number % 4]
        connection.sendall(messages[number % 1_000])
        _receive(connection)
        taken.append(time.perf_counter() - due)
    return sorted(taken)


def _connect(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _receive(connection: socket.socket) -> None:
    """Read one whole answer; anything but 200 and 304 ends the benchmark."""
    data = connection.recv(65_536)
    if data.startswith(b"HTTP/1.1 304"):
        return
    if not data.startswith(b"HTTP/1.1 200"):
        raise SystemExit(f"Unexpected answer: {data[:500]!r}")
    head, _, body = data.partition(b"\r\n\r\n")
    if b"chunked" in head:
        while not body.endswith(b"0\r\n\r\n"):
            body += connection.recv(65_536)
        return
    place = head.lower().index(b"content-length:") + 15
    missing = int(head[place:].partition(b"\r\n")[0]) - len(body)
    while missing > 0:
        missing -= len(connection.recv(65_536))


# The servers


def _product(*, through_front: bool) -> Callable[..., Any]:
    """The product's application over flags in memory, with the front or without it."""
    import django
    from django.core.handlers.wsgi import WSGIHandler

    django.setup()
    from flags import snapshots
    from flags.snapshots import SnapshotStore
    from flagsite.front import EvaluationFront
    from tests.flags.api.plane import FakeSource

    source = FakeSource()
    source.add_token(source.add_environment(dict(_flags())), SECRET)
    snapshots.store = SnapshotStore(source)
    handler: Any = WSGIHandler()
    return EvaluationFront(handler) if through_front else handler


def _flags() -> Iterator[tuple[str, tuple[str, dict[str, Any]]]]:
    """A hundred flags: a third switched on for everyone, a third with a split, a third with three rules and a split."""
    from tests.flags.api.plane import document, rule

    split = {"split": [{"variant": "on", "weight": 30_000}, {"variant": "off", "weight": 70_000}]}
    countries = [f"C{number}" for number in range(20)]
    conditions = [
        [("plan", "equals", "gold"), ("age", "greater_than", 17)],
        [("country", "in", countries), ("age", "less_than", 99), ("plan", "equals", "beta")],
        [("version", "version_greater_or_equal", "2.0.0"), ("plan", "equals", "free")],
    ]
    rules = [
        rule({"variant": "on"}, {"and": [_condition(*each) for each in group]}, f"r{number}")
        for number, group in enumerate(conditions)
    ]
    for number in range(34):
        yield f"rules-{number}", ("boolean", document(f"rules-{number}", rules=[*rules, rule(split, name="rest")]))
    for number in range(33):
        yield f"plain-{number}", ("boolean", document(f"plain-{number}"))
        yield f"split-{number}", ("boolean", document(f"split-{number}", rules=[rule(split)]))


def _condition(attribute: str, operator: str, value: Any) -> dict[str, Any]:
    return {"attribute": attribute, "operator": operator, "value": value}


def _raw(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """The floor: read the body, answer something."""
    environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", "2")])
    return [b"{}"]


def _baseline(*, is_stock: bool) -> Callable[..., Any]:
    """A Django project of one view that looks a flag up in a dictionary and answers in JSON."""
    import json
    import types

    import django
    from django.conf import settings
    from django.core.handlers.wsgi import WSGIHandler
    from django.http import JsonResponse
    from django.urls import path
    from django.views.decorators.csrf import csrf_exempt

    urls = types.ModuleType("benchmarks_urls")
    sys.modules["benchmarks_urls"] = urls
    apps = ["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions", "rest_framework"]
    settings.configure(
        SECRET_KEY="benchmark",
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF="benchmarks_urls",
        MIDDLEWARE=[],
        INSTALLED_APPS=apps if is_stock else [],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    )
    django.setup()
    known = {"flag": {"key": "flag", "value": True, "reason": "STATIC", "variant": "on"}}

    @csrf_exempt
    def bare(request: Any) -> Any:
        json.loads(request.body)
        return JsonResponse(known["flag"])

    view = _stock_view(known) if is_stock else bare
    urls.urlpatterns = [path("one", view)]  # type: ignore[attr-defined]
    return WSGIHandler()


def _stock_view(known: dict[str, Any]) -> Any:
    from rest_framework.response import Response
    from rest_framework.views import APIView

    class One(APIView):
        def post(self, request: Any) -> Response:
            assert request.data["context"]
            return Response(known["flag"])

    return One.as_view()


if "BENCH_SERVER" in os.environ:
    _name = os.environ["BENCH_SERVER"]
    if _name in {"front", "drf"}:
        application = _product(through_front=_name == "front")
    elif _name == "raw":
        application = _raw
    else:
        application = _baseline(is_stock=_name == "stock")

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="What an evaluation over HTTP costs the server.")
    parser.add_argument("seconds", nargs="?", type=float, default=2.0, help="seconds of each round")
    parser.add_argument("--unleash", type=Path, help="a folder in which unleash-server is installed")
    given = parser.parse_args()
    main(given.seconds, given.unleash)
