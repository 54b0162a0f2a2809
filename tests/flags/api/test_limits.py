"""The rate limit: exact in one process, exact through Redis, and never an error when Redis is away."""

import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
import redis
from structlog.testing import capture_logs

from flags.api.limits import (
    LONGEST_RETRY_SECONDS,
    PATIENCE_SECONDS,
    REDIS_TIMEOUT_SECONDS,
    RETRY_REDIS_SECONDS,
    Excess,
    RateLimiter,
    RedisPermits,
)

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
SHOP = uuid.UUID("0197a0de-0000-4000-8000-00000000000a")
OTHER = uuid.UUID("0197a0de-0000-4000-8000-00000000000b")


def admitted(limiter: RateLimiter, number: int, *, token: uuid.UUID = SHOP, now: datetime = NOW) -> int:
    """How many of so many requests are let in."""
    return sum(limiter.excess(token, now=now) is None for _ in range(number))


@dataclass
class FakePermits:
    """Redis as a dictionary. `fails` makes every call raise."""

    taken: dict[tuple[uuid.UUID, int], int] = field(default_factory=dict)
    fails: bool = False
    calls: int = 0

    def take(self, token_id: uuid.UUID, *, window: int, wanted: int, limit: int) -> int:
        self.calls += 1
        if self.fails:
            raise redis.ConnectionError("gone")
        taken = self.taken.get((token_id, window), 0)
        granted = max(0, min(wanted, limit - taken))
        self.taken[token_id, window] = taken + granted
        return granted


def at_once(job: Callable[[], None]) -> None:
    """In the place of another thread."""
    job()


@dataclass
class Clock:
    """A monotonic clock moved by hand."""

    seconds: float = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.mark.parametrize("limit", [1, 2, 7, 1_000])
def test_limit__one_process__is_exact(limit: int):
    limiter = RateLimiter(limit)

    assert admitted(limiter, limit + 50) == limit
    assert admitted(limiter, limit + 50, token=OTHER) == limit


@pytest.mark.parametrize(
    ("seconds", "microseconds", "expected"),
    [(0, 0, 60), (1, 0, 59), (59, 0, 1), (59, 999_999, 1), (30, 500_000, 30)],
)
def test_excess__says_when_there_are_permits_again(seconds: int, microseconds: int, expected: int):
    limiter, now = RateLimiter(1), NOW + timedelta(seconds=seconds, microseconds=microseconds)
    limiter.excess(SHOP, now=now)

    assert limiter.excess(SHOP, now=now) == Excess(1, expected)
    assert limiter.excess(SHOP, now=now + timedelta(seconds=expected)) is None


def test_window__that_begins__admits_anew_and_one_that_ended_does_not():
    limiter = RateLimiter(3)

    assert [admitted(limiter, 5, now=NOW + timedelta(minutes=minute)) for minute in range(4)] == [3] * 4
    assert admitted(limiter, 5, now=NOW + timedelta(minutes=3, seconds=59)) == 0


def test_clock__set_back__admits_a_limit_and_no_more():
    limiter = RateLimiter(3)
    admitted(limiter, 5)

    assert admitted(limiter, 5, now=NOW - timedelta(hours=2)) == 3
    assert admitted(limiter, 5, now=NOW - timedelta(hours=2)) == 0


BEFORE, AFTER = NOW - timedelta(milliseconds=1), NOW + timedelta(milliseconds=1)
LIMITERS: dict[str, Callable[[], RateLimiter]] = {
    "alone": lambda: RateLimiter(100),
    "redis": lambda: RateLimiter(100, permits=FakePermits(), run=at_once),
    "redis away": lambda: RateLimiter(100, permits=FakePermits(fails=True), run=at_once),
}


@pytest.mark.parametrize("straggler", [SHOP, OTHER], ids=["same token", "other token"])
@pytest.mark.parametrize("kind", LIMITERS)
def test_straggler__of_the_minute_before__opens_no_second_limit(kind: str, straggler: uuid.UUID):
    limiter, count = LIMITERS[kind](), 0

    for _ in range(20):
        count += admitted(limiter, 90, now=AFTER)
        limiter.excess(straggler, now=BEFORE)

    assert 80 <= count <= 100


def test_straggler__of_a_used_up_minute__is_told_when_there_are_permits():
    limiter = RateLimiter(1)
    limiter.excess(SHOP, now=AFTER)

    assert limiter.excess(SHOP, now=BEFORE) == Excess(1, 61)


def together(limiters: list[RateLimiter], *, threads: int, each: int, now: datetime = NOW) -> int:
    """How many requests are let in when so many threads ask at once, spread over the processes."""
    counts, barrier = [0] * threads, threading.Barrier(threads)

    def ask(number: int) -> None:
        barrier.wait()
        counts[number] = admitted(limiters[number % len(limiters)], each, now=now)

    workers = [threading.Thread(target=ask, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(counts)


@pytest.mark.parametrize("limit", [1, 100, 5_000])
def test_limit__fifty_threads_in_one_process__is_exact(limit: int):
    assert together([RateLimiter(limit)], threads=50, each=200) == limit


# Blocks from Redis


def test_blocks__processes_together__never_exceed_the_limit():
    permits = FakePermits()
    processes = [RateLimiter(10_000, permits=permits, patience_seconds=20) for _ in range(4)]

    assert sum(admitted(process, 2_000) for process in processes) == 8_000
    assert sum(admitted(process, 2_000) for process in processes) == 2_000


def test_blocks__hot_path__rarely_asks():
    permits = FakePermits()

    admitted(RateLimiter(10_000, permits=permits, patience_seconds=20), 10_000)

    assert permits.calls == 200


def test_blocks__nothing_left__is_asked_for_once():
    permits = FakePermits()
    limiter = RateLimiter(200, permits=permits, patience_seconds=20)
    admitted(limiter, 200)
    calls = permits.calls

    assert admitted(limiter, 500) == 0
    assert permits.calls == calls + 1


def test_redis_away__process_counts_by_itself_and_tries_again_later():
    permits, clock = FakePermits(), Clock()
    limiter = RateLimiter(100, permits=permits, monotonic=clock, run=at_once)
    assert admitted(limiter, 30) == 30

    permits.fails, permits.calls = True, 0
    with capture_logs() as logs:
        assert admitted(limiter, 200) == 70
    assert permits.calls == 1
    assert [entry["event"] for entry in logs] == ["rate_limit_counted_alone"]

    permits.fails = False
    clock.seconds += RETRY_REDIS_SECONDS
    assert admitted(limiter, 200, now=NOW + timedelta(minutes=1)) == 100
    assert permits.calls > 1


def test_redis_away__fifty_threads__never_exceed_the_limit_of_the_process():
    permits = FakePermits(fails=True)

    assert together([RateLimiter(3_000, permits=permits)], threads=50, each=200) == 3_000


def test_redis_away__is_asked_ever_more_rarely_and_back_at_once():
    permits, clock = FakePermits(fails=True), Clock()
    limiter, asked_at = RateLimiter(10**9, permits=permits, monotonic=clock, run=at_once), []

    for second in range(200):
        clock.seconds, calls = float(second), permits.calls
        limiter.excess(uuid.UUID(int=second), now=NOW)
        asked_at += [second] * (permits.calls - calls)

    waits = [later - before for before, later in pairwise(asked_at)]
    assert waits[:7] == [1, 2, 4, 8, 16, 32, LONGEST_RETRY_SECONDS]
    permits.fails, clock.seconds = False, clock.seconds + LONGEST_RETRY_SECONDS
    before = permits.calls
    admitted(limiter, 3_000)
    assert permits.calls == before + 3


def test_redis_back_within_the_minute__process_stays_within_the_limit():
    permits, clock = FakePermits(fails=True), Clock()
    limiter = RateLimiter(100, permits=permits, monotonic=clock, run=at_once)
    count = admitted(limiter, 70)

    permits.fails, clock.seconds = False, 2.0

    assert count + admitted(limiter, 200) == 100


@dataclass
class HangingPermits(FakePermits):
    """A Redis that says nothing until it is let go, like a resolver of names that waits for the network."""

    let_go: threading.Event = field(default_factory=threading.Event)

    def take(self, token_id: uuid.UUID, *, window: int, wanted: int, limit: int) -> int:
        assert self.let_go.wait(60)
        return super().take(token_id, window=window, wanted=wanted, limit=limit)


def test_redis_that_hangs__every_token_waits_a_moment_and_none_for_another():
    permits, clock = HangingPermits(), Clock()
    limiter = RateLimiter(100, permits=permits, monotonic=clock)
    seconds: list[float] = []

    def ask(number: int) -> None:
        started = time.perf_counter()
        assert limiter.excess(uuid.UUID(int=number), now=NOW) is None
        seconds.append(time.perf_counter() - started)

    workers = [threading.Thread(target=ask, args=(number,), daemon=True) for number in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(20)
    started = time.perf_counter()
    for seconds_later in range(50):
        clock.seconds = float(seconds_later)
        assert admitted(limiter, 150, token=uuid.UUID(int=1_000 + seconds_later)) == 100
    later = time.perf_counter() - started
    permits.let_go.set()

    assert len(seconds) == 8
    assert max(seconds) < 10 * PATIENCE_SECONDS
    assert later < 10 * PATIENCE_SECONDS


# A real server


@pytest.fixture
def server() -> Iterator[redis.Redis]:
    """The server of the run, without what earlier runs counted."""
    client = redis.Redis.from_url(os.environ["REDIS_URL"])
    for key in client.scan_iter("flagsite:evaluations:*"):
        client.delete(key)
    yield client
    client.close()


@pytest.mark.redis
@pytest.mark.parametrize("limit", [60, 4_000])
def test_redis__fifty_threads_of_five_processes__over_admit_nothing(limit: int, server: redis.Redis):
    # Patience, so that a busy machine does not make a process count by itself.
    processes = [
        RateLimiter(limit, permits=RedisPermits(os.environ["REDIS_URL"], timeout_seconds=20), patience_seconds=20)
        for _ in range(5)
    ]

    count = together(processes, threads=50, each=200)

    assert limit * 0.95 <= count <= limit
    [key] = server.keys("flagsite:evaluations:*")
    assert int(server.get(key) or 0) <= limit
    assert 0 < server.ttl(key) <= 120


@pytest.mark.redis
def test_redis__script_forgotten_by_a_restart__is_sent_again(server: redis.Redis):
    limiter = RateLimiter(100, permits=RedisPermits(os.environ["REDIS_URL"], timeout_seconds=20), patience_seconds=20)
    admitted(limiter, 1)

    server.script_flush()

    with capture_logs() as logs:
        assert admitted(limiter, 200) == 99
    assert logs == []


@pytest.mark.parametrize("address", ["127.0.0.1:1", "192.0.2.1:6379"])
def test_redis__that_cannot_be_reached__costs_one_short_wait(address: str):
    limiter = RateLimiter(1_000, permits=RedisPermits(f"redis://{address}/0"))

    started = time.perf_counter()
    count = admitted(limiter, 2_000)
    seconds = time.perf_counter() - started

    assert count == 1_000
    assert seconds < REDIS_TIMEOUT_SECONDS * 20
