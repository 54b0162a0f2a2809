"""Connections that are no streams: cut off in time, and never in the way of those that are."""

import contextlib
import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from flags.streams import connections, running
from flags.streams.app import StreamApplication
from flags.streams.hub import Limits
from tests.flags.streams.listening import START, FakeRegistry
from tests.support.streaming import running_stream

SECRET = "fse_secret"
STREAM = f"GET /api/v1/stream HTTP/1.1\r\nHost: test\r\nX-API-Key: {SECRET}\r\n\r\n".encode()
UNKNOWN = b"GET /api/v1/stream HTTP/1.1\r\nHost: test\r\n\r\n"
HEALTH = b"GET /healthz/live HTTP/1.1\r\nHost: test\r\n\r\n"


@contextlib.contextmanager
def serving(limits: Limits | None = None) -> Iterator[str]:
    """A real server before a store in memory; the clock of tickets stands still."""
    store = FakeRegistry()
    store.add(SECRET)
    application = StreamApplication(
        store, clock=lambda: START, settle_seconds=1, origins=frozenset(), limits=limits or Limits()
    )
    with running_stream(application) as url:
        yield url


def connect(url: str, sent: bytes = b"") -> socket.socket:
    place = urlsplit(url)
    opened = socket.socket()
    # Little fits in between, so that an answer nobody takes soon has to wait.
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    opened.settimeout(10)
    opened.connect((place.hostname, place.port))
    opened.sendall(sent)
    return opened


def is_over(opened: socket.socket) -> bool:
    """Whether the server has hung up; does not wait."""
    opened.setblocking(False)
    try:
        while opened.recv(65_536):
            pass
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


@pytest.mark.parametrize(
    ("sent", "trickle"),
    [
        (b"", b""),
        (b"GET /healthz/live HTTP/1.1\r\nHost: te", b""),
        (b"GET /healthz/live HTTP/1.1\r\nX: ", b"x"),
        (HEALTH, b""),
        # Each byte takes the server's own timer for kept-alive connections back.
        (HEALTH, b"\r\n"),
        (HEALTH, b"G"),
        (b"POST /api/v1/stream HTTP/1.1\r\nHost: test\r\nContent-Length: 1000\r\n\r\n", b"x"),
    ],
    ids=["silent", "half", "header-trickles", "kept-alive", "blank-lines", "next-trickles", "body-trickles"],
)
def test_connection__without_a_whole_request__is_cut_off(sent: bytes, trickle: bytes, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(connections, "REQUEST_SECONDS", 1.0)
    with serving() as url, connect(url, STREAM) as stream, connect(url, sent) as useless:
        assert stream.recv(100).startswith(b"HTTP/1.1 200")
        deadline = time.monotonic() + 20
        while not is_over(useless):
            assert time.monotonic() < deadline, "It was never cut off."
            time.sleep(0.1)
            with contextlib.suppress(OSError):
                useless.send(trickle)

        assert not is_over(stream)


def test_answers__nobody_takes__are_given_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(connections, "REQUEST_SECONDS", 1.0)
    monkeypatch.setattr(connections, "HALF_SENT_SECONDS", 1.0)
    with serving() as url, connect(url) as greedy:
        greedy.settimeout(20)
        with pytest.raises(ConnectionError):
            greedy.sendall(UNKNOWN * 400_000)


def test_silent_connections__more_than_there_is_room_for__keep_nobody_out(monkeypatch: pytest.MonkeyPatch):
    """Those that waited longest go; streams stay, and so do health checks and new listeners."""
    monkeypatch.setattr(running, "SPARE_FILES", 40)
    # However slow the machine is, nobody goes for being late.
    monkeypatch.setattr(connections, "REQUEST_SECONDS", 600.0)
    with serving(Limits(streams=4)) as url, contextlib.ExitStack() as stack:
        stream = stack.enter_context(connect(url, STREAM))
        assert stream.recv(100).startswith(b"HTTP/1.1 200")
        silent = [stack.enter_context(connect(url)) for _ in range(100)]

        assert httpx.get(f"{url}/healthz/ready").status_code == 200
        another = stack.enter_context(connect(url, STREAM))
        assert another.recv(100).startswith(b"HTTP/1.1 200")
        deadline = time.monotonic() + 20
        while sum(not is_over(one) for one in silent) > 24:
            assert time.monotonic() < deadline, "Too many stayed."
            time.sleep(0.05)
        assert not is_over(stream)
        assert not is_over(another)
        assert not is_over(silent[-1])


def test_full__streams_are_refused_and_health_is_not(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(running, "SPARE_FILES", 4)
    with serving(Limits(streams=1)) as url, connect(url, STREAM) as kept:
        assert kept.recv(100).startswith(b"HTTP/1.1 200")

        refused = httpx.get(f"{url}/api/v1/stream", headers={"X-API-Key": SECRET})

        assert (refused.status_code, refused.json()["code"]) == (503, "streams_full")
        assert httpx.get(f"{url}/healthz/ready").status_code == 200
