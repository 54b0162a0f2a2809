"""Tickets for the stream: what a browser puts in a URL, because its EventSource sends no headers.

A ticket names a token and its environment, never the token's secret, and lapses after 10 to 20 minutes. All tickets of
one token within ten minutes are the same text, so an answer that carries one changes no more often than that.
"""

import base64
import binascii
import hashlib
import hmac
import struct
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from django.conf import settings

from flags.evaluation.compile import CompiledSnapshot
from flags.snapshots import TokenFacts

BUCKET_SECONDS = 600
# How long a web provider keeps the stream of a hidden page open.
INACTIVITY_SECONDS = 120
STREAM_PATH = "/api/v1/stream"

_TICKET_PURPOSE, _POSITION_PURPOSE = b"flagsite.stream-ticket.v1", b"flagsite.stream-position.v1"
_BODY = struct.Struct(">16s16sQ")
_SIGNATURE_BYTES = 32
_TICKET_CHARACTERS = (_BODY.size + _SIGNATURE_BYTES) * 4 // 3
assert (_BODY.size + _SIGNATURE_BYTES) % 3 == 0, "Base64 without padding has one spelling only."  # noqa: S101


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a valid ticket says. Whether its token still lives is for the registry to tell."""

    token_id: uuid.UUID
    environment_id: uuid.UUID
    expires_at: datetime


def bucket(now: datetime) -> int:
    """The ten minutes `now` lies in. Belongs into the tag of every answer with a ticket: a 304 repeats the old one."""
    return int(now.timestamp()) // BUCKET_SECONDS


def issue(token_id: uuid.UUID, environment_id: uuid.UUID, *, now: datetime) -> str:
    """A ticket that lapses at the end of the next bucket, so after more than 10 and at most 20 minutes."""
    return _issue(token_id, environment_id, (bucket(now) + 2) * BUCKET_SECONDS, settings.SECRET_KEY)


def read(ticket: str, *, now: datetime) -> Ticket | None:
    """What a ticket says; None for one that is malformed, altered, foreign or over."""
    if len(ticket) != _TICKET_CHARACTERS or not ticket.isascii():
        return None
    try:
        raw = base64.b64decode(ticket, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    body, signature = raw[: _BODY.size], raw[_BODY.size :]
    if not hmac.compare_digest(signature, _sign(body, settings.SECRET_KEY)):
        return None
    token_id, environment_id, expires = _BODY.unpack(body)
    expires_at = datetime.fromtimestamp(expires, UTC)
    return Ticket(uuid.UUID(bytes=token_id), uuid.UUID(bytes=environment_id), expires_at) if now < expires_at else None


def event_streams(facts: TokenFacts, *, now: datetime, since: str = "") -> list[dict[str, Any]]:
    """The `eventStreams` of a bulk answer; empty while no stream process is named in the settings.

    `since` is the position of the snapshot that was evaluated (`position`): the stream then tells at once whether
    something changed between the answer and the connection.
    """
    if not settings.STREAM_URL:
        return []
    ticket = issue(facts.id, facts.environment_id, now=now)
    url = f"{settings.STREAM_URL}{STREAM_PATH}?ticket={ticket}" + (f"&since={since}" if since else "")
    return [{"type": "sse", "url": url, "inactivityDelaySec": INACTIVITY_SECONDS}]


def position(snapshot: CompiledSnapshot) -> str:
    """What differs as soon as an environment may answer differently: its revision, and the variants forced here.

    Browsers see it, so what is forced goes in under a key: nobody can try out guesses at flags that are hidden from
    them. Hidden flags count for every listener all the same, because visible ones may depend on them.
    """
    if not snapshot.forced:
        return str(snapshot.revision)
    # Environment and revision go in as well: what the same set looks like elsewhere or later tells nothing.
    facts = repr((snapshot.snapshot.environment_id, snapshot.revision, sorted(snapshot.forced.items()))).encode()
    digest = hmac.digest(_key(_POSITION_PURPOSE, settings.SECRET_KEY), facts, hashlib.sha256)
    return f"{snapshot.revision}-{digest.hex()[:12]}"


@lru_cache(maxsize=4096)
def _issue(token_id: uuid.UUID, environment_id: uuid.UUID, expires: int, secret_key: str) -> str:
    body = _BODY.pack(token_id.bytes, environment_id.bytes, expires)
    return base64.urlsafe_b64encode(body + _sign(body, secret_key)).decode("ascii")


def _sign(body: bytes, secret_key: str) -> bytes:
    return hmac.digest(_key(_TICKET_PURPOSE, secret_key), body, hashlib.sha256)


@lru_cache(maxsize=4)
def _key(purpose: bytes, secret_key: str) -> bytes:
    """A key of its own, so that no other signature of the installation can pass for one made here."""
    return hmac.digest(secret_key.encode(), purpose, hashlib.sha256)
