"""The buffer between the door and the tables: nothing lost, nothing twice, whoever dies or is away."""

import itertools
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import OperationalError
from redis import Redis

from flags.models import MetricCount, QuarantinedRow, TelemetryBatch
from flags.services import telemetry_buffer as service
from flags.services.telemetry import DUPLICATE, Accepted
from flags.services.telemetry_buffer import deliver, drain, waiting
from flags.telemetry.rows import Batch
from tests.factories import NOW, World, make_world
from tests.flags.telemetry.reports import MINUTE, batch, measured

TOKEN = uuid.uuid4()
NOWHERE = "redis://127.0.0.1:9/0"
_secrets = itertools.count(1)


@pytest.fixture(autouse=True)
def _awake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "_silent_until", 0.0)


@pytest.fixture
def stream(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Redis]:
    """A buffer of this test's own, where whoever took a batch is gone at once."""
    settings.SECRET_KEY = f"buffer of a test {next(_secrets)} {uuid.uuid4()}"
    monkeypatch.setattr(service, "CLAIM_AFTER_MILLISECONDS", 0)
    client = Redis.from_url(settings.REDIS_URL)
    yield client
    for key in client.scan_iter(f"{service._stream()}*"):
        client.delete(key)


def hand_in(world: World, given: Batch | None = None) -> Accepted:
    return deliver(given or batch(measured()), world.production.pk, TOKEN, now=NOW)


def counted() -> int:
    return sum(MetricCount.objects.values_list("count", flat=True))


def failing(error: BaseException) -> Callable[..., Any]:
    def fail(*args: Any, **kwargs: Any) -> Any:
        raise error

    return fail


def drain_with(monkeypatch: pytest.MonkeyPatch, **broken: Any) -> None:
    """A look that ends with an error."""
    with monkeypatch.context() as patch:
        for name, value in broken.items():
            patch.setattr(service, name, value)
        with pytest.raises((KeyboardInterrupt, OperationalError)):
            drain(now=NOW)


@pytest.mark.parametrize("url", ["", NOWHERE])
def test_deliver__no_redis_that_answers__is_stored_at_the_door(url: str, world: World, settings: Any):
    settings.REDIS_URL = url
    given = batch(measured())

    assert hand_in(world, given) == Accepted(1, 0, 0)
    assert hand_in(world, given) == DUPLICATE
    assert counted() == 10
    assert waiting() is None


def test_deliver__redis_is_silent__is_left_alone_for_a_while(
    world: World, settings: Any, monkeypatch: pytest.MonkeyPatch
):
    settings.REDIS_URL = NOWHERE
    asked = iter([OSError()])
    monkeypatch.setattr(service, "_client", lambda url, seconds: failing(next(asked))())

    hand_in(world)
    hand_in(world)

    # Nobody asked a second time, when there was nothing left to answer.
    assert (list(asked), counted()) == ([], 20)


def test_drain__no_redis__does_nothing(settings: Any):
    settings.REDIS_URL = ""

    assert drain(now=NOW) == 0


@pytest.mark.redis
def test_deliver__redis__waits_and_is_counted_once(world: World, stream: Redis, django_assert_num_queries: Any):
    given = batch(measured())
    with django_assert_num_queries(0):
        assert hand_in(world, given) == Accepted(1, 0, 0)
        assert hand_in(world, given) == DUPLICATE
        assert waiting() == 1

    assert drain(now=NOW) == 1
    assert drain(now=NOW) == 0

    assert (counted(), waiting()) == (10, 0)
    row = TelemetryBatch.objects.get()
    assert (row.token_id, row.received_at, row.batch_id) == (TOKEN, NOW, given.batch_id)


@pytest.mark.redis
def test_deliver__id_that_another_token_used__waits_too(world: World, stream: Redis):
    given = batch(measured())

    deliver(given, world.production.pk, uuid.uuid4(), now=NOW)

    assert hand_in(world, given) == Accepted(1, 0, 0)
    assert (drain(now=NOW), counted()) == (2, 20)


@pytest.mark.redis
def test_drain__the_minute_has_closed_meanwhile__is_late(world: World, stream: Redis):
    hand_in(world)

    drain(now=MINUTE + timedelta(seconds=80))

    row = MetricCount.objects.get()
    assert (row.count, row.late_count) == (0, 10)
    assert TelemetryBatch.objects.get().received_at == NOW


@pytest.mark.redis
def test_drain__dies_before_storing__the_next_one_stores(world: World, stream: Redis, monkeypatch: pytest.MonkeyPatch):
    hand_in(world)
    drain_with(monkeypatch, store=failing(KeyboardInterrupt()))

    assert (counted(), waiting()) == (0, 1)
    assert drain(now=NOW) == 1
    assert (counted(), waiting()) == (10, 0)


@pytest.mark.redis
def test_drain__dies_after_storing__nothing_counts_twice(world: World, stream: Redis, monkeypatch: pytest.MonkeyPatch):
    hand_in(world)
    drain_with(monkeypatch, _done=failing(KeyboardInterrupt()))

    assert (counted(), waiting()) == (10, 1)
    assert drain(now=NOW) == 0
    assert (counted(), waiting()) == (10, 0)


@pytest.mark.redis
def test_drain__a_batch_that_can_never_be_stored__is_put_aside_and_others_count(
    world: World, stream: Redis, monkeypatch: pytest.MonkeyPatch
):
    poison = hand_in(world, batch(measured(variant="x" * 101), batch_id="poison"))
    for _ in range(3):
        hand_in(world)

    drained = [drain(now=NOW) for _ in range(4)]

    assert poison.accepted == 1
    assert drained == [3, 0, 0, 0]
    assert (counted(), waiting()) == (30, 0)
    row = QuarantinedRow.objects.get()
    assert (row.code, row.batch_id) == ("batch_failed", "poison")


@pytest.mark.redis
@pytest.mark.parametrize("packed", [b"no json", b"[]", b'[1,"x",null,"x",[],[],[],[]]'])
def test_drain__an_entry_nobody_can_read__goes(packed: bytes, world: World, stream: Redis):
    stream.xadd(service._stream(), {"delivery": packed})
    hand_in(world)

    assert [drain(now=NOW) for _ in range(4)] == [1, 0, 0, 0]
    assert waiting() == 0


@pytest.mark.redis
@pytest.mark.django_db(transaction=True)
def test_drain__environment_is_gone__goes(stream: Redis):
    world = make_world()
    deliver(batch(measured()), uuid.uuid4(), TOKEN, now=NOW)
    hand_in(world)

    assert sum(drain(now=NOW) for _ in range(4)) == 1
    assert waiting() == 0
    assert not QuarantinedRow.objects.exists()


@pytest.mark.redis
def test_drain__database_is_away__nothing_is_taken(world: World, stream: Redis, monkeypatch: pytest.MonkeyPatch):
    hand_in(world)
    for _ in range(5):
        drain_with(
            monkeypatch, Environment=SimpleNamespace(objects=SimpleNamespace(exists=failing(OperationalError())))
        )

    assert drain(now=NOW) == 1
    assert counted() == 10


@pytest.mark.redis
def test_deliver__buffer_is_full_or_batch_is_large__is_stored_at_the_door(
    world: World, stream: Redis, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(service, "MOST_WAITING", 1)
    hand_in(world)
    hand_in(world)
    assert (waiting(), counted()) == (1, 10)

    monkeypatch.setattr(service, "MOST_WAITING", 10)
    monkeypatch.setattr(service, "LARGEST_WAITING", 10)
    hand_in(world)

    assert (waiting(), counted()) == (1, 20)
