"""The groups an attribute parts people into: by what documents ask about it, never by what people happen to have.

So no value of an upload can get into a result: a label is a text, a number or a boolean that a document names, or a
word for everything else.
"""

from bisect import bisect_right
from collections.abc import Callable
from datetime import datetime
from typing import Any

from flags.evaluation.instants import parse_instant
from flags.evaluation.versions import parse_version

from .mentions import Mention

MISSING = "not given"
OTHERS = "other values"
_WORDS = {"starts_with": "starts with", "ends_with": "ends with", "contains": "contains"}
_TESTS: dict[str, Callable[[str, str], bool]] = {
    "starts_with": str.startswith,
    "ends_with": str.endswith,
    "contains": str.__contains__,
}


class Labels:
    """The label of every value of one attribute."""

    def __init__(self, mention: Mention) -> None:
        self._texts = mention.texts
        self._parts = sorted(mention.parts)
        self._numbers = mention.numbers
        self._steps = sorted(mention.steps)
        self._versions = sorted((version, text) for text in mention.versions if (version := parse_version(text)))
        self._instants = sorted((moment, text) for text in mention.instants if (moment := parse_instant(text)))

    def of(self, value: Any) -> str:
        """The label of a value; None is an attribute that is not there."""
        if value is None:
            return MISSING
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, str):
            return value if value in self._texts else self._of_text(value)
        if isinstance(value, int | float):
            return self._of_number(value)
        return OTHERS

    def _of_text(self, text: str) -> str:
        for operator, part in self._parts:
            if _TESTS[operator](text, part):
                return f"{_WORDS[operator]} “{part}”"
        if self._versions and (version := parse_version(text)):
            return _interval([item for item, _ in self._versions], [name for _, name in self._versions], version)
        if self._instants and (moment := parse_instant(text)):
            return _interval([item for item, _ in self._instants], [name for _, name in self._instants], moment)
        return OTHERS

    def _of_number(self, number: float) -> str:
        if number in self._numbers:
            return f"{number:g}"
        if not self._steps:
            return OTHERS
        # True sorts behind False: a step whose number lies below it comes first, and is passed only beyond the number.
        place = sum(number >= at if is_above else number > at for at, is_above in self._steps)
        lower, upper = self._steps[:place][-1:], self._steps[place:][:1]
        words = [f"{at:g} or more" if is_above else f"more than {at:g}" for at, is_above in lower]
        words += [f"below {at:g}" if is_above else f"at most {at:g}" for at, is_above in upper]
        return ", ".join(words)


def _interval(bounds: list[Any], names: list[str], value: tuple[Any, ...] | datetime) -> str:
    place = bisect_right(bounds, value)
    words = [f"{name} or later" for name in names[:place][-1:]]
    return ", ".join(words + [f"before {name}" for name in names[place:][:1]])
