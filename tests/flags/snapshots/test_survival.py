"""What the registry says and serves around outages: subscribers, age, origin, kill list, looks that overlap."""

import threading
import uuid
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from flags.snapshots import SnapshotStore, SnapshotsUnavailable
from flags.snapshots.kill_list import KillList, parse_kill_list
from flags.snapshots.states import SavedState
from tests.factories import NOW
from tests.flags.api.plane import DOCUMENTS, SECRET, FakeSource, fake_store

OUTAGE = ConnectionError("the database is gone")


class Clock:
    """An instant that tests move."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def pass_seconds(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def timed_store(clock: Clock, saved: SavedState | None = None) -> tuple[SnapshotStore, FakeSource]:
    _, source = fake_store()
    return SnapshotStore(source, clock=clock, saved_state=lambda: saved), source


def only_environment(source: FakeSource) -> uuid.UUID:
    return next(iter(source.snapshots))


def saved_of(source: FakeSource, *, looked_at: datetime = NOW, revision: int = 1) -> SavedState:
    snapshots = {key: replace(snapshot, revision=revision) for key, snapshot in source.snapshots.items()}
    return SavedState(looked_at=looked_at, token_acts=1, tokens=dict(source.tokens), snapshots=snapshots)


def kills(*lines: str) -> KillList:
    return parse_kill_list("\n".join(lines), since=NOW)


@pytest.mark.parametrize(("seconds", "expected"), [(0, None), (10, None), (10.5, 10.5), (3600, 3600.0), (-7200, None)])
def test_staleness__source_gone__counts_once_it_is_longer_than_allowed(
    seconds: float, expected: float | None, clock: Clock, settings: Any
):
    settings.STALE_AFTER_SECONDS = 10
    store, source = timed_store(clock)
    store.refresh()

    source.fails = OUTAGE
    store.try_refresh()

    assert store.staleness(now=NOW + timedelta(seconds=seconds)) == expected
    assert (store.looked_at, store.failure) == (NOW, "ConnectionError")


def test_staleness__source_that_answers__is_none_however_long_ago(clock: Clock):
    store, source = timed_store(clock)
    assert store.staleness(now=NOW) is None
    store.refresh()
    assert store.staleness(now=NOW + timedelta(days=1)) is None

    source.fails = OUTAGE
    store.try_refresh()
    source.fails = None
    clock.pass_seconds(60)
    store.try_refresh()

    assert store.staleness(now=clock.now + timedelta(days=1)) is None
    assert (store.looked_at, store.failure) == (clock.now, "")


def test_first_use__source_gone_but_saved__answers_and_is_stale_at_once(clock: Clock):
    _, source = timed_store(clock)
    saved = saved_of(source, looked_at=NOW - timedelta(seconds=3))
    source.fails = OUTAGE
    store = SnapshotStore(source, clock=clock, saved_state=lambda: saved)

    facts = store.token(SECRET, now=NOW)

    assert facts is not None
    assert store.snapshot(facts.environment_id) is not None
    assert (store.origin, store.staleness(now=NOW)) == ("file", 3.0)
    assert store.saved() is None


def test_saved_state__token_that_expired_meanwhile__stays_expired(clock: Clock):
    _, source = timed_store(clock)
    source.add_token(only_environment(source), "fse_short", expires_at=NOW)
    saved = saved_of(source)
    source.fails = OUTAGE
    store = SnapshotStore(source, clock=clock, saved_state=lambda: saved)

    assert store.token("fse_short", now=NOW) is None
    assert store.token("fse_short", now=NOW - timedelta(seconds=1)) is not None


@pytest.mark.parametrize(("in_file", "in_database", "served"), [(5, 5, 5), (5, 7, 7), (5, 3, 5)])
def test_saved_state__source_back__takes_over_and_never_goes_backwards(
    in_file: int, in_database: int, served: int, clock: Clock
):
    _, source = timed_store(clock)
    environment_id = only_environment(source)
    saved = saved_of(source, revision=in_file)
    source.move(environment_id, in_database)
    revoked = source.add_token(environment_id, "fse_newer")
    source.fails = OUTAGE
    store = SnapshotStore(source, clock=clock, saved_state=lambda: saved)
    assert store.token("fse_newer", now=NOW) is None

    source.fails = None
    assert store.try_refresh()

    compiled = store.snapshot(environment_id)
    assert compiled is not None
    assert compiled.revision == served
    assert store.token("fse_newer", now=NOW) == revoked
    assert (store.origin, store.is_stale) == ("database", False)


def test_fall_back__state_from_the_source__is_kept(clock: Clock):
    _, source = timed_store(clock)
    saved = saved_of(source, revision=99)
    store = SnapshotStore(source, clock=clock, saved_state=lambda: saved)
    store.refresh()

    assert store.fall_back()

    assert store.origin == "database"
    assert {compiled.revision for compiled in store.served.values()} == {1}


def test_first_use__neither_source_nor_saved__is_unavailable():
    store, source = fake_store()
    source.fails = OUTAGE

    with pytest.raises(SnapshotsUnavailable, match="neither the database nor a saved file"):
        store.token(SECRET, now=NOW)
    assert store.staleness(now=NOW) is None


def test_subscribe__changes__are_told_after_they_are_served():
    store, source = fake_store()
    first = only_environment(source)
    second = source.add_environment(DOCUMENTS)
    source.add_token(second, "fse_second")
    told: list[tuple[frozenset[uuid.UUID], int]] = []
    store.subscribe(lambda moved: told.append((moved, store.served[first].revision if first in store.served else 0)))

    store.refresh()
    store.refresh()
    source.move(first, 2)
    store.refresh()
    store.force(kills("shop/production/split=off"))
    store.force(kills("shop/production/split=off"))
    source.tokens = {key: facts for key, facts in source.tokens.items() if facts.environment_id == first}
    store.refresh()

    both, only_first, only_second = (frozenset(keys) for keys in ((first, second), (first,), (second,)))
    assert told == [(both, 1), (only_first, 2), (both, 2), (only_second, 2)]


def test_subscribe__ended_or_broken__disturbs_nobody():
    store, source = fake_store()
    told: list[str] = []

    def broken(moved: frozenset[uuid.UUID]) -> None:
        raise RuntimeError("a bug of the subscriber")

    ends = store.subscribe(lambda moved: told.append("ended"))
    store.subscribe(broken)
    store.subscribe(lambda moved: told.append("stays"))
    ends()
    ends()

    with capture_logs() as logs:
        store.refresh()

    assert told == ["stays"]
    assert [entry["event"] for entry in logs] == ["snapshot_subscriber_failed"]
    assert store.served.keys() == {only_environment(source)}


def test_token_facts__by_id__until_it_is_revoked():
    store, source = fake_store()
    facts = source.add_token(only_environment(source), "fse_other")

    assert store.token_facts(facts.id) == facts
    assert store.token_facts(uuid.uuid4()) is None
    source.tokens.clear()
    store.refresh()
    assert store.token_facts(facts.id) is None


def variant_of(store: SnapshotStore, source: FakeSource, flag_key: str) -> str | None:
    compiled = store.snapshot(only_environment(source))
    assert compiled is not None
    return compiled.evaluate(flag_key, {"targetingKey": "user-1"}, NOW).variant


def test_force__whatever_happens_around_it__stays_until_lifted():
    store, source = fake_store()
    store.force(kills("shop/production/a-boolean=off"))
    assert variant_of(store, source, "a-boolean") == "off"

    source.move(only_environment(source), 2)
    store.refresh()
    assert variant_of(store, source, "a-boolean") == "off"
    source.fails = OUTAGE
    store.try_refresh()
    assert variant_of(store, source, "a-boolean") == "off"
    assert [str(kill) for kill in store.effective_kills()] == ["shop/production/a-boolean=off"]

    store.force(kills())
    assert variant_of(store, source, "a-boolean") == "on"
    assert store.effective_kills() == ()


def test_force__while_a_look_hangs__works_at_once():
    store, source = fake_store()
    store.refresh()
    is_hanging, go_on = threading.Event(), threading.Event()
    read_revisions = source.read_revisions

    def hang() -> Any:
        is_hanging.set()
        assert go_on.wait(10)
        return read_revisions()

    source.read_revisions = hang  # type: ignore[method-assign]
    looking = threading.Thread(target=store.try_refresh)
    looking.start()
    assert is_hanging.wait(10)
    store.force(kills("shop/production/a-boolean=off"))
    during = variant_of(store, source, "a-boolean")
    go_on.set()
    looking.join(10)

    assert during == variant_of(store, source, "a-boolean") == "off"


@pytest.mark.parametrize(
    ("line", "is_ignored"),
    [
        ("shop/production/split=off", False),
        ("shop/production/split=blue", True),
        ("shop/production/nothing=off", True),
        ("shop/staging/split=off", True),
        ("other/production/split=off", True),
    ],
)
def test_force__entry_that_names_nothing__is_logged_once_and_the_others_work(line: str, is_ignored: bool):
    store, source = fake_store()
    with capture_logs() as logs:
        store.force(kills(line, "shop/production/a-boolean=off"))
        store.refresh()
        store.refresh()

    ignored = [entry["entry"] for entry in logs if entry["event"] == "kill_list_entry_ignored"]
    assert ignored == ([line] if is_ignored else [])
    assert variant_of(store, source, "a-boolean") == "off"


def test_refresh__look_that_began_earlier_but_ends_later__is_thrown_away():
    """A database that hung comes back with what it had read before a token was revoked."""
    store, source = fake_store()
    store.refresh()
    facts = source.add_token(only_environment(source), "fse_lost")
    is_hanging, go_on = threading.Event(), threading.Event()
    read_tokens = source.read_tokens

    def hang_with_old_tokens() -> Any:
        old = read_tokens()
        source.read_tokens = read_tokens  # type: ignore[method-assign]
        is_hanging.set()
        assert go_on.wait(10)
        return old

    source.read_tokens = hang_with_old_tokens  # type: ignore[method-assign]
    slow = threading.Thread(target=store.try_refresh)
    slow.start()
    assert is_hanging.wait(10)
    source.tokens = {key: other for key, other in source.tokens.items() if other != facts}
    # The turn of the look that hangs is waited for, but not for ever.
    store.refresh()
    go_on.set()
    slow.join(10)

    assert store.token("fse_lost", now=NOW) is None


def test_saved__state_of_the_source__names_what_was_read(clock: Clock):
    store, source = timed_store(clock)
    assert store.saved() is None
    store.force(kills("shop/production/a-boolean=off"))
    store.refresh()

    saved = store.saved()

    assert saved is not None
    assert saved == SavedState(looked_at=NOW, token_acts=0, tokens=source.tokens, snapshots=source.snapshots)


class BackgroundKeeper:
    """A keeper that does what it is told, when it is told."""

    def __init__(self, store: SnapshotStore) -> None:
        self.store = store
        self.waited: list[float] = []

    def look_soon(self, *, wait_seconds: float) -> bool:
        self.waited.append(wait_seconds)
        return self.store.try_refresh()


def test_start__with_a_keeper__the_request_does_not_load_but_waits_for_it():
    _, source = fake_store()
    keepers: list[BackgroundKeeper] = []

    def begin(store: SnapshotStore) -> BackgroundKeeper:
        keepers.append(BackgroundKeeper(store))
        threading.Timer(0.01, store.try_refresh).start()
        return keepers[-1]

    store = SnapshotStore(source, on_first_use=begin)

    assert store.token(SECRET, now=NOW) is not None
    assert store.start()
    assert len(keepers) == 1
    source.move(only_environment(source), 2)
    store.publish(only_environment(source))
    assert {compiled.revision for compiled in store.served.values()} == {2}
    assert keepers[0].waited == [1.0]


def test_start__keeper_whose_first_attempt_failed__requests_fail_quickly():
    _, source = fake_store()
    source.fails = OUTAGE
    store = SnapshotStore(source, on_first_use=BackgroundKeeper)
    store.start()
    store.try_refresh()

    for _ in range(3):
        with pytest.raises(SnapshotsUnavailable):
            store.token(SECRET, now=NOW)
