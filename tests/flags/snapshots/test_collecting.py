"""Keeping the garbage collector out of the way."""

import gc
import os
import threading
from collections.abc import Iterator

import pytest

from flags.evaluation.compile import CompiledSnapshot, Snapshot, compile_snapshot
from flags.snapshots.collecting import without_collecting
from tests.flags.api.plane import fake_store


@pytest.fixture(autouse=True)
def _collector() -> Iterator[None]:
    gc.enable()
    yield
    gc.enable()


def test_without_collecting__several_threads__it_is_back_when_the_last_is_done():
    begun, go_on = threading.Event(), threading.Event()

    def work() -> None:
        with without_collecting():
            begun.set()
            assert go_on.wait(10)

    other = threading.Thread(target=work)
    with without_collecting():
        other.start()
        assert begun.wait(10)
    assert not gc.isenabled()
    go_on.set()
    other.join(10)

    assert gc.isenabled()


def test_without_collecting__work_that_fails__it_is_back():
    with pytest.raises(RuntimeError), without_collecting():
        raise RuntimeError("a bug")

    assert gc.isenabled()


def test_without_collecting__switched_off_by_somebody_else__stays_so():
    gc.disable()
    with without_collecting():
        pass

    assert not gc.isenabled()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_without_collecting__fork_meanwhile__child_collects():
    with without_collecting():
        child = os.fork()
        if child == 0:
            os._exit(0 if gc.isenabled() else 1)
        _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0


def test_refresh__compiling__is_without_collecting(monkeypatch: pytest.MonkeyPatch):
    seen: list[bool] = []

    def note(snapshot: Snapshot) -> CompiledSnapshot:
        seen.append(gc.isenabled())
        return compile_snapshot(snapshot)

    monkeypatch.setattr("flags.snapshots.registry.compile_snapshot", note)
    store, _ = fake_store()
    store.refresh()

    assert (seen, gc.isenabled()) == ([False], True)
