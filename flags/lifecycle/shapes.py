"""What of a config document says how far a flag has come: few facts, so that thousands of versions fit in memory."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flags.documents.deprecation import deprecation_of, withdrawal_at
from flags.documents.lint_rules import has_ended, has_started, served_by

Outcome = str | None


@dataclass(frozen=True, slots=True)
class Shape:
    """A version of a config. `outcomes` are the variants it can serve, None among them the code default.

    `is_split`: whoever meets no rule is in a split of several. `has_aims`: it says more than a default variant.
    """

    outcomes: frozenset[Outcome]
    is_enabled: bool = True
    is_split: bool = False
    has_aims: bool = False
    is_archived: bool = False
    is_sunset: bool = False
    deprecated_at: datetime | None = None
    sunset_at: datetime | None = None

    @property
    def is_for_all(self) -> bool:
        """Whether everybody gets the same."""
        return len(self.outcomes) == 1


def shape_of(document: Mapping[str, Any] | None, now: datetime) -> Shape | None:
    """The shape of a config document at an instant; None where there is none, or nothing is left of it."""
    if not document or "variants" not in document:
        return None
    deprecation, withdrawal = deprecation_of(document), withdrawal_at(document, now)
    outcomes, is_split = _outcomes(document, now)
    is_enabled = bool(document["enabled"])
    is_sunset = withdrawal is not None and withdrawal.is_for_everyone and withdrawal.until is None
    if withdrawal is not None and is_enabled:
        outcomes = frozenset({withdrawal.serves}) | (frozenset() if is_sunset else outcomes)
    return Shape(
        outcomes=outcomes,
        is_enabled=is_enabled,
        is_split=is_split,
        has_aims=bool(document.get("rules") or document.get("targets")),
        is_archived=deprecation is not None and deprecation.is_archived,
        is_sunset=is_sunset,
        deprecated_at=deprecation.deprecated_at if deprecation else None,
        sunset_at=deprecation.sunset_at if deprecation else None,
    )


def _outcomes(document: Mapping[str, Any], now: datetime) -> tuple[frozenset[Outcome], bool]:
    off: set[Outcome] = {document["off_variant"]}
    if not document["enabled"]:
        return frozenset(off), False
    served: set[Outcome] = {item["variant"] for item in document.get("targets", ())}
    # What a parent serves is another flag's matter: both ways count.
    served |= off if document.get("prerequisites") else set()
    for rule in document["rules"]:
        if has_ended(rule, now):
            continue
        given = served_by(rule["serve"])
        served |= given
        if rule["condition"] is None and "ends_at" not in rule and has_started(rule, now):
            return frozenset(served), len(given) > 1
    return frozenset(served | {document["default_variant"]}), False
