"""Keys that services ask for and that are no flag's: who asks, since when, how often. Bounded and soon forgotten.

What comes in was looked at by `flags.telemetry.unknown_keys`: nothing else is ever written.
"""

import uuid
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import connection
from django.db.models import Count, Max, QuerySet

from flags.models import UnknownKey
from flags.services.telemetry_rows import upsert
from flags.telemetry.labels import OTHER, Source
from flags.telemetry.unknown_keys import FURTHER, HIDDEN, MOST_KEYS

MOST_ASKING = 20
# A key that was asked for since makes no room for another one.
STAYS_FOR = timedelta(days=7)
KEPT_FOR = timedelta(days=30)
_MOST_COUNTED = 10**15
_LOCK = 0x756B
_NO_KEYS = frozenset({HIDDEN, FURTHER})


class AskedKey(NamedTuple):
    """Who asks for which key."""

    key: str
    service: str
    version: str


@dataclass(slots=True)
class Asked:
    """The minutes in which a key was first and last asked for, and how often."""

    first_at: datetime
    last_at: datetime
    count: int

    def add(self, other: "Asked") -> None:
        """What was asked elsewhere or later."""
        self.first_at, self.last_at = min(self.first_at, other.first_at), max(self.last_at, other.last_at)
        self.count += other.count


Asks = dict[AskedKey, Asked]


@dataclass(frozen=True, slots=True)
class _Known:
    last_at: datetime
    asking: int


def keep_unknown_keys(environment_id: uuid.UUID, asks: Mapping[AskedKey, Asked], *, now: datetime) -> None:
    """Add what was asked for in an environment, as far as there is room: at most five queries in a transaction."""
    if not asks:
        return
    _take_turn(environment_id)
    rows = UnknownKey.objects.filter(environment=environment_id)
    known = _known(rows)
    admitted = known.keys() | _NO_KEYS | _admit(rows, known, [ask.key for ask in asks], now)
    wanted: Asks = {}
    for ask, asked in asks.items():
        place = ask if ask.key in admitted else ask._replace(key=FURTHER)
        wanted.setdefault(place, Asked(asked.first_at, asked.last_at, 0)).add(asked)
    kept = _within_sources(rows, known, wanted)
    values = [(environment_id, *place, each.first_at, each.last_at, each.count) for place, each in sorted(kept.items())]
    upsert(UnknownKey, _KEYS, ("first_at", "last_at", "count"), values, _CHANGE[connection.vendor])


def forget_unknown_keys(*, now: datetime) -> int:
    """Delete what nobody asked for in 30 days; how many rows went."""
    return UnknownKey.objects.filter(last_at__lt=now - KEPT_FOR).delete()[0]


def _take_turn(environment_id: uuid.UUID) -> None:
    """One writer for each environment at a time, so that two together do not exceed what there is room for."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", [_LOCK, str(environment_id)])


def _known(rows: QuerySet[UnknownKey]) -> dict[str, _Known]:
    found = rows.order_by().values_list("key").annotate(last=Max("last_at"), asking=Count("pk"))
    return {key: _Known(last_at, asking) for key, last_at, asking in found}


def _admit(rows: QuerySet[UnknownKey], known: Mapping[str, _Known], asked: Collection[str], now: datetime) -> set[str]:
    """Those of the new keys for which there is room, the first that come. Keys nobody asked for of late give way."""
    new = [key for key in dict.fromkeys(asked) if key not in known and key not in _NO_KEYS]
    keys = known.keys() - _NO_KEYS
    room = MOST_KEYS - len(keys)
    if len(new) > room:
        old = sorted((known[key].last_at, key) for key in keys - set(asked) if known[key].last_at < now - STAYS_FOR)
        leaving = [key for _, key in old[: len(new) - max(room, 0)]]
        if leaving:
            rows.filter(key__in=leaving).delete()
        room += len(leaving)
    return set(new[: max(room, 0)])


def _within_sources(rows: QuerySet[UnknownKey], known: Mapping[str, _Known], wanted: Asks) -> Asks:
    """The same with so many services and versions for each key; further ones are counted together."""
    asking = Counter(place.key for place in wanted)
    crowded = {
        key for key, number in asking.items() if number + (known[key].asking if key in known else 0) > MOST_ASKING
    }
    if not crowded:
        return wanted
    there = set(rows.filter(key__in=crowded).order_by().values_list("key", "service", "version"))
    taken = Counter(key for key, *_ in there)
    kept: Asks = {}
    for place, asked in wanted.items():
        if place.key in crowded and place not in there:
            if taken[place.key] >= MOST_ASKING:
                place = AskedKey(place.key, *_OTHERS)
            taken[place.key] += 1
        kept.setdefault(place, Asked(asked.first_at, asked.last_at, 0)).add(asked)
    return kept


_OTHERS = Source(OTHER, OTHER)
_KEYS = ("environment_id", "key", "service", "version")
_TABLE = UnknownKey._meta.db_table
_SET = """SET first_at = {least}({table}.first_at, excluded.first_at),
    last_at = {greatest}({table}.last_at, excluded.last_at),
    count = {least}({table}.count + excluded.count, {most})"""
_CHANGE = {
    "postgresql": _SET.format(table=_TABLE, least="LEAST", greatest="GREATEST", most=_MOST_COUNTED),
    "sqlite": _SET.format(table=_TABLE, least="MIN", greatest="MAX", most=_MOST_COUNTED),
}
