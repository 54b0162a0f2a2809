"""How many labels an environment may have on one day: what comes beyond has no place of its own.

Each process remembers which have one and asks the database only about those it does not know. Processes that admit the
last one at the same moment may go beyond the limit by one each.
"""

import os
import threading
import uuid
from collections.abc import Callable, Collection
from datetime import date, datetime

from flags.models import MetricCount, TelemetryBatch
from flags.telemetry import labels
from flags.telemetry.labels import Source
from flags.telemetry.packing import Delivery
from flags.telemetry.reading import KEPT

_Stored = Callable[[uuid.UUID, datetime], Collection[object]]


class _Places:
    """At most `most` labels for each environment and day, the first that come; `stored` knows those of earlier."""

    def __init__(self, most: int, stored: _Stored) -> None:
        self._most = most
        self._stored = stored
        self.forget()

    def forget(self) -> None:
        """Ask the database again."""
        self._lock = threading.Lock()
        self._known: dict[uuid.UUID, tuple[date, set[object]]] = {}

    def has_place(self, delivery: Delivery, label: object) -> bool:
        """Whether the label has a place; it takes one where there is any left."""
        day = delivery.received_at.replace(hour=0, minute=0, second=0, microsecond=0)
        with self._lock:
            of, known = self._known.get(delivery.environment_id, (day.date(), set[object]()))
            if of != day.date():
                known = set()
            if label not in known and len(known) < self._most:
                known.update(self._stored(delivery.environment_id, day))
                if len(known) < self._most:
                    known.add(label)
            self._known[delivery.environment_id] = day.date(), known
            return label in known


def source_of(delivery: Delivery) -> Source:
    """The service and version a delivery is counted under."""
    wanted = Source(delivery.batch.service, delivery.batch.version)
    return wanted if _sources.has_place(delivery, wanted) else Source(labels.OTHER, labels.OTHER)


def has_metric_place(delivery: Delivery, name: str) -> bool:
    """Whether a metric of this name is counted."""
    return _metrics.has_place(delivery, name)


def forget_places() -> None:
    """Begin anew: in a forked child, whose locks nobody may ever release, and between tests."""
    _sources.forget()
    _metrics.forget()


def _stored_sources(environment_id: uuid.UUID, since: datetime) -> Collection[object]:
    rows = TelemetryBatch.objects.filter(environment=environment_id, received_at__gte=since)
    found = rows.exclude(service=labels.OTHER).order_by().values_list("service", "version").distinct()
    return [Source(*each) for each in found[: labels.MOST_SOURCES]]


def _stored_metrics(environment_id: uuid.UUID, since: datetime) -> Collection[object]:
    # What is reported today may be of minutes that long ago.
    rows = MetricCount.objects.filter(environment=environment_id, span="minute", at__gte=since - KEPT)
    return list(rows.order_by().values_list("metric", flat=True).distinct()[: labels.MOST_METRICS])


_sources = _Places(labels.MOST_SOURCES, _stored_sources)
_metrics = _Places(labels.MOST_METRICS, _stored_metrics)
os.register_at_fork(after_in_child=forget_places)
