"""The parameters of conditions: what may be written into them, and which of two values meets more changes."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import time
from enum import StrEnum
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

Params = Mapping[str, Any]
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._:/-]{0,99}")
MOST_WORDS = 50


class Wider(StrEnum):
    """Which value of a parameter lets a condition hold for at least as many changes."""

    LOWER = "lower"
    HIGHER = "higher"
    MORE = "more"
    SAME = "same"


class Form(StrEnum):
    """How a parameter is written."""

    WHOLE = "whole"
    CHOICES = "choices"
    WORDS = "words"
    CLOCK = "clock"
    ZONE = "zone"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One value that a condition is given. `is_optional`: an empty list stands for any."""

    name: str
    label: str
    form: Form
    wider: Wider = Wider.SAME
    choices: tuple[tuple[str, str], ...] = ()
    lowest: int = 1
    highest: int = 1_000_000_000
    unit: str = ""
    default: Any = None
    is_optional: bool = False

    def problem(self, value: object) -> str | None:
        """What is wrong with a value, None where nothing is."""
        return _PROBLEMS[self.form](self, value)

    def is_at_least_as_wide(self, value: Any, other: Any) -> bool:
        """Whether a condition with `value` holds wherever one with `other` does, as far as this parameter goes."""
        match self.wider:
            case Wider.LOWER:
                return bool(value <= other)
            case Wider.HIGHER:
                return bool(value >= other)
            case Wider.MORE if self.is_optional and (not value or not other):
                return not value
            case Wider.MORE:
                return set(value) >= set(other)
            case Wider.SAME:
                return bool(value == other)


def clock(text: str) -> time:
    """“18:30” as a time of day. Raises ValueError."""
    return time.fromisoformat(text)


def _whole(parameter: Parameter, value: object) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool) and parameter.lowest <= value <= parameter.highest:
        return None
    return f"Give a whole number from {parameter.lowest:,} to {parameter.highest:,}."


def _choices(parameter: Parameter, value: object) -> str | None:
    known = {name for name, _ in parameter.choices}
    if not isinstance(value, list) or any(item not in known for item in value if isinstance(item, str)):
        return "Choose from the list."
    if any(not isinstance(item, str) for item in value) or len(set(value)) != len(value):
        return "Choose each at most once."
    return None if value or parameter.is_optional else "Choose at least one."


def _words(parameter: Parameter, value: object) -> str | None:
    if not isinstance(value, list) or len(value) > MOST_WORDS:
        return f"Give at most {MOST_WORDS} words, separated by commas."
    if any(not isinstance(item, str) or not _KEY.fullmatch(item) for item in value):
        return "Use letters, digits, blanks and . _ : / - only."
    return None if value or parameter.is_optional else "Give at least one."


def _clock(parameter: Parameter, value: object) -> str | None:
    if isinstance(value, str) and re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", value):
        return None
    return "Give a time of day such as 18:00."


def _zone(parameter: Parameter, value: object) -> str | None:
    if isinstance(value, str) and value in _zones():
        return None
    return "Name a time zone such as Europe/Berlin."


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def zone(name: str) -> ZoneInfo:
    """The time zone of a checked name."""
    return ZoneInfo(name)


_PROBLEMS: Mapping[Form, Callable[[Parameter, object], str | None]] = {
    Form.WHOLE: _whole,
    Form.CHOICES: _choices,
    Form.WORDS: _words,
    Form.CLOCK: _clock,
    Form.ZONE: _zone,
}
