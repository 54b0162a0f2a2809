"""Reads the part of a config document that says how its flag ends, as far as evaluation needs it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from .instants import instant_text, parse_instant
from .sources import FlagSource, Metadata, Snapshot

# What a share of a withdrawal is out of, whatever weights the rules of the flag use.
WITHDRAWAL_WEIGHT: Final = 100_000


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """The first `weight` (out of 100000) of the targeting keys get `serves` before anything else is asked.

    `serves` None is the code default. With `until` it ends by itself at that instant.
    """

    weight: int
    serves: str | None
    until: datetime | None = None

    @property
    def is_for_everyone(self) -> bool:
        """Whether nobody is left out, not even a context without a targeting key."""
        return self.weight >= WITHDRAWAL_WEIGHT

    def holds_at(self, now: datetime) -> bool:
        """Whether it has not ended yet; the end itself is outside."""
        return self.until is None or now < self.until


@dataclass(frozen=True, slots=True)
class Deprecation:
    """How a flag ends in one environment. Services are told from `deprecated_at` on; empty texts say nothing."""

    deprecated_at: datetime
    sunset_at: datetime | None = None
    successor: str = ""
    link: str = ""
    withdrawal: Withdrawal | None = None
    is_archived: bool = False


def deprecation_of(document: Mapping[str, Any]) -> Deprecation | None:
    """Return what a config document says about the end of its flag, or None where it says nothing.

    Raises KeyError, TypeError or ValueError for what validation would refuse.
    """
    found = document.get("deprecation")
    if found is None:
        return None
    return Deprecation(
        deprecated_at=_instant(found["deprecated_at"]),
        sunset_at=_instant_or_none(found.get("sunset_at")),
        successor=_text(found.get("successor")),
        link=_text(found.get("link")),
        withdrawal=_withdrawal(found.get("withdrawal")),
        is_archived=found.get("is_archived") is True,
    )


def is_archived(document: object) -> bool:
    """Whether a config document leaves its flag out of what is served. Whatever cannot be read does not."""
    found = document.get("deprecation") if isinstance(document, Mapping) else None
    return isinstance(found, Mapping) and found.get("is_archived") is True


def successor_of(document: object) -> str:
    """The key of the flag that a config document names to follow its own, or an empty text."""
    found = document.get("deprecation") if isinstance(document, Mapping) else None
    named = found.get("successor") if isinstance(found, Mapping) else None
    return named if isinstance(named, str) else ""


def names_successor(snapshot: Snapshot, source: FlagSource, successor_key: str) -> bool:
    """Whether a flag may name this successor: one that browsers see names none that they may not see."""
    if not is_client_visible(source.document):
        return True
    successor = snapshot.flags.get(successor_key)
    return successor is not None and is_client_visible(successor.document)


def is_client_visible(document: object) -> bool:
    """Whether a config document lets browsers see its flag. Whatever cannot be read does not."""
    return isinstance(document, Mapping) and document.get("client_visible") is True


def told_of(deprecation: Deprecation) -> Metadata:
    """What services are told of a deprecation in the metadata of every answer."""
    told: Metadata = {"deprecated": True}
    if deprecation.sunset_at is not None:
        told["sunsetAt"] = instant_text(deprecation.sunset_at)
    if deprecation.successor:
        told["successor"] = deprecation.successor
    return told


def _withdrawal(found: Mapping[str, Any] | None) -> Withdrawal | None:
    if found is None:
        return None
    weight, serves = found["weight"], found.get("serves")
    if type(weight) is not int or not 1 <= weight <= WITHDRAWAL_WEIGHT:
        raise ValueError("The weight of a withdrawal is a whole number from 1 to 100000.")
    return Withdrawal(weight, None if serves is None else _text(serves), _instant_or_none(found.get("until")))


def _instant_or_none(text: object) -> datetime | None:
    return None if text is None else _instant(text)


def _instant(text: object) -> datetime:
    instant = parse_instant(text)
    if instant is None:
        raise ValueError("A deprecation goes by RFC 3339 instants.")
    return instant


def _text(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise TypeError("A successor, a link and a variant are texts.")
    return value
