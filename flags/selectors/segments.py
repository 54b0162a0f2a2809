"""Who uses a segment: flags whose rules name it, segments that contain it, and whatever follows from those."""

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from flags.documents import referenced_segments
from flags.models import FlagConfig, Segment

PlaceKey = tuple[uuid.UUID, str]


@dataclass(slots=True)
class SegmentUse:
    """What changes with a segment. `flags`: id and name, also those that reach it through another segment.

    `segments`: key and name of those that name it themselves.
    """

    flags: list[tuple[uuid.UUID, str]] = field(default_factory=list)
    segments: list[tuple[str, str]] = field(default_factory=list)


def usage(environment_ids: Collection[uuid.UUID]) -> dict[PlaceKey, SegmentUse]:
    """The use of every segment that is used, by environment and key: two queries."""
    named = _named_by_segments(environment_ids)
    found: dict[PlaceKey, SegmentUse] = {}
    for (environment_id, key), (name, inner) in named.items():
        for inner_key in sorted(inner):
            found.setdefault((environment_id, inner_key), SegmentUse()).segments.append((key, name))
    configs = FlagConfig.objects.filter(environment__in=environment_ids).order_by("flag__name")
    for environment_id, flag_id, flag_name, document in configs.values_list(
        "environment_id", "flag_id", "flag__name", "document"
    ):
        for key in sorted(_reached(referenced_segments(document), environment_id, named)):
            found.setdefault((environment_id, key), SegmentUse()).flags.append((flag_id, flag_name))
    return found


def allowed_inside(segments: Collection[Segment], key: str) -> list[Segment]:
    """The segments of one environment that the segment `key` may contain without containing itself."""
    named = {(item.environment_id, item.key): (item.name, referenced_segments(item.document)) for item in segments}
    return [item for item in segments if key not in _reached({item.key}, item.environment_id, named)]


def _named_by_segments(environment_ids: Collection[uuid.UUID]) -> dict[PlaceKey, tuple[str, set[str]]]:
    rows = Segment.objects.filter(environment__in=environment_ids).order_by("name")
    return {
        (environment_id, key): (name, referenced_segments(document))
        for environment_id, key, name, document in rows.values_list("environment_id", "key", "name", "document")
    }


def _reached(keys: set[str], environment_id: uuid.UUID, named: Mapping[PlaceKey, Any]) -> set[str]:
    """The segments behind some keys, the keys included; safe where they go round in a circle."""
    reached: set[str] = set()
    pending = set(keys)
    while pending:
        key = pending.pop()
        if key not in reached:
            reached.add(key)
            pending |= named.get((environment_id, key), ("", set()))[1]
    return reached
