"""Which flags a change can move: those it edits, those behind a segment it edits, and all that require one of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from flags.documents.references import flags_above, flags_below, segment_places, segments_within
from flags.evaluation import Snapshot

Documents = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Side:
    """The documents of an environment before a change, or after it: configs and segments by key."""

    configs: Documents = field(default_factory=dict)
    segments: Documents = field(default_factory=dict)

    @classmethod
    def of(cls, snapshot: Snapshot) -> "Side":
        """The documents of a snapshot."""
        return cls({key: source.document for key, source in snapshot.flags.items()}, snapshot.segments)


def affected_flags(before: Side, after: Side) -> list[str]:
    """The keys of the flags whose answers can differ, in order."""
    moved = _moved_segments(before, after)
    found = {
        key
        for key in before.configs.keys() | after.configs.keys()
        if before.configs.get(key) != after.configs.get(key) or _uses(key, before, moved) or _uses(key, after, moved)
    }
    pending = sorted(found)
    while pending:
        key = pending.pop()
        below = {*flags_below(key, before.configs), *flags_below(key, after.configs)} - found
        found |= below
        pending.extend(below)
    return sorted(found)


def related_documents(keys: Iterable[str], *sides: Side) -> list[Mapping[str, Any]]:
    """What decides about some flags: their configs on all sides, those of the flags they need, and the segments."""
    found: list[Mapping[str, Any]] = []
    for side in sides:
        needed = {above for key in keys for above in (key, *flags_above(key, side.configs))}
        configs = [side.configs[key] for key in sorted(needed) if key in side.configs]
        found += configs + [side.segments[key] for key in segments_of(configs, side)]
    return found


def segments_of(configs: Iterable[Mapping[str, Any]], side: Side) -> list[str]:
    """The segments that some configs lead to, as far as there are such, in order."""
    named = {key for config in configs for _, key in segment_places(config)}
    return sorted(segments_within(named, side.segments) & side.segments.keys())


def _moved_segments(before: Side, after: Side) -> set[str]:
    keys = before.segments.keys() | after.segments.keys()
    moved = {key for key in keys if before.segments.get(key) != after.segments.get(key)}
    return (
        {key for key in keys if any(segments_within([key], side.segments) & moved for side in (before, after))}
        if moved
        else set()
    )


def _uses(key: str, side: Side, moved: set[str]) -> bool:
    return bool(moved) and any(segment in moved for _, segment in segment_places(side.configs.get(key, {})))
