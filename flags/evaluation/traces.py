"""What an explanation consists of: how one resolution came about, as data.

Traces say whether an attribute was there and of which type it was, never what it held; only the text that a split
hashed is shown, since its bucket could not be checked without it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from .resolution import Resolution


@dataclass(frozen=True, slots=True)
class ConditionTrace:
    """One node of a condition: what it is, whether it held, and its parts.

    `kind` is and, or, not, segment or comparison. A segment that was shown before in the same explanation has no parts
    again; `note` says so, or why it holds for no one, or that the explanation was cut here because it was too long.
    """

    kind: str
    holds: bool
    parts: tuple["ConditionTrace", ...] = ()
    segment: str | None = None
    attribute: str | None = None
    operator: str | None = None
    value: Any = None
    given: str | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class ShareTrace:
    """One share of a split: its variant and the buckets from `start` up to, not including, `end`."""

    variant: str
    start: int
    end: int
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class SplitTrace:
    """A split: by which attribute, what was hashed, the bucket of how many, and the share it fell into.

    Without a usable text in the attribute, `key`, `hash`, `bucket` and `variant` are None.
    """

    bucket_by: str
    salt: str
    generation: str
    total: int
    key: str | None
    hash: int | None
    bucket: int | None
    variant: str | None
    shares: tuple[ShareTrace, ...]


@dataclass(frozen=True, slots=True)
class WithdrawalTrace:
    """The withdrawal of a deprecated flag: the share it takes, what it serves (None: the code default) and until when.

    `is_open` says that it has not ended, `holds` that it decides here. A share shows what was hashed; `key` and
    `bucket` are None where everybody is withdrawn, or nobody could be placed.
    """

    weight: int
    serves: str | None
    until: str | None
    is_open: bool
    holds: bool
    key: str | None = None
    bucket: int | None = None


@dataclass(frozen=True, slots=True)
class RuleTrace:
    """One rule that was looked at. `condition` is None where the rule is for everyone, or outside its window."""

    number: int
    id: str
    description: str
    starts_at: str | None
    ends_at: str | None
    is_in_window: bool
    condition: ConditionTrace | None
    matched: bool
    variant: str | None
    split: SplitTrace | None


@dataclass(frozen=True, slots=True)
class PrerequisiteTrace:
    """One flag this one requires: the variants that will do and the one it has.

    `explanation` is None where the flag does not exist, was explained before, is very many flags away or would make the
    explanation too long; `note` says which.
    """

    flag: str
    variants: tuple[str, ...]
    got: str | None
    is_met: bool
    explanation: "Explanation | None"
    note: str = ""


@dataclass(frozen=True, slots=True)
class Explanation:
    """How one flag came to its resolution.

    `decided_by` is forced, switch, withdrawal, prerequisite, target, rule, default or error. Steps that were not
    reached are empty: `is_on`, `withdrawal` and `target` are None, the lists have no entries.
    """

    flag_key: str
    resolution: Resolution
    decided_by: str
    forced: str | None = None
    is_on: bool | None = None
    withdrawal: WithdrawalTrace | None = None
    prerequisites: tuple[PrerequisiteTrace, ...] = ()
    target: str | None = None
    rules: tuple[RuleTrace, ...] = ()
    default_variant: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The whole tree as JSON values, with camelCase names."""
        result: dict[str, Any] = _as_json(self)
        return result


def _as_json(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {_camel(field.name): _as_json(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): _as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_as_json(item) for item in value]
    return value


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)
