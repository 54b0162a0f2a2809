"""The operators: one comparison of a document becomes one closure.

A missing or wrongly typed attribute makes a comparison false, and an operator called `not_*` is the exact negation of
its positive. Numbers and booleans are never confused: true is not 1. Constants are parsed once, here.
Attributes have the types that reading JSON gives; subclasses of numbers are not looked for.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from operator import ge, gt, le, lt
from typing import Any

from .instants import parse_instant
from .versions import MAX_VERSION_CHARACTERS, Version, parse_short_version, parse_version

Context = Mapping[str, Any]
Condition = Callable[[Context], bool]
Builder = Callable[[str, Any], Condition]

# Nothing is found in a text longer than this. Searching takes time by its length, and callers choose that: thousands of
# rules over one text of 60 KB would take most of a second.
MAX_SEARCHED_CHARACTERS = 1_024

# The class of a boolean is not among these, although bool is a subclass of int.
_NUMBERS = frozenset({int, float})


def negated(part: Condition) -> Condition:
    """The condition that holds exactly where `part` does not."""
    return lambda context: not part(context)


def _not(builder: Builder) -> Builder:
    return lambda attribute, value: negated(builder(attribute, value))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("This operator compares with a text.")
    return value


def _number(value: Any) -> int | float:
    if type(value) not in _NUMBERS:
        raise TypeError("This operator compares with a number.")
    number: int | float = value
    return number


def _equals(attribute: str, value: Any) -> Condition:
    if isinstance(value, bool):
        return lambda context: context.get(attribute) is value
    if not isinstance(value, str):
        return _number_equals(attribute, value)
    # Nothing but text equals text, so the type needs no look.
    return lambda context: context.get(attribute) == value


def _in(attribute: str, value: Any) -> Condition:
    texts = frozenset(item for item in value if isinstance(item, str))
    numbers = frozenset(_number(item) for item in value if not isinstance(item, str))

    def in_texts(context: Context) -> bool:
        try:
            return context.get(attribute) in texts
        except TypeError:
            # A list or an object has no hash, and is in no list of texts.
            return False

    def in_either(context: Context) -> bool:
        given = context.get(attribute)
        if given.__class__ in _NUMBERS:
            return given in numbers
        return isinstance(given, str) and given in texts

    return in_either if numbers else in_texts


def _contains(attribute: str, value: Any) -> Condition:
    text = _text(value)

    def contains(context: Context) -> bool:
        given = context.get(attribute)
        return isinstance(given, str) and len(given) <= MAX_SEARCHED_CHARACTERS and text in given

    return contains


def _starts_with(attribute: str, value: Any) -> Condition:
    text = _text(value)

    def starts_with(context: Context) -> bool:
        given = context.get(attribute)
        return isinstance(given, str) and given.startswith(text)

    return starts_with


def _ends_with(attribute: str, value: Any) -> Condition:
    text = _text(value)

    def ends_with(context: Context) -> bool:
        given = context.get(attribute)
        return isinstance(given, str) and given.endswith(text)

    return ends_with


def _number_equals(attribute: str, value: Any) -> Condition:
    number = _number(value)

    def number_equals(context: Context) -> bool:
        given: Any = context.get(attribute)
        return given.__class__ in _NUMBERS and given == number

    return number_equals


def _number_compare(compare: Callable[[Any, Any], bool]) -> Builder:
    def build(attribute: str, value: Any) -> Condition:
        number = _number(value)

        def number_compare(context: Context) -> bool:
            given = context.get(attribute)
            return given.__class__ in _NUMBERS and compare(given, number)

        return number_compare

    return build


def _version_compare(compare: Callable[[Version, Version], bool]) -> Builder:
    def build(attribute: str, value: Any) -> Condition:
        version = parse_version(value)
        if version is None:
            raise ValueError("This operator compares with a version.")

        def version_compare(context: Context) -> bool:
            given = context.get(attribute)
            if not isinstance(given, str) or len(given) > MAX_VERSION_CHARACTERS:
                return False
            parsed = parse_short_version(given)
            return parsed is not None and compare(parsed, version)

        return version_compare

    return build


def _same_version(a: Version, b: Version) -> bool:
    return a == b


def _same_major(a: Version, b: Version) -> bool:
    return a[0] == b[0]


def _same_minor(a: Version, b: Version) -> bool:
    return a[:2] == b[:2]


def _instant_compare(compare: Callable[[datetime, datetime], bool]) -> Builder:
    def build(attribute: str, value: Any) -> Condition:
        instant = parse_instant(value)
        if instant is None:
            raise ValueError("This operator compares with an RFC 3339 instant.")

        def instant_compare(context: Context) -> bool:
            given = parse_instant(context.get(attribute))
            return given is not None and compare(given, instant)

        return instant_compare

    return build


def _is_set(attribute: str, value: Any) -> Condition:
    return lambda context: context.get(attribute) is not None


def _is_not_set(attribute: str, value: Any) -> Condition:
    return lambda context: context.get(attribute) is None


def _is_true(attribute: str, value: Any) -> Condition:
    return lambda context: context.get(attribute) is True


def _is_false(attribute: str, value: Any) -> Condition:
    return lambda context: context.get(attribute) is False


OPERATORS: Mapping[str, Builder] = {
    "equals": _equals,
    "not_equals": _not(_equals),
    "in": _in,
    "not_in": _not(_in),
    "contains": _contains,
    "not_contains": _not(_contains),
    "starts_with": _starts_with,
    "not_starts_with": _not(_starts_with),
    "ends_with": _ends_with,
    "not_ends_with": _not(_ends_with),
    "number_equals": _number_equals,
    "less_than": _number_compare(lt),
    "less_or_equal": _number_compare(le),
    "greater_than": _number_compare(gt),
    "greater_or_equal": _number_compare(ge),
    "version_equals": _version_compare(_same_version),
    "version_less_than": _version_compare(lt),
    "version_less_or_equal": _version_compare(le),
    "version_greater_than": _version_compare(gt),
    "version_greater_or_equal": _version_compare(ge),
    "version_same_major": _version_compare(_same_major),
    "version_same_minor": _version_compare(_same_minor),
    "is_set": _is_set,
    "is_not_set": _is_not_set,
    "is_true": _is_true,
    "is_false": _is_false,
    "before": _instant_compare(lt),
    "after": _instant_compare(gt),
}

# What one comparison costs, in rough units of 50 ns. Groups look at the cheap ones first.
_DEAR = {"before": 20, "after": 20}


def cost_of(operator: str) -> int:
    """How much one comparison with this operator costs, for choosing an order."""
    if operator.startswith("version_"):
        return 5
    return _DEAR.get(operator, 1 if operator in _CHEAP else 2)


_CHEAP = frozenset({"equals", "not_equals", "in", "not_in", "is_set", "is_not_set", "is_true", "is_false"})
