"""Bodies of telemetry: capped before and after they are unpacked, JSON or whatever a door takes."""

import zlib
from collections.abc import Mapping
from weakref import WeakKeyDictionary

from flags.api.door import Environ, read_body
from flags.api.refusals import length_required, refused
from flags.api.wire import Refused
from flags.evaluation.compile import CompiledSnapshot
from flags.telemetry.telling import Known

MAX_BYTES = 1_000_000
MAX_UNPACKED_BYTES = 4_000_000
_GZIP = 16 + zlib.MAX_WBITS

_known: WeakKeyDictionary[CompiledSnapshot, Known] = WeakKeyDictionary()


def body_of(environ: Environ, *, most_unpacked: int = MAX_UNPACKED_BYTES) -> bytes:
    """The body of a request as its sender meant it. Raises Refused."""
    body = read_body(environ, limit=MAX_BYTES)
    if body is None:
        raise Refused(length_required())
    if len(body) > MAX_BYTES:
        raise _too_large(MAX_BYTES)
    encoding = environ.get("HTTP_CONTENT_ENCODING", "").strip().lower()
    if encoding in {"", "identity"}:
        return body
    if encoding not in {"gzip", "x-gzip"}:
        raise refused(415, "unsupported_encoding", "The body may be compressed with gzip, or not at all.")
    return _unpacked(body, most_unpacked)


def known_variants(compiled: CompiledSnapshot) -> Known:
    """The variants of every flag a snapshot serves. Put together once for each snapshot."""
    known = _known.get(compiled)
    if known is None:
        flags = compiled.snapshot.flags
        known = _known[compiled] = {key: _variants(source.document) for key, source in flags.items()}
    return known


def _variants(document: Mapping[str, object]) -> frozenset[str]:
    variants = document.get("variants")
    names = [each.get("name") for each in variants if isinstance(each, dict)] if isinstance(variants, list) else []
    return frozenset(name for name in names if isinstance(name, str))


def _unpacked(body: bytes, most: int) -> bytes:
    """One gzip member, never more than the limit of it in memory."""
    unpacking = zlib.decompressobj(_GZIP)
    try:
        unpacked = unpacking.decompress(body, most + 1)
    except zlib.error:
        raise refused(400, "invalid_encoding", "The body is not gzip, though Content-Encoding says so.") from None
    if len(unpacked) > most:
        raise _too_large(most)
    if not unpacking.eof or unpacking.unused_data:
        raise refused(400, "invalid_encoding", "The gzip body ends too early, or something follows it.")
    return unpacked


def _too_large(limit: int) -> Refused:
    return refused(413, "body_too_large", f"The body is larger than {limit:,} bytes. Send several smaller batches.")
