"""Keys that this installation was asked for and did not serve, written down every minute: who still needs them."""

import uuid
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import structlog
from django.db import transaction

from flags.services.not_served import NotServed, keep_not_served
from flags.snapshots import SnapshotStore
from flags.telemetry.closing import minute_of
from flags.telemetry.labels import EVALUATED_HERE, Source
from flags.telemetry.unknown_keys import Unserved

logger = structlog.get_logger(__name__)

EVERY = timedelta(minutes=1)


class AskedInVain:
    """Writes what `take` gives: what was not served by environment and mark."""

    def __init__(self, take: Callable[[], Mapping[uuid.UUID, Mapping[str, Unserved]]]) -> None:
        self._take = take
        self._written_at: datetime | None = None

    def write_if_due(self, store: SnapshotStore, now: datetime) -> None:
        """Write what was asked since the last time, if that is long enough ago. Never raises."""
        if self._written_at is not None and timedelta() <= now - self._written_at < EVERY:
            return
        self._written_at = now
        try:
            with transaction.atomic():
                keep_not_served(_asked(self._take(), minute_of(now)), now=now)
        except Exception as error:
            logger.warning("asked_in_vain_not_written", error=type(error).__name__)


def _asked(noted: Mapping[uuid.UUID, Mapping[str, Unserved]], at: datetime) -> list[NotServed]:
    source = Source(EVALUATED_HERE, "")
    return [
        NotServed(environment_id, source, mark, each.key, at, each.count)
        for environment_id, marks in noted.items()
        for mark, each in marks.items()
    ]
