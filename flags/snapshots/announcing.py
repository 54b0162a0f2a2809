"""Telling other processes that something was published, and hearing it from them.

A message is a hint to look now instead of at the next poll. It holds nothing that is believed, so a lost one costs one
poll interval and a forged one a query. Redis carries it where there is one, else PostgreSQL; on SQLite polling does.
"""

import hmac
import json
import time
import uuid
from collections.abc import Generator
from contextlib import closing
from functools import lru_cache

import structlog
from django.conf import settings
from django.db import connection
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from flags.snapshots.connections import separate_connection

logger = structlog.get_logger(__name__)

POSTGRESQL_CHANNEL = "flagsite_snapshots"
# A commit waits no longer than this for Redis, and once Redis failed, none waits for it for a while.
_SEND_SECONDS = 0.25
_PAUSE_SECONDS = 5.0
_LISTEN_SECONDS = 5.0

_silent_until = 0.0


def redis_channel() -> str:
    """The channel of this installation: others may use the same Redis."""
    mark = hmac.new(settings.SECRET_KEY.encode(), b"flagsite snapshot channel", "sha256").hexdigest()
    return f"flagsite:snapshots:{mark[:16]}"


def announce(environment_id: uuid.UUID, *, revision: int | None) -> bool:
    """Tell the others that an environment has something new. Whether it was sent. Never raises, never waits long."""
    message = json.dumps({"environment": str(environment_id), "revision": revision})
    try:
        if settings.REDIS_URL:
            return _send_by_redis(message)
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_notify(%s, %s)", [POSTGRESQL_CHANNEL, message])
            return True
    except Exception as error:
        logger.warning("snapshot_announcement_failed", error=type(error).__name__, detail=str(error))
    return False


def _send_by_redis(message: str) -> bool:
    global _silent_until
    if time.monotonic() < _silent_until:
        return False
    try:
        _redis(settings.REDIS_URL, _SEND_SECONDS).publish(redis_channel(), message)
    except Exception:
        _silent_until = time.monotonic() + _PAUSE_SECONDS
        raise
    return True


@lru_cache(maxsize=4)
def _redis(url: str, seconds: float) -> Redis:
    return Redis.from_url(
        url,
        socket_connect_timeout=seconds,
        socket_timeout=seconds,
        retry=Retry(NoBackoff(), 0),
    )


def announcements() -> Generator[None] | None:
    """An endless sequence that yields once it listens and then for every message; None where nothing carries them.

    Raises what the server's client raises when the connection is lost.
    """
    if settings.REDIS_URL:
        return _from_redis(settings.REDIS_URL)
    if connection.vendor == "postgresql":
        return _from_postgresql()
    return None


def _from_redis(url: str) -> Generator[None]:
    client = Redis.from_url(
        url,
        socket_connect_timeout=2.0,
        socket_timeout=_LISTEN_SECONDS,
        health_check_interval=_LISTEN_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )
    with closing(client), client.pubsub(ignore_subscribe_messages=True) as channel:  # type: ignore[no-untyped-call]
        channel.subscribe(redis_channel())
        yield
        while True:
            if channel.get_message(timeout=_LISTEN_SECONDS) is not None:
                yield


def _from_postgresql() -> Generator[None]:
    wrapper = separate_connection()
    try:
        wrapper.ensure_connection()
        listener = wrapper.connection
        listener.execute(f"LISTEN {POSTGRESQL_CHANNEL}")
        yield
        while True:
            for _ in listener.notifies(timeout=_LISTEN_SECONDS):
                yield
            listener.execute("SELECT 1")
    finally:
        wrapper.close()
