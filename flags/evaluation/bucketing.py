"""Bucketing: a stable hash of salt and targeting key, scaled to a range of weights. Changing any of it moves people.

Two generations are live. `flagd-v2` hashes the UTF-8 bytes of the key, `flagd-v3` its deterministic CBOR encoding
(RFC 8949 section 4.2.1). Both use MurmurHash3 x86 32-bit with seed 0, read as unsigned, and `(hash * total) >> 32`.
"""

from collections.abc import Callable, Sequence
from enum import StrEnum
from functools import lru_cache
from struct import Struct, iter_unpack

MAX_TARGETING_KEY_CHARACTERS = 1_024

REMEMBERED_KEY_CHARACTERS = 64

_MASK = 0xFFFFFFFF
# Multiplying a 32-bit number by this writes it twice in a row, so one shift makes a rotation.
_TWICE = 0x1_0000_0001
_READ_BLOCKS = tuple(Struct(f"<{count}I").unpack_from for count in range(66))

Hash = Callable[[str, str], int | None]


class Generation(StrEnum):
    """Which bucketing algorithm an environment uses."""

    FLAGD_V2 = "flagd-v2"
    FLAGD_V3 = "flagd-v3"


def murmur3_32(data: bytes, seed: int = 0) -> int:
    """MurmurHash3 x86 32-bit (Austin Appleby, public domain), as an unsigned number."""
    return _finish(seed & _MASK, data, len(data))


def _finish(state: int, data: bytes, length: int) -> int:
    """Hash the last bytes of `length` bytes; `state` has taken in the ones before, in whole blocks of four."""
    count = len(data) >> 2
    read = _READ_BLOCKS[count + 1] if count < 65 else Struct(f"<{count + 1}I").unpack_from
    *blocks, tail = read(data + b"\0\0\0\0")
    for block in blocks:
        state ^= ((block * 0xCC9E2D51 & _MASK) * _TWICE >> 17) * 0x1B873593 & _MASK
        state = (state * _TWICE >> 19) * 5 + 0xE6546B64 & _MASK
    if tail:
        state ^= ((tail * 0xCC9E2D51 & _MASK) * _TWICE >> 17) * 0x1B873593 & _MASK
    state ^= length
    state = (state ^ state >> 16) * 0x85EBCA6B & _MASK
    state = (state ^ state >> 13) * 0xC2B2AE35 & _MASK
    return state ^ state >> 16


def _begin(data: bytes) -> tuple[int, bytes, int]:
    """Take in the whole blocks of a beginning that many keys share: the state, the bytes left over, the bytes taken."""
    taken = len(data) & ~3
    state = 0
    for (block,) in iter_unpack("<I", data[:taken]):
        state ^= ((block * 0xCC9E2D51 & _MASK) * _TWICE >> 17) * 0x1B873593 & _MASK
        state = (state * _TWICE >> 19) * 5 + 0xE6546B64 & _MASK
    return state, data[taken:], taken


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


@lru_cache(maxsize=4_096)
def _begin_v2(salt: str) -> tuple[int, bytes, int]:
    return _begin(salt.encode("utf-8"))


@lru_cache(maxsize=4_096)
def _begin_v3(salt: str, key_bytes: int) -> tuple[int, bytes, int]:
    data = salt.encode("utf-8")
    return _begin(_head(0x60, len(data) + key_bytes) + data)


def _salted_v2(salt: str, key: str) -> int | None:
    try:
        data = key.encode("utf-8")
        state, left, taken = _begin_v2(salt)
    except UnicodeEncodeError:
        return None
    data = left + data
    return _finish(state, data, taken + len(data))


def _salted_v3(salt: str, key: str) -> int | None:
    try:
        data = key.encode("utf-8")
        state, left, taken = _begin_v3(salt, len(data))
    except UnicodeEncodeError:
        return None
    data = left + data
    return _finish(state, data, taken + len(data))


_SALTED: dict[Generation, Hash] = {Generation.FLAGD_V2: _salted_v2, Generation.FLAGD_V3: _salted_v3}
# The same people come back, so their hashes are remembered: in memory only, and never more than these.
_REMEMBERED: dict[Generation, Hash] = {
    generation: lru_cache(maxsize=32_768)(salted) for generation, salted in _SALTED.items()
}


def salted_hash(generation: Generation) -> Hash:
    """Return the function (salt, key) -> hash of one generation. It answers None for a key with a lone surrogate.

    It remembers; give it keys of at most `REMEMBERED_KEY_CHARACTERS`, so that hostile keys cannot fill the memory.
    """
    return _REMEMBERED[generation]


def unusual_hash(generation: Generation) -> Callable[[str, object], int | None]:
    """Return the function for everything `salted_hash` is not made for: it remembers nothing and takes any value.

    It answers None for what cannot be bucketed: no text, more than `MAX_TARGETING_KEY_CHARACTERS`, a lone surrogate.
    """
    fresh = _SALTED[generation]

    def hash_of(salt: str, key: object) -> int | None:
        if not isinstance(key, str) or len(key) > MAX_TARGETING_KEY_CHARACTERS:
            return None
        return fresh(salt, key)

    return hash_of
