"""What else is done in the polling thread after a look that succeeded."""

from collections.abc import Callable
from datetime import datetime

from flags.snapshots.registry import SnapshotStore

Follow = Callable[[SnapshotStore, datetime], object]

_followers: list[Follow] = []


def after_looks(follow: Follow) -> None:
    """Register what follows each look. It runs with the database reachable, on the thread's own connection.

    Services stand above snapshots, so they come here instead of being imported.
    """
    if follow not in _followers:
        _followers.append(follow)


def follow_look(store: SnapshotStore, *, now: datetime) -> None:
    """Call everything that was registered. Raises what it raises."""
    for follow in _followers:
        follow(store, now)
