"""What a look costs that found nothing new, how old a file may be, and what stands in for a damaged one."""

import uuid
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from flags.snapshots.encoding import Part, encoded, snapshot_lines
from flags.snapshots.files import SnapshotFile, file_key
from tests.factories import NOW
from tests.flags.snapshots.saved import KEY, LATER, later_look, state, turned


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "snapshots.json"


def test_save__nothing_changed__notes_the_look_and_leaves_the_file_alone(path: Path, monkeypatch: pytest.MonkeyPatch):
    file, first = SnapshotFile(path, key=KEY), state()
    file.save(first, now=LATER)
    before = path.stat()
    monkeypatch.setattr("flags.snapshots.files.encoded", None)
    second = later_look(first, seconds=30)

    assert file.save(second, now=LATER)

    after = path.stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert SnapshotFile(path, key=KEY).load(now=LATER) == second
    assert not file.save(later_look(first, seconds=10), now=LATER)


def test_save__nothing_changed_for_a_day__writes_it_anew(path: Path):
    file, first = SnapshotFile(path, key=KEY), state()
    file.save(first, now=LATER)
    second = later_look(first, hours=25)

    assert file.save(second, now=second.looked_at)

    path.write_bytes(b"damaged")
    assert file.load(now=LATER) == first


def test_save__one_environment_of_many_changed__only_that_one_is_encoded(path: Path, monkeypatch: pytest.MonkeyPatch):
    first = state()
    snapshot = first.snapshots[uuid.UUID(int=7)]
    first = replace(first, snapshots={uuid.UUID(int=number): replace(snapshot) for number in range(5)})
    file, done = SnapshotFile(path, key=KEY), []
    file.save(first, now=LATER)

    def note(name: str, lines: Iterable[bytes]) -> tuple[Part, list[bytes]]:
        done.append(name)
        return encoded(name, lines)

    monkeypatch.setattr("flags.snapshots.files.encoded", note)
    moved = {**first.snapshots, uuid.UUID(int=3): replace(snapshot, revision=2)}
    second = replace(first, snapshots=moved)

    assert file.save(second, now=LATER)

    assert done == [str(uuid.UUID(int=3))]
    assert SnapshotFile(path, key=KEY).load(now=LATER) == second
    path.write_bytes(b"damaged")
    assert SnapshotFile(path, key=KEY).load(now=LATER) == first


def test_save__unchanged_part_is_damaged_in_the_file__is_encoded_again(path: Path):
    first = state()
    moved = replace(first, token_acts=2, tokens={})
    file = SnapshotFile(path, key=KEY)
    file.save(first, now=LATER)
    path.write_bytes(turned(path.read_bytes()).replace(b'"enabled":null', b'"enabled":nope', 1))

    assert file.save(moved, now=LATER)

    assert SnapshotFile(path, key=KEY).load(now=LATER) == moved


@pytest.mark.parametrize("what", ["cut", "another key", "of another file"])
def test_load__note_of_the_last_look_is_unusable__file_counts_as_it_is(what: str, path: Path):
    first, note = state(), path.with_name("snapshots.json.looked")
    file = SnapshotFile(path, key=file_key("another") if what == "another key" else KEY)
    file.save(first, now=LATER)
    file.save(later_look(first, seconds=30), now=LATER)
    kept = note.read_bytes()
    if what == "another key":
        SnapshotFile(path, key=KEY).save(first, now=LATER)
    elif what == "of another file":
        file.save(replace(first, token_acts=9), now=LATER)
    note.write_bytes(kept[:40] if what == "cut" else kept)

    loaded = SnapshotFile(path, key=KEY).load(now=LATER)

    assert loaded is not None
    assert loaded.looked_at == NOW


def test_save__many_flags__never_keeps_other_threads_from_running(path: Path):
    first = state()
    snapshot = first.snapshots[uuid.UUID(int=7)]
    source = next(iter(snapshot.flags.values()))
    flags = {f"flag-{number}": source for number in range(2000)}
    many = replace(first, snapshots={uuid.UUID(int=7): replace(snapshot, flags=flags)})
    longest = max(len(line) for line in snapshot_lines(many.snapshots[uuid.UUID(int=7)]))

    part, chunks = encoded("many", snapshot_lines(many.snapshots[uuid.UUID(int=7)]))

    # The work goes by flags: no single call of the encoder and no write is about more than a little.
    assert longest < 5000
    assert max(len(chunk) for chunk in chunks) < (1 << 16) + longest
    assert part.size == sum(len(chunk) for chunk in chunks)


@pytest.mark.parametrize(
    ("age", "is_used"),
    [
        (timedelta(days=6), True),
        (timedelta(days=7, seconds=1), False),
        (timedelta(seconds=-30), True),
        (timedelta(minutes=-2), False),
    ],
    ids=["old", "too old", "a little ahead", "from the future"],
)
def test_load__age__has_a_limit_in_both_directions(age: timedelta, is_used: bool, path: Path):
    written = state()
    SnapshotFile(path, key=KEY).save(written, now=NOW)

    with capture_logs() as logs:
        loaded = SnapshotFile(path, key=KEY).load(now=NOW + age)

    assert (loaded == written) is is_used
    assert [entry["event"] for entry in logs] == [] if is_used else ["snapshot_file_refused"]


@pytest.mark.parametrize("is_noted", [False, True], ids=["file", "note"])
def test_save__file_of_a_fast_clock__holds_nobody_back(is_noted: bool, path: Path):
    ours, file = state(), SnapshotFile(path, key=KEY)
    fast = later_look(ours, days=3)
    if is_noted:
        file.save(later_look(fast, seconds=-30), now=fast.looked_at)
    file.save(fast, now=fast.looked_at)

    assert file.save(ours, now=NOW)

    assert file.load(now=NOW) == ours


def test_load__file_was_taken_away__the_earlier_one_does_not_come_back(path: Path):
    file = SnapshotFile(path, key=KEY)
    file.save(state(1), now=LATER)
    file.save(state(2), now=LATER)
    path.unlink()

    assert file.load(now=LATER) is None


def _damage_last_flag(content: bytes) -> bytes:
    return content[:-3] + b"}}\n"


def _damage_tokens(content: bytes) -> bytes:
    return content.replace(b'"scope":"evaluate"', b'"scope":"evaluatf"', 1)


@pytest.mark.parametrize(
    ("damage", "acts", "tokens_left"),
    [
        (_damage_last_flag, 2, 0),
        (_damage_tokens, 2, None),
        (_damage_tokens, 1, 2),
        (lambda content: b"damaged", 2, 2),
    ],
    ids=["flags damaged", "tokens damaged", "tokens damaged, none revoked", "all damaged"],
)
def test_load__token_revoked_in_the_damaged_file__does_not_come_back(
    damage: Callable[[bytes], bytes], acts: int, tokens_left: int | None, path: Path
):
    first, file = state(1), SnapshotFile(path, key=KEY)
    (facts,) = first.tokens.values()
    kept = {"0" * 64: facts, **first.tokens}
    first = replace(first, tokens=kept)
    file.save(first, now=LATER)
    left = {"f" * 64: facts} if acts == 2 else kept
    file.save(replace(state(2, acts=acts), tokens=left), now=LATER)
    path.write_bytes(damage(path.read_bytes()))

    loaded = file.load(now=LATER)

    assert (None if loaded is None else len(loaded.tokens)) == tokens_left
    assert loaded is None or loaded.snapshots == first.snapshots
