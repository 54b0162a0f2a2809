"""Bucketing: golden vectors of flagd, monotone shares, proportions, independence of flags."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flags.documents import TOTAL_WEIGHT
from flags.evaluation.bucketing import (
    Generation,
    bucket,
    cbor,
    hash_bytes,
    hash_v2,
    hash_v3,
    implicit_hash,
    key_hash,
)
from tests.flags.evaluation.murmur import murmur3_32

V2, V3 = Generation.FLAGD_V2, Generation.FLAGD_V3
SEED = 0x9747B28C


@pytest.mark.parametrize(
    ("data", "seed", "expected"),
    [
        (b"", 0, 0),
        (b"", 1, 0x514E28B7),
        (b"", 0xFFFFFFFF, 0x81F16F39),
        (b"\xff\xff\xff\xff", 0, 0x76293B50),
        (b"\x21\x43\x65\x87", 0, 0xF55B516B),
        (b"\x21\x43\x65\x87", 0x5082EDEE, 0x2362F9DE),
        (b"\x21\x43\x65", 0, 0x7E4A8634),
        (b"\x21\x43", 0, 0xA0F7B07A),
        (b"\x21", 0, 0x72661CF4),
        (b"\x00\x00\x00\x00", 0, 0x2362F9DE),
        (b"\x00\x00\x00", 0, 0x85F0B427),
        (b"\x00\x00", 0, 0x30F4C306),
        (b"\x00", 0, 0x514E28B7),
        (b"aaaa", SEED, 0x5A97808A),
        (b"aaa", SEED, 0x283E0130),
        (b"aa", SEED, 0x5D211726),
        (b"a", SEED, 0x7FA09EA6),
        (b"Hello, world!", SEED, 0x24884CBA),
        ("ππππππππ".encode(), SEED, 0xD58063C1),
        (b"a" * 256, SEED, 0x37405BDC),
        (b"The quick brown fox jumps over the lazy dog", SEED, 0x2FA826CD),
    ],
)
def test_murmur3__published_vectors__are_reproduced(data: bytes, seed: int, expected: int) -> None:
    assert murmur3_32(data, seed) == expected
    if seed == 0:
        assert hash_bytes(data) == expected


@given(data=st.binary(max_size=5_000))
def test_hash_bytes__any_bytes__is_the_reference(data: bytes) -> None:
    assert hash_bytes(data) == murmur3_32(data)


@pytest.mark.parametrize(
    ("key", "v2", "v3_bytes", "v3"),
    [
        ("user-1", 4171401059, "66757365722d31", 1431628768),
        ("user-2", 3734456267, "66757365722d32", 151416753),
    ],
)
def test_explicit_key__flagd_vectors__are_reproduced(key: str, v2: int, v3_bytes: str, v3: int) -> None:
    assert hash_v2(key) == v2
    assert cbor(key).hex() == v3_bytes
    assert hash_v3(key) == v3


def test_implicit_key__flagd_vectors__are_reproduced() -> None:
    assert implicit_hash("checkout", "user-1", generation=V2) == 3105039728
    assert cbor(("checkout", "user-1")).hex() == "8268636865636b6f757466757365722d31"
    assert implicit_hash("checkout", "user-1", generation=V3) == 3114211850


@pytest.mark.parametrize(
    ("key", "expected"),
    [("ejOoVL", 0), ("bY9fO-", 1), ("SI7p-", 2147483647), ("6LvT0", 2147483648), ("ceQdGm", 4294967295)],
)
def test_hash_v2__edges_of_the_range__are_unsigned(key: str, expected: int) -> None:
    assert hash_v2(key) == expected


@pytest.mark.parametrize(
    ("length", "head"),
    [(0, "60"), (23, "77"), (24, "7818"), (255, "78ff"), (256, "790100"), (65_535, "79ffff"), (65_536, "7a00010000")],
)
def test_cbor__text_of_any_length__has_the_shortest_head(length: int, head: str) -> None:
    assert cbor("x" * length) == bytes.fromhex(head) + b"x" * length


@pytest.mark.parametrize(
    ("hashed_key", "expected"), [("ejOoVL", 0), ("SI7p-", 49_999), ("6LvT0", 50_000), ("ceQdGm", 99_999)]
)
def test_bucket__edges_of_the_range__stay_in_range(hashed_key: str, expected: int) -> None:
    assert bucket(hashed_key, salt="", total=TOTAL_WEIGHT, generation=V2) == expected
    assert bucket(hashed_key[2:], salt=hashed_key[:2], total=TOTAL_WEIGHT, generation=V2) == expected


@pytest.mark.parametrize("total", [-1, 0, 2**31])
def test_bucket__total_out_of_range__is_refused(total: int) -> None:
    with pytest.raises(ValueError, match="2147483647"):
        bucket("user-1", salt="checkout/", total=total, generation=V2)


@given(salt=st.text(st.characters(exclude_categories=["Cs"])), key=st.text(st.characters(exclude_categories=["Cs"])))
def test_key_hash__any_salt_and_key__is_the_hash_of_both_together(salt: str, key: str) -> None:
    assert key_hash(salt, generation=V2)(key) == hash_v2(salt + key)
    assert key_hash(salt, generation=V3)(key) == hash_v3(salt + key)


@pytest.mark.parametrize("characters", [14, 15, 16, 246, 247, 248, 1_024])
def test_key_hash__edges_of_the_cbor_heads__are_the_hash_of_both_together(characters: int) -> None:
    for key in ("x" * characters, "漢" * characters):
        assert key_hash("checkout/", generation=V3)(key) == hash_v3("checkout/" + key)


@pytest.mark.parametrize("generation", Generation)
@pytest.mark.parametrize("text", ["\ud800", "user-\udfff", "\udc00\ud800"], ids=["high", "low", "swapped"])
def test_key_hash__half_of_a_surrogate_pair__raises_and_ends_no_process(text: str, generation: Generation) -> None:
    with pytest.raises(UnicodeEncodeError):
        key_hash("checkout/", generation=generation)(text)
    with pytest.raises(UnicodeEncodeError):
        key_hash(text, generation=generation)


@pytest.mark.parametrize("generation", Generation)
def test_buckets__of_two_flags__are_independent(generation: Generation) -> None:
    salts = [f"flag-{number}/" for number in range(8)]
    keys = [f"user-{number}" for number in range(4_000)]
    first_tenth = {
        salt: {key for key in keys if bucket(key, salt=salt, total=TOTAL_WEIGHT, generation=generation) < 10_000}
        for salt in salts
    }

    # Two independent tenths of 4,000 share 40 people; six standard deviations are 38.
    for one, other in pairwise(salts):
        assert 2 <= len(first_tenth[one] & first_tenth[other]) <= 78


def test_generations__same_keys__are_independent() -> None:
    keys = [f"user-{number}" for number in range(4_000)]
    tenths = [
        {key for key in keys if bucket(key, salt="checkout/", total=TOTAL_WEIGHT, generation=generation) < 10_000}
        for generation in Generation
    ]
    assert 2 <= len(tenths[0] & tenths[1]) <= 78
