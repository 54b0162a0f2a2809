"""The background thread of each process that keeps its snapshots fresh."""

import threading

import structlog
from django.conf import settings
from django.db import close_old_connections
from django.utils import timezone

from flags.snapshots.registry import SnapshotStore

logger = structlog.get_logger(__name__)


class Poller(threading.Thread):
    """Looks for changes every `seconds` until stopped. A tick that fails is followed by the next one."""

    def __init__(self, store: SnapshotStore, *, seconds: float) -> None:
        super().__init__(name="flagsite-snapshots", daemon=True)
        self._store = store
        self._seconds = seconds
        self._stopped = threading.Event()

    def run(self) -> None:
        """Tick until `stop`."""
        while not self._stopped.wait(self._seconds):
            self.tick()

    def tick(self) -> None:
        """Serve what changed, write down which tokens were used, and give the connection back."""
        try:
            self._store.try_refresh()
            self._store.flush_uses(now=timezone.now())
        except Exception as error:
            logger.warning("snapshot_poll_failed", error=type(error).__name__, detail=str(error))
        finally:
            close_old_connections()

    def stop(self) -> None:
        """Ask the thread to end; it does so within one wait."""
        self._stopped.set()


def start_polling(store: SnapshotStore) -> None:
    """Start the thread, unless the settings say that snapshots are moved by hand."""
    if settings.SNAPSHOT_POLL_ENABLED:
        Poller(store, seconds=settings.SNAPSHOT_POLL_SECONDS).start()
