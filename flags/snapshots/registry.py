"""The registry of a process: which token may evaluate where, and the compiled snapshot of each environment.

Readers take one reference to a frozen state and never wait. A look at the source builds the next state beside it and
swaps the reference, so nobody sees a half-built one. Looks may overlap, since one may hang with its database: whatever
was read later wins, and revisions never go backwards.
"""

import itertools
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Literal

import structlog
from django.conf import settings
from django.utils import timezone

from flags.evaluation.compile import CompiledSnapshot, Snapshot, compile_snapshot
from flags.snapshots.collecting import without_collecting
from flags.snapshots.kill_list import Kill, KillList
from flags.snapshots.progress import computing, step
from flags.snapshots.sources import EnvironmentUnreadable, Keeper, SnapshotsUnavailable, Source
from flags.snapshots.states import EMPTY, NO_KILLS, SavedState, State, beyond, changed, ignored_kills, make_state, newer
from flags.snapshots.tokens import TokenFacts, TokenStamp, hash_secret

logger = structlog.get_logger(__name__)

USE_WRITTEN_EVERY = timedelta(minutes=1)
_FIRST_LOAD_SECONDS = 5.0
_RETRY_SECONDS = 1.0
_TURN_SECONDS = 2.0
_PUBLISH_SECONDS = 1.0

Subscriber = Callable[[frozenset[uuid.UUID]], None]


def _nobody(store: "SnapshotStore") -> Keeper | None:
    return None


def _nothing_saved() -> SavedState | None:
    return None


class SnapshotStore:
    """Answers who a secret belongs to and what an environment serves. Loads itself at first use.

    With the source gone it answers from the last good state, at start from the saved one; `staleness` says how old that
    is. `clock` is read once for each look.
    """

    def __init__(
        self,
        source: Source,
        *,
        on_first_use: Callable[["SnapshotStore"], Keeper | None] = _nobody,
        saved_state: Callable[[], SavedState | None] = _nothing_saved,
        clock: Callable[[], datetime] = timezone.now,
    ) -> None:
        self._source = source
        self._on_first_use = on_first_use
        self._saved_state = saved_state
        self._clock = clock
        self._subscribers: tuple[Subscriber, ...] = ()
        self.reset()

    def reset(self) -> None:
        """Forget everything and load again at the next use: for a forked child, and between tests."""
        self._state: State | None = None
        self._origin: Literal["database", "file"] = "database"
        self._looked_at: datetime | None = None
        self._failure = ""
        self._kills = NO_KILLS
        self._ignored: frozenset[Kill] = frozenset()
        self._starting, self._looking, self._swapping = threading.RLock(), threading.Lock(), threading.Lock()
        self._tried = threading.Event()
        self._is_used = False
        self._keeper: Keeper | None = None
        self._looks, self._taken_look = itertools.count(1), 0
        self._ahead: dict[uuid.UUID, CompiledSnapshot] = {}
        self._retry_at = 0.0
        # By `UUID.int`, whose hash needs no Python code; this is written at every request.
        self._uses: dict[int, datetime] = {}
        self._written_uses: dict[int, datetime] = {}

    @property
    def is_loaded(self) -> bool:
        """Whether there is a state to answer from."""
        return self._state is not None

    @property
    def is_stale(self) -> bool:
        """Whether the last attempt to look for changes failed, or there was none that succeeded."""
        return bool(self._failure) or self._origin == "file"

    @property
    def failure(self) -> str:
        """The class of the error that the last look ended with; empty after one that succeeded."""
        return self._failure

    @property
    def origin(self) -> Literal["database", "file"]:
        """Where the served state was read. A state from the file is one from before this process began."""
        return self._origin

    @property
    def looked_at(self) -> datetime | None:
        """When the served state was last known to be the current one; None while nothing is loaded."""
        return self._looked_at

    @property
    def kills(self) -> KillList:
        """The kill list that is applied."""
        return self._kills

    @property
    def served(self) -> Mapping[uuid.UUID, CompiledSnapshot]:
        """What every environment serves now; empty while nothing is loaded. Loads nothing itself."""
        state = self._state
        return {} if state is None else state.served

    def staleness(self, *, now: datetime) -> float | None:
        """Seconds since the source was last seen, once looks fail and that is STALE_AFTER_SECONDS ago; else None.

        A state from the file is stale at once.
        """
        looked_at = self._looked_at
        if looked_at is None or not self.is_stale:
            return None
        seconds = max(0.0, (now - looked_at).total_seconds())
        return seconds if self._origin == "file" or seconds > settings.STALE_AFTER_SECONDS else None

    def token(self, secret: str, *, now: datetime) -> TokenFacts | None:
        """The token a presented secret belongs to; None if unknown, revoked or expired. Raises SnapshotsUnavailable.

        Looking the SHA-256 up in a dictionary is safe against timing: time could tell how much of a *hash* agrees, and
        nobody can choose a secret so that its hash begins in a given way, let alone find the secret from it.
        """
        facts = (self._state or self._load()).tokens.get(hash_secret(secret))
        if facts is None or facts.is_expired(now):
            return None
        self._uses[facts.id.int] = now
        return facts

    def token_facts(self, token_id: uuid.UUID) -> TokenFacts | None:
        """A token by its id; None once it is revoked. Whether it is expired is for the caller to ask."""
        return (self._state or self._load()).holders.get(token_id)

    def snapshot(self, environment_id: uuid.UUID) -> CompiledSnapshot | None:
        """What an environment serves; None if it has no live token. Raises SnapshotsUnavailable."""
        return (self._state or self._load()).served.get(environment_id)

    def subscribe(self, callback: Subscriber) -> Callable[[], None]:
        """Call `callback` with the environments that serve something else from now on, in the thread that found out.

        Returns what ends it. The callback has to be quick; what it raises is logged.
        """
        with self._swapping:
            self._subscribers = (*self._subscribers, callback)

        def unsubscribe() -> None:
            with self._swapping:
                self._subscribers = tuple(other for other in self._subscribers if other is not callback)

        return unsubscribe

    def start(self) -> bool:
        """Begin to load in the background, once, without waiting for it. Whether something runs there."""
        with self._starting:
            if not self._is_used:
                self._is_used = True
                self._keeper = self._on_first_use(self)
        return self._keeper is not None

    def wait_until_tried(self, *, seconds: float) -> bool:
        """Wait for the first attempt to load, whatever came of it. Whether there was one."""
        return self._tried.wait(seconds)

    def refresh(self) -> None:
        """Look for changes now and serve them. Raises what the source raises; the served state is then untouched."""
        with self._turn():
            number, began_at = next(self._looks), self._clock()
            stamp, tokens, sources = self._look(self._state or EMPTY)
            moved = self._take(number, began_at, stamp=stamp, tokens=tokens, sources=sources)
        self._tried.set()
        self._tell(moved)

    def try_refresh(self) -> bool:
        """`refresh` that never raises: a failure is logged once, until it is over, and marks the store stale."""
        try:
            self.refresh()
        except Exception as error:
            self.note_failure(error)
            return False
        return True

    def note_failure(self, error: BaseException) -> None:
        """Remember that the source does not answer. Without a state, the saved one is taken from now on."""
        was_fine, self._failure = not self._failure, type(error).__name__
        if was_fine:
            logger.warning("snapshots_stale", error=self._failure, detail=str(error))
        self.fall_back()
        self._tried.set()

    def stop_waiting(self) -> None:
        """Let nobody wait for the first load any more; it goes on, and is served when it is done."""
        self._tried.set()

    def fall_back(self) -> bool:
        """Serve the saved state if there is none yet. Whether there is a state now."""
        if self._state is not None:
            return True
        saved = self._saved_state()
        if saved is None:
            return False
        sources = {key: _compiled(snapshot) for key, snapshot in saved.snapshots.items()}
        with self._swapping:
            if self._state is not None:
                return True
            # Without a stamp: the first look at the source reads tokens anew.
            state = make_state(stamp=None, tokens=saved.tokens, sources=sources, kills=self._kills, previous=EMPTY)
            self._state, self._origin, self._looked_at = state, "file", saved.looked_at
            moved = changed(EMPTY, state)
        logger.warning("snapshots_from_file", looked_at=saved.looked_at.isoformat(), environments=len(sources))
        self._tried.set()
        self._tell(moved)
        return True

    def force(self, kills: KillList) -> None:
        """Apply a kill list from now on, whatever else goes on."""
        with self._swapping:
            before, self._kills, state = self._kills, kills, self._state
            if before == kills:
                return
            moved: frozenset[uuid.UUID] = frozenset()
            if state is not None:
                self._state = make_state(
                    stamp=state.stamp, tokens=state.tokens, sources=state.sources, kills=kills, previous=state
                )
                moved = changed(state, self._state)
        logger.warning("kill_list_applied", entries=[str(kill) for kill in kills.entries])
        self._tell(moved)

    def effective_kills(self) -> tuple[Kill, ...]:
        """The entries of the kill list that force something here."""
        state = self._state
        if state is None:
            return ()
        ignored = ignored_kills(state)
        return tuple(kill for kill in state.kills.entries if kill not in ignored)

    def saved(self) -> SavedState | None:
        """What to keep for a start without stores; None until the source was read."""
        with self._swapping:
            state, looked_at = self._state, self._looked_at
        if state is None or looked_at is None or self._origin == "file":
            return None
        acts = state.stamp.acts if isinstance(state.stamp, TokenStamp) else 0
        snapshots = {key: compiled.snapshot for key, compiled in state.sources.items()}
        return SavedState(looked_at=looked_at, token_acts=acts, tokens=state.tokens, snapshots=snapshots)

    def publish(self, environment_id: uuid.UUID) -> None:
        """Serve a commit of this process at once. A process that has served nothing yet has nothing to refresh."""
        if self._state is None:
            return
        keeper = self._keeper
        is_done = self.try_refresh() if keeper is None else keeper.look_soon(wait_seconds=_PUBLISH_SECONDS)
        if not is_done:
            logger.warning("snapshot_publish_failed", environment_id=str(environment_id))

    def flush_uses(self, *, now: datetime) -> None:
        """Write when tokens were last used, at most once a minute for each. Raises what the source raises."""
        for token_id, used_at in self._uses.copy().items():
            written = self._written_uses.get(token_id)
            if written is None or (used_at > written and now - written >= USE_WRITTEN_EVERY):
                self._source.write_last_use(uuid.UUID(int=token_id), used_at)
                self._written_uses[token_id] = used_at

    def _load(self) -> State:
        """The first state. Requests that come meanwhile wait for it; once an attempt has failed they fail quickly."""
        if self.start():
            self._tried.wait(_FIRST_LOAD_SECONDS)
        else:
            self._load_here()
        state = self._state
        if state is None:
            raise SnapshotsUnavailable("The snapshots could not be loaded: neither the database nor a saved file.")
        return state

    def _load_here(self) -> None:
        with self._starting:
            if self._state is None and time.monotonic() >= self._retry_at and not self.try_refresh():
                self._retry_at = time.monotonic() + _RETRY_SECONDS

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """One look after the other, which saves work; but behind one that hangs nobody waits for long."""
        has_turn = self._looking.acquire(timeout=_TURN_SECONDS)
        looking = self._looking
        try:
            yield
        finally:
            if has_turn:
                looking.release()

    def _look(self, state: State) -> tuple[object, Mapping[str, TokenFacts], dict[uuid.UUID, CompiledSnapshot]]:
        """Read what moved. Tokens are read first: the environment of each is then known."""
        stamp = self._source.read_token_stamp()
        step()
        tokens = state.tokens if stamp == state.stamp else self._source.read_tokens()
        step()
        revisions = self._source.read_revisions()
        step()
        sources = {}
        for environment_id in {facts.environment_id for facts in tokens.values()} & revisions.keys():
            compiled = self._moved(state.sources.get(environment_id), environment_id, revisions[environment_id])
            if compiled is not None:
                sources[environment_id] = compiled
        return stamp, tokens, sources

    def _moved(
        self, current: CompiledSnapshot | None, environment_id: uuid.UUID, revision: int
    ) -> CompiledSnapshot | None:
        """The snapshot to serve from now on: the current one unless the source is ahead of it."""
        if current is not None and revision <= current.revision:
            return current
        ahead = self._ahead.get(environment_id)
        if ahead is not None and revision <= ahead.revision:
            return ahead
        try:
            snapshot = self._source.build(environment_id)
        except EnvironmentUnreadable as error:
            logger.warning("snapshot_build_failed", environment_id=str(environment_id), detail=str(error))
            return current
        finally:
            step()
        # Kept at once: a look that fails or is given up later on has not done this for nothing.
        self._ahead[environment_id] = compiled = _compiled(snapshot)
        return compiled

    def _take(
        self,
        number: int,
        began_at: datetime,
        *,
        stamp: object,
        tokens: Mapping[str, TokenFacts],
        sources: dict[uuid.UUID, CompiledSnapshot],
    ) -> frozenset[uuid.UUID]:
        """Serve what a look found, unless a later one was quicker. Returns the environments that changed by it."""
        with self._swapping:
            if number < self._taken_look:
                return frozenset()
            before = self._state or EMPTY
            chosen = newer(before.sources, sources, known=sources)
            after = make_state(stamp=stamp, tokens=tokens, sources=chosen, kills=self._kills, previous=before)
            self._state, self._taken_look, self._looked_at, self._origin = after, number, began_at, "database"
            self._ahead = beyond(after, self._ahead.copy())
            was_failing, self._failure = bool(self._failure), ""
        if was_failing:
            logger.info("snapshots_fresh_again")
        return changed(before, after)

    def _tell(self, moved: frozenset[uuid.UUID]) -> None:
        if self._kills.entries or self._ignored:
            self._name_ignored()
        if not moved:
            return
        for callback in self._subscribers:
            try:
                callback(moved)
            except Exception:
                logger.exception("snapshot_subscriber_failed")

    def _name_ignored(self) -> None:
        """Log once which entries of the kill list force nothing."""
        state = self._state
        if state is None:
            return
        ignored = ignored_kills(state)
        for kill in sorted(ignored - self._ignored, key=str):
            logger.error(
                "kill_list_entry_ignored", entry=str(kill), detail="No such environment, flag or variant here."
            )
        self._ignored = ignored


def _compiled(snapshot: Snapshot) -> CompiledSnapshot:
    with computing(), without_collecting():
        return compile_snapshot(snapshot)
