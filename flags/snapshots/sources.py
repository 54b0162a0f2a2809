"""What a snapshot store stands on: where states come from, and what keeps them fresh."""

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from flags.evaluation.compile import Snapshot
from flags.snapshots.tokens import TokenFacts


class SnapshotsUnavailable(RuntimeError):
    """Nothing was ever loaded in this process, the source does not answer, and there is no saved state."""


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


class Keeper(Protocol):
    """What runs in the background of a process, loads the store and keeps it fresh."""

    def look_soon(self, *, wait_seconds: float) -> bool:
        """Look for changes now instead of at the next poll, and wait for that so long. Whether it was done."""
