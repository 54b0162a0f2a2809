"""What semantic versions and stages need of a version of a config: kept when its document leaves for an archive."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .semantic_versions import Part
from .shapes import Shape

_INSTANTS = ("deprecated_at", "sunset_at")
_MARKS = ("is_enabled", "is_split", "has_aims", "is_archived", "is_sunset")


@dataclass(frozen=True, slots=True)
class Meaning:
    """`part`: what the version counted up, None for nothing; `next_part`: what the version after it did."""

    part: Part | None
    next_part: Part | None
    contract: str
    is_served: bool
    shape: Shape

    def as_json(self) -> dict[str, Any]:
        """To be stored."""
        return {
            "part": self.part,
            "next_part": self.next_part,
            "contract": self.contract,
            "is_served": self.is_served,
            "shape": _shape_as_json(self.shape),
        }


def meaning_from(stored: Mapping[str, Any]) -> Meaning:
    """What `Meaning.as_json` gave."""
    return Meaning(
        part=_part_from(stored["part"]),
        next_part=_part_from(stored["next_part"]),
        contract=stored["contract"],
        is_served=stored["is_served"],
        shape=_shape_from(stored["shape"]),
    )


def _part_from(stored: str | None) -> Part | None:
    return Part(stored) if stored else None


def _shape_as_json(shape: Shape) -> dict[str, Any]:
    instants = {name: getattr(shape, name) for name in _INSTANTS}
    return {
        "outcomes": sorted(shape.outcomes - {None}, key=str),
        "has_code_default": None in shape.outcomes,
        **{name: getattr(shape, name) for name in _MARKS},
        **{name: at.isoformat() if at else None for name, at in instants.items()},
    }


def _shape_from(stored: Mapping[str, Any]) -> Shape:
    facts: dict[str, Any] = {name: stored[name] for name in _MARKS}
    facts |= {name: datetime.fromisoformat(stored[name]) if stored[name] else None for name in _INSTANTS}
    outcomes = frozenset(stored["outcomes"]) | (frozenset({None}) if stored["has_code_default"] else frozenset())
    return Shape(outcomes=outcomes, **facts)
