"""Conditions as JSONLogic that every flagd evaluator reads alike.

Each operator has one form of its own, so that reading it back finds the same operator. Each form was chosen where
Go, JavaScript and Python agree: a missing attribute never counts as 0, and text is never compared with a number.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from flags.evaluation.versions import parse_version

Logic = Any

TIMESTAMP = {"var": "$flagd.timestamp"}
# In JavaScript every object has these, whatever the caller sent.
_UNSAFE_NAMES = frozenset(
    {
        "$flagd", "__proto__", "constructor", "hasOwnProperty", "isPrototypeOf", "propertyIsEnumerable",
        "toLocaleString", "toString", "valueOf", "__defineGetter__", "__defineSetter__", "__lookupGetter__",
        "__lookupSetter__",
    }
)  # fmt: skip


class Inexpressible(Exception):
    """Something a flagd definition has no faithful form for: `what` it is, and `why`."""

    def __init__(self, what: str, why: str) -> None:
        super().__init__(f"{what}: {why}")
        self.what = what
        self.why = why


def variable(attribute: str) -> Logic:
    """The attribute of the evaluation context. Raises Inexpressible for a name that engines read differently."""
    if attribute in _UNSAFE_NAMES or any(character in attribute for character in "./\\"):
        raise Inexpressible(
            f"the attribute “{attribute}”", "Evaluators read a name like this differently. Send the fact by another."
        )
    return {"var": attribute}


def is_text(value: Logic) -> Logic:
    """Whether a value is text: no other form means the same in every engine."""
    return {"starts_with": [value, ""]}


def has_text(value: Logic) -> Logic:
    """Whether a value is text and not empty."""
    return {"and": [is_text(value), {"!==": [value, ""]}]}


def condition_logic(condition: Mapping[str, Any] | None, *, segment: Callable[[str], Logic]) -> Logic:
    """The JSONLogic of a condition; None is everyone. `segment` returns that of a segment.

    Raises Inexpressible, and KeyError, TypeError or ValueError for a condition that validation would refuse.
    """
    if condition is None:
        return True
    for group in ("and", "or"):
        if group in condition:
            return {group: [condition_logic(part, segment=segment) for part in condition[group]]}
    if "not" in condition:
        return {"!": [condition_logic(condition["not"], segment=segment)]}
    if "segment" in condition:
        return segment(condition["segment"])
    form = _FORMS.get(condition["operator"])
    if form is None:
        raise Inexpressible(
            f"the operator “{condition['operator']}”",
            "flagd cannot compare dates and times of attributes. Send a number or a version instead.",
        )
    return form(variable(condition["attribute"]), condition.get("value"))


def _equals(x: Logic, value: Any) -> Logic:
    return {"===": [x, value]}


def _in(x: Logic, value: Any) -> Logic:
    texts = [item for item in value if isinstance(item, str)]
    numbers = [item for item in value if not isinstance(item, str)]
    of_texts = {"and": [is_text(x), {"in": [x, texts]}]}
    # Go takes the number 1 and the text "1" for the same thing in a list.
    of_numbers = {"and": [{"!": is_text(x)}, {"in": [x, numbers]}]}
    if not numbers:
        return of_texts
    if not texts:
        return of_numbers
    return {"or": [of_texts, of_numbers]}


def _contains(x: Logic, value: Any) -> Logic:
    return {"and": [is_text(x), {"in": [value, x]}]}


def _compared(operator: str, x: Logic, value: Any) -> Logic:
    return {"and": [{"!==": [x, None]}, {"!": is_text(x)}, {operator: [x, value]}]}


def _version(operator: str, x: Logic, value: Any) -> Logic:
    return {"and": [is_text(x), {"sem_ver": [x, operator, full_version(value)]}]}


def full_version(value: Any) -> str:
    """The version with three numbers, without the build metadata that nobody compares."""
    parsed = parse_version(value)
    if parsed is None:
        raise ValueError("This operator compares with a version.")
    _, dash, labels = str(value).partition("+")[0].partition("-")
    return ".".join(map(str, parsed[:3])) + dash + labels


def _negated(form: Callable[[Logic, Any], Logic]) -> Callable[[Logic, Any], Logic]:
    return lambda x, value: {"!": form(x, value)}


_FORMS: dict[str, Callable[[Logic, Any], Logic]] = {
    "equals": _equals,
    "not_equals": lambda x, value: {"!==": [x, value]},
    "in": _in,
    "not_in": _negated(_in),
    "contains": _contains,
    "not_contains": _negated(_contains),
    "starts_with": lambda x, value: {"starts_with": [x, value]},
    "not_starts_with": _negated(lambda x, value: {"starts_with": [x, value]}),
    "ends_with": lambda x, value: {"ends_with": [x, value]},
    "not_ends_with": _negated(lambda x, value: {"ends_with": [x, value]}),
    "number_equals": lambda x, value: {"===": [value, x]},
    "less_than": partial(_compared, "<"),
    "less_or_equal": partial(_compared, "<="),
    "greater_than": partial(_compared, ">"),
    "greater_or_equal": partial(_compared, ">="),
    "version_equals": partial(_version, "="),
    "version_less_than": partial(_version, "<"),
    "version_less_or_equal": partial(_version, "<="),
    "version_greater_than": partial(_version, ">"),
    "version_greater_or_equal": partial(_version, ">="),
    "version_same_major": partial(_version, "^"),
    "version_same_minor": partial(_version, "~"),
    "is_set": lambda x, _: {"!==": [x, None]},
    "is_not_set": lambda x, _: {"===": [x, None]},
    "is_true": lambda x, _: {"===": [True, x]},
    "is_false": lambda x, _: {"===": [False, x]},
}
