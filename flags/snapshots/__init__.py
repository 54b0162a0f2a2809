"""Snapshots: build, keep and publish the frozen input of evaluation.

`store` is the one registry of this process. Evaluation reads it and nothing else: no query, no cache, no lock.
"""

import os
import uuid

from flags.snapshots.building import DatabaseSource, build
from flags.snapshots.polling import start_polling
from flags.snapshots.registry import SnapshotStore, SnapshotsUnavailable
from flags.snapshots.tokens import TokenFacts, hash_secret

__all__ = ["SnapshotStore", "SnapshotsUnavailable", "TokenFacts", "build", "hash_secret", "publish", "store"]

store = SnapshotStore(DatabaseSource(), on_first_use=start_polling)

# A child has no polling thread and maybe a lock that nobody will release, so it starts over at its first request.
os.register_at_fork(after_in_child=store.reset)


def publish(environment_id: uuid.UUID) -> None:
    """Serve what was just committed in an environment, in this process, at once. Never raises.

    For `transaction.on_commit`. Other processes see it at their next poll, and so does this one should it fail here.
    """
    store.publish(environment_id)
