"""The open streams of a process: who listens to which environment, and how they hear of a change.

Everything here runs in one event loop and nothing waits for anybody: an idle stream costs no task of its own, a notice
to a slow client is kept until the client takes it, and a newer one takes its place.
"""

import asyncio
import random
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

import structlog

from flags.api.stream_tickets import position
from flags.streams.addresses import public_place
from flags.streams.doors import Guest, Registry, refused
from flags.streams.events import KEEP_ALIVE, opening, refetch
from flags.streams.figures import Figures

logger = structlog.get_logger(__name__)

Key = TypeVar("Key")
Write = Callable[[bytes, bool], Awaitable[None]]

LOOK_SECONDS = 0.5
KEEP_ALIVE_SECONDS = 25.0
# A client that takes nothing for so long is gone, or holds a place that somebody else could use.
STUCK_SECONDS = 60.0
RETRY_MILLISECONDS = (1_000, 3_000)


@dataclass(frozen=True, slots=True)
class Limits:
    """How many streams one process keeps open, with one token, and with its tickets from one public address (0: any).

    All visitors of a site share one token and, for ten minutes, one ticket: whoever opens one page can open as many
    streams as a token may have. So no token gets more than half of the places, whatever it is allowed.
    """

    streams: int = 10_000
    streams_per_token: int = 5_000
    streams_per_address: int = 100

    @property
    def of_one_token(self) -> int:
        """How many streams one token really gets."""
        return min(self.streams_per_token, max(1, self.streams // 2))


@dataclass(slots=True, eq=False)
class Stream:
    """One listener. `write(bytes, more)` may wait for the client; only one of its writes is under way at a time."""

    guest: Guest
    write: Write
    abandon: Callable[[], object]
    speaks_at: float
    is_behind: bool
    place: str
    is_closing: bool = False
    task: asyncio.Task[None] | None = None
    stuck_at: float = 0.0


@dataclass(slots=True, eq=False)
class Room:
    """The listeners of one environment and what they are told next."""

    position: str
    notice: bytes
    streams: set[Stream] = field(default_factory=set)
    changed_at: float = 0.0
    timers: dict[float, asyncio.TimerHandle] = field(default_factory=dict)


class Hub:
    """All rooms. `settle_seconds` is how much later than this process another one may hear of a change at worst.

    A change is told almost at once and once more after that time: whoever asked a process that had not heard of it got
    the old answer, and asks again.
    """

    def __init__(
        self,
        store: Registry,
        *,
        clock: Callable[[], datetime],
        settle_seconds: float,
        limits: Limits,
        coalesce_seconds: float = 0.05,
    ) -> None:
        self._store = store
        self._clock = clock
        self.limits = limits
        self._delays = (coalesce_seconds, settle_seconds)
        self._rooms: dict[uuid.UUID, Room] = {}
        self._by_token: Counter[uuid.UUID] = Counter()
        self._by_place: Counter[tuple[uuid.UUID, str]] = Counter()
        self._is_closing = False
        self.figures = Figures()

    def __len__(self) -> int:
        """How many streams are open."""
        return self._by_token.total()

    def admit(self, guest: Guest, write: Write, *, abandon: Callable[[], object], address: str = "") -> Stream:
        """Give a guest a place. Raises Refused when there is none. `abandon` ends a stream that cannot be written.

        `address` is the other end of the connection, nothing that a client can choose.
        """
        place = "" if guest.closes_at is None else public_place(address)
        self._check_limits(guest.token_id, place)
        speaks_at = asyncio.get_running_loop().time() + KEEP_ALIVE_SECONDS
        stream = Stream(guest, write, abandon, speaks_at, is_behind=guest.is_behind, place=place)
        self._room(guest.environment_id).streams.add(stream)
        self._by_token[guest.token_id] += 1
        if place:
            self._by_place[guest.token_id, place] += 1
        self.figures.opened += 1
        return stream

    def _check_limits(self, token_id: uuid.UUID, place: str) -> None:
        limits = self.limits
        if self._is_closing or len(self) >= limits.streams:
            detail = "This process keeps no further stream open. Try again in a few seconds, or run more of them."
            raise refused(503, "streams_full", detail, Retry_After="5")
        if self._by_token[token_id] >= limits.of_one_token:
            detail = f"{limits.of_one_token:,} streams are open with this token. Close some, or share one."
            raise refused(429, "too_many_streams", detail, Retry_After="30")
        if place and 0 < limits.streams_per_address <= self._by_place[token_id, place]:
            detail = (
                f"{limits.streams_per_address:,} streams are open with tickets of this token from your address. "
                "Close some. If that is the address of a proxy, start the stream with --streams-per-address 0."
            )
            raise refused(429, "too_many_streams", detail, Retry_After="30")

    def greeting(self, stream: Stream) -> bytes:
        """The first bytes of a stream, with the notice of what it missed."""
        room = self._room(stream.guest.environment_id)
        retry = random.randint(*RETRY_MILLISECONDS)  # noqa: S311 - spreads load, guards nothing
        greeting = opening(room.position, retry_milliseconds=retry)
        is_behind, stream.is_behind = stream.is_behind, False
        self.figures.notices += is_behind
        return greeting + room.notice if is_behind else greeting

    def leave(self, stream: Stream) -> None:
        """Forget a stream; its room goes with the last one."""
        guest = stream.guest
        room = self._rooms.get(guest.environment_id)
        if room is None or stream not in room.streams:
            return
        room.streams.discard(stream)
        _take_off(self._by_token, guest.token_id)
        if stream.place:
            _take_off(self._by_place, (guest.token_id, stream.place))
        if stream.task is not None:
            stream.task.cancel()
        if not room.streams:
            for timer in room.timers.values():
                timer.cancel()
            del self._rooms[guest.environment_id]

    def look(self, environment_ids: Iterable[uuid.UUID] | None = None) -> None:
        """Compare rooms with the store and prepare to tell what moved. All of them when none are named."""
        for environment_id in list(self._rooms if environment_ids is None else environment_ids):
            room = self._rooms.get(environment_id)
            snapshot = self._store.snapshot(environment_id) if room and self._store.is_loaded else None
            if room and snapshot and (now_at := position(snapshot)) != room.position:
                room.position = now_at
                room.notice = refetch(now_at, at=self._clock())
                room.changed_at = asyncio.get_running_loop().time()
                for delay in self._delays:
                    self._plan(room, delay, delay)

    def tend(self) -> None:
        """What has to happen now and then: close what is over, keep quiet streams alive, give up on stuck ones."""
        now, time = self._clock(), asyncio.get_running_loop().time()
        live: dict[uuid.UUID, bool] = {}
        for stream in [stream for room in self._rooms.values() for stream in room.streams]:
            token_id = stream.guest.token_id
            if token_id not in live:
                live[token_id] = self._is_live(token_id, now)
            if stream.task is not None:
                if time >= stream.stuck_at:
                    logger.warning("stream_stuck", token=str(token_id))
                    self.figures.stuck += 1
                    self.leave(stream)
                    stream.abandon()
            elif not live[token_id] or _is_over(stream.guest, now):
                self._close(stream)
            elif time >= stream.speaks_at:
                self._write(stream)

    def close(self) -> None:
        """End every stream and let nobody in any more: the process is about to stop."""
        self._is_closing = True
        for room in list(self._rooms.values()):
            for stream in list(room.streams):
                self._close(stream)

    async def run(self) -> None:
        """Look and tend until cancelled. One bad moment does not end it."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                self.look()
                self.tend()
            except Exception as error:
                logger.error("stream_upkeep_failed", error=type(error).__name__)

    def _is_live(self, token_id: uuid.UUID, now: datetime) -> bool:
        facts = self._store.token_facts(token_id)
        return facts is not None and not facts.is_expired(now)

    def _room(self, environment_id: uuid.UUID) -> Room:
        room = self._rooms.get(environment_id)
        if room is None:
            snapshot = self._store.snapshot(environment_id)
            at = position(snapshot) if snapshot else "0"
            room = self._rooms[environment_id] = Room(at, refetch(at, at=self._clock()))
        return room

    def _plan(self, room: Room, delay: float, seconds: float) -> None:
        """Tell the room in so many seconds, unless that is planned already."""
        if delay not in room.timers:
            room.timers[delay] = asyncio.get_running_loop().call_later(seconds, self._tell, room, delay)

    def _tell(self, room: Room, delay: float) -> None:
        """Tell everybody. What changed since it was planned gets its own full delay once more."""
        del room.timers[delay]
        left = room.changed_at + delay - asyncio.get_running_loop().time()
        if left > 0:
            self._plan(room, delay, left)
        for stream in room.streams:
            stream.is_behind = True
            self._write(stream)

    def _close(self, stream: Stream) -> None:
        stream.is_closing = True
        self._write(stream)

    def _write(self, stream: Stream) -> None:
        if stream.task is None:
            loop = asyncio.get_running_loop()
            stream.speaks_at = loop.time() + KEEP_ALIVE_SECONDS
            stream.stuck_at = loop.time() + STUCK_SECONDS
            stream.task = loop.create_task(self._pump(stream))

    async def _pump(self, stream: Stream) -> None:
        """Write what there is to say until there is nothing more: the last notice only, or a sign of life."""
        try:
            room = self._rooms.get(stream.guest.environment_id)
            while room is not None:
                is_behind, stream.is_behind = stream.is_behind, False
                self.figures.notices += is_behind
                if stream.is_closing:
                    await stream.write(room.notice if is_behind else b"", False)
                    break
                await stream.write(room.notice if is_behind else KEEP_ALIVE, True)
                if not (stream.is_behind or stream.is_closing):
                    break
        except OSError:
            stream.abandon()
        finally:
            stream.task = None


def _is_over(guest: Guest, now: datetime) -> bool:
    return guest.closes_at is not None and now >= guest.closes_at


def _take_off(counter: Counter[Key], key: Key) -> None:
    counter[key] -= 1
    if counter[key] <= 0:
        del counter[key]
