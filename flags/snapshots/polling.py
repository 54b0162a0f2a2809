"""The background threads of each process that keep its snapshots fresh."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import lru_cache
from pathlib import Path

import structlog
from django.conf import settings
from django.db import close_old_connections, connections
from django.utils import timezone

from flags.snapshots.announcing import announcements
from flags.snapshots.connections import Cut, use_separate_connection
from flags.snapshots.files import SnapshotFile, file_key
from flags.snapshots.following import follow_look
from flags.snapshots.kill_list import KillListReader
from flags.snapshots.progress import Progress
from flags.snapshots.registry import SnapshotStore
from flags.snapshots.saving import Saver
from flags.snapshots.settling import Settler

logger = structlog.get_logger(__name__)

# So many messages in a row are one look, and that is not the next breath.
_SHORTEST_PAUSE_SECONDS = 0.01
# Without a step for so long, a look waits for something. One that computes does not.
_LONGEST_SILENCE_SECONDS = 5.0
# Requests wait no longer than this for the first look, also when it gets on.
_LONGEST_FIRST_LOOK_SECONDS = 5.0
_SLOW_START_SECONDS = 1.5
_WATCH_SECONDS = 1.0
# How long a file has to stand still before it lifts something.
_UNSURE_SECONDS = 0.5
_LONGEST_BACKOFF_SECONDS = 5.0


class Poller(threading.Thread):
    """Looks for changes when told to, and every `seconds` anyway. A tick that fails is followed by the next one."""

    def __init__(
        self, store: SnapshotStore, *, seconds: float, after_look: Callable[[datetime], None] = lambda now: None
    ) -> None:
        super().__init__(name="flagsite-snapshots", daemon=True)
        self._store = store
        self._seconds = seconds
        self._after_look = after_look
        self._wake = threading.Event()
        self._stopped = False
        self._over = threading.Condition()
        self._begun = self._finished = 0
        self._progress = Progress()
        self._cut: Cut | None = None

    def run(self) -> None:
        """Tick at once and then until `stop`."""
        self._cut = use_separate_connection()
        while not self._stopped:
            self._wake.clear()
            self.tick()
            self._wake.wait(self._seconds)
            if not self._stopped:
                time.sleep(_SHORTEST_PAUSE_SECONDS)
        connections.close_all()

    def tick(self) -> None:
        """Serve what changed, then do what can wait, and give the connection back."""
        self._begin()
        try:
            is_fresh = self._store.try_refresh()
            self._finish()
            if is_fresh:
                now = timezone.now()
                self._store.flush_uses(now=now)
                self._after_look(now)
        except Exception as error:
            logger.warning("snapshot_poll_failed", error=type(error).__name__, detail=str(error))
        finally:
            self._progress.end()
            close_old_connections()

    def look_soon(self, *, wait_seconds: float) -> bool:
        """Look now, and wait until a look that began after this call is over. Whether it is."""
        with self._over:
            wanted = self._begun + 1
            self._wake.set()
            return self._over.wait_for(lambda: self._finished >= wanted, wait_seconds)

    def wake(self) -> None:
        """Look now instead of at the next poll."""
        self._wake.set()

    def silent_seconds(self) -> float:
        """How long the tick under way has got nowhere; 0 while it computes, and between ticks."""
        return self._progress.silent_seconds()

    @property
    def is_looking(self) -> bool:
        """Whether the tick under way has not got its look behind it."""
        return self._begun != self._finished

    def stop(self) -> None:
        """Ask the thread to end after its tick."""
        self._stopped = True
        self._wake.set()

    def abandon(self) -> None:
        """Give up what the thread waits for, so that it ends."""
        self.stop()
        if self._cut is not None:
            self._cut()

    def _begin(self) -> None:
        with self._over:
            self._begun += 1
        self._progress.begin()

    def _finish(self) -> None:
        with self._over:
            self._finished = self._begun
            self._over.notify_all()


class Watch(threading.Thread):
    """Looks after the poller, and reads the kill list, which has to work whatever the poller waits for."""

    def __init__(
        self,
        store: SnapshotStore,
        *,
        kills: KillListReader,
        new_poller: Callable[[], Poller],
        after_read: Callable[[datetime], None] = lambda now: None,
    ) -> None:
        super().__init__(name="flagsite-snapshots-watch", daemon=True)
        self._store = store
        self._kills = kills
        self._after_read = after_read
        self._new_poller = new_poller
        self._poller = new_poller()
        self._left_behind: Poller | None = None
        self._began_at = time.monotonic()
        self._stopped = threading.Event()
        store.force(kills.read())

    def run(self) -> None:
        """Begin to look, and watch until `stop`."""
        self._began_at = time.monotonic()
        self._poller.start()
        if not self._store.wait_until_tried(seconds=_SLOW_START_SECONDS):
            # A database that lets us wait at the start: the last good state is better than none.
            self._store.fall_back()
        while not self._stopped.wait(_UNSURE_SECONDS if self._kills.is_unsure else _WATCH_SECONDS):
            self.tick()

    def tick(self) -> None:
        """Apply the kill list as it is now; leave a poller behind that hangs or died."""
        try:
            self._store.force(self._kills.read())
            self._after_read(timezone.now())
            hangs = self._poller.silent_seconds() > _LONGEST_SILENCE_SECONDS
            if hangs and self._poller.is_looking:
                self._store.note_failure(TimeoutError(f"No answer for {_LONGEST_SILENCE_SECONDS:.0f} seconds."))
            elif time.monotonic() - self._began_at > _LONGEST_FIRST_LOOK_SECONDS:
                self._store.stop_waiting()
            if hangs or not self._poller.is_alive():
                self._replace_poller()
        except Exception as error:
            logger.warning("snapshot_watch_failed", error=type(error).__name__, detail=str(error))

    def _replace_poller(self) -> None:
        """Begin with a new one, unless the last one that was left behind has not ended yet: two at most."""
        if self._left_behind is not None and self._left_behind.is_alive():
            self._left_behind.abandon()
            return
        self._poller.abandon()
        self._left_behind, self._poller = self._poller, self._new_poller()
        self._poller.start()

    def look_soon(self, *, wait_seconds: float) -> bool:
        """See `Poller.look_soon`."""
        return self._poller.look_soon(wait_seconds=wait_seconds)

    def wake(self) -> None:
        """See `Poller.wake`."""
        self._poller.wake()

    def stop(self) -> None:
        """End this thread and the poller."""
        self._stopped.set()
        self._poller.stop()


class Listener(threading.Thread):
    """Wakes the poller when another process says that something changed. Connects again by itself, for ever."""

    def __init__(self, wake: Callable[[], None], messages: Callable[[], Iterator[None] | None] = announcements) -> None:
        super().__init__(name="flagsite-snapshots-listener", daemon=True)
        self._wake = wake
        self._messages = messages
        self._stopped = threading.Event()

    def run(self) -> None:
        """Listen until `stop`; at once over where nothing carries messages."""
        backoff = 0.0
        while not self._stopped.wait(backoff * random.uniform(0.5, 1.0)):  # noqa: S311 - spreads reconnects only
            try:
                messages = self._messages()
                if messages is None:
                    return
                for _ in messages:
                    # The first one too: what was said while nobody listened is lost.
                    backoff = 0.0
                    self._wake()
                    if self._stopped.is_set():
                        return
            except Exception as error:
                if backoff == 0.0:
                    logger.warning("snapshot_listener_lost", error=type(error).__name__, detail=str(error))
            backoff = min(_LONGEST_BACKOFF_SECONDS, max(0.25, backoff * 2))

    def stop(self) -> None:
        """Ask the thread to end; it does so at the next message or error."""
        self._stopped.set()


def snapshot_file() -> SnapshotFile:
    """The file of this host, as the settings name it."""
    return _snapshot_file(settings.SNAPSHOT_FILE, settings.SECRET_KEY)


@lru_cache(maxsize=4)
def _snapshot_file(path: Path, secret_key: str) -> SnapshotFile:
    return SnapshotFile(path, key=file_key(secret_key))


def start_polling(store: SnapshotStore) -> Watch | None:
    """Start the threads, unless the settings say that snapshots are moved by hand."""
    if not settings.SNAPSHOT_POLL_ENABLED:
        return None
    saver, settler = Saver(store, snapshot_file()), Settler(store)

    def after_look(now: datetime) -> None:
        saver.save_if_due(now=now)
        settler.settle_if_due(now=now)
        follow_look(store, now=now)

    watch = Watch(
        store,
        kills=KillListReader(variable=settings.KILL_LIST, path=settings.KILL_LIST_FILE, now=timezone.now()),
        new_poller=lambda: Poller(store, seconds=settings.SNAPSHOT_POLL_SECONDS, after_look=after_look),
        after_read=lambda now: settler.note(now=now),
    )
    watch.start()
    Listener(watch.wake).start()
    return watch
