"""What an evaluation returns. Words are those of the OpenFeature specification."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Reason(StrEnum):
    """Why a resolution has its value."""

    STATIC = "STATIC"
    DEFAULT = "DEFAULT"
    TARGETING_MATCH = "TARGETING_MATCH"
    SPLIT = "SPLIT"
    DISABLED = "DISABLED"
    CACHED = "CACHED"
    STALE = "STALE"
    ERROR = "ERROR"
    UNKNOWN = "UNKNOWN"


class ErrorCode(StrEnum):
    """Why an evaluation could not answer. TYPE_MISMATCH is the SDK's to say: a request carries no type."""

    FLAG_NOT_FOUND = "FLAG_NOT_FOUND"
    PARSE_ERROR = "PARSE_ERROR"
    INVALID_CONTEXT = "INVALID_CONTEXT"
    TARGETING_KEY_MISSING = "TARGETING_KEY_MISSING"
    GENERAL = "GENERAL"


class _Written:
    """Room for the JSON that others make of a resolution once and for all. Empty until then.

    Looking it up by the identity of the resolution would take longer than anything else in a bulk answer.
    """

    __slots__ = ("written",)

    written: bytes

    def keep(self, written: bytes) -> None:
        """Keep the JSON."""
        object.__setattr__(self, "written", written)


@dataclass(frozen=True, slots=True)
class Resolution(_Written):
    """The answer for one flag and one evaluation context.

    `has_value` False means that the code default of the caller decides; `value` is then None and says nothing.
    Resolutions are built once per snapshot and shared by all evaluations: treat `value` and `metadata` as read-only.
    """

    value: Any
    variant: str | None
    reason: Reason
    error_code: ErrorCode | None = None
    error_message: str = ""
    metadata: Mapping[str, bool | str | int | float] = field(default_factory=dict)
    has_value: bool = True

    # By identity, so that counting them costs no Python code. Values that are lists or objects have no hash anyway.
    __hash__ = object.__hash__


def failure(code: ErrorCode, message: str, *, metadata: Mapping[str, bool | str | int | float]) -> Resolution:
    """The resolution that reports an error; the caller's code default decides."""
    return Resolution(None, None, Reason.ERROR, code, message, metadata, has_value=False)
