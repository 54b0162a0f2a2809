"""Evaluations this process served, written down every few seconds beside what services report.

They are counted anyway, for the metrics of the process; here it is worked out how many there were since the last time.
"""

import os
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import transaction

from flags.services.flag_use import keep_use, use_of_counts
from flags.services.telemetry_rows import EvaluationKey, add_evaluations
from flags.snapshots import SnapshotStore
from flags.telemetry.closing import minute_of
from flags.telemetry.labels import ALL_AT_ONCE, EVALUATED_HERE

logger = structlog.get_logger(__name__)

EVERY = timedelta(seconds=10)
# What was served while nothing could be written for longer than this is left out: it would all be of one minute.
LONGEST_GAP = timedelta(minutes=5)

# How often each (project, environment, flag, variant, reason) was answered since the process began, and whether it was
# to somebody who asked for all flags at once.
Counts = Mapping[Any, int]


class OwnEvaluations:
    """Keeps in mind what was written of `read`, the counts of this process."""

    def __init__(self, read: Callable[[], Counts]) -> None:
        self._read = read
        self.forget()
        os.register_at_fork(after_in_child=self.forget)

    def forget(self) -> None:
        """Begin anew: the counts of a forked child begin at zero as well."""
        self._written: Counts = {}
        self._written_at: datetime | None = None

    def write_if_due(self, store: SnapshotStore, now: datetime) -> None:
        """Write what was served since the last time, if that is long enough ago. Never raises."""
        if self._written_at is not None and timedelta() <= now - self._written_at < EVERY:
            return
        try:
            counts = self._read()
            if self._written_at is None or now - self._written_at <= LONGEST_GAP:
                rows = _rows(counts, self._written, store, now)
                with transaction.atomic():
                    add_evaluations(rows)
                    keep_use(use_of_counts(rows))
            self._written, self._written_at = counts, now
        except Exception as error:
            logger.warning("own_evaluations_not_written", error=type(error).__name__)


def _rows(counts: Counts, before: Counts, store: SnapshotStore, now: datetime) -> dict[EvaluationKey, int]:
    environments = {
        (compiled.snapshot.project_key, compiled.environment_key): environment_id
        for environment_id, compiled in store.served.items()
    }
    rows: Counter[EvaluationKey] = Counter()
    for counted, count in counts.items():
        (project, environment, flag, variant, reason), is_bulk = counted
        environment_id = environments.get((project, environment))
        # Questions about flags that do not exist have no flag, and are nobody's.
        if environment_id is not None and flag and count > before.get(counted, 0):
            service = ALL_AT_ONCE if is_bulk else EVALUATED_HERE
            key = EvaluationKey(environment_id, minute_of(now), flag, variant, reason, service, "")
            rows[key] += count - before.get(counted, 0)
    return dict(rows)
