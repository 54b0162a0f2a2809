"""How many evaluations a token may ask for in a minute.

Counted are requests with a valid token, in whole minutes of the clock, by token and never by address: whatever
`X-Forwarded-For` says changes nothing. Not counted are preflights and refused tokens: a secret has 256 random bits, so
there is nothing to guess, and there would be nothing to count by.

A process takes permits in blocks and hands them out by itself. Without Redis one block is the whole limit. With Redis
a script hands out blocks, so all processes together never get more than the limit, and a request waits for Redis only
when a block is used up. While Redis does not answer, each process keeps to the limit by itself: nobody gets an error.
"""

import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Protocol

import redis
import structlog
from redis.backoff import NoBackoff
from redis.retry import Retry

logger = structlog.get_logger(__name__)

WINDOW_SECONDS = 60
# A block is this share of the limit: what other processes may leave unused is at most a block each.
BLOCKS_A_WINDOW = 200
MAX_BLOCK = 1_000
REDIS_TIMEOUT_SECONDS = 0.05
RETRY_REDIS_SECONDS = 1.0

_TAKE = """
local granted = math.min(tonumber(ARGV[1]), tonumber(ARGV[2]) - tonumber(redis.call('GET', KEYS[1]) or '0'))
if granted <= 0 then return 0 end
redis.call('INCRBY', KEYS[1], granted)
redis.call('EXPIRE', KEYS[1], ARGV[3])
return granted
"""


@dataclass(frozen=True, slots=True)
class Excess:
    """A request beyond the limit: how large that is, and in how many seconds there are permits again."""

    limit: int
    retry_seconds: int


class Permits(Protocol):
    """Where blocks of permits come from."""

    def take(self, token_id: uuid.UUID, *, window: int, wanted: int, limit: int) -> int:
        """How many of the wanted permits of this window are granted, 0 if none is left. May raise OSError."""


@dataclass(slots=True)
class _Block:
    """Permits of one window. Handing one out is one call of C, so no two threads get the same."""

    starts_at: datetime
    ends_at: datetime
    size: int
    numbers: "count[int]" = field(default_factory=count)

    def is_of(self, now: datetime) -> bool:
        return self.starts_at <= now < self.ends_at

    def has_next(self) -> bool:
        return next(self.numbers) < self.size


class RateLimiter:
    """Admits at most `limit` requests of each token per window. Without `permits` every process counts for itself."""

    def __init__(
        self, limit: int, *, permits: Permits | None = None, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit = limit
        self._permits = permits
        self._monotonic = monotonic
        self._blocks: dict[uuid.UUID, _Block] = {}
        self._own = _OwnPermits()
        self._taking = threading.Lock()
        self._retry_at = 0.0
        self._size = max(1, min(MAX_BLOCK, limit // BLOCKS_A_WINDOW)) if permits else limit

    def excess(self, token_id: uuid.UUID, *, now: datetime) -> Excess | None:
        """None if the request is admitted. Never raises."""
        block = self._blocks.get(token_id)
        if block is not None and block.starts_at <= now < block.ends_at and next(block.numbers) < block.size:
            return None
        if self._renew(token_id, now):
            return None
        return Excess(self._limit, WINDOW_SECONDS - int(now.timestamp()) % WINDOW_SECONDS)

    def _renew(self, token_id: uuid.UUID, now: datetime) -> bool:
        """Take a further block and one permit of it. Requests that come meanwhile wait for it."""
        with self._taking:
            block = self._blocks.get(token_id)
            if block is not None and block.is_of(now) and (block.size == 0 or block.has_next()):
                return block.size > 0
            window = int(now.timestamp()) // WINDOW_SECONDS
            granted = self._granted(token_id, window)
            starts_at = datetime.fromtimestamp(window * WINDOW_SECONDS, UTC)
            # An empty block says for the rest of the window that there is nothing left to ask for.
            block = _Block(starts_at, starts_at + timedelta(seconds=WINDOW_SECONDS), granted)
            self._blocks[token_id] = block
            return block.has_next()

    def _granted(self, token_id: uuid.UUID, window: int) -> int:
        if self._permits is not None and self._monotonic() >= self._retry_at:
            try:
                granted = self._permits.take(token_id, window=window, wanted=self._size, limit=self._limit)
            except Exception as error:
                self._retry_at = self._monotonic() + RETRY_REDIS_SECONDS
                logger.warning("rate_limit_counted_alone", error=type(error).__name__)
            else:
                self._own.note(token_id, window=window, granted=granted)
                return granted
        return self._own.take(token_id, window=window, wanted=self._size, limit=self._limit)


class _OwnPermits:
    """What this process has handed out of the window, wherever the permits came from. Used under a lock."""

    def __init__(self) -> None:
        self._window = -1
        self._taken: dict[uuid.UUID, int] = {}

    def note(self, token_id: uuid.UUID, *, window: int, granted: int) -> None:
        if window != self._window:
            self._window, self._taken = window, {}
        self._taken[token_id] = self._taken.get(token_id, 0) + granted

    def take(self, token_id: uuid.UUID, *, window: int, wanted: int, limit: int) -> int:
        self.note(token_id, window=window, granted=0)
        granted = max(0, min(wanted, limit - self._taken[token_id]))
        self._taken[token_id] += granted
        return granted


class RedisPermits:
    """Blocks from Redis: one script, so that checking and taking is one step. Gives up soon: a request waits for it."""

    def __init__(self, url: str, *, timeout_seconds: float = REDIS_TIMEOUT_SECONDS) -> None:
        self._client = redis.Redis.from_url(
            url,
            socket_timeout=timeout_seconds,
            socket_connect_timeout=timeout_seconds,
            retry=Retry(NoBackoff(), 0),
            health_check_interval=0,
        )
        self._take = self._client.register_script(_TAKE)

    def take(self, token_id: uuid.UUID, *, window: int, wanted: int, limit: int) -> int:
        """See `Permits`. Raises redis.RedisError."""
        key = f"flagsite:evaluations:{token_id}:{window}"
        return int(self._take(keys=[key], args=[wanted, limit, 2 * WINDOW_SECONDS]))
