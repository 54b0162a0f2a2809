"""What checks may ask of the outside, and what never gets a connection."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from rollouts.services import probes
from rollouts.services.probes import ProbeError

NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)
PUBLIC = "93.184.216.34"

# Refused as soon as they are written: what they are shows.
REFUSED_WHEN_SAVED = [
    "http://127.0.0.1/",
    "http://127.0.0.1:5432/",
    "http://127.1/",
    "http://0/",
    "http://0.0.0.0/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7f.0.0.1/",
    "http://0177.0.0.1/",
    "http://017700000001/",
    "http://127.0.0.1.:80/",
    "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://192.168.1.1/admin",
    "http://100.64.0.1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://169.254.170.2/v2/credentials",
    "http://168.63.129.16/metadata",
    "http://192.0.0.192/opc/v2/instance/",
    "http://100.100.100.200/latest/meta-data/",
    "http://198.18.0.1/",
    "http://224.0.0.1/",
    "http://240.0.0.1/",
    "http://255.255.255.255/",
    "http://[::1]/",
    "http://[::]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[::ffff:169.254.169.254]/",
    "http://[0:0:0:0:0:ffff:10.0.0.1]/",
    "http://[::127.0.0.1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[2002:7f00:1::]/",
    "http://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/",
    "http://[fe80::1]/",
    "http://[fe80::1%25eth0]/",
    "http://[fd00:ec2::254]/latest/",
    "http://[fc00::1]/",
    "http://[fec0::1]/",
    "http://[ff02::1]/",
    "http://localhost/",
    "http://LOCALHOST:6379/",
    "http://localhost./",
    "http://db.localhost/",
    "http://metadata.google.internal/computeMetadata/v1/",
    "http://printer.local/",
    "http://intranet/",
    "http://user:word@checks.example.org/",
    "http://checks.example.org@127.0.0.1/",
    "http://checks.example.org:word@[::1]/",
    "http://checks.example.org\\@127.0.0.1/",
    "http://127.0.0.1\\.checks.example.org/",
    "http://checks.example.org/\r\nHost: inside",
    "http://checks.example.org/ HTTP/1.1",
    "http://checks.example.org%2f@127.0.0.1/",
    "http://ⓔⓧⓐⓜⓟⓛⓔ.org/",
    "http://127。0。0。1/",
    "http:///etc/passwd",
    "//127.0.0.1/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_FLUSHALL",
    "ftp://checks.example.org/",
    "dict://127.0.0.1:11211/stats",
    "unix:/run/docker.sock",
    "http://checks.example.org:99999/",
    "http://checks.example.org:port/",
    "javascript:alert(1)",
    "",
    f"http://checks.example.org/{'a' * 500}",
]
# Harmless to look at; what the name resolves to is known when it is asked.
REFUSED_WHEN_SENT = [
    ("http://inside.example.org/", ["127.0.0.1"]),
    ("http://inside.example.org/", ["10.1.2.3"]),
    ("http://inside.example.org/", ["169.254.169.254"]),
    ("http://inside.example.org/", ["::1"]),
    ("http://inside.example.org/", ["::ffff:192.168.0.1"]),
    ("http://inside.example.org/", ["fd00::1"]),
    ("http://both.example.org/", [PUBLIC, "127.0.0.1"]),
    ("https://both.example.org/", ["2606:4700::1111", "fe80::1"]),
    ("http://nobody.example.org/", []),
]


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every connection that was begun; none of them leads anywhere."""
    begun: list[Any] = []

    def connect(address: Any, timeout: float) -> socket.socket:
        begun.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", connect)
    return begun


def names(*answers: list[str]) -> Callable[..., list[Any]]:
    """A resolver that gives each answer once, the last one for good."""
    left = list(answers)

    def resolve(host: str, port: int, **_: Any) -> list[Any]:
        found = left.pop(0) if len(left) > 1 else left[0]
        if not found:
            raise socket.gaierror
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    return resolve


@pytest.mark.parametrize("url", REFUSED_WHEN_SAVED)
def test_target_of__hostile_address__is_refused_and_nobody_is_asked(url: str, connections: list[Any]) -> None:
    with pytest.raises(ProbeError):
        probes.target_of(url)
    with pytest.raises(ProbeError):
        probes.get(url, resolve=names([PUBLIC]))

    assert connections == []


@pytest.mark.parametrize(("url", "addresses"), REFUSED_WHEN_SENT)
def test_get__name_of_something_inside__no_connection(url: str, addresses: list[str], connections: list[Any]) -> None:
    assert probes.target_of(url).path == "/"

    with pytest.raises(ProbeError):
        probes.get(url, resolve=names(addresses))

    assert connections == []


@pytest.mark.parametrize(
    "url",
    [
        "https://checks.example.org/ready",
        "http://checks.example.org:8080/ready?deep=1&x=%2f",
        f"http://{PUBLIC}/",
        "http://[2606:4700::1111]/",
        "https://CHECKS.example.org",
    ],
)
def test_get__public_address__goes_to_the_address_that_was_judged(url: str, connections: list[Any]) -> None:
    rebinding = names([PUBLIC], ["127.0.0.1"])

    with pytest.raises(ProbeError, match="could not be reached"):
        probes.get(url, resolve=rebinding)

    assert [address for address, _ in connections] == [PUBLIC]


def test_get__host_the_operator_allows__may_lie_inside(settings: Any, connections: list[Any]) -> None:
    settings.PROBE_ALLOWED_HOSTS = frozenset({"checks.internal"})

    with pytest.raises(ProbeError, match="could not be reached"):
        probes.get("http://checks.internal:81/", resolve=names(["10.0.0.7"]))
    with pytest.raises(ProbeError, match="PROBE_ALLOWED_HOSTS"):
        probes.get("http://other.internal:81/", resolve=names(["10.0.0.7"]))

    assert connections == [("10.0.0.7", 81)]


class Outside(ThreadingHTTPServer):
    """A server that answers as it is told and counts who comes."""

    daemon_threads = True

    def __init__(self, answer: Callable[[BaseHTTPRequestHandler], None]) -> None:
        self.asked: list[str] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append(self.path)
                answer(self)

            def log_message(self, *_: Any) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *_: Any) -> None:
        """Whoever hangs up in the middle is expected here."""


@pytest.fixture
def outside(settings: Any) -> Iterator[Callable[[Callable[[BaseHTTPRequestHandler], None]], Outside]]:
    settings.PROBE_ALLOWED_HOSTS = frozenset({"127.0.0.1"})
    started: list[Outside] = []

    def start(answer: Callable[[BaseHTTPRequestHandler], None]) -> Outside:
        started.append(Outside(answer))
        return started[-1]

    yield start
    for server in started:
        server.shutdown()
        server.server_close()


def sending(status: int, body: bytes = b"", **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


@pytest.mark.parametrize("status", [200, 204, 404, 503])
def test_get__real_server__its_status(status: int, outside: Any) -> None:
    server = outside(sending(status))

    assert probes.get(f"{server.url}/ready?deep=1") == status
    assert server.asked == ["/ready?deep=1"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_get__redirect__is_not_followed(status: int, outside: Any) -> None:
    inside = outside(sending(200))
    server = outside(sending(status, Location=f"{inside.url}/secrets"))

    assert probes.get(server.url) == status
    assert inside.asked == []


def test_get__endless_body__is_not_read(outside: Any) -> None:
    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while True:
            handler.wfile.write(b"x" * 65_536)

    assert probes.get(outside(endless).url) == 200


def test_get__one_byte_now_and_then__ends_in_time(outside: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "TIMEOUT_SECONDS", 0.3)

    def dripping(handler: BaseHTTPRequestHandler) -> None:
        for byte in b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200:
            handler.wfile.write(bytes([byte]))
            time.sleep(0.05)

    began = time.monotonic()
    with pytest.raises(ProbeError, match="did not answer within"):
        probes.get(outside(dripping).url)

    assert time.monotonic() - began < 2


def test_get__name_that_takes_long_to_look_up__ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "TIMEOUT_SECONDS", 0.2)
    end = threading.Event()

    def hanging(host: str, port: int, **_: Any) -> list[Any]:
        end.wait(5)
        return []

    began = time.monotonic()
    with pytest.raises(probes.Unreachable, match="did not answer within"):
        probes.get("https://checks.example.org/", resolve=hanging)
    took = time.monotonic() - began
    end.set()

    assert took < 2


def test_get__slow_name_and_slow_answer__have_one_time_together(outside: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "TIMEOUT_SECONDS", 0.6)
    end = threading.Event()

    def slow(host: str, port: int, **_: Any) -> list[Any]:
        time.sleep(0.4)
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)

    began = time.monotonic()
    with pytest.raises(probes.Unreachable, match="did not answer within"):
        probes.get(outside(lambda handler: end.wait(5)).url, resolve=slow)
    took = time.monotonic() - began
    end.set()

    assert took < 0.95


def test_query__first_address_of_the_name_takes_no_connection__the_next_is_asked(
    outside: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = outside(sending(200, vector("2")))
    settings.PROMETHEUS_URL = server.url
    monkeypatch.setattr(probes, "_addresses", lambda *_: ["127.0.0.2", "127.0.0.1"])

    assert probes.query("up", at=NOW) == 2.0


def test_get__tls_where_none_is_spoken__is_a_sentence(outside: Any) -> None:
    server = outside(sending(200))

    with pytest.raises(ProbeError, match=r"certificate|reached"):
        probes.get(server.url.replace("http:", "https:"))


def vector(*values: str) -> bytes:
    result = [{"metric": {"n": str(number)}, "value": [1, value]} for number, value in enumerate(values)]
    return json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}}).encode()


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (vector("1.5"), 1.5),
        (vector("0"), 0.0),
        (vector(), None),
        (vector("NaN"), None),
        (vector("+Inf"), None),
        (b'{"data": {"resultType": "scalar", "result": [1, "3"]}}', 3.0),
    ],
)
def test_query__answer__one_number_or_none(body: bytes, value: float | None, outside: Any, settings: Any) -> None:
    server = outside(sending(200, body))
    settings.PROMETHEUS_URL, settings.PROBE_ALLOWED_HOSTS = f"{server.url}/prometheus", frozenset()

    assert probes.query('sum(up{a="b c"})', at=NOW) == value
    assert server.asked == [
        "/prometheus/api/v1/query?query=sum%28up%7Ba%3D%22b+c%22%7D%29&time=1772445600.000&timeout=4s"
    ]


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (200, vector("1", "2"), "2 series"),
        (200, b'{"data": {"resultType": "matrix", "result": []}}', "a matrix"),
        (200, b"<html>", "not its answer"),
        (200, b"[" * 60_000, "not its answer"),
        (200, b'{"data": null}', "not its answer"),
        (200, b" " * 70_000, "longer than 64 KB"),
        (302, b"", "status 302"),
        (400, b'{"error": "parse error:\\n unexpected"}', "parse error: unexpected"),
        (503, b"", "status 503"),
    ],
)
def test_query__bad_answer__is_an_error_in_words(
    status: int, body: bytes, sentence: str, outside: Any, settings: Any
) -> None:
    settings.PROMETHEUS_URL = outside(sending(status, body, Location="http://127.0.0.1:1/")).url

    with pytest.raises(ProbeError, match=sentence):
        probes.query("up", at=NOW)


def test_query__no_prometheus_set_up__says_what_to_set(settings: Any) -> None:
    settings.PROMETHEUS_URL = ""

    with pytest.raises(ProbeError, match="PROMETHEUS_URL"):
        probes.query("up", at=NOW)
