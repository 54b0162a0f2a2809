"""Flags that this installation was asked for and did not serve, written down every minute: who still needs a key."""

import uuid
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import structlog
from django.db import transaction

from flags.services.flag_use import Use, UseKey, keep_use, keys_by_mark
from flags.snapshots import SnapshotStore
from flags.telemetry.closing import minute_of
from flags.telemetry.labels import EVALUATED_HERE

logger = structlog.get_logger(__name__)

EVERY = timedelta(minutes=1)


class AskedInVain:
    """Writes what `take` gives: marks of keys by environment."""

    def __init__(self, take: Callable[[], Mapping[uuid.UUID, set[str]]]) -> None:
        self._take = take
        self._written_at: datetime | None = None

    def write_if_due(self, store: SnapshotStore, now: datetime) -> None:
        """Write what was asked since the last time, if that is long enough ago. Never raises."""
        if self._written_at is not None and timedelta() <= now - self._written_at < EVERY:
            return
        self._written_at = now
        try:
            with transaction.atomic():
                keep_use(_uses(self._take(), minute_of(now)))
        except Exception as error:
            logger.warning("asked_in_vain_not_written", error=type(error).__name__)


def _uses(asked: Mapping[uuid.UUID, set[str]], at: datetime) -> dict[UseKey, Use]:
    found: dict[UseKey, Use] = {}
    for environment_id, marks in asked.items():
        by_mark = keys_by_mark(environment_id)
        for mark in marks & by_mark.keys():
            found[UseKey(environment_id, by_mark[mark], EVALUATED_HERE, "")] = Use(at, at, is_unknown=True)
    return found
