"""Questions to the outside: an HTTP address that has to answer, and queries to the Prometheus of the installation.

Whoever writes a plan chooses the address, so nothing inside the installation's own network is reached by it: every
address that a name resolves to is judged, the connection goes to the one that was judged, and no redirect is followed.
Hosts in PROBE_ALLOWED_HOSTS are the operator's exception. Prometheus is asked at PROMETHEUS_URL only.
"""

import http.client
import ipaddress
import json
import math
import queue
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

from django.conf import settings

# For everything that one question takes: looking the name up, connecting, the answer.
TIMEOUT_SECONDS = 5.0
MOST_BYTES = 65_536
LONGEST_URL = 500
LONGEST_QUERY = 2_000
_AGENT = "Flagsite-check"

_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*\.?")
_TARGET = re.compile(r"/[A-Za-z0-9\-._~!$&'()*+,;=:@%/?]*")
# What resolvers read as a number in one of its odd spellings: 127.1, 0x7f000001, 017700000001.
_NUMBER = re.compile(r"(0x[0-9a-f]*|[0-9]+)")
_INSIDE = ("localhost", "local", "internal", "localdomain", "home.arpa", "onion")
_NATIVE = ipaddress.ip_network("2000::/3")
# Addresses that a provider's own services answer at, though they look public.
_PROVIDERS = tuple(ipaddress.ip_network(text) for text in ("168.63.129.16/32", "192.0.0.0/24"))

# A look-up cannot be broken off. Whoever lets them hang keeps no more threads than this.
_LOOKUPS = threading.BoundedSemaphore(32)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[..., list[Any]]


class ProbeError(Exception):
    """A question that got no answer; the message is a sentence for people."""


class Unreachable(ProbeError):
    """Whoever was asked is not there, or too slow."""


@dataclass(frozen=True, slots=True)
class Target:
    """An address in its parts. `host` is a name in lower case, or an IP address without brackets."""

    is_tls: bool
    host: str
    port: int
    path: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The status of an answer and its body, as far as it was asked for."""

    status: int
    body: bytes


def target_of(url: str) -> Target:
    """The parts of an address that a check may name. Raises ProbeError saying what is wrong; asks nobody."""
    target = _parts(url)
    if not _is_allowed(target.host):
        literal = _literal(target.host)
        last = target.host.rstrip(".").rsplit(".", 1)[-1]
        if literal is None and _NUMBER.fullmatch(last):
            raise ProbeError("Write the address of the check with a host name, or with a complete IP address.")
        if literal is None and ("." not in target.host or _ends_inside(target.host)):
            raise ProbeError(_inside(target.host))
        if literal is not None and not is_public(literal):
            raise ProbeError(_inside(target.host))
    return target


def is_public(address: Address) -> bool:
    """Whether an address lies in the public internet. IPv6 addresses that stand for an IPv4 one count as inside."""
    if isinstance(address, ipaddress.IPv6Address):
        is_translated = address.sixtofour is not None or address.teredo is not None
        return address.is_global and address in _NATIVE and not is_translated and not address.scope_id
    is_plain = not (address.is_multicast or address.is_reserved or any(address in net for net in _PROVIDERS))
    return address.is_global and is_plain


def get(url: str, *, resolve: Resolve = socket.getaddrinfo) -> int:
    """Ask an address and return the status of its answer. Raises ProbeError."""
    target, ends_at = target_of(url), _deadline()
    return _ask(target, [_pinned(target, resolve, ends_at)], reads=False, ends_at=ends_at).status


def query(text: str, *, at: datetime) -> float | None:
    """What Prometheus says to `text` at an instant; None where it has no data. Raises ProbeError."""
    if not settings.PROMETHEUS_URL:
        raise Unreachable("No Prometheus is set up. Whoever runs Flagsite sets PROMETHEUS_URL.")
    asked = urlencode({"query": text[:LONGEST_QUERY], "time": f"{at.timestamp():.3f}", "timeout": "4s"})
    base = _parts(settings.PROMETHEUS_URL)
    target = Target(base.is_tls, base.host, base.port, f"{base.path.rstrip('/')}/api/v1/query?{asked}")
    ends_at = _deadline()
    answer = _ask(target, _addresses(target, socket.getaddrinfo, ends_at), reads=True, ends_at=ends_at)
    if answer.status == 400 or answer.status == 422:
        raise ProbeError(f"Prometheus does not accept the query: {_said(answer.body)}")
    if answer.status != 200:
        raise ProbeError(f"Prometheus answered with status {answer.status}.")
    return _number(answer.body)


def _parts(url: str) -> Target:
    if len(url) > LONGEST_URL:
        raise ProbeError(f"Shorten the address to {LONGEST_URL} characters.")
    try:
        parts = urlsplit(url)
        port = parts.port
        host = (parts.hostname or "").lower()
    except ValueError:
        raise ProbeError("This is no address. Write it like https://checks.example.org/ready.") from None
    path = parts._replace(scheme="", netloc="").geturl() or "/"
    is_whole = parts.scheme in {"http", "https"} and url.isascii() and url.isprintable() and "\\" not in url
    if not is_whole or not _is_host(host, parts.netloc) or not _TARGET.fullmatch(path) or path.startswith("//"):
        raise ProbeError("This is no address. Write it like https://checks.example.org/ready.")
    if "@" in parts.netloc:
        raise ProbeError("Leave user and password out of the address: everybody who sees the plan sees them.")
    is_tls = parts.scheme == "https"
    return Target(is_tls, host, port if port is not None else (443 if is_tls else 80), path)


def _is_host(host: str, netloc: str) -> bool:
    if ":" in host:
        return "[" in netloc and "%" not in host and _literal(host) is not None
    return len(host) <= 253 and bool(_NAME.fullmatch(host))


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _is_allowed(host: str) -> bool:
    return host.rstrip(".") in settings.PROBE_ALLOWED_HOSTS


def _ends_inside(host: str) -> bool:
    plain = host.rstrip(".")
    return any(plain == name or plain.endswith(f".{name}") for name in _INSIDE)


def _inside(host: str) -> str:
    return (
        f"{host} lies inside a private network, so it is not asked. Whoever runs Flagsite can allow it with "
        "PROBE_ALLOWED_HOSTS."
    )


def _deadline() -> float:
    return time.monotonic() + TIMEOUT_SECONDS


def _left(ends_at: float) -> float:
    return max(0.001, ends_at - time.monotonic())


def _too_slow(target: Target) -> Unreachable:
    return Unreachable(f"{target.host} did not answer within {TIMEOUT_SECONDS:.0f} seconds.")


def _pinned(target: Target, resolve: Resolve, ends_at: float) -> str:
    """The one address the connection goes to. Every address that the name has must be a permitted one."""
    addresses = _addresses(target, resolve, ends_at)
    if not _is_allowed(target.host) and not all(is_public(ipaddress.ip_address(text)) for text in addresses):
        raise ProbeError(_inside(target.host))
    return addresses[0]


def _addresses(target: Target, resolve: Resolve, ends_at: float) -> list[str]:
    """What the name resolves to, looked up in a thread that is left behind when it takes too long."""
    found: queue.SimpleQueue[list[str]] = queue.SimpleQueue()
    if not _LOOKUPS.acquire(timeout=_left(ends_at)):
        raise _too_slow(target)
    threading.Thread(target=_look_up, args=(target, resolve, found), daemon=True).start()
    try:
        addresses = found.get(timeout=_left(ends_at))
    except queue.Empty:
        raise _too_slow(target) from None
    if not addresses:
        raise ProbeError(f"The name {target.host} is not known.")
    return addresses


def _look_up(target: Target, resolve: Resolve, found: queue.SimpleQueue[list[str]]) -> None:
    try:
        found.put([str(item[4][0]) for item in resolve(target.host, target.port, type=socket.SOCK_STREAM)])
    except (OSError, ValueError):
        found.put([])
    finally:
        _LOOKUPS.release()


def _ask(target: Target, addresses: Sequence[str], *, reads: bool, ends_at: float) -> Answer:
    host = f"[{target.host}]" if ":" in target.host else target.host
    headers = {"Host": f"{host}:{target.port}", "User-Agent": _AGENT, "Accept-Encoding": "identity"}
    try:
        with _connected(target, addresses, ends_at) as connection:
            connection.request("GET", target.path, headers=headers)
            with connection.getresponse() as response:
                answer = Answer(response.status, response.read(MOST_BYTES + 1) if reads else b"")
    except TimeoutError:
        raise _too_slow(target) from None
    except ssl.SSLError:
        raise ProbeError(f"{target.host} has no certificate that can be trusted.") from None
    except (OSError, http.client.HTTPException):
        raise Unreachable(f"{target.host} could not be reached, or its answer broke off.") from None
    if len(answer.body) > MOST_BYTES:
        raise ProbeError(f"The answer of {target.host} is longer than {MOST_BYTES // 1024} KB.")
    return answer


@contextmanager
def _connected(target: Target, addresses: Sequence[str], ends_at: float) -> Iterator[http.client.HTTPConnection]:
    """A connection that ends when the time is up, however slowly the other side sends."""
    connection = http.client.HTTPConnection(target.host, target.port)
    has_ended = threading.Event()
    with _opened(target, addresses, ends_at) as plain, plain.dup() as same:
        timer = threading.Timer(_left(ends_at), _end, (same, has_ended))
        timer.daemon = True
        timer.start()
        try:
            connection.sock = plain
            if target.is_tls:
                connection.sock = _tls(plain, target.host)
                connection.sock.do_handshake()
            yield connection
        except (OSError, http.client.HTTPException):
            if has_ended.is_set():
                raise TimeoutError from None
            raise
        finally:
            timer.cancel()
            connection.close()


def _opened(target: Target, addresses: Sequence[str], ends_at: float) -> socket.socket:
    """A connection to the first of the addresses that takes one."""
    *others, last = addresses
    for address in others:
        with suppress(OSError):
            return socket.create_connection((address, target.port), timeout=_left(ends_at))
    return socket.create_connection((last, target.port), timeout=_left(ends_at))


def _tls(plain: socket.socket, host: str) -> ssl.SSLSocket:
    context = ssl.create_default_context()
    return context.wrap_socket(plain, server_hostname=host, do_handshake_on_connect=False)


def _end(same: socket.socket, has_ended: threading.Event) -> None:
    has_ended.set()
    with suppress(OSError):
        same.shutdown(socket.SHUT_RDWR)


def _number(body: bytes) -> float | None:
    try:
        data = json.loads(body)["data"]
        kind, result = data["resultType"], data["result"]
        if kind == "vector":
            if len(result) > 1:
                raise ProbeError(f"The query gives {len(result)} series where one number is needed. Add sum(…).")
            value = float(result[0]["value"][1]) if result else None
        elif kind == "scalar":
            value = float(result[1])
        else:
            raise ProbeError(f"The query gives a {kind} where one number is needed.")
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        raise ProbeError("Prometheus sent something that is not its answer to a query.") from None
    return None if value is None or not math.isfinite(value) else value


def _said(body: bytes) -> str:
    try:
        said = str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError, RecursionError):
        said = "it does not say why"
    return " ".join(said.split())[:200]
