"""Large answers as gzip, for clients that take it. Pure but for a small memory of what was compressed last.

The entity tag of the compressed form is the weak form of the same tag: the bytes differ, what they say does not, and
`If-None-Match` compares weakly, so a client may switch between the two. No answer repeats anything of its request, so
its compressed length tells nothing about the token in a stream's address (BREACH).
"""

import gzip
import hashlib
from functools import lru_cache

# Below it, an answer takes three packets, and compressing costs more than evaluating (65 µs before the first byte).
MIN_BYTES = 4_096
_LEVEL = 3
_KEPT = 32

# The last large answers, by their digests.
_compressed: dict[bytes, bytes] = {}


def compress(body: bytes) -> bytes:
    """The body as gzip. Many users get the same answer, so the last few are kept."""
    key = hashlib.sha256(body).digest()
    compressed = _compressed.get(key)
    if compressed is None:
        compressed = gzip.compress(body, _LEVEL, mtime=0)
        if len(_compressed) >= _KEPT:
            _compressed.clear()
        _compressed[key] = compressed
    return compressed


def takes_gzip(accept_encoding: str) -> bool:
    """Whether an `Accept-Encoding` header allows gzip by name. `*` is not taken as a wish."""
    return len(accept_encoding) <= 200 and _takes_gzip(accept_encoding)


@lru_cache(maxsize=64)
def _takes_gzip(accept_encoding: str) -> bool:
    for entry in accept_encoding.lower().split(","):
        coding, *parameters = (part.strip() for part in entry.split(";"))
        if coding in {"gzip", "x-gzip"}:
            return not any(_is_zero(parameter) for parameter in parameters)
    return False


def _is_zero(parameter: str) -> bool:
    name, _, weight = parameter.partition("=")
    return name.strip() == "q" and weight.strip().rstrip("0") in {"", "0.", "."}
