"""Read a condition against a context and keep a trace of every node. The second reading beside the closures."""

from collections.abc import Mapping
from typing import Any

from .operators import MAX_SEARCHED_CHARACTERS, OPERATORS
from .ordering import dependency_order, segments_named
from .traces import ConditionTrace

_SHOWN_VALUES = 20
_TYPE_WORDS = {bool: "boolean", int: "number", float: "number", str: "text", list: "list", dict: "object"}


class ConditionReader:
    """Reads conditions for one context. Every node is read, also where another one has decided already."""

    def __init__(self, segments: Mapping[str, Mapping[str, Any]], context: Mapping[str, Any]) -> None:
        self._segments = segments
        self._context = context
        used = {key: set(segments_named(_condition_of(document))) for key, document in segments.items()}
        _, self._circular = dependency_order(used)
        self._held: dict[str, bool] = {}

    def begin(self) -> None:
        """Show the parts of segments again, since what follows is told on its own."""
        self._held.clear()

    def trace(self, condition: Mapping[str, Any] | None) -> ConditionTrace:
        """The trace of one condition. Raises whatever reading an unreadable document raises."""
        if condition is None:
            return ConditionTrace("everyone", holds=True)
        if "and" in condition:
            parts = tuple(self.trace(part) for part in condition["and"])
            return ConditionTrace("and", all(part.holds for part in parts), parts)
        if "or" in condition:
            parts = tuple(self.trace(part) for part in condition["or"])
            return ConditionTrace("or", any(part.holds for part in parts), parts)
        if "not" in condition:
            part = self.trace(condition["not"])
            return ConditionTrace("not", not part.holds, (part,))
        if "segment" in condition:
            return self._segment(condition["segment"])
        return self._comparison(condition)

    def _segment(self, key: str) -> ConditionTrace:
        if key not in self._segments:
            note = "There is no such segment in this environment, so it holds for no one."
            return ConditionTrace("segment", False, segment=key, note=note)
        if key in self._circular:
            note = "This leads into a circle of segments that use each other, so it holds for no one."
            return ConditionTrace("segment", False, segment=key, note=note)
        if key in self._held:
            return ConditionTrace("segment", self._held[key], segment=key, note="Its parts are shown above.")
        inner = self.trace(self._segments[key]["condition"])
        self._held[key] = inner.holds
        return ConditionTrace("segment", inner.holds, (inner,), segment=key)

    def _comparison(self, condition: Mapping[str, Any]) -> ConditionTrace:
        attribute, operator, value = condition["attribute"], condition["operator"], condition.get("value")
        note = ""
        shown = value
        if isinstance(value, list) and len(value) > _SHOWN_VALUES:
            shown, note = value[:_SHOWN_VALUES], f"The first {_SHOWN_VALUES} of {len(value)} values are shown."
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
