"""The corpus of requests that both doors of the evaluation API have to answer alike, as WSGI environs."""

import io
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

from tests.flags.api.hostile import CONTENT_ENCODINGS, CONTENT_TYPES, INVALID_CONTEXT, PARSE_ERROR
from tests.flags.api.plane import BODY, BULK, SECRET

Environ = dict[str, Any]
Wsgi = Callable[[Environ, Callable[..., Any]], Any]

CLIENT, AUDIT, EXPIRED, BIG = "fsc_client", "fsa_audit", "fse_expired", "fse_big"
BETA = b'{"context":{"targetingKey":"user-1","plan":"beta"}}'
METHODS = (
    "GET",
    "HEAD",
    "OPTIONS",
    "PUT",
    "PATCH",
    "DELETE",
    "TRACE",
    "CONNECT",
    "PROPFIND",
    "post",
    "oPtIoNs",
    "X" * 99,
)
TOKENS: dict[str, Environ] = {
    "none": {"HTTP_X_API_KEY": ""},
    "unknown": {"HTTP_X_API_KEY": "fse_unknown"},
    "bearer": {"HTTP_X_API_KEY": "", "HTTP_AUTHORIZATION": f"Bearer {SECRET}"},
    "basic": {"HTTP_X_API_KEY": "", "HTTP_AUTHORIZATION": "Basic dTpw"},
    "client": {"HTTP_X_API_KEY": CLIENT},
    "audit": {"HTTP_X_API_KEY": AUDIT},
    "expired": {"HTTP_X_API_KEY": EXPIRED},
    "not ascii": {"HTTP_X_API_KEY": "ÿ" * 300},
    "both": {"HTTP_AUTHORIZATION": "Bearer other"},
    "cookie": {"HTTP_X_API_KEY": "", "HTTP_COOKIE": f"sessionid=abc; token={SECRET}"},
    "odd cookie": {"HTTP_COOKIE": 'sessionid="\\000aaaaaaaa"'},
}
# As a server hands them over: percent-decoded bytes, read as Latin-1.
PATHS = {
    "one flag": f"{BULK}/a-boolean",
    "targeted": f"{BULK}/targeted",
    "float": f"{BULK}/a-float",
    "hidden": f"{BULK}/split",
    "unknown": f"{BULK}/unknown",
    "empty key": f"{BULK}/",
    "slash": f"{BULK}/a/b",
    "double slash": f"{BULK}//a-boolean",
    "dots": f"{BULK}/../../admin",
    "utf-8": f"{BULK}/" + "ключ".encode().decode("latin-1"),
    "no utf-8": f"{BULK}/\xff\xfe",
    "utf-8 surrogate": f"{BULK}/\xed\xa0\x80",
    "new line": f"{BULK}/\n",
    "percent": f"{BULK}/%2e%zz",
    "nul": f"{BULK}/\x00",
    "long": f"{BULK}/" + "x" * 5_000,
    "trailing letter": f"{BULK}s",
    "upper case": BULK.upper(),
    "other version": "/ofrep/v2/evaluate/flags",
    "short": "/ofrep/v1/evaluate",
    "outside": "/healthz/live",
}
QUERIES = (
    "flagConfigEtag=%22a%22&flagConfigLastModified=1780000000",
    "flagConfigLastModified=2026-11-21T12:00:00Z",
    f"x-api-key={SECRET}",
    "format=xml",
    "%00",
    "a=\x00",
    "%2500",
    "\xff=%ff&&&==",
    "q=" + "x" * 10_000,
)
HEADERS: dict[str, Environ] = {
    "etag": {"HTTP_IF_NONE_MATCH": '"x"'},
    "any etag": {"HTTP_IF_NONE_MATCH": "*"},
    "broken etag": {"HTTP_IF_NONE_MATCH": '"'},
    "accept": {"HTTP_ACCEPT": "text/html;q=0"},
    "no type": {"CONTENT_TYPE": ""},
    "origin": {"HTTP_ORIGIN": "https://shop.example.org"},
    "other origin": {"HTTP_ORIGIN": "https://evil.example.org"},
    "null origin": {"HTTP_ORIGIN": "null"},
    "forwarded": {"HTTP_X_FORWARDED_FOR": "10.0.0.1", "HTTP_X_FORWARDED_HOST": "evil.example.org"},
    "request id": {"HTTP_X_REQUEST_ID": "r-1"},
    "odd request id": {"HTTP_X_REQUEST_ID": "a b\té"},
    "trace": {"HTTP_TRACEPARENT": "00-" + "a" * 32 + "-" + "b" * 16 + "-01", "HTTP_TRACESTATE": "x=1"},
    "override": {"HTTP_X_HTTP_METHOD_OVERRIDE": "GET"},
    "range": {"HTTP_RANGE": "bytes=0-1"},
    "modified since": {"HTTP_IF_MODIFIED_SINCE": "Sat, 21 Nov 2026 12:00:00 GMT"},
    "expect": {"HTTP_EXPECT": "100-continue"},
    "gzip": {"HTTP_ACCEPT_ENCODING": "gzip, deflate, br", "HTTP_X_API_KEY": BIG},
    "gzip and known": {"HTTP_ACCEPT_ENCODING": "gzip", "HTTP_X_API_KEY": BIG, "HTTP_IF_NONE_MATCH": "*"},
    "no gzip": {"HTTP_ACCEPT_ENCODING": "gzip;q=0.000, identity", "HTTP_X_API_KEY": BIG},
    "charset": {"CONTENT_TYPE": "application/json; charset=UTF8"},
    "latin-1": {"CONTENT_TYPE": "application/json; charset=latin-1"},
}
UNREADABLE_TYPES = (
    "application/json" + ";a=b" * 60,
    "application/json" + ";a=b" * 60 + "x",
    "application/json" + ";a=b" * 60_000,
    "application/json; charset=" + "x" * 41,
    "application/json; charset=" + "x" * 150_000,
    "application/json; charset*=no-such''utf-8",
    "application/json; a*0*=no-such''b",
)
HOSTS = (
    "evil.example.org",
    "localhost:8443",
    "127.0.0.1",
    "",
    "local host",
    "localhost\x00",
    "[::1",
    "ÿ",
    "LOCALHOST.",
)
LENGTHS: dict[str, Environ] = {
    "missing": {"CONTENT_LENGTH": None},
    "empty": {"CONTENT_LENGTH": ""},
    "no number": {"CONTENT_LENGTH": "ten"},
    "negative": {"CONTENT_LENGTH": "-1"},
    "too short": {"CONTENT_LENGTH": "5"},
    "too long": {"CONTENT_LENGTH": "500"},
    "far too long": {"CONTENT_LENGTH": "9" * 30},
    "chunked": {"CONTENT_LENGTH": None, "HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True},
    "chunked, no end": {"CONTENT_LENGTH": None, "HTTP_TRANSFER_ENCODING": "Chunked"},
    "chunked with a length": {"HTTP_TRANSFER_ENCODING": "gzip, chunked", "wsgi.input_terminated": True},
    "identity": {"HTTP_TRANSFER_ENCODING": "identity"},
}


def environ(path: str = BULK, body: bytes = BETA, scheme: str = "http", **changes: Any) -> Environ:
    """What a server hands over; None takes something away."""
    made = {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "localhost",
        "HTTP_X_API_KEY": SECRET,
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.url_scheme": scheme,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        **changes,
    }
    return {name: value for name, value in made.items() if value is not None}


def call(application: Wsgi, given: Environ) -> tuple[str, list[tuple[str, str]], bytes]:
    """Status line, headers in their order and body, as a server gets them. The environ can be used again."""
    answered: list[Any] = []
    given["wsgi.input"].seek(0)
    body = b"".join(application(dict(given), lambda status, headers, exc_info=None: answered.extend((status, headers))))
    return answered[0], answered[1], body


def corpus() -> Iterator[tuple[str, Environ]]:
    """Every request with its name."""
    for where, path in (("all", BULK), ("one", f"{BULK}/targeted"), ("unknown", f"{BULK}/unknown")):
        yield f"{where}: plain", environ(path)
        for name, body in (PARSE_ERROR | INVALID_CONTEXT).items():
            yield f"{where}: body {name}", environ(path, body)
        for size in (65_536, 65_537, 262_144, 262_145, 1_000_000):
            yield f"{where}: {size} bytes", environ(path, BODY + b" " * (size - len(BODY)))
        for name, changes in _changes():
            yield f"{where}: {name}", environ(path, **changes)
    for name, path in PATHS.items():
        for method in ("POST", "GET", "OPTIONS"):
            yield f"path {name} {method}", environ(path, REQUEST_METHOD=method)
        yield f"path {name} as a client", environ(path, HTTP_X_API_KEY=CLIENT)


def _changes() -> Iterator[tuple[str, Environ]]:
    """What can be odd about a request besides its body, one by one."""
    for kind, table in {"token": TOKENS, "header": HEADERS, "length": LENGTHS}.items():
        yield from ((f"{kind} {name}", changes) for name, changes in table.items())
    lists: dict[str, tuple[str | None, ...]] = {
        "REQUEST_METHOD": METHODS,
        "CONTENT_TYPE": (*CONTENT_TYPES, *UNREADABLE_TYPES),
        "HTTP_CONTENT_ENCODING": CONTENT_ENCODINGS,
        "QUERY_STRING": QUERIES,
        "HTTP_HOST": (*HOSTS, None),
    }
    for name, values in lists.items():
        yield from ((f"{name} {str(value)[:40]!r}", {name: value}) for value in values)


def mixtures(number: int) -> Iterator[tuple[str, Environ]]:
    """Requests that are odd in several ways at once; the same ones in every run."""
    chance = random.Random(3)
    bodies = [BETA, BODY, json.dumps({"context": {"a": "é😀", "n": 10**30}}).encode(), b"[", b""]
    for index in range(number):
        changes: Environ = {}
        for table in (TOKENS, HEADERS, LENGTHS):
            if chance.random() < 0.4:
                changes |= chance.choice(list(table.values()))
        if chance.random() < 0.3:
            changes["REQUEST_METHOD"] = chance.choice([*METHODS, "POST"])
        if chance.random() < 0.2:
            changes["QUERY_STRING"] = chance.choice(QUERIES)
        if chance.random() < 0.1:
            changes["HTTP_HOST"] = chance.choice(HOSTS)
        path = chance.choice([BULK, *PATHS.values()])
        yield f"mixture {index}", environ(path, chance.choice(bodies), **changes)
