"""Snapshots: build, keep and publish the frozen input of evaluation.

`store` is the one registry of this process. Evaluation reads it and nothing else: no query, no cache, no lock.
"""

import os
import uuid

from django.conf import settings
from django.utils import timezone

from flags.snapshots.announcing import announce
from flags.snapshots.building import DatabaseSource, build
from flags.snapshots.following import after_looks
from flags.snapshots.kill_list import Kill
from flags.snapshots.polling import snapshot_file, start_polling
from flags.snapshots.registry import SnapshotStore
from flags.snapshots.settling import PassedKill, on_settled
from flags.snapshots.sources import SnapshotsUnavailable
from flags.snapshots.tokens import TokenFacts, hash_secret

__all__ = [
    "Kill",
    "PassedKill",
    "SnapshotStore",
    "SnapshotsUnavailable",
    "TokenFacts",
    "after_looks",
    "build",
    "hash_secret",
    "on_settled",
    "publish",
    "store",
]

store = SnapshotStore(
    DatabaseSource(), on_first_use=start_polling, saved_state=lambda: snapshot_file().load(now=timezone.now())
)

# A child has no polling thread and maybe a lock that nobody will release, so it starts over at its first request.
os.register_at_fork(after_in_child=store.reset)


def publish(environment_id: uuid.UUID) -> None:
    """Serve what was just committed in an environment: in this process at once, in others as soon as they hear of it.

    For `transaction.on_commit`. Never raises and never waits long: a process that does not hear of it polls.
    """
    if settings.SNAPSHOT_POLL_ENABLED:
        announce(environment_id, revision=None)
    store.publish(environment_id)
