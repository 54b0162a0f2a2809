"""Who uses a flag: first and last time by service and version, kept longer than the counts, one statement per batch.

A flag that services were not given, because it is archived or not set up where they asked, is kept as unknown. Keys
that are no flag's are no use: `flags.services.unknown_keys` keeps some of them.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from django.db import connection

from flags.models import Flag, FlagUse
from flags.services.telemetry_rows import EvaluationKey, upsert
from flags.telemetry.labels import flag_mark

_KEYS = ("environment_id", "flag_key", "service", "version")
_OTHERS = ("first_at", "last_at", "is_unknown")


class UseKey(NamedTuple):
    """Who uses which flag where."""

    environment_id: uuid.UUID
    flag_key: str
    service: str
    version: str


@dataclass(slots=True)
class Use:
    """The minutes in which a use was first and last seen; `is_unknown` if no flag was served then."""

    first_at: datetime
    last_at: datetime
    is_unknown: bool = False

    def add(self, at: datetime) -> None:
        """One more time."""
        self.first_at, self.last_at = min(self.first_at, at), max(self.last_at, at)


Uses = Mapping[UseKey, Use]


def use_of_counts(counts: Mapping[EvaluationKey, int]) -> Uses:
    """What counts of evaluations say of use."""
    found: dict[UseKey, Use] = {}
    for key, count in counts.items():
        if count:
            place = UseKey(key.environment_id, key.flag_key, key.service, key.version)
            found.setdefault(place, Use(key.at, key.at)).add(key.at)
    return found


def keep_use(uses: Uses) -> None:
    """Keep what is new of these uses; nothing is written for what is known already."""
    rows = [(*place, use.first_at, use.last_at, use.is_unknown) for place, use in sorted(uses.items(), key=_place)]
    upsert(FlagUse, _KEYS, _OTHERS, rows, _CHANGE[connection.vendor])


def _place(item: tuple[UseKey, Use]) -> UseKey:
    """In one order everywhere, so that nobody deadlocks."""
    return item[0]


def keys_by_mark(environment_id: uuid.UUID) -> Mapping[str, str]:
    """The keys of all flags of an environment's project by their marks: one query."""
    keys = Flag.objects.filter(project__environments=environment_id).values_list("key", flat=True)
    return {flag_mark(key): key for key in keys}


_TABLE = FlagUse._meta.db_table
_SET = """SET first_at = {least}({table}.first_at, excluded.first_at),
    last_at = {greatest}({table}.last_at, excluded.last_at),
    is_unknown = CASE WHEN excluded.last_at >= {table}.last_at THEN excluded.is_unknown ELSE {table}.is_unknown END
    WHERE excluded.first_at < {table}.first_at OR excluded.last_at > {table}.last_at
        OR excluded.last_at = {table}.last_at AND excluded.is_unknown <> {table}.is_unknown"""
_CHANGE = {
    "postgresql": _SET.format(table=_TABLE, least="LEAST", greatest="GREATEST"),
    "sqlite": _SET.format(table=_TABLE, least="MIN", greatest="MAX"),
}
