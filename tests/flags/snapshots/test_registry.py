"""The registry of a process, over a source in memory."""

import threading
import uuid
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from flags.evaluation.compile import Snapshot
from flags.snapshots import SnapshotStore, SnapshotsUnavailable
from flags.snapshots.sources import EnvironmentUnreadable
from tests.factories import NOW
from tests.flags.api.plane import DOCUMENTS, SECRET, FakeSource, fake_store

OUTAGE = ConnectionError("the database is gone")


def revision_of(store: SnapshotStore) -> int:
    token = store.token(SECRET, now=NOW)
    assert token is not None
    snapshot = store.snapshot(token.environment_id)
    assert snapshot is not None
    return snapshot.revision


def only_environment(source: FakeSource) -> uuid.UUID:
    return next(iter(source.snapshots))


@pytest.mark.parametrize("secret", ["", "unknown", SECRET[:-1], SECRET + "s", SECRET.upper(), "\ud800", "ÿ"])
def test_token__any_other_secret__is_unknown(secret: str):
    store, _ = fake_store()

    assert store.token(secret, now=NOW) is None


def test_token__expiry__is_judged_at_each_request():
    store, source = fake_store()
    source.add_token(only_environment(source), "fse_short", expires_at=NOW)

    assert store.token("fse_short", now=NOW - timedelta(microseconds=1)) is not None
    assert store.token("fse_short", now=NOW) is None


def test_token__revoked__is_refused_after_the_next_look():
    store, source = fake_store()
    assert store.token(SECRET, now=NOW) is not None

    source.tokens.clear()
    store.refresh()

    assert store.token(SECRET, now=NOW) is None


def test_refresh__only_what_moved__is_built_again():
    store, source = fake_store()
    other = source.add_environment(DOCUMENTS)
    source.add_token(other, "fse_other")
    assert revision_of(store) == 1
    source.built.clear()

    store.refresh()
    source.move(other, 2)
    store.refresh()

    assert source.built == [other]


def test_refresh__environment_without_a_token__is_not_loaded():
    store, source = fake_store()
    lonely = source.add_environment(DOCUMENTS)

    assert revision_of(store) == 1
    assert store.snapshot(lonely) is None


def test_refresh__source_that_lags_behind__never_goes_backwards():
    store, source = fake_store()
    environment_id = only_environment(source)
    source.move(environment_id, 7)
    assert revision_of(store) == 7

    source.move(environment_id, 6)
    store.refresh()

    assert revision_of(store) == 7


def test_refresh__build_that_reads_an_older_replica__is_not_served():
    store, source = fake_store()
    environment_id = only_environment(source)
    assert revision_of(store) == 1
    source.read_revisions = lambda: {environment_id: 9}  # type: ignore[method-assign]
    source.move(environment_id, 0)

    store.refresh()

    assert revision_of(store) == 1


def test_refresh__source_gone__keeps_the_last_good_state_and_says_so_once():
    store, source = fake_store()
    assert revision_of(store) == 1

    source.fails = OUTAGE
    with capture_logs() as logs:
        results = [store.try_refresh() for _ in range(5)]
    source.move(only_environment(source), 2)

    assert results == [False] * 5
    assert [entry["event"] for entry in logs] == ["snapshots_stale"]
    assert store.is_stale
    assert revision_of(store) == 1


def test_refresh__source_back__serves_what_changed_meanwhile():
    store, source = fake_store()
    assert revision_of(store) == 1
    source.fails = OUTAGE
    store.try_refresh()

    source.fails = None
    source.move(only_environment(source), 2)
    with capture_logs() as logs:
        store.try_refresh()

    assert not store.is_stale
    assert revision_of(store) == 2
    assert [entry["event"] for entry in logs] == ["snapshots_fresh_again"]


def test_refresh__one_unreadable_environment__does_not_stop_the_others():
    store, source = fake_store()
    broken = only_environment(source)
    fine = source.add_environment(DOCUMENTS)
    source.add_token(fine, "fse_fine")
    assert revision_of(store) == 1
    build = source.build

    def build_others(environment_id: uuid.UUID) -> Snapshot:
        if environment_id == broken:
            raise EnvironmentUnreadable("changing all the time")
        return build(environment_id)

    source.build = build_others  # type: ignore[method-assign]
    source.move(broken, 2)
    source.move(fine, 2)
    store.refresh()

    assert revision_of(store) == 1
    served = store.snapshot(fine)
    assert served is not None
    assert served.revision == 2


def test_first_use__source_gone__is_unavailable_until_it_is_back(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("flags.snapshots.registry._RETRY_SECONDS", 0.0)
    store, source = fake_store()
    source.fails = OUTAGE

    with pytest.raises(SnapshotsUnavailable):
        store.token(SECRET, now=NOW)
    source.fails = None

    assert not store.is_loaded
    assert revision_of(store) == 1
    assert store.is_loaded


def test_first_use__source_gone__is_not_asked_by_every_request():
    store, source = fake_store()
    source.fails = OUTAGE
    for _ in range(3):
        with pytest.raises(SnapshotsUnavailable):
            store.token(SECRET, now=NOW)

    source.fails = None

    with pytest.raises(SnapshotsUnavailable):
        store.token(SECRET, now=NOW)


def test_first_use__happens_once_and_starts_what_follows():
    started: list[SnapshotStore] = []
    _, source = fake_store()
    store = SnapshotStore(source, on_first_use=started.append)

    for _ in range(3):
        assert revision_of(store) == 1
    assert started == [store]

    store.reset()
    assert revision_of(store) == 1
    assert started == [store, store]


def test_publish__nothing_loaded_yet__asks_nothing():
    store, source = fake_store()
    source.fails = OUTAGE

    store.publish(only_environment(source))

    assert not store.is_stale


def test_publish__loaded__serves_the_commit_at_once():
    store, source = fake_store()
    assert revision_of(store) == 1
    source.move(only_environment(source), 2)

    store.publish(only_environment(source))

    assert revision_of(store) == 2


def test_publish__source_gone__never_raises():
    store, source = fake_store()
    assert revision_of(store) == 1
    source.fails = OUTAGE

    store.publish(only_environment(source))

    assert revision_of(store) == 1


def test_readers__while_a_build_is_under_way__see_the_old_state_and_do_not_wait():
    store, source = fake_store()
    assert revision_of(store) == 1
    building, go_on = threading.Event(), threading.Event()
    build = source.build

    def slow_build(environment_id: uuid.UUID) -> Snapshot:
        building.set()
        assert go_on.wait(10)
        return build(environment_id)

    source.build = slow_build  # type: ignore[method-assign]
    source.move(only_environment(source), 2)
    writer = threading.Thread(target=store.refresh)
    writer.start()
    assert building.wait(10)

    seen = revision_of(store)
    go_on.set()
    writer.join(10)

    assert seen == 1
    assert revision_of(store) == 2


def test_uses__of_one_token__are_written_at_most_once_a_minute():
    store, source = fake_store()
    for seconds in range(0, 181, 5):
        moment = NOW + timedelta(seconds=seconds)
        store.token(SECRET, now=moment)
        store.flush_uses(now=moment)

    assert [(used_at - NOW).total_seconds() for _, used_at in source.uses] == [0, 60, 120, 180]


def test_uses__idle_token__is_not_written_again():
    store, source = fake_store()
    store.token(SECRET, now=NOW)

    for minutes in range(5):
        store.flush_uses(now=NOW + timedelta(minutes=minutes))

    assert len(source.uses) == 1


def test_uses__refused_token__is_not_used():
    store, source = fake_store()
    source.add_token(only_environment(source), "fse_old", expires_at=NOW)
    store.token("fse_old", now=NOW)
    store.token("unknown", now=NOW)

    store.flush_uses(now=NOW)

    assert source.uses == []


def test_refresh__fails_half_way__what_was_compiled_is_not_built_again():
    store, source = fake_store()
    for number in range(4):
        source.add_token(source.add_environment(DOCUMENTS, revision=3), secret=f"another-{number}")
    build, attempts = source.build, []

    def build_or_fail(environment_id: uuid.UUID) -> Snapshot:
        attempts.append(environment_id)
        if len(attempts) in (2, 5):
            raise ConnectionError("gone")
        return build(environment_id)

    source.build = build_or_fail  # type: ignore[method-assign]

    assert [store.try_refresh() for _ in range(3)] == [False, False, True]

    assert len(source.built) == len(set(source.built)) == len(store.served) == 5
    # What was kept meanwhile is kept no longer than needed.
    assert store._ahead == {}
