"""The ASGI application of the stream process. No framework: it has four addresses, and each open stream is a coroutine
that waits for its client to leave.

A URL may hold a ticket, so no line of any log holds a query string.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import structlog

from flags.api.cors import PREFLIGHT_SECONDS, cors_headers
from flags.api.wire import Refused, WireRequest, WireResponse
from flags.streams.doors import HEADERS_READ, LIVE_PATH, PATHS, READY_PATH, Guest, Registry, open_door
from flags.streams.figures import METRICS_PATH, metrics_answer
from flags.streams.hub import Hub, Limits

logger = structlog.get_logger(__name__)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

PREFLIGHT_HEADERS = {
    "Access-Control-Allow-Methods": "GET, HEAD",
    "Access-Control-Allow-Headers": "authorization, cache-control, last-event-id, x-api-key",
    "Access-Control-Max-Age": str(PREFLIGHT_SECONDS),
}
STREAM_HEADERS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-store",
    # nginx would collect the events otherwise.
    "X-Accel-Buffering": "no",
}


class Store(Registry, Protocol):
    """A registry that loads in the background and says when something moved."""

    def start(self) -> bool:
        """Begin to load, without waiting for it."""

    def subscribe(self, callback: Callable[[frozenset[UUID]], None], /) -> Callable[[], None]:
        """Call back, in any thread, with the environments that changed."""


class StreamApplication:
    """Opens streams and keeps them. Give it a loop by serving it; `close` ends all streams before a stop."""

    def __init__(
        self,
        store: Store,
        *,
        clock: Callable[[], datetime],
        settle_seconds: float,
        origins: frozenset[str],
        metrics_token: str = "",
        limits: Limits | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._origins = origins
        self._metrics_token = metrics_token
        self.hub = Hub(store, clock=clock, settle_seconds=settle_seconds, limits=limits or Limits())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection, or the life of the process."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)

    def close(self) -> None:
        """End every stream in good order; clients come back to another process, or to this one's successor."""
        self.hub.close()

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        loop = asyncio.get_running_loop()

        def look(moved: frozenset[UUID]) -> None:
            loop.call_soon_threadsafe(self.hub.look, moved)

        unsubscribe = self._store.subscribe(look)
        self._store.start()
        upkeep = asyncio.create_task(self.hub.run())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        unsubscribe()
        upkeep.cancel()
        self.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.monotonic()
        request = _request(scope)
        answer: WireResponse | None
        try:
            outcome = self._open_door(request)
            if isinstance(outcome, Guest):
                address, *_ = scope.get("client") or ("",)
                answer = await self._serve(outcome, request, receive, send, address=address)
            else:
                answer = outcome
        except Refused as refusal:
            answer = refusal.response
        except Exception as error:
            logger.error("stream_failed", error=type(error).__name__)
            raise
        if answer is not None:
            await _send(answer, send, cors=self._cors(request), is_head=request.method == "HEAD")
        _log(request, answer.status if answer else 200, time.monotonic() - started)

    def _open_door(self, request: WireRequest) -> Guest | WireResponse:
        if request.path == METRICS_PATH:
            return metrics_answer(request, self.hub.figures, clients=len(self.hub), token=self._metrics_token)
        return open_door(request, store=self._store, now=self._clock())

    async def _serve(
        self, guest: Guest, request: WireRequest, receive: Receive, send: Send, *, address: str
    ) -> WireResponse | None:
        """Keep a stream open until the client leaves or its time is over. Answers what is left to be sent."""
        if request.method == "HEAD":
            return WireResponse(200, STREAM_HEADERS, b"")

        async def write(data: bytes, more: bool) -> None:
            await send({"type": "http.response.body", "body": data, "more_body": more})

        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a server runs us in a task
        is_abandoned = False

        def abandon() -> None:
            nonlocal is_abandoned
            is_abandoned = True
            task.cancel()

        stream = self.hub.admit(guest, write, abandon=abandon, address=address)
        try:
            headers = {**STREAM_HEADERS, **self._cors(request)}
            await send({"type": "http.response.start", "status": 200, "headers": _encoded(headers)})
            await write(self.hub.greeting(stream), True)
            while (await receive())["type"] != "http.disconnect":
                pass
        except asyncio.CancelledError:
            if not is_abandoned:
                raise
        finally:
            self.hub.leave(stream)
        return None

    def _cors(self, request: WireRequest) -> Mapping[str, str]:
        """What lets pages of other origins listen; a preflight needs no token."""
        headers = cors_headers(self._origins, request.headers.get("origin", ""))
        is_preflight = request.method == "OPTIONS" and "access-control-request-method" in request.headers
        return {**headers, **PREFLIGHT_HEADERS} if is_preflight and len(headers) > 1 else headers


def _request(scope: Scope) -> WireRequest:
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        key = name.decode("latin-1").lower()
        if key in HEADERS_READ:
            headers.setdefault(key, value.decode("latin-1"))
    return WireRequest(scope["method"], scope["path"], headers, scope["query_string"].decode("latin-1"), b"")


async def _send(response: WireResponse, send: Send, *, cors: Mapping[str, str], is_head: bool) -> None:
    headers = {**response.headers, **cors}
    if response.status != 204 and response.headers.get("Content-Type") != STREAM_HEADERS["Content-Type"]:
        headers["Content-Length"] = str(len(response.body))
    await send({"type": "http.response.start", "status": response.status, "headers": _encoded(headers)})
    await send({"type": "http.response.body", "body": b"" if is_head else response.body})


def _encoded(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]


def _log(request: WireRequest, status: int, seconds: float) -> None:
    """One line for each request, without its query, and with no path that a stranger chose."""
    path = request.path if request.path in (*PATHS, METRICS_PATH) else "(other)"
    level = logger.debug if path in (LIVE_PATH, READY_PATH, METRICS_PATH) else logger.info
    level("stream_request", method=request.method[:10], path=path, status=status, seconds=round(seconds, 1))
