"""Connections of the stream process: how long one may stay without being a stream, and who goes first without room.

Streams are counted by the hub, which knows their tokens. Everybody else is here for one answer: whoever has not asked
after a few seconds, or does not take the answer, is cut off, and the one that waited longest goes early when there is
no room. So strangers who only hold connections keep neither listeners nor health checks out.
"""

import asyncio
from collections.abc import Iterable
from typing import Any

import structlog
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from flags.streams.app import StreamApplication
from flags.streams.hub import STUCK_SECONDS

logger = structlog.get_logger(__name__)

# From the connection, or the answer before, to the end of the next request.
REQUEST_SECONDS = 10.0
# The hub gives up on a listener earlier; this is for answers that got stuck half-way.
HALF_SENT_SECONDS = 2 * STUCK_SECONDS
# Ticks of a tenth of a second.
TICKS_BETWEEN_SWEEPS = 10


class Connection(H11Protocol):
    """One connection. `quiet_since` is when it last was what it should be: new, answered, or a stream that flows."""

    quiet_since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        self.quiet_since = self.loop.time()

    def on_response_complete(self) -> None:
        """Begin to wait for the next one."""
        self.quiet_since = self.loop.time()
        super().on_response_complete()

    @property
    def is_answering(self) -> bool:
        """Whether an answer is on its way, which a stream is until its end."""
        cycle: RequestResponseCycle | None = self.cycle
        is_begun = cycle is not None and cycle.response_started and not cycle.response_complete
        return is_begun and not self.transport.is_closing()

    def is_overdue(self, now: float) -> bool:
        """Whether it has been of no use for too long."""
        if not self.is_answering:
            return now - self.quiet_since >= REQUEST_SECONDS
        if not self.flow.write_paused:
            self.quiet_since = now
        return now - self.quiet_since >= HALF_SENT_SECONDS


class StreamServer(uvicorn.Server):
    """Cuts off connections that are no use, and ends streams before it waits for requests to end.

    `places` is how many connections there may be before those that wait longest for nothing have to go.
    """

    def __init__(self, config: uvicorn.Config, application: StreamApplication, *, places: int) -> None:
        super().__init__(config)
        self._application = application
        self._places = places

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second."""
        is_full = len(self.server_state.connections) > self._places
        if is_full or counter % TICKS_BETWEEN_SWEEPS == 0:
            self._sweep(asyncio.get_running_loop().time())
        return await super().on_tick(counter)

    async def shutdown(self, sockets: Any = None) -> None:
        """Stop in good order."""
        self._application.close()
        await super().shutdown(sockets)

    def _sweep(self, now: float) -> None:
        connections = [one for one in self.server_state.connections if isinstance(one, Connection)]
        overdue = {one for one in connections if one.is_overdue(now)}
        excess = len(connections) - len(overdue) - self._places
        if excess > 0:
            waiting = (one for one in connections if not one.is_answering and one not in overdue)
            overdue.update(sorted(waiting, key=lambda one: one.quiet_since)[:excess])
        _cut_off(overdue)


def _cut_off(connections: Iterable[Connection]) -> None:
    """At once: closing in good order would wait for a client that takes nothing."""
    count = 0
    for connection in connections:
        connection.transport.abort()
        count += 1
    if count:
        logger.info("stream_connections_cut_off", connections=count)
