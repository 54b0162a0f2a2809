"""How many evaluations, or explanations of one, a token may ask for in a minute.

Counted are requests with a valid token, in whole minutes of the clock, by token and never by address: whatever
`X-Forwarded-For` says changes nothing. Not counted are preflights and refused tokens: a secret has 256 random bits, so
there is nothing to guess, and there would be nothing to count by.

A process takes permits in blocks and hands them out by itself. Without Redis one block is the whole limit. With Redis
a script hands out blocks, so all processes together never get more than the limit. A thread of its own talks to Redis,
and a request waits for it a moment at most and under no lock, whatever Redis, the network or the resolver of names do.
While Redis does not answer, each process keeps to the limit by itself and nobody waits: nobody gets an error.
"""

import queue
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from typing import Protocol

import redis
import structlog
from redis.backoff import NoBackoff
from redis.retry import Retry

logger = structlog.get_logger(__name__)

WINDOW_SECONDS = 60
EXPLANATIONS_A_MINUTE = 600
TELEMETRY_BATCHES_A_MINUTE = 6_000
SCANS_A_MINUTE = 120
# A block is this share of the limit: what other processes may leave unused is at most a block each.
BLOCKS_A_WINDOW = 200
MAX_BLOCK = 1_000
REDIS_TIMEOUT_SECONDS = 0.05
# As long as a request waits for a block, even where the timeout of the connection does not apply.
PATIENCE_SECONDS = 2 * REDIS_TIMEOUT_SECONDS
# Redis is asked again after this long, after twice as long the next time, and so on.
RETRY_REDIS_SECONDS = 1.0
LONGEST_RETRY_SECONDS = 60.0
_IDLE_SECONDS = 5.0

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

    window: int
    size: int
    starts_at: datetime
    ends_at: datetime
    numbers: "count[int]" = field(default_factory=count)

    @classmethod
    def of(cls, window: int, size: int) -> "_Block":
        starts_at = datetime.fromtimestamp(window * WINDOW_SECONDS, UTC)
        return cls(window, size, starts_at, starts_at + timedelta(seconds=WINDOW_SECONDS))

    def counts_for(self, window: int) -> bool:
        """Whether requests of a window are counted here: also those that began just before this one did.

        Further back is no request that was slow, but a clock that was set back.
        """
        return self.window - window in (0, 1)


class _Ask:
    """A block that was asked for. Whoever waits for it in vain marks it as given up."""

    __slots__ = ("done", "is_given_up", "token_id", "window")

    def __init__(self, token_id: uuid.UUID, window: int) -> None:
        self.token_id = token_id
        self.window = window
        self.done = threading.Event()
        self.is_given_up = False


class RateLimiter:
    """Admits at most `limit` requests of each token per window. Without `permits` every process counts for itself.

    `run` has a job done by another thread. No lock is held while a job runs.
    """

    def __init__(
        self,
        limit: int,
        *,
        permits: Permits | None = None,
        patience_seconds: float = PATIENCE_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
        run: Callable[[Callable[[], None]], None] | None = None,
    ) -> None:
        self._limit = limit
        self._permits = permits
        self._patience_seconds = patience_seconds
        self._monotonic = monotonic
        self._run = run or _Worker().run
        # By `UUID.int`, whose hash needs no Python code; this is looked up for every request.
        self._blocks: dict[int, _Block] = {}
        self._own = _OwnPermits(limit)
        self._lock = threading.Lock()
        self._asked: dict[tuple[uuid.UUID, int], _Ask] = {}
        self._failures = 0
        self._retry_at = 0.0
        self._size = max(1, min(MAX_BLOCK, limit // BLOCKS_A_WINDOW)) if permits else limit

    def excess(self, token_id: uuid.UUID, *, now: datetime) -> Excess | None:
        """None if the request is admitted. Never raises."""
        block = self._blocks.get(token_id.int)
        if block is not None and block.starts_at <= now < block.ends_at and next(block.numbers) < block.size:
            return None
        second = int(now.timestamp())
        window = second // WINDOW_SECONDS
        if block is not None and block.counts_for(window):
            window = block.window
        if self._admits(token_id, window):
            return None
        return Excess(self._limit, (window + 1) * WINDOW_SECONDS - second)

    def _admits(self, token_id: uuid.UUID, window: int) -> bool:
        """Whether a block has a permit left, or a further one can be had in time."""
        ends_at = time.monotonic() + self._patience_seconds
        while True:
            with self._lock:
                admitted = self._from_block(token_id, window)
                if admitted is not None:
                    return admitted
                ask, is_new = self._ask(token_id, window)
                is_trusted = self._failures == 0
            if ask is not None and is_new:
                self._run(partial(self._answer, ask))
            # Nobody waits for a Redis that failed before: it may answer when it can.
            if ask is None or not is_trusted or not ask.done.wait(max(0.0, ends_at - time.monotonic())):
                return self._alone(token_id, window, ask if is_trusted else None)

    def _from_block(self, token_id: uuid.UUID, window: int) -> bool | None:
        """What the present block says; None if there is none of this window, or if it is used up."""
        block = self._blocks.get(token_id.int)
        if block is None or not block.counts_for(window):
            return None
        # An empty block says for the rest of the window that there is nothing left to ask for.
        return False if block.size == 0 else (next(block.numbers) < block.size) or None

    def _ask(self, token_id: uuid.UUID, window: int) -> tuple[_Ask | None, bool]:
        """The ask under way for a token, or a new one; None where the process is to count alone."""
        ask = self._asked.get((token_id, window))
        if ask is not None:
            return ask, False
        if self._permits is None or self._monotonic() < self._retry_at or (self._failures and self._asked):
            return None, False
        ask = self._asked[token_id, window] = _Ask(token_id, window)
        return ask, True

    def _answer(self, ask: _Ask) -> None:
        """Take a block: the job of the other thread."""
        error: Exception | None = None
        granted = 0
        try:
            if self._permits is not None and not ask.is_given_up:
                granted = self._permits.take(ask.token_id, window=ask.window, wanted=self._size, limit=self._limit)
        except Exception as raised:
            error = raised
        with self._lock:
            del self._asked[ask.token_id, ask.window]
            # What comes too late is left alone: the process has counted without it.
            is_news = not ask.is_given_up
            if is_news and error is None:
                self._failures, self._retry_at = 0, 0.0
                self._put(ask.token_id, ask.window, granted)
            is_failure = is_news and error is not None and self._failed()
        ask.done.set()
        if is_failure:
            logger.warning("rate_limit_counted_alone", error=type(error).__name__)

    def _alone(self, token_id: uuid.UUID, window: int, waited_for: _Ask | None) -> bool:
        """Take a block without asking anybody. A wait in vain is a failure of Redis, however it comes about."""
        is_failure = False
        with self._lock:
            if waited_for is not None and not waited_for.done.is_set():
                is_failure = not waited_for.is_given_up and self._failed()
                waited_for.is_given_up = True
            admitted = self._from_block(token_id, window)
            if admitted is None:
                self._put(token_id, window, self._size)
                admitted = bool(self._from_block(token_id, window))
        if is_failure:
            logger.warning("rate_limit_counted_alone", error="TimeoutError")
        return admitted

    def _put(self, token_id: uuid.UUID, window: int, granted: int) -> None:
        """Make a block of what was granted, as far as this process is within the limit. Used under the lock."""
        present = self._blocks.get(token_id.int)
        if present is None or not (present.window > window and present.counts_for(window)):
            size = self._own.take(token_id, window=window, wanted=granted)
            self._blocks[token_id.int] = _Block.of(window, size)

    def _failed(self) -> bool:
        """Note a failure; False if it is one that is known already. Used under the lock."""
        now = self._monotonic()
        if self._failures and now < self._retry_at:
            return False
        self._retry_at = now + min(LONGEST_RETRY_SECONDS, RETRY_REDIS_SECONDS * 2 ** min(self._failures, 16))
        self._failures += 1
        return True


class _OwnPermits:
    """What this process has handed out of each token's window, wherever it came from. Used under a lock."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken: dict[uuid.UUID, tuple[int, int]] = {}

    def take(self, token_id: uuid.UUID, *, window: int, wanted: int) -> int:
        """As many permits as are wanted and left."""
        of, taken = self._taken.get(token_id, (window, 0))
        taken = taken if of == window else 0
        granted = max(0, min(wanted, self._limit - taken))
        self._taken[token_id] = (window, taken + granted)
        return granted


class _Worker:
    """One thread that does jobs in their order. It comes with the first and goes when there are none for a while."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._is_running = False

    def run(self, job: Callable[[], None]) -> None:
        """Have a job done."""
        with self._lock:
            self._jobs.put(job)
            if self._is_running:
                return
            self._is_running = True
        threading.Thread(target=self._work, name="rate-limit", daemon=True).start()

    def _work(self) -> None:
        while True:
            try:
                job = self._jobs.get(timeout=_IDLE_SECONDS)
            except queue.Empty:
                with self._lock:
                    if self._jobs.empty():
                        self._is_running = False
                        return
                continue
            job()


class RedisPermits:
    """Blocks from Redis: one script, so that checking and taking is one step. Each `name` has counts of its own."""

    def __init__(self, url: str, *, name: str = "evaluations", timeout_seconds: float = REDIS_TIMEOUT_SECONDS) -> None:
        self._name = name
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
        key = f"flagsite:{self._name}:{token_id}:{window}"
        return int(self._take(keys=[key], args=[wanted, limit, 2 * WINDOW_SECONDS]))
