"""Read a condition against a context and keep a trace of every node. The second reading beside the closures."""

from collections.abc import Mapping
from typing import Any

from .operators import MAX_SEARCHED_CHARACTERS, OPERATORS
from .ordering import dependency_order, segments_named
from .traces import ConditionTrace

# Stands where an explanation has reached the size that is shown.
CUT_HERE = "Cut here: this explanation is as long as one may be."

_SHOWN_VALUES = 20
_CHARACTERS_A_NODE = 200
_GROUPS = ("and", "or", "not", "segment")
_TYPE_WORDS = {bool: "boolean", int: "number", float: "number", str: "text", list: "list", dict: "object"}


class Budget:
    """How many nodes an explanation may still show."""

    __slots__ = ("_left",)

    def __init__(self, nodes: int) -> None:
        self._left = nodes

    @property
    def is_spent(self) -> bool:
        """Whether nothing is left."""
        return self._left <= 0

    def spend(self, nodes: int) -> None:
        """Take away what is shown."""
        self._left -= nodes


def weight(value: object) -> int:
    """How many nodes more than one a value counts for, which it does by the length of its text."""
    if isinstance(value, str):
        return len(value) // _CHARACTERS_A_NODE
    if isinstance(value, list | dict):
        return len(str(value)) // _CHARACTERS_A_NODE
    return 0


class ConditionReader:
    """Reads conditions for one context.

    Within the budget every node is shown, also where another one has decided already. Beyond it groups and segments
    have a verdict and no parts.
    """

    def __init__(self, segments: Mapping[str, Mapping[str, Any]], context: Mapping[str, Any], budget: Budget) -> None:
        self._segments = segments
        self._context = context
        self._budget = budget
        self._circular: dict[str, bool] = {}
        self._held: dict[str, bool] = {}
        self._shown: set[str] = set()

    def begin(self) -> None:
        """Show the parts of segments again, since what follows is told on its own."""
        self._shown.clear()

    def trace(self, condition: Mapping[str, Any] | None) -> ConditionTrace:
        """The trace of one condition. Raises whatever reading an unreadable document raises."""
        if condition is None:
            return ConditionTrace("everyone", holds=True)
        kind = next((kind for kind in _GROUPS if kind in condition), "comparison")
        if kind == "comparison":
            return self._comparison(condition)
        if self._budget.is_spent:
            return ConditionTrace(kind, self._holds(condition), segment=condition.get("segment"), note=CUT_HERE)
        self._budget.spend(1)
        if "and" in condition:
            parts = tuple(self.trace(part) for part in condition["and"])
            return ConditionTrace("and", all(part.holds for part in parts), parts)
        if "or" in condition:
            parts = tuple(self.trace(part) for part in condition["or"])
            return ConditionTrace("or", any(part.holds for part in parts), parts)
        if "not" in condition:
            part = self.trace(condition["not"])
            return ConditionTrace("not", not part.holds, (part,))
        return self._segment(condition["segment"])

    def _holds(self, condition: Mapping[str, Any] | None) -> bool:
        """The verdict alone, without looking further than it takes."""
        if condition is None:
            return True
        if "and" in condition:
            return all(self._holds(part) for part in condition["and"])
        if "or" in condition:
            return any(self._holds(part) for part in condition["or"])
        if "not" in condition:
            return not self._holds(condition["not"])
        if "segment" in condition:
            return self._segment_holds(condition["segment"])
        test = OPERATORS[condition["operator"]](condition["attribute"], condition.get("value"))
        return bool(test(self._context))

    def _segment_holds(self, key: str) -> bool:
        if key not in self._segments or self._is_circular(key):
            return False
        if key not in self._held:
            self._held[key] = self._holds(self._segments[key]["condition"])
        return self._held[key]

    def _is_circular(self, key: str) -> bool:
        """Whether a segment is part of a circle or leads into one. Only what it leads to is looked at, and once."""
        if key not in self._circular:
            used: dict[str, set[str]] = {}
            pending = [key]
            while pending:
                name = pending.pop()
                if name in self._segments and name not in used:
                    used[name] = set(segments_named(_condition_of(self._segments[name])))
                    pending.extend(used[name])
            _, circular = dependency_order(used)
            self._circular.update({name: name in circular for name in used})
        return self._circular[key]

    def _segment(self, key: str) -> ConditionTrace:
        if key not in self._segments:
            note = "There is no such segment in this environment, so it holds for no one."
            return ConditionTrace("segment", False, segment=key, note=note)
        if self._is_circular(key):
            note = "This leads into a circle of segments that use each other, so it holds for no one."
            return ConditionTrace("segment", False, segment=key, note=note)
        if key in self._shown:
            return ConditionTrace("segment", self._held[key], segment=key, note="Its parts are shown above.")
        inner = self.trace(self._segments[key]["condition"])
        self._held[key] = inner.holds
        self._shown.add(key)
        return ConditionTrace("segment", inner.holds, (inner,), segment=key)

    def _comparison(self, condition: Mapping[str, Any]) -> ConditionTrace:
        attribute, operator, value = condition["attribute"], condition["operator"], condition.get("value")
        note = ""
        shown = value
        if isinstance(value, list) and len(value) > _SHOWN_VALUES:
            shown, note = value[:_SHOWN_VALUES], f"The first {_SHOWN_VALUES} of {len(value)} values are shown."
        # Values that are not shown are read all the same.
        self._budget.spend(1 + weight(shown) + (len(value) // _CHARACTERS_A_NODE if isinstance(value, list) else 0))
        if operator.endswith("contains") and self._is_too_long(attribute):
            note = f"The text is longer than {MAX_SEARCHED_CHARACTERS} characters, so nothing is found in it."
        return ConditionTrace(
            "comparison",
            bool(OPERATORS[operator](attribute, value)(self._context)),
            attribute=attribute,
            operator=operator,
            value=shown,
            given=self._given(attribute),
            note=note,
        )

    def _is_too_long(self, attribute: str) -> bool:
        given = self._context.get(attribute)
        return isinstance(given, str) and len(given) > MAX_SEARCHED_CHARACTERS

    def _given(self, attribute: str) -> str:
        """What kind of value the context has, never which."""
        if attribute not in self._context:
            return "missing"
        given = self._context[attribute]
        return "null" if given is None else _TYPE_WORDS.get(type(given), "other")


def _condition_of(document: object) -> object:
    return document.get("condition") if isinstance(document, Mapping) else None
