"""Pure: canonical JSON, chain hashing and verification.

`docs/audit.md` describes the format for outsiders. Changing a byte of it makes every stored chain unverifiable.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeAlias

JSON: TypeAlias = Any

GENESIS_HASH = "0" * 64

# Every column of an event but the two hashes; `previous_hash` joins them when the hash is taken.
FACTS: tuple[str, ...] = (
    "id",
    "chain",
    "sequence",
    "occurred_at",
    "action",
    "actor_kind",
    "actor_id",
    "via",
    "correlation_id",
    "project_key",
    "environment_key",
    "flag_key",
    "target_type",
    "target_id",
    "target_label",
    "reason",
    "data",
)
ROW_COLUMNS: tuple[str, ...] = (*FACTS, "previous_hash", "hash")
# Verification builds every row in this order: sorting what is sorted costs next to nothing.
_HASHED: tuple[str, ...] = tuple(sorted((*FACTS, "previous_hash")))

# Building an encoder costs more than hashing a row, so there is one for all.
_encode: Callable[[Any], str] = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
).encode


def canonical_json(value: Any) -> bytes:
    """The one byte form of a JSON value: sorted keys, no blanks, UTF-8, no NaN.

    Raises ValueError for NaN and infinities and for text with lone surrogates, TypeError for what JSON cannot hold.
    """
    return _encode(value).encode("utf-8")


def event_hash(previous_hash: str, facts: Mapping[str, Any]) -> str:
    """The SHA-256, in hex, of the canonical JSON of an event's facts together with the hash before it."""
    return _digest({**facts, "previous_hash": previous_hash})


def _digest(hashed: Mapping[str, Any]) -> str:
    return hashlib.sha256(_encode(hashed).encode()).hexdigest()


def instant_text(instant: datetime) -> str:
    """An aware instant as it is hashed: UTC, always six decimals, `2026-11-21T09:30:00.000000Z`."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Fault(StrEnum):
    """The ways in which a chain can be broken."""

    WRONG_HASH = "wrong hash"
    WRONG_PREVIOUS_HASH = "wrong previous hash"
    GAP = "gap"
    REPEATED = "repeated sequence"
    WRONG_CHAIN = "wrong chain"
    UNREADABLE = "unreadable"
    TRUNCATED = "truncated tail"
    BEYOND_HEAD = "beyond the head"
    HEAD_MISMATCH = "head mismatch"
    HEAD_MISSING = "head missing"


@dataclass(frozen=True, slots=True)
class BadRow:
    """The first place at which a chain does not add up. `event_id` is empty where the row itself is missing."""

    chain: str
    sequence: int
    event_id: str
    fault: Fault
    message: str


@dataclass(frozen=True, slots=True)
class Head:
    """Where a chain should end: the number and hash of its last event."""

    sequence: int
    hash: str


BEGINNING = Head(0, GENESIS_HASH)


def verify(
    rows: Iterable[Mapping[str, Any]], *, chain: str, after: Head = BEGINNING, head: Head | None = None
) -> BadRow | None:
    """Walk the rows of one chain by ascending sequence and name the first bad one, or None.

    A row maps every name of ROW_COLUMNS to its value in hashed form (ids and instants as text). With `head` the end of
    the chain is checked as well; `after` continues from an event known to be sound. Uses constant memory.
    """
    expected, last_hash = after.sequence + 1, after.hash
    for row in rows:
        bad = _check_row(row, chain=chain, expected=expected, last_hash=last_hash)
        if bad is not None:
            return bad
        if head is not None and expected > head.sequence:
            message = f"event {expected} exists although the chain ends with event {head.sequence}"
            return _bad(row, chain, expected, Fault.BEYOND_HEAD, message)
        expected, last_hash = expected + 1, row["hash"]
    return None if head is None else check_head(head, chain=chain, length=expected - 1, last_hash=last_hash)


def check_head(head: Head, *, chain: str, length: int, last_hash: str) -> BadRow | None:
    """Whether a chain of `length` sound events that ends with `last_hash` is what its head says."""
    if length < head.sequence:
        message = f"events {length + 1} to {head.sequence} are missing from the end of the chain"
        return BadRow(chain, length + 1, "", Fault.TRUNCATED, message)
    if length > head.sequence:
        message = f"the chain has {length} events, its head says {head.sequence}"
        return BadRow(chain, head.sequence, "", Fault.BEYOND_HEAD, message)
    if last_hash != head.hash:
        message = f"the last event's hash is {last_hash}, the chain's head says {head.hash}"
        return BadRow(chain, length, "", Fault.HEAD_MISMATCH, message)
    return None


def _check_row(row: Mapping[str, Any], *, chain: str, expected: int, last_hash: str) -> BadRow | None:
    sequence = row["sequence"]
    if not isinstance(sequence, int):
        return _bad(row, chain, expected, Fault.UNREADABLE, f"the number of this event is not an integer: {sequence!r}")
    if sequence > expected:
        missing = f"event {expected} is" if sequence == expected + 1 else f"events {expected} to {sequence - 1} are"
        return BadRow(chain, expected, "", Fault.GAP, f"{missing} missing; the next one found is event {sequence}")
    if sequence < expected:
        return _bad(row, chain, sequence, Fault.REPEATED, f"event {sequence} stands where event {expected} is expected")
    if row["chain"] != chain:
        return _bad(row, chain, sequence, Fault.WRONG_CHAIN, f"the event says it belongs to chain {row['chain']!r}")
    if row["previous_hash"] != last_hash:
        message = f"its previous hash is not the hash of event {sequence - 1}: one of the two was altered or replaced"
        return _bad(row, chain, sequence, Fault.WRONG_PREVIOUS_HASH, message)
    try:
        found = _digest({name: row[name] for name in _HASHED})
    except (TypeError, ValueError) as error:
        return _bad(row, chain, sequence, Fault.UNREADABLE, f"a column of the event cannot be read: {error}")
    if found != row["hash"]:
        return _bad(row, chain, sequence, Fault.WRONG_HASH, "its columns do not give its hash: a column was altered")
    return None


def _bad(row: Mapping[str, Any], chain: str, sequence: int, fault: Fault, message: str) -> BadRow:
    return BadRow(chain, sequence, str(row["id"]), fault, message)
