"""Which values behind variants a stage of a plan changes, before and after."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from audits.integrity import canonical_json

from .patches import documents_at


@dataclass(frozen=True, slots=True)
class ValueChange:
    """One variant whose value a stage changes."""

    flag_key: str
    variant: str
    before: Any
    after: Any


def value_changes(
    base: Mapping[str, Mapping[str, Any]], documents: Sequence[Mapping[str, Mapping[str, Any]]]
) -> tuple[tuple[ValueChange, ...], ...]:
    """For each stage the variants whose values are not what they were in the stage before."""
    return tuple(
        _changes(documents_at(number, base=base, documents=documents), changed)
        for number, changed in enumerate(documents)
    )


def _changes(
    before: Mapping[str, Mapping[str, Any]], changed: Mapping[str, Mapping[str, Any]]
) -> tuple[ValueChange, ...]:
    found = []
    for key, document in changed.items():
        former = {variant["name"]: variant["value"] for variant in before[key]["variants"]}
        for variant in document["variants"]:
            name, value = variant["name"], variant["value"]
            if name in former and canonical_json(former[name]) != canonical_json(value):
                found.append(ValueChange(key, name, former[name], value))
    return tuple(found)
