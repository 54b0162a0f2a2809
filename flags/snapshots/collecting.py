"""Keeping the garbage collector out of work that makes a lot and throws little away.

Compiling thousands of flags makes hundreds of thousands of objects that stay. The collector would walk over all of them
again and again on the way, which takes longer than the work itself.
"""

import gc
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class _Pause:
    """Counts who wants the collector to wait: it belongs to the process, and several threads may want that."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wanted = 0
        self._was_enabled = True

    def begin(self) -> None:
        with self._lock:
            if not self._wanted:
                self._was_enabled = gc.isenabled()
                gc.disable()
            self._wanted += 1

    def end(self) -> None:
        with self._lock:
            self._wanted -= 1
            if not self._wanted and self._was_enabled:
                gc.enable()

    def start_over(self) -> None:
        """In a forked child: the threads that would have ended it are not there."""
        wanted, was_enabled = self._wanted, self._was_enabled
        self._lock, self._wanted = threading.Lock(), 0
        if wanted and was_enabled:
            gc.enable()


_pause = _Pause()
os.register_at_fork(after_in_child=_pause.start_over)


@contextmanager
def without_collecting() -> Iterator[None]:
    """Let nothing be collected meanwhile, in any thread. For work of seconds at most."""
    _pause.begin()
    try:
        yield
    finally:
        _pause.end()
