"""What follows from a condition, as far as that can be seen without trying every context. Pure.

Both questions are answered with care: yes is certain, no may mean that it was too hard to tell. Comparisons of one
attribute are decided by evaluating them, so that nothing here can differ from what evaluation does.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from audits.integrity import canonical_json
from flags.evaluation.conditions import OPERATORS
from flags.evaluation.instants import parse_instant
from flags.evaluation.versions import parse_version

from .schema import MAX_SEGMENT_DEPTH

Node = Mapping[str, Any]
_STEPS = 100_000
_NEGATIVE = {f"not_{name}": name for name in ("equals", "in", "contains", "starts_with", "ends_with")}
_FAMILIES: dict[str, tuple[str, Callable[[Any], Any]]] = {
    **{name: ("number", lambda value: value) for name in ("less_than", "less_or_equal")},
    **{name: ("number", lambda value: value) for name in ("greater_than", "greater_or_equal")},
    **{f"version_{name}": ("version", parse_version) for name in ("less_than", "less_or_equal")},
    **{f"version_{name}": ("version", parse_version) for name in ("greater_than", "greater_or_equal")},
    "before": ("instant", parse_instant),
    "after": ("instant", parse_instant),
}
_TEXTUAL = ("contains", "starts_with", "ends_with")
_ABSENT = object()


class Reasoning:
    """Answers for the segments of one environment. Gives up, and says no, once it has taken `steps` steps."""

    def __init__(self, segments: Mapping[str, Mapping[str, Any]], *, steps: int = _STEPS) -> None:
        self._segments = segments
        self._left = steps
        self._tests: dict[int, tuple[Node, Callable[[Mapping[str, Any]], bool]]] = {}

    def implies(self, first: Node | None, second: Node | None) -> bool:
        """Whether everybody who meets `first` certainly meets `second`. None is everyone."""
        if second is None:
            return True
        return first is not None and self._implies(first, second, 0)

    def is_impossible(self, condition: Node | None) -> bool:
        """Whether certainly nobody meets the condition."""
        if condition is None or self._is_tired():
            return False
        if "or" in condition:
            return all(self.is_impossible(part) for part in condition["or"])
        parts = list(_conjuncts(condition))
        if any(self.is_impossible(part) for part in parts if "or" in part):
            return True
        return any(
            self._excludes(first, second) for place, first in enumerate(parts) for second in parts[place + 1 :]
        ) or self._leaves_nothing([part for part in parts if "attribute" in part])

    def _is_tired(self) -> bool:
        self._left -= 1
        return self._left < 0

    def _implies(self, first: Node, second: Node, depth: int) -> bool:
        if self._is_tired() or depth > 4 * MAX_SEGMENT_DEPTH:
            return False
        if first is second:
            return True
        if "attribute" in first and "attribute" in second:
            return self._leaf_implies(first, second)
        if "or" in first:
            return all(self._implies(part, second, depth + 1) for part in first["or"])
        if "and" in second:
            return all(self._implies(first, part, depth + 1) for part in second["and"])
        if "not" in first and "not" in second and self._implies(second["not"], first["not"], depth + 1):
            return True
        if first.get("segment", _ABSENT) == second.get("segment"):
            return True
        if "and" in first and any(self._implies(part, second, depth + 1) for part in first["and"]):
            return True
        if "or" in second and any(self._implies(first, part, depth + 1) for part in second["or"]):
            return True
        return self._implies_by_segment(first, second, depth)

    def _implies_by_segment(self, first: Node, second: Node, depth: int) -> bool:
        for node, other in ((first, second), (second, first)):
            inner = self._segments.get(node["segment"], {}).get("condition") if "segment" in node else None
            if inner:
                return (
                    self._implies(inner, other, depth + 1) if node is first else self._implies(other, inner, depth + 1)
                )
        return False

    def _holds(self, leaf: Node, value: Any) -> bool:
        kept = self._tests.get(id(leaf))
        if kept is None:
            kept = leaf, OPERATORS[leaf["operator"]](leaf["attribute"], leaf.get("value"))
            self._tests[id(leaf)] = kept
        self._left -= 1
        return kept[1]({leaf["attribute"]: value})

    def _leaf_implies(self, first: Node, second: Node) -> bool:
        if first["attribute"] != second["attribute"] or self._is_tired():
            return False
        values = _values(first)
        if values is not None:
            return all(self._holds(second, value) for value in values)
        if second["operator"] == "is_set":
            return first["operator"] not in _NEGATIVE
        before, after = _negated(first), _negated(second)
        if after is not None and before is not None:
            return self._leaf_implies(after, before)
        if after is not None:
            return self._excludes(first, after)
        return before is None and (_is_narrower(first, second) or _same(first, second))

    def _excludes(self, first: Node, second: Node) -> bool:
        """Whether certainly nobody meets both."""
        for one, other in ((first, second), (second, first)):
            if "not" in one and self._implies(other, one["not"], 0):
                return True
        if "attribute" not in first or first["attribute"] != second.get("attribute"):
            return False
        for one, other in ((first, second), (second, first)):
            values = _values(one)
            if values is not None:
                return not any(self._holds(other, value) for value in values)
            positive = _negated(one)
            if positive is not None:
                return _negated(other) is None and self._leaf_implies(other, positive)
        return _are_apart(first, second)

    def _leaves_nothing(self, leaves: list[Node]) -> bool:
        """Whether no value of a list passes all comparisons of the same attribute."""
        for leaf in leaves:
            values = _values(leaf)
            others = [other for other in leaves if other is not leaf and other["attribute"] == leaf["attribute"]]
            if values is None or not others:
                continue
            if self._is_tired():
                return False
            if not any(all(self._holds(other, value) for other in others) for value in values):
                return True
        return False


def _conjuncts(condition: Node) -> Iterator[Node]:
    pending = [condition]
    while pending:
        item = pending.pop()
        if "and" in item:
            pending.extend(item["and"])
        else:
            yield item


def _values(leaf: Node) -> list[Any] | None:
    """All values that pass a comparison, where these can be listed; nothing sent is None."""
    operator, value = leaf["operator"], leaf.get("value")
    if operator in ("equals", "number_equals"):
        return [value]
    if operator == "in":
        return list(value or ())
    fixed = {"is_true": True, "is_false": False, "is_not_set": None}
    return [fixed[operator]] if operator in fixed else None


def _negated(leaf: Node) -> Node | None:
    """The comparison whose negation a `not_*` comparison is."""
    positive = _NEGATIVE.get(leaf["operator"])
    return None if positive is None else {**leaf, "operator": positive}


def _same(first: Node, second: Node) -> bool:
    return canonical_json(first) == canonical_json(second)


def _is_narrower(first: Node, second: Node) -> bool:
    """Whether a range lies in another, or a text that must occur holds the other.

    Nothing is found in long texts, so what a text begins or ends with does not say that it contains anything.
    """
    one, other = _range(first), _range(second)
    if one and other:
        return one[:2] == other[:2] and (_beyond(one, other) or (one[2] == other[2] and (other[3] or not one[3])))
    if first["operator"] in _TEXTUAL and second["operator"] in _TEXTUAL:
        text, part = first["value"], second["value"]
        if first["operator"] != second["operator"]:
            return False
        if second["operator"] == "contains":
            return part in text
        return bool(text.startswith(part) if second["operator"] == "starts_with" else text.endswith(part))
    return False


def _range(leaf: Node) -> tuple[str, str, Any, bool] | None:
    """Family, side, bound, and whether the bound itself passes."""
    if leaf["operator"] not in _FAMILIES:
        return None
    family, parse = _FAMILIES[leaf["operator"]]
    name = leaf["operator"].removeprefix("version_")
    side = "below" if name.startswith(("less", "before")) else "above"
    return family, side, parse(leaf["value"]), name.endswith("or_equal")


def _beyond(one: tuple[str, str, Any, bool], other: tuple[str, str, Any, bool]) -> bool:
    return bool(one[2] < other[2] if one[1] == "below" else one[2] > other[2])


def _are_apart(first: Node, second: Node) -> bool:
    one, other = _range(first), _range(second)
    if one and other:
        if one[0] != other[0]:
            # A number is no text; whether a text can be both a version and an instant is left open.
            return "number" in (one[0], other[0])
        if one[1] == other[1]:
            return False
        below, above = (one, other) if one[1] == "below" else (other, one)
        return bool(below[2] < above[2] or (below[2] == above[2] and not (below[3] and above[3])))
    texts = [str(leaf.get("value")) for leaf in (first, second)]
    if first["operator"] == second["operator"] == "starts_with":
        return not (texts[0].startswith(texts[1]) or texts[1].startswith(texts[0]))
    if first["operator"] == second["operator"] == "ends_with":
        return not (texts[0].endswith(texts[1]) or texts[1].endswith(texts[0]))
    return False
