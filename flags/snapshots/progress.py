"""How a thread that works for the snapshots shows that it gets on.

Waiting for a store and computing look alike from outside, and only the first can last for ever. So whoever does the
work says when a step is over, and marks the stretches in which it asks nobody.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Progress:
    """What one thread got done lately. Written by that thread, read by another one."""

    def __init__(self) -> None:
        self._moved_at: float | None = None
        self._is_computing = False

    def begin(self) -> None:
        """Work begins in this thread, and `step` and `computing` in it are about this from now on."""
        _here.progress = self
        self._moved_at = time.monotonic()

    def end(self) -> None:
        """Nothing is under way any more."""
        self._moved_at, self._is_computing = None, False

    def silent_seconds(self) -> float:
        """How long nothing has moved in the work under way; 0 while it computes, and without work."""
        moved_at = self._moved_at
        return 0.0 if moved_at is None or self._is_computing else time.monotonic() - moved_at

    def _step(self) -> None:
        if self._moved_at is not None:
            self._moved_at = time.monotonic()


class _Here(threading.local):
    progress: Progress | None = None


_here = _Here()


def step() -> None:
    """Something that could have hung is over: a store answered, a file was written."""
    if _here.progress is not None:
        _here.progress._step()


@contextmanager
def computing() -> Iterator[None]:
    """What happens in here waits for nobody, however long it takes."""
    progress = _here.progress
    if progress is not None:
        progress._is_computing = True
    try:
        yield
    finally:
        if progress is not None:
            progress._step()
            progress._is_computing = False
