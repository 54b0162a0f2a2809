"""What services asked for and were not given: use of flags that are not served, and keys that are no flag's."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from flags.services.flag_use import Use, UseKey, keep_use, keys_by_mark
from flags.services.unknown_keys import Asked, AskedKey, Asks, keep_unknown_keys
from flags.telemetry.closing import minute_of
from flags.telemetry.labels import TEST_TRAFFIC, Source
from flags.telemetry.packing import Delivery


@dataclass(frozen=True, slots=True)
class NotServed:
    """A key that an environment does not serve: its mark, as much of it as may be kept, who asked, and how often."""

    environment_id: uuid.UUID
    source: Source
    mark: str
    key: str
    at: datetime
    count: int


def not_served_in(deliveries: Iterable[tuple[Delivery, Source]]) -> list[NotServed]:
    """What refused rows say of keys that are not served."""
    return [
        NotServed(
            delivery.environment_id, source, row.flag_mark, row.asked_key, minute_of(delivery.received_at), row.asked
        )
        for delivery, source in deliveries
        for row in delivery.batch.rejected
        if row.flag_mark
    ]


def keep_not_served(asked: Iterable[NotServed], *, now: datetime) -> None:
    """Keep what was asked for, the environments in one order so that nobody deadlocks."""
    by_environment: dict[uuid.UUID, list[NotServed]] = {}
    for each in asked:
        by_environment.setdefault(each.environment_id, []).append(each)
    uses: dict[UseKey, Use] = {}
    unknown: dict[uuid.UUID, Asks] = {}
    for environment_id, found in sorted(by_environment.items()):
        by_mark, asks = keys_by_mark(environment_id), unknown.setdefault(environment_id, {})
        for each in found:
            if each.mark in by_mark:
                place = UseKey(environment_id, by_mark[each.mark], *each.source)
                uses.setdefault(place, Use(each.at, each.at, is_unknown=True)).add(each.at)
            elif each.key and each.source.service != TEST_TRAFFIC:
                ask = AskedKey(each.key, *each.source)
                asks.setdefault(ask, Asked(each.at, each.at, 0)).add(Asked(each.at, each.at, each.count))
    keep_use(uses)
    for environment_id, asks in unknown.items():
        keep_unknown_keys(environment_id, asks, now=now)
