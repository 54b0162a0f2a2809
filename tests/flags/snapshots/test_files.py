"""The signed file: what is read back, what is refused, which state wins."""

import fcntl
import json
import os
import stat
import threading
import time
import uuid
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from flags.evaluation.compile import compile_snapshot
from flags.snapshots import SnapshotStore
from flags.snapshots.files import FORMAT, SnapshotFile, _sign, file_key
from flags.snapshots.saving import Saver
from flags.snapshots.states import SavedState
from tests.factories import NOW
from tests.flags.api.plane import DOCUMENTS, SECRET, fake_store
from tests.flags.snapshots.saved import KEY, LATER, state, turned

CONTEXTS = [{"targetingKey": f"user-{number}", "plan": "beta" if number % 3 else "gold"} for number in range(50)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "snapshots.json"


def revision_in(path: Path) -> int:
    loaded = SnapshotFile(path, key=KEY).load(now=LATER)
    assert loaded is not None
    return loaded.snapshots[uuid.UUID(int=7)].revision


def test_file__read_back__is_the_same_state_and_evaluates_alike(path: Path):
    written = state()
    expiring = {key: replace(facts, expires_at=NOW + timedelta(days=1)) for key, facts in written.tokens.items()}
    written = replace(written, tokens=expiring)

    assert SnapshotFile(path, key=KEY).save(written, now=LATER)
    read = SnapshotFile(path, key=KEY).load(now=LATER)

    assert read == written
    before, after = (compile_snapshot(next(iter(side.snapshots.values()))) for side in (written, read))
    for key in DOCUMENTS:
        assert [before.evaluate(key, context, NOW) for context in CONTEXTS] == [
            after.evaluate(key, context, NOW) for context in CONTEXTS
        ]


def test_file__odd_values__survive(path: Path):
    written = state()
    snapshot = next(iter(written.snapshots.values()))
    odd = {"name": "on", "value": {"big": 2**70, "float": 1.0, "text": "\ud800 ü\n", "small": 5e-324}}
    source = replace(snapshot.flags["an-object"], document={**snapshot.flags["an-object"].document, "variants": [odd]})
    written = replace(
        written,
        snapshots={
            uuid.UUID(int=7): replace(
                snapshot, flags={"odd": source}, requires_targeting_key=True, samples_contexts=True
            )
        },
    )

    SnapshotFile(path, key=KEY).save(written, now=LATER)

    assert SnapshotFile(path, key=KEY).load(now=LATER) == written


def test_file__on_disk__is_for_its_owner_only_and_holds_no_secret(path: Path):
    file = SnapshotFile(path, key=KEY)
    file.save(state(1), now=LATER)
    file.save(state(2), now=LATER)

    left = {item.name: item for item in path.parent.iterdir()}
    assert set(left) == {"snapshots.json", "snapshots.json.1", "snapshots.json.lock"}
    assert {stat.S_IMODE(item.stat().st_mode) for item in left.values()} == {0o600}
    assert SECRET.encode() not in path.read_bytes()


def _cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


DAMAGE = {
    "empty": lambda content: b"",
    "cut in half": _cut,
    "last byte missing": lambda content: content[:-1],
    "one word changed": turned,
    "something added": lambda content: content + b"{}\n",
    "other format": lambda content: content.replace(b"snapshots-2", b"snapshots-1", 1),
    "no signature": lambda content: content[content.index(b"\n") :],
    "binary": lambda content: bytes(range(256)) * 9,
    "signed nonsense": lambda content: None,
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_load__damaged_file__is_refused_once_and_the_earlier_one_is_taken(damage: str, path: Path):
    file = SnapshotFile(path, key=KEY)
    file.save(state(1), now=LATER)
    file.save(state(2), now=LATER)
    content = DAMAGE[damage](path.read_bytes())
    if content is None:
        line = b"{}\n"
        content = f"{FORMAT} {_sign(line, KEY)}\n".encode() + line
    path.write_bytes(content)

    with capture_logs() as logs:
        loaded = [file.load(now=LATER) for _ in range(3)]

    assert [None if one is None else one.snapshots[uuid.UUID(int=7)].revision for one in loaded] == [1] * 3
    assert [entry["event"] for entry in logs] == ["snapshot_file_refused"]


def test_load__other_secret_key__refuses_both_generations(path: Path):
    file = SnapshotFile(path, key=KEY)
    file.save(state(1), now=LATER)
    file.save(state(2), now=LATER)

    with capture_logs() as logs:
        assert SnapshotFile(path, key=file_key("another")).load(now=LATER) is None

    assert [entry["event"] for entry in logs] == ["snapshot_file_refused"] * 2
    assert "SECRET_KEY" in logs[0]["detail"]


def test_load__no_file__is_nothing_to_complain_about(path: Path):
    with capture_logs() as logs:
        assert SnapshotFile(path, key=KEY).load(now=LATER) is None
    assert logs == []


@pytest.mark.parametrize(
    ("present", "coming", "is_written"),
    [
        (state(2), state(3), True),
        (state(3), state(2), False),
        (state(3, acts=5), state(4, acts=4), False),
        (state(3, acts=4), state(3, acts=5), True),
        (state(3), state(3), False),
        (state(3), state(3, looked_at=NOW + timedelta(seconds=5)), True),
        (state(3, looked_at=NOW + timedelta(seconds=5)), state(3), False),
        # A backup was restored: what nobody has seen for a minute holds nobody back.
        (state(9, acts=9), state(2, looked_at=NOW + timedelta(minutes=2)), True),
    ],
    ids=[
        "newer",
        "older",
        "older tokens",
        "newer tokens",
        "same",
        "same, later look",
        "same, earlier look",
        "restored",
    ],
)
def test_save__state_of_another_process__never_older_over_newer(
    present: SavedState, coming: SavedState, is_written: bool, path: Path
):
    SnapshotFile(path, key=KEY).save(present, now=LATER)

    assert SnapshotFile(path, key=KEY).save(coming, now=LATER) is is_written

    assert SnapshotFile(path, key=KEY).load(now=LATER) == (coming if is_written else present)


def test_save__over_a_damaged_file__keeps_the_earlier_good_one(path: Path):
    file = SnapshotFile(path, key=KEY)
    file.save(state(1), now=LATER)
    file.save(state(2), now=LATER)
    path.write_bytes(b"damaged")

    assert file.save(state(3), now=LATER)

    assert revision_in(path) == 3
    path.write_bytes(b"damaged")
    assert revision_in(path) == 1


def test_save__several_at_once__readers_never_see_a_part(path: Path):
    states = [state(number) for number in range(1, 9)]
    SnapshotFile(path, key=KEY).save(states[0], now=LATER)
    is_over, seen = threading.Event(), []

    def read() -> None:
        while not is_over.is_set():
            seen.append(SnapshotFile(path, key=KEY).load(now=LATER))

    def write(number: int) -> None:
        for one in states[number::2]:
            SnapshotFile(path, key=KEY).save(one, now=LATER)

    reading = threading.Thread(target=read)
    writers = [threading.Thread(target=write, args=(number,)) for number in range(2)]
    reading.start()
    with capture_logs() as logs:
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        is_over.set()
        reading.join()

    revisions = [one.snapshots[uuid.UUID(int=7)].revision for one in seen if one is not None]
    assert logs == []
    assert len(revisions) == len(seen) > 0
    assert revisions == sorted(revisions)
    assert revision_in(path) == 8


def test_save__another_process_that_hangs_while_it_writes__is_not_waited_for(path: Path):
    with path.with_name("snapshots.json.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        began = time.monotonic()
        assert not SnapshotFile(path, key=KEY).save(state(), now=LATER)
        assert time.monotonic() - began < 3

    assert SnapshotFile(path, key=KEY).save(state(), now=LATER)


def test_saver__changes__are_written_at_most_every_two_seconds(path: Path):
    store, source = fake_store()
    store.refresh()
    saver = Saver(store, SnapshotFile(path, key=KEY))
    environment_id = next(iter(source.snapshots))

    written = []
    for tenth in range(50):
        source.move(environment_id, tenth + 1)
        store.refresh()
        written.append(saver.save_if_due(now=NOW + timedelta(seconds=tenth / 10)))

    assert [number for number, is_written in enumerate(written) if is_written] == [0, 20, 40]


def test_saver__no_changes__says_every_thirty_seconds_that_it_looked(path: Path):
    moments = iter(NOW + timedelta(seconds=number) for number in range(200))
    _, source = fake_store()
    store = SnapshotStore(source, clock=lambda: next(moments))
    saver = Saver(store, SnapshotFile(path, key=KEY))

    written = []
    for second in range(70):
        store.refresh()
        written.append(saver.save_if_due(now=NOW + timedelta(seconds=second)))

    assert [number for number, is_written in enumerate(written) if is_written] == [0, 30, 60]
    loaded = SnapshotFile(path, key=KEY).load(now=LATER)
    assert loaded is not None
    assert loaded.looked_at == NOW + timedelta(seconds=60)


def test_saver__file_that_cannot_be_written__is_logged_once_and_tried_again(tmp_path: Path):
    (tmp_path / "blocked").write_text("a file where a folder should be")
    store, _ = fake_store()
    store.refresh()
    saver = Saver(store, SnapshotFile(tmp_path / "blocked" / "snapshots.json", key=KEY))

    with capture_logs() as logs:
        results = [saver.save_if_due(now=NOW + timedelta(minutes=number)) for number in range(3)]
    os.unlink(tmp_path / "blocked")

    assert results == [False] * 3
    assert [entry["event"] for entry in logs] == ["snapshot_file_not_written"]
    assert saver.save_if_due(now=NOW + timedelta(minutes=3))


def test_saver__state_that_came_from_the_file__is_not_written_back(path: Path):
    store, source = fake_store()
    source.fails = ConnectionError("gone")
    store = SnapshotStore(source, saved_state=lambda: state(5))
    assert store.fall_back()

    assert not Saver(store, SnapshotFile(path, key=KEY)).save_if_due(now=NOW)
    assert not path.exists()


def test_header__is_json_and_says_when_it_was_looked_at(path: Path):
    SnapshotFile(path, key=KEY).save(state(), now=LATER)

    header = json.loads(path.read_bytes().splitlines()[1])

    assert (header["looked_at"], header["token_acts"]) == (NOW.isoformat(), 1)
    assert header["revisions"] == {str(uuid.UUID(int=7)): 1}
