"""The stream of the demo: named in answers, open to whoever holds the address, silent about it in every log."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.journeys.demos import LEFT_OUT, ROOT, Demo, free_port

# Starts the embedded arrangement, whatever database the other tests use.
pytestmark = pytest.mark.sqlite


def test_demo__stream__is_named_in_answers_opens_and_leaves_no_ticket_in_any_log(demo: Demo):
    secret = demo.facts["tokens"]["client"]
    answer = httpx.post(
        f"{demo.base_url}/ofrep/v1/evaluate/flags",
        json={"context": {"targetingKey": "customer-1"}},
        headers={"X-API-Key": secret},
    ).json()
    url = answer["eventStreams"][0]["url"]
    (ticket,) = parse_qs(urlsplit(url).query)["ticket"]

    with httpx.stream("GET", url, timeout=10) as response:
        opening = next(response.iter_text())
    refused = httpx.get(url.replace(ticket, ticket[::-1]))
    lost = httpx.get(f"{demo.facts['stream_url']}/elsewhere?ticket={ticket}")

    assert url.startswith(f"{demo.facts['stream_url']}/api/v1/stream?ticket=")
    assert any(demo.facts["stream_url"] in line for line in demo.lines)
    assert (response.status_code, refused.status_code, lost.status_code) == (200, 401, 404)
    assert f"id: {answer['metadata']['revision']}\n" in opening
    logs = {path.name: path.read_text(errors="replace") for path in (demo.folder / "log").iterdir()}
    demo.wait_for(lambda: (demo.folder / "log/stream.log").read_text().count("stream_request") >= 3, seconds=10)
    logs["stream.log"] = (demo.folder / "log/stream.log").read_text()
    for hidden in (ticket, ticket[::-1], "ticket=", secret):
        assert [name for name, text in logs.items() if hidden in text] == []


def test_stream_command__without_a_database__lives_says_it_is_not_ready_and_stops_when_asked(tmp_path: Path):
    port = free_port()
    environment = {"DEMO": "1", "VAR_DIR": str(tmp_path), "PYTHONUNBUFFERED": "1", "LOG_LEVEL": "DEBUG"}
    command = [sys.executable, "manage.py", "stream", "--port", str(port)]
    process = subprocess.Popen(
        command, cwd=ROOT, env=_environment(environment), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        live = _ask(f"http://127.0.0.1:{port}/healthz/live", process)
        ready = _ask(f"http://127.0.0.1:{port}/healthz/ready", process)
        stream = _ask(f"http://127.0.0.1:{port}/api/v1/stream?ticket=secret-word", process)
    finally:
        process.send_signal(signal.SIGTERM)
        lines, _ = process.communicate(timeout=10)

    assert (live, ready, stream) == (200, 503, 503)
    assert f"Streams are at http://127.0.0.1:{port}/api/v1/stream, at most " in lines
    assert "secret-word" not in lines
    assert "Traceback" not in lines
    assert process.returncode in {0, -signal.SIGTERM}


def _environment(ours: dict[str, str]) -> dict[str, str]:
    return {**{name: value for name, value in os.environ.items() if name not in LEFT_OUT}, **ours}


def _ask(url: str, process: "subprocess.Popen[str]") -> int:
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310 - our own address
                return int(response.status)
        except urllib.error.HTTPError as error:
            json.load(error)
            return error.code
        except OSError:
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < deadline, url
            time.sleep(0.05)
