"""When the kill list of this host is written down in the database."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta

from flags.snapshots.kill_list import Kill
from flags.snapshots.registry import SnapshotStore

Settle = Callable[[Sequence[Kill], Collection[str], datetime], object]

# Every process of the host has read the changed list by then, so none writes down what another one takes back.
_SETTLED_AFTER = timedelta(seconds=3)
# What still holds is said again, so that rows of a process or host that is gone can be told from others.
_SAID_AGAIN_AFTER = timedelta(minutes=1)

_settlers: list[Settle] = []


def on_settled(settle: Settle) -> None:
    """Register what writes a kill list down. It is called in the polling thread, with the database reachable.

    Services stand above snapshots, so they come here instead of being imported.
    """
    if settle not in _settlers:
        _settlers.append(settle)


class Settler:
    """Hands over what is forced: at the start, after each change, and every minute; again until it worked."""

    def __init__(self, store: SnapshotStore) -> None:
        self._store = store
        self._seen: tuple[Kill, ...] | None = None
        self._seen_at: datetime | None = None
        self._is_settled = False

    def settle_if_due(self, *, now: datetime) -> None:
        """Write the list down if it changed and stands still by now. Raises what the services raise."""
        kills = self._store.effective_kills()
        if self._seen_at is None or kills != self._seen:
            self._seen, self._seen_at, self._is_settled = kills, now, False
        if abs(now - self._seen_at) < (_SAID_AGAIN_AFTER if self._is_settled else _SETTLED_AFTER):
            return
        # Where it fails, the next attempt is as far away as the first was.
        self._seen_at, self._is_settled = now, False
        for settle in _settlers:
            settle(kills, self._store.kills.sources, now)
        self._is_settled = True
