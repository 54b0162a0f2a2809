"""Telling other processes, and hearing it from them."""

import json
import socket
import threading
import time
import uuid
from collections.abc import Generator, Iterator
from typing import Any

import pytest
from django.db import connection
from redis import Redis
from structlog.testing import capture_logs

from flags import snapshots
from flags.snapshots import announcing
from flags.snapshots.announcing import announce, announcements, redis_channel
from flags.snapshots.connections import separate_connection, use_separate_connection

ENVIRONMENT = uuid.UUID(int=5)


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(announcing, "_silent_until", 0.0)


@pytest.fixture
def silent_server() -> Iterator[str]:
    """A Redis that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"redis://127.0.0.1:{server.getsockname()[1]}/0"


@pytest.fixture
def closed_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    return f"redis://127.0.0.1:{port}/0"


def heard(messages: Generator[None], *, count: int) -> threading.Event:
    """Set once so many messages came, the one at the start included."""
    enough = threading.Event()

    def listen() -> None:
        for number, _ in enumerate(messages, start=1):
            if number == 1:
                ready.set()
            if number >= count:
                break
        # Here and not when somebody collects it: the connection belongs to this thread.
        messages.close()
        enough.set()

    ready = threading.Event()
    threading.Thread(target=listen, daemon=True).start()
    assert ready.wait(20)
    return enough


@pytest.mark.parametrize("server", ["silent_server", "closed_port"])
def test_announce__redis_that_does_not_answer__waits_a_moment_and_then_not_again(
    server: str, settings: Any, request: pytest.FixtureRequest
):
    settings.REDIS_URL = request.getfixturevalue(server)

    began = time.monotonic()
    with capture_logs() as logs:
        results = [announce(ENVIRONMENT, revision=None) for _ in range(20)]
    took = time.monotonic() - began

    assert results == [False] * 20
    assert took < 2
    assert [entry["event"] for entry in logs] == ["snapshot_announcement_failed"]


def test_channel__other_secret_key__is_another_channel_and_does_not_tell_the_key(settings: Any):
    ours = redis_channel()
    secret, settings.SECRET_KEY = settings.SECRET_KEY, "another secret key"

    assert redis_channel() != ours
    assert ours.startswith("flagsite:snapshots:")
    assert secret not in ours


@pytest.mark.redis
def test_redis__announced__is_heard_with_the_environment_and_nothing_else(settings: Any):
    messages = announcements()
    assert messages is not None
    enough = heard(messages, count=2)
    with Redis.from_url(settings.REDIS_URL).pubsub(ignore_subscribe_messages=True) as other:
        other.subscribe(redis_channel())
        other.get_message(timeout=1)

        assert announce(ENVIRONMENT, revision=7)

        assert enough.wait(20)
        message = None
        while message is None:
            message = other.get_message(timeout=10)
    assert json.loads(message["data"]) == {"environment": str(ENVIRONMENT), "revision": 7}


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_postgresql__announced__is_heard(settings: Any):
    settings.REDIS_URL = ""
    messages = announcements()
    assert messages is not None
    enough = heard(messages, count=2)

    assert announce(ENVIRONMENT, revision=None)

    assert enough.wait(20)


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_postgresql__listener_whose_connection_is_cut__raises(settings: Any):
    settings.REDIS_URL = ""
    messages = announcements()
    assert messages is not None
    next(messages)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN flagsite%' "
            "AND datname = current_database() AND pid <> pg_backend_pid()"
        )

    with pytest.raises(Exception, match=r"terminat|closed|lost"):
        next(messages)


@pytest.mark.sqlite
@pytest.mark.django_db
def test_embedded__nothing_carries_messages(settings: Any):
    settings.REDIS_URL = ""

    assert announcements() is None
    assert not announce(ENVIRONMENT, revision=None)


@pytest.mark.postgres
@pytest.mark.django_db
def test_separate_connection__is_beside_the_pool_and_gives_up_quickly():
    own = separate_connection()

    assert "pool" in connection.settings_dict["OPTIONS"]
    assert own.settings_dict["OPTIONS"]["connect_timeout"] == 2
    assert "pool" not in own.settings_dict["OPTIONS"]
    assert own.settings_dict["NAME"] == connection.settings_dict["NAME"]


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_use_separate_connection__only_in_the_thread_that_asked(settings: Any):
    from django.db import connections

    pids: list[int] = []

    def own_pid() -> int:
        with connections["default"].cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            return int(cursor.fetchone()[0])

    def in_background() -> None:
        use_separate_connection()
        pids.append(own_pid())
        pids.append(own_pid())
        connections.close_all()

    before = connections["default"]
    thread = threading.Thread(target=in_background)
    thread.start()
    thread.join(20)

    assert connections["default"] is before
    assert pids[0] == pids[1] != own_pid()


@pytest.mark.parametrize("is_enabled", [True, False])
def test_publish__announces_before_it_looks_itself__unless_snapshots_are_moved_by_hand(
    is_enabled: bool, settings: Any, monkeypatch: pytest.MonkeyPatch
):
    settings.SNAPSHOT_POLL_ENABLED = is_enabled
    order: list[str] = []
    monkeypatch.setattr(snapshots, "announce", lambda environment_id, *, revision: order.append("announced"))
    monkeypatch.setattr(snapshots.store, "publish", lambda environment_id: order.append("looked"))

    snapshots.publish(ENVIRONMENT)

    assert order == (["announced", "looked"] if is_enabled else ["looked"])
