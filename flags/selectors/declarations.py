"""Context attributes of a project: what is declared, what rules use, and what they use undeclared."""

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from flags.documents.schema import TARGETING_KEY
from flags.models import ContextAttribute, FlagConfig, Project, Segment


@dataclass(frozen=True, slots=True)
class AttributeLine:
    """An attribute with the flags and segments whose rules look at it."""

    name: str
    declared: ContextAttribute | None
    flags: tuple[tuple[uuid.UUID, str], ...]
    segments: tuple[str, ...]


def attribute_lines(project: Project, environment_ids: Collection[uuid.UUID]) -> list[AttributeLine]:
    """Every attribute that is declared or used in these environments of a project, by name: three queries."""
    declared = {item.name: item for item in ContextAttribute.objects.filter(project=project)}
    flags: dict[str, dict[uuid.UUID, str]] = {}
    configs = FlagConfig.objects.filter(environment__in=environment_ids).order_by("flag__name")
    for flag_id, flag_name, document in configs.values_list("flag_id", "flag__name", "document"):
        for name in used_attributes(document):
            flags.setdefault(name, {})[flag_id] = flag_name
    segments: dict[str, dict[str, str]] = {}
    rows = Segment.objects.filter(environment__in=environment_ids).order_by("name")
    for key, segment_name, document in rows.values_list("key", "name", "document"):
        for name in used_attributes(document):
            segments.setdefault(name, {})[key] = segment_name
    return [
        AttributeLine(
            name, declared.get(name), tuple(flags.get(name, {}).items()), tuple(segments.get(name, {}).values())
        )
        for name in sorted({*declared, *flags, *segments} - {TARGETING_KEY})
    ]


def used_attributes(*documents: Any) -> set[str]:
    """The attributes that configs and segments look at, in conditions and to spread people."""
    found: set[str] = set()
    pending: list[Any] = list(documents)
    while pending:
        item = pending.pop()
        if isinstance(item, list):
            pending.extend(item)
        elif isinstance(item, dict):
            found |= {item[name] for name in ("attribute", "bucket_by") if isinstance(item.get(name), str)}
            pending.extend(item.get(part) for part in ("rules", "condition", "and", "or", "not"))
    return found
