"""From a WSGI environ to the evaluation handler and back. Both doors, the WSGI front and the Django views, use it."""

from datetime import UTC, datetime
from typing import Any

from flags import snapshots
from flags.api import ofrep
from flags.api.edge import edge
from flags.api.ofrep import BULK_PATH, MAX_BULK_BYTES, MAX_SINGLE_BYTES
from flags.api.wire import WireRequest, WireResponse

Environ = dict[str, Any]

META_NAMES = tuple(
    (name, name.upper().replace("-", "_") if name == "content-type" else "HTTP_" + name.upper().replace("-", "_"))
    for name in ofrep.HEADERS_READ
)


def answer(environ: Environ, *, method: str, path: str) -> WireResponse:
    """Answer a request; `path` is percent-decoded. Never raises."""
    limit = MAX_BULK_BYTES if path == BULK_PATH else MAX_SINGLE_BYTES
    body = read_body(environ, limit=limit)
    headers = {name: environ[meta] for name, meta in META_NAMES if meta in environ}
    request = WireRequest(method, path, headers, environ.get("QUERY_STRING", ""), body or b"")
    if body is None:
        return ofrep.answer_without_length(request, edge=edge())
    return ofrep.handle(request, store=snapshots.store, now=datetime.now(UTC), edge=edge())


def read_body(environ: Environ, *, limit: int) -> bytes | None:
    """At most one byte more than `limit`, so that more never enters memory; None where the end cannot be found.

    A body in chunks has no length: it is read where the server marks the end of its input.
    """
    if "HTTP_TRANSFER_ENCODING" in environ and "chunked" in environ["HTTP_TRANSFER_ENCODING"].lower():
        if not environ.get("wsgi.input_terminated"):
            return None
        missing = limit + 1
    else:
        missing = min(_content_length(environ), limit + 1)
    if missing <= 0:
        return b""
    try:
        body: bytes = environ["wsgi.input"].read(missing)
        if len(body) < missing and body:
            body += _rest(environ["wsgi.input"], missing - len(body))
    except OSError:
        # The client went away; whatever is answered, nobody reads it.
        return b""
    return body


def _rest(stream: Any, missing: int) -> bytes:
    parts: list[bytes] = []
    while missing > 0 and (part := stream.read(missing)):
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


def _content_length(environ: Environ) -> int:
    try:
        return int(environ.get("CONTENT_LENGTH") or 0)
    except ValueError:
        return 0
