"""When the state of a process goes to the file."""

from datetime import datetime, timedelta

import structlog

from flags.snapshots.files import SnapshotFile
from flags.snapshots.registry import SnapshotStore
from flags.snapshots.states import SavedState

logger = structlog.get_logger(__name__)

# A burst of changes is one write. Without changes the file says every so often that it is still the current state.
_SHORTEST_INTERVAL = timedelta(seconds=2)
_LONGEST_INTERVAL = timedelta(seconds=30)


class Saver:
    """Keeps the file up with a store. Used by the polling thread only."""

    def __init__(self, store: SnapshotStore, file: SnapshotFile) -> None:
        self._store = store
        self._file = file
        self._saved: SavedState | None = None
        self._tried_at: datetime | None = None
        self._is_failing = False

    def save_if_due(self, *, now: datetime) -> bool:
        """Write what changed, at most every two seconds, and anything every thirty. Never raises. Whether it wrote."""
        state = self._store.saved()
        if state is None or not self._is_due(state, now):
            return False
        self._tried_at = now
        try:
            if not self._file.save(state, now=now):
                return False
        except OSError as error:
            self._note(error)
            return False
        self._saved, self._is_failing = state, False
        return True

    def _is_due(self, state: SavedState, now: datetime) -> bool:
        if self._tried_at is None or self._tried_at > now:
            return True
        interval = _LONGEST_INTERVAL if _is_same(self._saved, state) else _SHORTEST_INTERVAL
        return now - self._tried_at >= interval

    def _note(self, error: OSError) -> None:
        if not self._is_failing:
            self._is_failing = True
            logger.error(
                "snapshot_file_not_written",
                error=type(error).__name__,
                detail=str(error),
                advice="Make SNAPSHOT_FILE writable: without it nothing can start while the stores are away.",
            )


def _is_same(one: SavedState | None, other: SavedState) -> bool:
    """Whether nothing was read anew in between: what did not change is the same object."""
    if one is None or one.tokens is not other.tokens or one.snapshots.keys() != other.snapshots.keys():
        return False
    return all(snapshot is other.snapshots[key] for key, snapshot in one.snapshots.items())
