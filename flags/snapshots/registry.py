"""The registry of a process: which token may evaluate where, and the compiled snapshot of each environment.

Readers take one reference to a frozen state and never wait. A single writer at a time builds the next state beside it
and swaps the reference, so nobody sees a half-built one.
"""

import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from flags.evaluation.compile import CompiledSnapshot, Snapshot, compile_snapshot
from flags.snapshots.tokens import TokenFacts, hash_secret

logger = structlog.get_logger(__name__)

USE_WRITTEN_EVERY = timedelta(minutes=1)
_FIRST_LOAD_SECONDS = 5.0
_RETRY_SECONDS = 1.0


class SnapshotsUnavailable(RuntimeError):
    """Nothing was ever loaded in this process, and the source does not answer."""


class EnvironmentUnreadable(RuntimeError):
    """One environment cannot be read just now. Its last good snapshot goes on serving and the next poll tries again."""


class Source(Protocol):
    """Where states come from. A stamp is any value that differs once tokens have changed."""

    def read_revisions(self) -> Mapping[uuid.UUID, int]:
        """The current revision of every environment."""

    def read_token_stamp(self) -> object:
        """What tells whether tokens changed."""

    def read_tokens(self) -> Mapping[str, TokenFacts]:
        """Every token that is not revoked, by the hash of its secret."""

    def build(self, environment_id: uuid.UUID) -> Snapshot:
        """What an environment serves now. Raises EnvironmentUnreadable where only this one cannot be read."""

    def write_last_use(self, token_id: uuid.UUID, used_at: datetime) -> None:
        """Remember when a token was last used."""


@dataclass(frozen=True, slots=True)
class _State:
    """Everything evaluation needs. Replaced as a whole, never changed."""

    stamp: object
    tokens: Mapping[str, TokenFacts]
    snapshots: Mapping[uuid.UUID, CompiledSnapshot]


_EMPTY = _State(stamp=None, tokens={}, snapshots={})


class SnapshotStore:
    """Answers who a secret belongs to and what an environment serves. Loads itself at first use.

    With the source gone it answers from the last good state; `is_stale` says so. Revisions never go backwards.
    """

    def __init__(self, source: Source, *, on_first_use: Callable[["SnapshotStore"], None] = lambda _: None) -> None:
        self._source = source
        self._on_first_use = on_first_use
        self.reset()

    def reset(self) -> None:
        """Forget everything and load again at the next use: for a forked child, and between tests."""
        self._state: _State | None = None
        self._writing = threading.Lock()
        self._is_used = False
        self._is_stale = False
        self._retry_at = 0.0
        self._uses: dict[uuid.UUID, datetime] = {}
        self._written_uses: dict[uuid.UUID, datetime] = {}

    @property
    def is_loaded(self) -> bool:
        """Whether there is a state to answer from."""
        return self._state is not None

    @property
    def is_stale(self) -> bool:
        """Whether the last attempt to look for changes failed."""
        return self._is_stale

    @property
    def served(self) -> Mapping[uuid.UUID, CompiledSnapshot]:
        """What every environment serves now; empty while nothing is loaded. Loads nothing itself."""
        state = self._state
        return {} if state is None else state.snapshots

    def token(self, secret: str, *, now: datetime) -> TokenFacts | None:
        """The token a presented secret belongs to; None if unknown, revoked or expired. Raises SnapshotsUnavailable.

        Looking the SHA-256 up in a dictionary is safe against timing: time could tell how much of a *hash* agrees, and
        nobody can choose a secret so that its hash begins in a given way, let alone find the secret from it.
        """
        facts = (self._state or self._load()).tokens.get(hash_secret(secret))
        if facts is None or facts.is_expired(now):
            return None
        self._uses[facts.id] = now
        return facts

    def snapshot(self, environment_id: uuid.UUID) -> CompiledSnapshot | None:
        """What an environment serves; None if it has no live token. Raises SnapshotsUnavailable."""
        return (self._state or self._load()).snapshots.get(environment_id)

    def refresh(self) -> None:
        """Look for changes now and serve them. Raises what the source raises; the served state is then untouched."""
        with self._writing:
            self._refresh()

    def try_refresh(self) -> bool:
        """`refresh` that never raises: a failure is logged once, until it is over, and marks the store stale."""
        try:
            self.refresh()
        except Exception as error:
            self._note_failure(error)
            return False
        return True

    def publish(self, environment_id: uuid.UUID) -> None:
        """Serve a commit of this process at once. A process that has served nothing yet has nothing to refresh."""
        if self._state is not None and not self.try_refresh():
            logger.warning("snapshot_publish_failed", environment_id=str(environment_id))

    def flush_uses(self, *, now: datetime) -> None:
        """Write when tokens were last used, at most once a minute for each. Raises what the source raises."""
        for token_id, used_at in self._uses.copy().items():
            written = self._written_uses.get(token_id)
            if written is None or (used_at > written and now - written >= USE_WRITTEN_EVERY):
                self._source.write_last_use(token_id, used_at)
                self._written_uses[token_id] = used_at

    def _load(self) -> _State:
        """The first state. Requests that come meanwhile wait for it; while the source is gone they fail quickly."""
        if not self._writing.acquire(timeout=_FIRST_LOAD_SECONDS):
            raise SnapshotsUnavailable("The snapshots are still being loaded.")
        try:
            if self._state is None:
                self._load_first()
            if self._state is None:
                raise SnapshotsUnavailable("The snapshots could not be loaded.")
            return self._state
        finally:
            self._writing.release()

    def _load_first(self) -> None:
        if not self._is_used:
            self._is_used = True
            self._on_first_use(self)
        if time.monotonic() < self._retry_at:
            return
        try:
            self._refresh()
        except Exception as error:
            self._retry_at = time.monotonic() + _RETRY_SECONDS
            self._note_failure(error)

    def _refresh(self) -> None:
        """Build the next state from what moved. Tokens are read first: the environment of each is then known."""
        state = self._state or _EMPTY
        stamp = self._source.read_token_stamp()
        tokens = state.tokens if stamp == state.stamp else self._source.read_tokens()
        revisions = self._source.read_revisions()
        served = {facts.environment_id for facts in tokens.values()}
        snapshots = {}
        for environment_id in served & revisions.keys():
            snapshot = self._moved(state.snapshots.get(environment_id), environment_id, revisions[environment_id])
            if snapshot is not None:
                snapshots[environment_id] = snapshot
        self._state = _State(stamp=stamp, tokens=tokens, snapshots=snapshots)
        if self._is_stale:
            self._is_stale = False
            logger.info("snapshots_fresh_again")

    def _moved(
        self, current: CompiledSnapshot | None, environment_id: uuid.UUID, revision: int
    ) -> CompiledSnapshot | None:
        """The snapshot to serve from now on: the current one unless the source is ahead of it."""
        if current is not None and revision <= current.revision:
            return current
        try:
            built = compile_snapshot(self._source.build(environment_id))
        except EnvironmentUnreadable as error:
            logger.warning("snapshot_build_failed", environment_id=str(environment_id), detail=str(error))
            return current
        # A replica that lags behind must not take people back.
        return built if current is None or built.revision >= current.revision else current

    def _note_failure(self, error: Exception) -> None:
        if not self._is_stale:
            self._is_stale = True
            logger.warning("snapshots_stale", error=type(error).__name__, detail=str(error))
