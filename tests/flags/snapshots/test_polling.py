"""The background thread."""

import os
import threading
from datetime import datetime
from typing import Any

import pytest
from django.db import OperationalError

from flags import snapshots
from flags.snapshots import polling
from flags.snapshots.polling import Poller, start_polling
from tests.factories import NOW
from tests.flags.api.plane import SECRET, fake_store


def test_poller__running__serves_changes_and_writes_uses_until_stopped():
    store, source = fake_store()
    token = store.token(SECRET, now=NOW)
    assert token is not None
    flushed, flush_uses = threading.Event(), store.flush_uses

    def flush_and_tell(*, now: datetime) -> None:
        flush_uses(now=now)
        flushed.set()

    store.flush_uses = flush_and_tell  # type: ignore[method-assign]
    source.move(token.environment_id, 2)
    poller = Poller(store, seconds=0.01)
    poller.start()

    assert flushed.wait(10)
    poller.stop()
    poller.join(10)

    assert not poller.is_alive()
    assert poller.daemon
    served = store.snapshot(token.environment_id)
    assert served is not None
    assert served.revision == 2
    assert source.uses == [(token.id, NOW)]


@pytest.mark.parametrize("error", [OperationalError("gone"), RuntimeError("a bug"), MemoryError()])
def test_tick__whatever_happens__gives_the_connection_back_and_goes_on(
    error: Exception, monkeypatch: pytest.MonkeyPatch
):
    store, source = fake_store()
    assert store.token(SECRET, now=NOW) is not None
    closed: list[bool] = []
    monkeypatch.setattr(polling, "close_old_connections", lambda: closed.append(True))
    poller = Poller(store, seconds=60)

    source.fails = error
    poller.tick()
    source.fails = None
    poller.tick()

    assert closed == [True, True]
    assert not store.is_stale
    assert len(source.uses) == 1


@pytest.mark.parametrize("is_enabled", [True, False])
def test_start_polling__setting__decides(is_enabled: bool, settings: Any, monkeypatch: pytest.MonkeyPatch):
    settings.SNAPSHOT_POLL_ENABLED, settings.SNAPSHOT_POLL_SECONDS = is_enabled, 0.5
    started: list[Poller] = []
    monkeypatch.setattr(Poller, "start", lambda poller: started.append(poller))
    store, _ = fake_store()

    start_polling(store)

    assert len(started) == is_enabled


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_fork__child__starts_over(monkeypatch: pytest.MonkeyPatch):
    store, _ = fake_store()
    store.token(SECRET, now=NOW)
    monkeypatch.setattr(snapshots.store, "_state", store._state)
    assert snapshots.store.is_loaded

    child = os.fork()
    if child == 0:
        os._exit(int(snapshots.store.is_loaded))
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert snapshots.store.is_loaded
