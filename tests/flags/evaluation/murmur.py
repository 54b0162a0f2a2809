"""MurmurHash3 in pure Python: the reference that the fast one is held against."""

from struct import unpack_from

_MASK = 0xFFFFFFFF


def _rotated(number: int, bits: int) -> int:
    return (number << bits | number >> (32 - bits)) & _MASK


def murmur3_32(data: bytes, seed: int = 0) -> int:
    """MurmurHash3 x86 32-bit (Austin Appleby, public domain), as an unsigned number."""
    state = seed & _MASK
    *blocks, tail = unpack_from(f"<{len(data) // 4 + 1}I", data + b"\0\0\0\0")
    for block in blocks:
        state ^= _rotated(block * 0xCC9E2D51 & _MASK, 15) * 0x1B873593 & _MASK
        state = (_rotated(state, 13) * 5 + 0xE6546B64) & _MASK
    state ^= _rotated(tail * 0xCC9E2D51 & _MASK, 15) * 0x1B873593 & _MASK
    state ^= len(data)
    state = (state ^ state >> 16) * 0x85EBCA6B & _MASK
    state = (state ^ state >> 13) * 0xC2B2AE35 & _MASK
    return state ^ state >> 16
