"""When the kill list of this host is written down in the database."""

import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from flags.snapshots.kill_list import Kill, Place
from flags.snapshots.registry import SnapshotStore


@dataclass(frozen=True, slots=True)
class PassedKill:
    """A kill that was in force and is so no longer, although nobody wrote it down meanwhile."""

    kill: Kill
    began_at: datetime
    ended_at: datetime


Settle = Callable[[Sequence[Kill], Sequence[PassedKill], Collection[str], datetime], object]

# Every process of the host has read the changed list by then, so none writes down what another one takes back.
_SETTLED_AFTER = timedelta(seconds=3)
# A list that never stands still is written down as it is then.
_WAITED_AT_MOST = timedelta(minutes=1)
# What still holds is said again, so that rows of a process or host that is gone can be told from others.
_SAID_AGAIN_AFTER = timedelta(minutes=1)

_Name = tuple[Place, str, str, str]

_settlers: list[Settle] = []


def on_settled(settle: Settle) -> None:
    """Register what writes a kill list down. It is called in the polling thread, with the database reachable.

    Services stand above snapshots, so they come here instead of being imported.
    """
    if settle not in _settlers:
        _settlers.append(settle)


class Settler:
    """Hands over what is forced: at the start, after each change, and every minute; again until it worked.

    What was in force for a moment only is handed over as well, once for each entry however often it came and went.
    """

    def __init__(self, store: SnapshotStore) -> None:
        self._store = store
        # One thread notes what is in force, another one writes it down.
        self._noting = threading.Lock()
        self._seen: tuple[Kill, ...] | None = None
        self._began: dict[_Name, datetime] = {}
        self._passed: dict[_Name, PassedKill] = {}
        self._written: frozenset[_Name] = frozenset()
        self._still_since: datetime | None = None
        self._waiting_since: datetime | None = None
        self._is_settled = True

    def note(self, *, now: datetime) -> None:
        """Remember what is in force by now and what was until now. Touches memory only, whatever the database does."""
        kills = self._store.effective_kills()
        with self._noting:
            if kills == self._seen:
                return
            present = {_name(kill) for kill in kills}
            for kill in self._seen or ():
                name = _name(kill)
                if name not in present and name not in self._written:
                    self._pass(PassedKill(kill, self._began[name], now))
            self._began = {name: self._began.get(name, now) for name in present}
            if self._is_settled:
                self._waiting_since = now
            self._seen, self._still_since, self._is_settled = kills, now, False

    def settle_if_due(self, *, now: datetime) -> None:
        """Write the list down if it changed and stands still by now. Raises what the services raise."""
        self.note(now=now)
        with self._noting:
            if not self._is_due(now):
                return
            # Where it fails, the next attempt is as far away as the first was.
            self._still_since, self._waiting_since, self._is_settled = now, now, False
            kills, names = self._seen or (), frozenset(self._began)
            taken, self._passed = list(self._passed.values()), {}
        try:
            passed = [one for one in taken if _name(one.kill) not in names]
            for settle in _settlers:
                settle(kills, passed, self._store.kills.sources, now)
        except BaseException:
            with self._noting:
                for one in taken:
                    self._pass(one)
            raise
        with self._noting:
            self._written, self._is_settled = names, kills == self._seen

    def _is_due(self, now: datetime) -> bool:
        if self._still_since is None or self._waiting_since is None:
            return False
        if self._is_settled:
            return abs(now - self._still_since) >= _SAID_AGAIN_AFTER
        return abs(now - self._still_since) >= _SETTLED_AFTER or abs(now - self._waiting_since) >= _WAITED_AT_MOST

    def _pass(self, passed: PassedKill) -> None:
        """Keep it until it is written down, as one with what is known of the same entry already."""
        name = _name(passed.kill)
        known = self._passed.get(name, passed)
        began_at, ended_at = min(known.began_at, passed.began_at), max(known.ended_at, passed.ended_at)
        self._passed[name] = PassedKill(passed.kill, began_at, ended_at)


def _name(kill: Kill) -> _Name:
    return kill.place, kill.flag_key, kill.variant, kill.source
