"""Between the door and the tables: with Redis a batch waits in a stream, so that the door answers without a database.

A stream entry is deleted after the transaction that counted it has committed, and a batch counts once whatever happens
between the two: it may be read again by anybody. Nothing is ever trimmed: a stream that is full takes no more, and the
door stores by itself, as it does where there is no Redis or where Redis does not answer.
"""

import hashlib
import hmac
import time
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, cast

import structlog
from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError
from redis import Redis, ResponseError
from redis.backoff import NoBackoff
from redis.retry import Retry

from flags.models import Environment, QuarantinedRow
from flags.services.telemetry import DUPLICATE, Accepted, accept, quarantined, store
from flags.telemetry.packing import Delivery, pack, unpack
from flags.telemetry.rows import Batch, RejectedRow

logger = structlog.get_logger(__name__)

MOST_WAITING = 5_000
# Larger ones are stored at the door: so much memory at most is needed for those that wait.
LARGEST_WAITING = 100_000
KNOWN_SECONDS = 3_600
AT_ONCE = 200
TRIES = 3
# Whoever took a batch and has not stored it by then is gone.
CLAIM_AFTER_MILLISECONDS = 30_000
_GROUP = _CONSUMER = "flagsite"
_SEND_SECONDS = 0.25
_READ_SECONDS = 5.0
_PAUSE_SECONDS = 5.0

_ADD = """
if redis.call('EXISTS', KEYS[2]) == 1 then return 'known' end
if redis.call('XLEN', KEYS[1]) >= tonumber(ARGV[1]) then return 'full' end
redis.call('XADD', KEYS[1], '*', 'delivery', ARGV[3])
redis.call('SET', KEYS[2], '1', 'EX', ARGV[2])
return 'added'
"""

_silent_until = 0.0


def deliver(batch: Batch, environment_id: uuid.UUID, token_id: uuid.UUID | None, *, now: datetime) -> Accepted:
    """Take a batch whose rows were checked: into the buffer where there is one, else into the tables.

    Of a buffered batch it is not known yet how many rows will be late. Raises DatabaseError where nothing takes it.
    """
    if settings.REDIS_URL:
        answer = _add(Delivery(batch, environment_id, token_id, now))
        if answer == b"added":
            return Accepted(len(batch.evaluations) + len(batch.metrics), len(batch.rejected), 0)
        if answer == b"known":
            return DUPLICATE
    return accept(batch, environment_id, token_id, now=now)


def drain(*, now: datetime, most: int = 20 * AT_ONCE) -> int:
    """Store what waits in the buffer, after what others took and never stored; how many batches were counted.

    Safe to run at any time and by several processes. Raises what Redis or the database raises when they are away.
    """
    if not settings.REDIS_URL:
        return 0
    began_at = time.monotonic()
    # Asked first: with the database away nothing is taken, so nothing is tried in vain.
    Environment.objects.exists()
    client, stream = _client(settings.REDIS_URL, _READ_SECONDS), _stream()
    _make_group(client, stream)
    counted = _store_left(client, stream, now)
    for _ in range(0, most, AT_ONCE):
        entries = _read(client, stream)
        # What is read later than `now` may be of minutes that have closed by then.
        later = now + timedelta(seconds=time.monotonic() - began_at)
        counted += _store_entries(client, stream, entries, later)
        if len(entries) < AT_ONCE:
            break
    return counted


def waiting() -> int | None:
    """How many batches wait in the buffer; None where there is none, or where nobody knows."""
    if not settings.REDIS_URL or time.monotonic() < _silent_until:
        return None
    try:
        return _client(settings.REDIS_URL, _SEND_SECONDS).xlen(_stream())
    except Exception:
        return None


def _add(delivery: Delivery) -> bytes | None:
    """What the buffer says; None where it does not answer. It is left alone for a while then."""
    global _silent_until
    packed = pack(delivery)
    if len(packed) > LARGEST_WAITING or time.monotonic() < _silent_until:
        return None
    try:
        client = _client(settings.REDIS_URL, _SEND_SECONDS)
        keys = [_stream(), _known_key(delivery)]
        return cast(bytes, client.eval(_ADD, 2, *keys, MOST_WAITING, KNOWN_SECONDS, packed))
    except Exception as error:
        _silent_until = time.monotonic() + _PAUSE_SECONDS
        logger.warning("telemetry_buffer_silent", error=type(error).__name__)
        return None


Entry = tuple[bytes, bytes]


def _read(client: Redis, stream: str) -> list[Entry]:
    found: Any = client.xreadgroup(_GROUP, _CONSUMER, {stream: ">"}, count=AT_ONCE)
    return [_entry(each) for _, entries in found for each in entries]


def _store_left(client: Redis, stream: str, now: datetime) -> int:
    """Take over what somebody read and never stored. What was tried often enough is put aside."""
    pending: Any = client.xpending_range(stream, _GROUP, "-", "+", AT_ONCE, idle=CLAIM_AFTER_MILLISECONDS)
    counted = 0
    for each in pending:
        # Each by itself: one that takes its process down must not count as a try of those behind it.
        claimed: Any = client.xclaim(stream, _GROUP, _CONSUMER, CLAIM_AFTER_MILLISECONDS, [each["message_id"]])
        entries = [_entry(one) for one in claimed]
        if each["times_delivered"] < TRIES:
            counted += _store_entries(client, stream, entries, now)
            continue
        for entry in entries:
            _put_aside(entry)
        _done(client, stream, entries)
    return counted


def _entry(found: Any) -> Entry:
    entry_id, fields = found
    return entry_id, fields.get(b"delivery", b"")


def _store_entries(client: Redis, stream: str, entries: Sequence[Entry], now: datetime) -> int:
    """Store some and delete them from the stream; those that fail together are tried one by one."""
    if not entries:
        return 0
    try:
        done = store([unpack(packed) for _, packed in entries], now=now)
    except (OperationalError, InterfaceError):
        # The database is away: nothing is wrong with what was delivered.
        raise
    except (DatabaseError, ValueError, TypeError, KeyError) as error:
        if len(entries) > 1:
            return sum(_store_entries(client, stream, [entry], now) for entry in entries)
        logger.warning("telemetry_batch_failed", error=type(error).__name__, entry=entries[0][0].decode())
        return 0
    _done(client, stream, entries)
    return sum(not each.is_duplicate for each in done)


def _put_aside(entry: Entry) -> None:
    """Quarantine a batch that could not be stored, as far as anything of it is known."""
    logger.error("telemetry_batch_put_aside", entry=entry[0].decode())
    try:
        delivery = unpack(entry[1])
    except (ValueError, TypeError, KeyError):
        return
    if Environment.objects.filter(pk=delivery.environment_id).exists():
        message = f"The batch could not be stored after {TRIES} tries and was put aside. Its rows are not counted."
        row = quarantined(delivery, RejectedRow("batch_failed", message, ""), service=delivery.batch.service)
        QuarantinedRow.objects.bulk_create([row])


def _done(client: Redis, stream: str, entries: Sequence[Entry]) -> None:
    if entries:
        ids = [entry_id for entry_id, _ in entries]
        with client.pipeline(transaction=True) as pipeline:
            pipeline.xack(stream, _GROUP, *ids)
            pipeline.xdel(stream, *ids)
            pipeline.execute()


def _make_group(client: Redis, stream: str) -> None:
    try:
        client.xgroup_create(stream, _GROUP, id="0", mkstream=True)
    except ResponseError as error:
        if "BUSYGROUP" not in str(error):
            raise


def _known_key(delivery: Delivery) -> str:
    name = f"{delivery.environment_id}:{delivery.token_id}:{delivery.batch.batch_id}".encode()
    return f"{_stream()}:known:{hashlib.blake2b(name, digest_size=16).hexdigest()}"


def _stream() -> str:
    """The stream of this installation: others may use the same Redis."""
    mark = hmac.new(settings.SECRET_KEY.encode(), b"flagsite telemetry buffer", "sha256").hexdigest()
    return f"flagsite:telemetry:{mark[:16]}"


@lru_cache(maxsize=4)
def _client(url: str, seconds: float) -> Redis:
    retry = Retry(NoBackoff(), 0)
    return Redis.from_url(url, protocol=2, socket_connect_timeout=seconds, socket_timeout=seconds, retry=retry)
