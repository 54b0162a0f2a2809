"""Unleash on real PostgreSQL as a peer of `http.py`: one flag in one environment, a hundred of our shapes in another.

Its front-end API is asked, which evaluates at the server as ours does, and answers with what is switched on only.
"""

import http.client
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests import servers

PORT = 8840
PATH = "/api/frontend"
ADMIN = "*:*.flagsite-benchmark-admin"
# Both environments are there from the start.
TOKENS = {"one": "default:development.flagsite-benchmark", "all": "default:production.flagsite-benchmark"}
_START = """
import { start } from 'unleash-server';
await start({ server: { host: '127.0.0.1', port: %d }, versionCheck: { enable: false }, telemetry: false });
"""


@contextmanager
def running(folder: Path, *, core: int) -> Iterator[int]:
    """Start it from the folder it is installed in, with its flags; the id of its process."""
    node = shutil.which("node")
    if node is None:
        raise SystemExit("There is no node on the PATH, so Unleash cannot be started.")
    workspace = servers.Workspace()
    database = process = None
    try:
        database = servers.start_postgresql(workspace)
        process = subprocess.Popen(
            [node, "--input-type=module", "--eval", _START % PORT],
            cwd=folder,
            env=_environment(database.url),
            stdout=subprocess.DEVNULL,
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        )
        _wait(process)
        _fill()
        yield process.pid
    finally:
        if process is not None:
            process.kill()
            process.wait(timeout=20)
        if database is not None:
            database.stop()
        workspace.remove()


def request(flags: str, number: int) -> bytes:
    """One question about a user, for "one" flag or for "all" of them."""
    properties = {
        "plan": ("beta", "free")[number % 2],
        "age": str(number % 90),
        "country": "DE",
        "version": f"1.{number % 9}.0",
    }
    body = json.dumps({"context": {"userId": f"user-{number}", "properties": properties}}, separators=(",", ":"))
    head = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {TOKENS[flags]}\r\n"
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


def _environment(url: str) -> dict[str, str]:
    return {
        **os.environ,
        "NODE_ENV": "production",
        "DATABASE_URL": url,
        "DATABASE_SSL": "false",
        "LOG_LEVEL": "error",
        "INIT_ADMIN_API_TOKENS": ADMIN,
        "INIT_FRONTEND_API_TOKENS": ",".join(TOKENS.values()),
    }


def _wait(process: "subprocess.Popen[bytes]") -> None:
    for _ in range(180):
        if process.poll() is not None:
            raise SystemExit("Unleash ended by itself. Is unleash-server installed in that folder?")
        try:
            if _ask("GET", "/health", None, ADMIN)[0] == 200:
                return
        except OSError:
            pass
        time.sleep(0.5)
    raise SystemExit("Unleash did not start within 90 s.")


def _fill() -> None:
    """Make the flags and wait until the front-end API knows them."""
    for number in range(34):
        environments = ("development", "production") if number == 0 else ("production",)
        _flag(f"rules-{number}", [*_rules(), _split("30")], environments)
    for number in range(33):
        _flag(f"plain-{number}", [_split("100")], ("production",))
        _flag(f"split-{number}", [_split("30")], ("production",))
    for _ in range(60):
        counts = {flags: len(_toggles(flags)) for flags in TOKENS}
        if counts["one"] <= 1 and counts["all"] >= 33:
            return
        time.sleep(0.5)
    raise SystemExit("Unleash does not serve the flags that were made.")


def _toggles(flags: str) -> list[Any]:
    body = {"context": {"userId": "user-1", "properties": {"plan": "gold", "age": "20"}}}
    status, answer = _ask("POST", PATH, body, TOKENS[flags])
    return list(answer["toggles"]) if status == 200 else []


def _flag(name: str, strategies: list[dict[str, Any]], environments: tuple[str, ...]) -> None:
    place = "/api/admin/projects/default/features"
    _done(_ask("POST", place, {"name": name, "type": "release"}, ADMIN))
    for environment in environments:
        for strategy in strategies:
            _done(_ask("POST", f"{place}/{name}/environments/{environment}/strategies", strategy, ADMIN))
        _done(_ask("POST", f"{place}/{name}/environments/{environment}/on", {}, ADMIN))


def _rules() -> list[dict[str, Any]]:
    """The three rules of our flags."""
    countries = [f"C{number}" for number in range(20)]
    groups = [
        [_constraint("plan", "IN", ["gold"]), _constraint("age", "NUM_GT", "17")],
        [
            _constraint("country", "IN", countries),
            _constraint("age", "NUM_LT", "99"),
            _constraint("plan", "IN", ["beta"]),
        ],
        [_constraint("version", "SEMVER_GT", "2.0.0"), _constraint("plan", "IN", ["free"])],
    ]
    return [{**_split("100"), "constraints": constraints} for constraints in groups]


def _constraint(name: str, operator: str, wanted: Any) -> dict[str, Any]:
    values = {"values": wanted} if isinstance(wanted, list) else {"values": [], "value": wanted}
    return {"contextName": name, "operator": operator, **values}


def _split(percent: str) -> dict[str, Any]:
    parameters = {"rollout": percent, "stickiness": "userId", "groupId": "flagsite"}
    return {"name": "flexibleRollout", "parameters": parameters, "constraints": []}


def _done(answer: tuple[int, Any]) -> None:
    if answer[0] >= 300:
        raise SystemExit(f"Unleash refused to make the flags: {answer}")


def _ask(method: str, path: str, body: Any, token: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=20)
    headers = {"Authorization": token, "Content-Type": "application/json"}
    try:
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        text = response.read()
        return response.status, json.loads(text) if text.startswith(b"{") else None
    finally:
        connection.close()
