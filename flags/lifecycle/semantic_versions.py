"""Semantic versions of a flag, counted from what was changed: nobody gives them by hand.

Major: what code relies on changed. Minor: who gets what. Patch: nobody gets anything else. The environments count
together, in the order of time. Numbers only grow: going back to what was served before is the next minor version.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple

from audits.integrity import canonical_json
from flags.differences import Difference, diff_configs
from flags.documents.deprecation import deprecation_of

Document = Mapping[str, Any]


class Part(StrEnum):
    """The part of the number that a change counts up."""

    MAJOR = "major"
    MINOR = "minor"
    PATCH = "patch"

    @property
    def words(self) -> str:
        """What a change of this part means."""
        return _WORDS[self]


_WORDS: Final = {
    Part.MAJOR: "what code relies on changed",
    Part.MINOR: "who gets what changed",
    Part.PATCH: "nobody gets anything else",
}
# Fields of the flag itself that code relies on. Everything else about it is words.
CONTRACT_FIELDS: Final = frozenset({"value_schema", "value_type"})
_CONTRACT_LEFT: Final = ""


class Number(NamedTuple):
    """A semantic version. It is below 1.0.0 until the flag is switched on somewhere."""

    major: int = 0
    minor: int = 0
    patch: int = 0

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"

    def after(self, part: Part, *, is_served: bool = False) -> "Number":
        """The number after a change. `is_served`: the flag is switched on by it, or was before."""
        if not self.major and is_served:
            return Number(1)
        if part is Part.PATCH:
            return Number(self.major, self.minor, self.patch + 1)
        if part is Part.MINOR or not self.major:
            return Number(self.major, self.minor + 1)
        return Number(self.major + 1)


@dataclass(frozen=True, slots=True)
class Change:
    """What a write means to versions. `contract` is what code relies on afterwards, empty once that is over.

    `place` is the environment, empty for the flag as a whole. `source` says where the change is found again.
    """

    at: datetime
    part: Part
    place: str = ""
    contract: str | None = None
    is_served: bool = False
    source: str = ""


@dataclass(frozen=True, slots=True)
class Release:
    """A semantic version, the part it counts up, and the change it stands for."""

    number: Number
    part: Part
    change: Change


def classify(before: Document | None, after: Document) -> Part | None:
    """The part that a change of a config counts up, None where both mean the same. `before` None: not set up yet."""
    differences = diff_configs(before, after)
    if not differences:
        return None
    if before is None or (has_left(after) and not has_left(before)):
        return Part.MAJOR
    return gravest(part_of(difference) for difference in differences)


def classify_details(fields: Collection[str]) -> Part | None:
    """The part that a change of these fields of the flag itself counts up."""
    if not fields:
        return None
    return Part.MAJOR if CONTRACT_FIELDS & set(fields) else Part.PATCH


def part_of(difference: Difference) -> Part:
    """The part of one difference between two configs."""
    path, kind = difference.path, difference.kind
    if path.startswith("variants."):
        return Part.PATCH if kind == "changed" and path.endswith(".description") else Part.MAJOR
    if path in _QUIET or (path.startswith("rules[") and path.endswith("].description")):
        return Part.PATCH
    return Part.MINOR


# In another order, or in another form, nobody gets anything else. Dates of an end only announce it.
_QUIET: Final = frozenset({"variants", "targets", "prerequisites", "schema", "deprecation"})


def gravest(parts: Iterable[Part]) -> Part:
    """The part that counts where there are several."""
    return min(parts, key=tuple(Part).index)


def has_left(document: Document) -> bool:
    """Whether code gets its own default for good: archived, or withdrawn from everybody without an end."""
    deprecation = deprecation_of(document)
    if deprecation is None:
        return False
    withdrawal = deprecation.withdrawal
    is_sunset = withdrawal is not None and withdrawal.is_for_everyone and withdrawal.until is None
    return deprecation.is_archived or (is_sunset and withdrawal is not None and withdrawal.serves is None)


def contract_of(document: Document) -> str:
    """What code relies on: the variants by name with their values. Empty where it gets its own default for good."""
    if has_left(document):
        return _CONTRACT_LEFT
    relied_on = {variant["name"]: variant["value"] for variant in document["variants"]}
    return hashlib.sha256(canonical_json(relied_on)).hexdigest()


def is_served(document: Document) -> bool:
    """Whether the flag is switched on and not left out of what services get."""
    deprecation = deprecation_of(document)
    return bool(document["enabled"]) and not (deprecation is not None and deprecation.is_archived)


def versions_of(changes: Iterable[Change]) -> list[Release]:
    """The semantic versions of changes that come oldest first.

    What code relies on is new once: the same in another environment, or again after something else, changes who gets
    what. Only its end counts wherever it comes.
    """
    number, was_served = Number(), False
    known: set[str] = set()
    found = []
    for change in changes:
        part, contract = change.part, change.contract
        if part is Part.MAJOR and contract and contract in known:
            part = Part.MINOR
        if contract:
            known.add(contract)
        was_served = was_served or change.is_served
        number = number.after(part, is_served=was_served)
        found.append(Release(number, part, change))
    return found
