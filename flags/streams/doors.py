"""Who may open a stream, and what everybody else is told. Knows no server: a request in, a guest or an answer out."""

import random
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from urllib.parse import parse_qs

from flags.api import stream_tickets
from flags.api.stream_tickets import STREAM_PATH
from flags.api.tokens import presented_secret
from flags.api.wire import Refused, WireRequest, WireResponse, json_response, problem_response, to_json
from flags.evaluation.compile import CompiledSnapshot
from flags.snapshots import TokenFacts
from flags.streams.events import read_position

LIVE_PATH, READY_PATH = "/healthz/live", "/healthz/ready"
PATHS = (STREAM_PATH, LIVE_PATH, READY_PATH)
SCOPES = ("evaluate", "client")
LAST_MINUTE = timedelta(minutes=1)
# Streams are looked at twice a second, so the last ones of a ticket need a while to end before it does.
LAST_MOMENT = timedelta(seconds=2)
# The only headers the doors read.
HEADERS_READ = ("authorization", "x-api-key", "origin", "last-event-id", "access-control-request-method")

_ALLOW = "GET, HEAD, OPTIONS"
_MAX_QUERY_CHARACTERS = 2_000
_MAX_FIELDS = 8


class Registry(Protocol):
    """What the stream needs of the snapshot store. Nothing here waits for a database once it is loaded."""

    @property
    def is_loaded(self) -> bool:
        """Whether there is a state to answer from."""

    def token(self, secret: str, *, now: datetime) -> TokenFacts | None:
        """The live token a secret belongs to."""

    def token_facts(self, token_id: uuid.UUID) -> TokenFacts | None:
        """A token that is not revoked."""

    def snapshot(self, environment_id: uuid.UUID) -> CompiledSnapshot | None:
        """What an environment serves."""


@dataclass(frozen=True, slots=True)
class Guest:
    """Somebody who may listen. `closes_at` None means until the token ends; `is_behind`: a change was missed."""

    token_id: uuid.UUID
    environment_id: uuid.UUID
    closes_at: datetime | None
    is_behind: bool


def open_door(request: WireRequest, *, store: Registry, now: datetime) -> Guest | WireResponse:
    """Let a listener in, or give the whole answer: health, preflight, problems. Never waits and never raises."""
    try:
        if request.path not in PATHS:
            raise refused(404, "not_found", f"There is nothing at this address. The stream is at {STREAM_PATH}.")
        if request.method == "OPTIONS":
            return WireResponse(204, {"Allow": _ALLOW}, b"")
        if request.method not in {"GET", "HEAD"}:
            raise refused(405, "method_not_allowed", "Open the stream with GET.", Allow=_ALLOW)
        if request.path == LIVE_PATH:
            return json_response(200, to_json({"status": "live"}))
        if not store.is_loaded:
            raise not_loaded()
        if request.path == READY_PATH:
            return json_response(200, to_json({"status": "ready"}))
        return _guest(request, store=store, now=now)
    except Refused as refusal:
        return refusal.response


def refused(status: int, code: str, detail: str, **headers: str) -> Refused:
    """A problem to raise. Header names are given with underscores."""
    return Refused(problem_response(status, code=code, detail=detail, **headers))


def not_loaded() -> Refused:
    """Nothing was ever read in this process."""
    detail = "This process has not been able to read the flags since it started. Try again in a moment."
    return refused(503, "snapshots_unavailable", detail, Retry_After="1")


def _guest(request: WireRequest, *, store: Registry, now: datetime) -> Guest:
    query = _query(request.query)
    ticket = query.get("ticket")
    facts, closes_at = (_by_header(request, store, now), None) if ticket is None else _by_ticket(ticket, store, now)
    if facts is None:
        raise _unknown()
    if facts.scope not in SCOPES:
        scopes = " or ".join(f"“{scope}”" for scope in SCOPES)
        raise refused(403, "wrong_scope", f"This token may not listen for changes. Use one with the scope {scopes}.")
    snapshot = store.snapshot(facts.environment_id)
    if snapshot is None:
        raise not_loaded()
    # A browser that reconnects knows better than the address it was given at first.
    known = read_position(request.headers.get("last-event-id", "")) or read_position(query.get("since", ""))
    return Guest(facts.id, facts.environment_id, closes_at, known != stream_tickets.position(snapshot))


def _by_header(request: WireRequest, store: Registry, now: datetime) -> TokenFacts | None:
    secret = presented_secret(request.headers.get("x-api-key", ""), request.headers.get("authorization", ""))
    return store.token(secret, now=now) if secret else None


def _by_ticket(text: str, store: Registry, now: datetime) -> tuple[TokenFacts | None, datetime | None]:
    """The token of a ticket that is good for a while yet, and the instant at which this stream ends.

    Each stream ends at an instant of its own within the last minute of its ticket, lest all come back in one second.
    """
    ticket = stream_tickets.read(text, now=now + LAST_MINUTE)
    facts = store.token_facts(ticket.token_id) if ticket else None
    if ticket is None or facts is None or facts.environment_id != ticket.environment_id or facts.is_expired(now):
        return None, None
    spread = (LAST_MINUTE - LAST_MOMENT) * random.random()  # noqa: S311 - spreads load, guards nothing
    return facts, ticket.expires_at - LAST_MOMENT - spread


def _query(text: str) -> dict[str, str]:
    """The fields of a query string, each at most once."""
    detail = f"Send {STREAM_PATH}?ticket=..., with each field once, or no query and a token in a header."
    if len(text) > _MAX_QUERY_CHARACTERS:
        raise refused(400, "query_unreadable", detail)
    try:
        fields = parse_qs(text, keep_blank_values=True, max_num_fields=_MAX_FIELDS)
    except ValueError:
        raise refused(400, "query_unreadable", detail) from None
    if any(len(values) > 1 for values in fields.values()):
        raise refused(400, "query_unreadable", detail)
    return {name: values[0] for name, values in fields.items()}


def _unknown() -> Refused:
    """Missing, unknown, expired and revoked tokens and tickets get the same answer, byte for byte."""
    return refused(
        401,
        "token_required",
        "No valid ticket or token was sent. Evaluate all flags again: the answer names a fresh address for the stream. "
        "Services send their token as X-API-Key or Authorization: Bearer.",
        WWW_Authenticate='Bearer realm="flagsite"',
    )
