"""Bucketing: a stable hash of salt and targeting key, scaled to a range of weights. Changing any of it moves people.

Two generations are live. `flagd-v2` hashes the UTF-8 bytes of the key, `flagd-v3` its deterministic CBOR encoding
(RFC 8949 section 4.2.1). Both use MurmurHash3 x86 32-bit with seed 0, read as unsigned, and `(hash * total) >> 32`.
"""

from collections.abc import Callable, Sequence
from enum import StrEnum

import mmh3

MAX_TARGETING_KEY_CHARACTERS = 1_024

# `mmh3.hash` takes text as well, but ends the whole process when that holds half of a surrogate pair: encode first.
hash_bytes: Callable[[bytes], int] = mmh3.mmh3_32_uintdigest


class Generation(StrEnum):
    """Which bucketing algorithm an environment uses."""

    FLAGD_V2 = "flagd-v2"
    FLAGD_V3 = "flagd-v3"


def hash_v2(key: str) -> int:
    """The `flagd-v2` hash of a key. Raises UnicodeEncodeError where the key holds a lone surrogate."""
    return hash_bytes(key.encode("utf-8"))


def hash_v3(key: str | Sequence[str]) -> int:
    """The `flagd-v3` hash of a text key, or of the array flagd builds where a split names no key."""
    return hash_bytes(cbor(key))


def cbor(value: str | Sequence[str]) -> bytes:
    """Deterministic CBOR of a text or an array of texts: the shortest head, definite lengths.

    Raises UnicodeEncodeError where a text holds a lone surrogate.
    """
    if isinstance(value, str):
        data = value.encode("utf-8")
        return _head(0x60, len(data)) + data
    return _head(0x80, len(value)) + b"".join(cbor(item) for item in value)


def _head(major: int, length: int) -> bytes:
    if length < 24:
        return bytes((major | length,))
    for extra, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if length < 1 << (8 * size):
            return bytes((major | extra,)) + length.to_bytes(size, "big")
    raise ValueError("CBOR has no head for a length of more than 64 bits.")


def implicit_hash(flag_key: str, targeting_key: str, *, generation: Generation) -> int:
    """The hash flagd takes where a `fractional` names no key of its own."""
    if generation is Generation.FLAGD_V3:
        return hash_v3((flag_key, targeting_key))
    return hash_v2(flag_key + targeting_key)


def bucket(key: str, *, salt: str, total: int, generation: Generation) -> int:
    """Return a bucket in [0, total). `total` is the weight sum, 1..2**31-1; ValueError outside that range.

    The hashed key is `salt + key`. Source: flagd core/pkg/evaluator/fractional.go.
    """
    if not 1 <= total < 2**31:
        raise ValueError("The weights must add up to a number from 1 to 2147483647.")
    return (_HASHES[generation](salt + key) * total) >> 32


_HASHES: dict[Generation, Callable[[str], int]] = {Generation.FLAGD_V2: hash_v2, Generation.FLAGD_V3: hash_v3}


# Heads of the texts that are usual; longer ones get theirs when they come.
_TEXT_HEADS = tuple(_head(0x60, length) for length in range(256))


def key_hash(salt: str, *, generation: Generation) -> Callable[[str], int]:
    """Return the function key -> hash of `salt + key`.

    Raises UnicodeEncodeError for a salt with a lone surrogate, and so does the function for a key with one.
    """
    prefix, hashed = salt.encode("utf-8"), hash_bytes
    if generation is Generation.FLAGD_V2:
        return lambda key: hashed(prefix + key.encode("utf-8"))
    taken, heads = len(prefix), _TEXT_HEADS

    def of_cbor(key: str) -> int:
        data = key.encode("utf-8")
        length = taken + len(data)
        head = heads[length] if length < 256 else _head(0x60, length)
        return hashed(head + prefix + data)

    return of_cbor
