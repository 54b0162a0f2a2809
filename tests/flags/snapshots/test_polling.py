"""The background threads."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection
from structlog.testing import capture_logs

from flags import snapshots
from flags.evaluation.compile import CompiledSnapshot, Snapshot, compile_snapshot
from flags.snapshots import SnapshotStore, polling
from flags.snapshots.kill_list import KillListReader
from flags.snapshots.polling import Listener, Poller, Watch, start_polling
from tests.factories import NOW
from tests.flags.api.plane import SECRET, FakeSource, fake_store


def only_revision(store: SnapshotStore) -> int:
    (compiled,) = store.served.values()
    return compiled.revision


def move(source: FakeSource, revision: int) -> None:
    source.move(next(iter(source.snapshots)), revision)


def test_poller__running__serves_changes_and_writes_uses_until_stopped():
    store, source = fake_store()
    token = store.token(SECRET, now=NOW)
    assert token is not None
    flushed, flush_uses = threading.Event(), store.flush_uses

    def flush_and_tell(*, now: datetime) -> None:
        flush_uses(now=now)
        flushed.set()

    store.flush_uses = flush_and_tell  # type: ignore[method-assign]
    move(source, 2)
    poller = Poller(store, seconds=0.01)
    poller.start()

    assert flushed.wait(10)
    poller.stop()
    poller.join(10)

    assert not poller.is_alive()
    assert poller.daemon
    assert only_revision(store) == 2
    assert source.uses == [(token.id, NOW)]


def test_poller__every_message_lost__converges_at_the_next_poll():
    store, source = fake_store()
    served = threading.Event()
    poller = Poller(store, seconds=0.05)
    poller.start()
    try:
        for revision in range(2, 12):
            served.clear()
            ends = store.subscribe(lambda moved: served.set())
            move(source, revision)
            assert served.wait(5)
            ends()
            assert only_revision(store) == revision
    finally:
        poller.stop()
        poller.join(10)


def test_poller__told_to_look__does_not_wait_for_the_next_poll():
    store, source = fake_store()
    poller = Poller(store, seconds=3600)
    poller.start()
    try:
        assert poller.look_soon(wait_seconds=10)
        for revision in range(2, 6):
            move(source, revision)
            assert poller.look_soon(wait_seconds=10)
            assert only_revision(store) == revision
    finally:
        poller.stop()
        poller.join(10)


def test_look_soon__poller_that_hangs__is_waited_for_so_long_only():
    store, source = fake_store()
    go_on = threading.Event()
    source.read_token_stamp = lambda: go_on.wait(10)  # type: ignore[method-assign]
    poller = Poller(store, seconds=3600)
    poller.start()

    assert not poller.look_soon(wait_seconds=0.05)
    assert poller.silent_seconds() > 0

    go_on.set()
    poller.stop()
    poller.join(10)
    assert poller.silent_seconds() == 0


@pytest.mark.parametrize(
    "error", [OperationalError("gone"), RuntimeError("a bug"), MemoryError()], ids=["gone", "bug", "memory"]
)
def test_tick__whatever_happens__gives_the_connection_back_and_goes_on(
    error: Exception, monkeypatch: pytest.MonkeyPatch
):
    store, source = fake_store()
    assert store.token(SECRET, now=NOW) is not None
    closed: list[bool] = []
    monkeypatch.setattr(polling, "close_old_connections", lambda: closed.append(True))
    done: list[datetime] = []
    poller = Poller(store, seconds=60, after_look=done.append)

    source.fails = error
    poller.tick()
    assert (source.uses, done) == ([], [])
    source.fails = None
    poller.tick()

    assert closed == [True, True]
    assert not store.is_stale
    assert (len(source.uses), len(done)) == (1, 1)


def test_tick__what_follows_fails__is_logged_and_the_look_counts(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(polling, "close_old_connections", lambda: None)
    store, _ = fake_store()

    def fails(now: datetime) -> None:
        raise RuntimeError("a bug")

    with capture_logs() as logs:
        Poller(store, seconds=60, after_look=fails).tick()

    assert store.is_loaded
    assert [entry["event"] for entry in logs] == ["snapshot_poll_failed"]


@pytest.fixture
def watching(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[SnapshotStore], Watch]]:
    """Makes watches that look every hour, over a kill list in a folder of their own; stops them at the end."""
    monkeypatch.setattr(polling, "_WATCH_SECONDS", 3600.0)
    made: list[Watch] = []

    def make(store: SnapshotStore) -> Watch:
        kills = KillListReader(variable="", path=tmp_path / "kill-list", now=NOW)
        made.append(Watch(store, kills=kills, new_poller=lambda: Poller(store, seconds=3600)))
        return made[-1]

    yield make
    for watch in made:
        watch.stop()


def test_watch__list_forces_for_a_moment_while_nothing_can_be_asked__is_noted(tmp_path: Path):
    store, _ = fake_store()
    store.refresh()
    path = tmp_path / "kill-list"
    noted: list[list[str]] = []
    watch = Watch(
        store,
        kills=KillListReader(variable="", path=path, now=NOW),
        new_poller=lambda: Poller(store, seconds=3600),
        after_read=lambda now: noted.append([str(kill) for kill in store.effective_kills()]),
    )

    path.write_text("shop/production/split=off\n")
    watch.tick()
    path.unlink()
    # What a file lifts has to be seen twice.
    watch.tick()
    watch.tick()

    assert noted == [["shop/production/split=off"]] * 2 + [[]]
    watch.stop()


def test_watch__poller_that_hangs__is_left_behind_and_the_store_is_stale(
    watching: Callable[[SnapshotStore], Watch], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(polling, "_LONGEST_SILENCE_SECONDS", 0.0)
    monkeypatch.setattr("flags.snapshots.registry._TURN_SECONDS", 0.01)
    store, source = fake_store()
    store.refresh()
    is_hanging, go_on = threading.Event(), threading.Event()
    read = source.read_token_stamp

    def hang_once() -> object:
        source.read_token_stamp = read  # type: ignore[method-assign]
        is_hanging.set()
        go_on.wait(20)
        return read()

    source.read_token_stamp = hang_once  # type: ignore[method-assign]
    watch = watching(store)
    watch.start()
    assert is_hanging.wait(10)
    move(source, 2)
    with capture_logs() as logs:
        watch.tick()
        assert watch.look_soon(wait_seconds=10)

    assert only_revision(store) == 2
    assert not store.is_stale
    assert [entry["event"] for entry in logs if entry["event"] == "snapshots_stale"] == ["snapshots_stale"]
    go_on.set()


def test_watch__look_that_gets_on__is_left_alone_however_long_it_takes(
    watching: Callable[[SnapshotStore], Watch], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(polling, "_LONGEST_SILENCE_SECONDS", 0.0)
    monkeypatch.setattr(polling, "_LONGEST_FIRST_LOOK_SECONDS", 0.0)
    monkeypatch.setattr(polling, "_SLOW_START_SECONDS", 0.0)
    is_compiling, go_on = threading.Event(), threading.Event()

    def compile_slowly(snapshot: Snapshot) -> CompiledSnapshot:
        is_compiling.set()
        assert go_on.wait(20)
        return compile_snapshot(snapshot)

    monkeypatch.setattr("flags.snapshots.registry.compile_snapshot", compile_slowly)
    store, _ = fake_store()
    watch = watching(store)
    poller = watch._poller
    watch.start()
    assert is_compiling.wait(10)
    with capture_logs() as logs:
        for _ in range(5):
            watch.tick()

    assert watch._poller is poller
    assert (store.failure, logs) == ("", [])
    # Requests do not wait for it, though: they are told that there is nothing yet.
    assert store.wait_until_tried(seconds=0)
    go_on.set()
    assert watch.look_soon(wait_seconds=10)
    assert store.is_loaded


def test_watch__source_that_hangs_for_good__never_has_more_than_two_pollers(
    watching: Callable[[SnapshotStore], Watch], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(polling, "_LONGEST_SILENCE_SECONDS", 0.0)
    monkeypatch.setattr("flags.snapshots.registry._TURN_SECONDS", 0.01)
    monkeypatch.setattr(polling, "_SLOW_START_SECONDS", 0.0)
    store, source = fake_store()
    hanging, go_on = threading.Semaphore(0), threading.Event()

    def hang() -> object:
        hanging.release()
        go_on.wait(20)
        return frozenset(source.tokens)

    monkeypatch.setattr(source, "read_token_stamp", hang)
    watch = watching(store)
    watch.start()
    seen = {watch._poller}
    for _ in range(2):
        assert hanging.acquire(timeout=10)
        watch.tick()
        seen.add(watch._poller)
    for _ in range(5):
        watch.tick()
        seen.add(watch._poller)

    assert len(seen) == 2
    go_on.set()
    assert watch.look_soon(wait_seconds=10)
    assert store.is_loaded


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_abandon__query_that_does_not_come_back__is_cut_and_the_thread_ends():
    store, source = fake_store()
    is_asking = threading.Event()

    def ask() -> object:
        with connection.cursor() as cursor:
            is_asking.set()
            cursor.execute("SELECT pg_sleep(60)")
        return None

    source.read_token_stamp = ask  # type: ignore[method-assign]
    poller = Poller(store, seconds=3600)
    poller.start()
    assert is_asking.wait(10)
    deadline = time.monotonic() + 20
    while poller.is_alive() and time.monotonic() < deadline:
        poller.abandon()
        poller.join(0.05)

    with connection.cursor() as cursor:
        # The server itself would notice at the end only, and keep the database in use.
        cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)'")
    assert not poller.is_alive()
    assert store.failure == "OperationalError"


def test_watch__poller_that_died__is_replaced(watching: Callable[[SnapshotStore], Watch]):
    store, source = fake_store()
    watch = watching(store)
    watch.start()
    assert watch.look_soon(wait_seconds=10)
    dead = watch._poller
    dead.stop()
    dead.join(10)

    watch.tick()
    move(source, 2)

    assert watch.look_soon(wait_seconds=10)
    assert only_revision(store) == 2


def test_watch__kill_list__is_read_before_the_first_answer_and_at_every_tick(
    watching: Callable[[SnapshotStore], Watch], tmp_path: Path
):
    path = tmp_path / "kill-list"
    path.write_text("shop/production/split=off")
    store, source = fake_store()
    source.fails = ConnectionError("gone")

    watch = watching(store)
    assert len(store.kills.entries) == 1
    path.write_text("shop/production/split=off\nshop/production/a-boolean=off\n")
    watch._poller.start()
    watch.tick()

    assert len(store.kills.entries) == 2


def test_watch__slow_source_at_the_start__serves_the_saved_state(
    watching: Callable[[SnapshotStore], Watch], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(polling, "_SLOW_START_SECONDS", 0.01)
    other, source = fake_store()
    other.refresh()
    go_on = threading.Event()
    source.read_token_stamp = lambda: go_on.wait(20)  # type: ignore[method-assign]
    store = SnapshotStore(source, saved_state=other.saved, on_first_use=lambda store: started(store))

    def started(store: SnapshotStore) -> Watch:
        watch = watching(store)
        watch.start()
        return watch

    assert store.token(SECRET, now=NOW) is not None
    assert store.origin == "file"
    go_on.set()


def test_listener__connection_lost__connects_again_and_looks_since_it_may_have_missed_something():
    woken: list[int] = []
    is_over = threading.Event()
    attempts: list[int] = []

    def messages() -> Iterator[None]:
        attempts.append(len(attempts))
        if len(attempts) == 1:
            raise ConnectionError("refused")
        yield
        yield
        if len(attempts) == 2:
            raise ConnectionError("lost")
        is_over.set()
        yield

    with capture_logs() as logs:
        listener = Listener(lambda: woken.append(1), messages)
        listener.start()
        assert is_over.wait(20)
        listener.stop()
        listener.join(20)

    assert len(attempts) >= 3
    assert len(woken) >= 4
    assert [entry["event"] for entry in logs][:2] == ["snapshot_listener_lost"] * 2


def test_listener__nothing_that_carries_messages__ends():
    listener = Listener(lambda: None, lambda: None)
    listener.start()
    listener.join(10)

    assert not listener.is_alive()


@pytest.mark.parametrize("is_enabled", [True, False])
def test_start_polling__setting__decides(
    is_enabled: bool, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    settings.SNAPSHOT_POLL_ENABLED, settings.SNAPSHOT_POLL_SECONDS = is_enabled, 0.5
    settings.KILL_LIST_FILE = tmp_path / "kill-list"
    started: list[object] = []
    for thread in (Watch, Listener):
        monkeypatch.setattr(thread, "start", lambda self: started.append(self))
    store, _ = fake_store()

    keeper = start_polling(store)

    assert (keeper is not None) is is_enabled
    assert [type(one) for one in started] == ([Watch, Listener] if is_enabled else [])


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
