"""Bucketing: a stable hash of salt and targeting key, scaled to a range of weights. Changing any of it moves people.

Two generations are live. `flagd-v2` hashes the UTF-8 bytes of the key, `flagd-v3` its deterministic CBOR encoding
(RFC 8949 section 4.2.1). Both use MurmurHash3 x86 32-bit with seed 0, read as unsigned, and `(hash * total) >> 32`.
"""

from collections.abc import Callable, Sequence
from enum import StrEnum
from functools import lru_cache
from struct import Struct

MAX_TARGETING_KEY_CHARACTERS = 1_024

_MASK = 0xFFFFFFFF
# Multiplying a 32-bit number by this writes it twice in a row, so one shift makes a rotation.
_TWICE = 0x1_0000_0001
_READ_BLOCKS = tuple(Struct(f"<{count}I").unpack_from for count in range(65))


class Generation(StrEnum):
    """Which bucketing algorithm an environment uses."""

    FLAGD_V2 = "flagd-v2"
    FLAGD_V3 = "flagd-v3"


def murmur3_32(data: bytes, seed: int = 0) -> int:
    """MurmurHash3 x86 32-bit (Austin Appleby, public domain), as an unsigned number."""
    count = len(data) >> 2
    blocks = _READ_BLOCKS[count](data) if count < 65 else Struct(f"<{count}I").unpack_from(data)
    state = seed & _MASK
    for block in blocks:
        state ^= ((block * 0xCC9E2D51 & _MASK) * _TWICE >> 17) * 0x1B873593 & _MASK
        state = (state * _TWICE >> 19) * 5 + 0xE6546B64 & _MASK
    tail = int.from_bytes(data[count << 2 :], "little")
    if tail:
        state ^= ((tail * 0xCC9E2D51 & _MASK) * _TWICE >> 17) * 0x1B873593 & _MASK
    state ^= len(data)
    state = (state ^ state >> 16) * 0x85EBCA6B & _MASK
    state = (state ^ state >> 13) * 0xC2B2AE35 & _MASK
    return state ^ state >> 16


def hash_v2(key: str) -> int:
    """The `flagd-v2` hash of a key. Raises UnicodeEncodeError where the key holds a lone surrogate."""
    return murmur3_32(key.encode("utf-8"))


def hash_v3(key: str | Sequence[str]) -> int:
    """The `flagd-v3` hash of a text key, or of the array flagd builds where a split names no key."""
    return murmur3_32(cbor(key))


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


def salted_hash(generation: Generation) -> Callable[[str, object], int | None]:
    """Return the function (salt, targeting key) -> hash of one generation.

    It answers None for a key that cannot be bucketed: no text, too long, or with a lone surrogate.
    """
    return _USABLE[generation]


def _usable(hash_key: Callable[[str], int]) -> Callable[[str, object], int | None]:
    def fresh(salt: str, key: str) -> int | None:
        try:
            return hash_key(salt + key)
        except UnicodeEncodeError:
            return None

    # The same people come back. Only short keys are remembered, so that hostile keys cannot fill the memory.
    remembered = lru_cache(maxsize=8_192)(fresh)

    def hash_of(salt: str, key: object) -> int | None:
        if not isinstance(key, str):
            return None
        length = len(key)
        if length <= 64:
            return remembered(salt, key)
        return fresh(salt, key) if length <= MAX_TARGETING_KEY_CHARACTERS else None

    return hash_of


_USABLE = {generation: _usable(hash_key) for generation, hash_key in _HASHES.items()}
