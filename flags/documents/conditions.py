"""Validation of conditions."""

from collections.abc import Callable, Collection
from typing import Any

from flags.evaluation.conditions import OPERATORS
from flags.evaluation.instants import parse_instant
from flags.evaluation.versions import parse_version

from .schema import (
    MAX_CONDITIONS,
    MAX_DEPTH,
    MAX_LIST_VALUES,
    Problem,
    attribute_problem,
    field_problems,
    is_number,
    join,
)

_KINDS = ("and", "or", "not", "segment", "attribute")


def condition_problems(condition: object, path: str, *, segment_keys: Collection[str]) -> list[Problem]:
    """What is wrong with one condition. `segment_keys` are the segments it may name."""
    if condition is None:
        return []
    count = _count(condition)
    if count > MAX_CONDITIONS:
        return [Problem(path, f"Use at most {MAX_CONDITIONS} comparisons in one rule; there are {count}.")]
    return _problems(condition, path, segment_keys=segment_keys, depth=1)


def _count(condition: object) -> int:
    """Comparisons in a condition. Iterative, since nothing bounds the depth yet."""
    count, pending = 0, [condition]
    while pending:
        item = pending.pop()
        parts = [item.get("and"), item.get("or"), item.get("not")] if isinstance(item, dict) else []
        groups = [part for part in parts if part is not None]
        if not groups:
            count += 1
        for group in groups:
            pending.extend(group if isinstance(group, list) else [group])
    return count


def _problems(condition: object, path: str, *, segment_keys: Collection[str], depth: int) -> list[Problem]:
    if depth > MAX_DEPTH:
        return [Problem(path, f"Conditions are nested more than {MAX_DEPTH} levels deep here. Flatten the groups.")]
    if not isinstance(condition, dict):
        return [Problem(path, "A condition must be an object. Only a whole rule can be for everyone (null).")]
    kinds = [kind for kind in _KINDS if kind in condition]
    if len(kinds) != 1:
        return [Problem(path, "A condition must hold exactly one of: and, or, not, segment, attribute.")]
    kind = kinds[0]
    if kind == "attribute":
        return _comparison_problems(condition, path)
    unknown = field_problems(condition, path, required=(kind,), optional=())
    if kind == "segment":
        return unknown + _segment_problems(condition["segment"], join(path, "segment"), segment_keys)
    if kind == "not":
        inner = _problems(condition["not"], join(path, "not"), segment_keys=segment_keys, depth=depth + 1)
        return unknown + inner
    return unknown + _group_problems(condition[kind], join(path, kind), segment_keys=segment_keys, depth=depth)


def _group_problems(parts: object, path: str, *, segment_keys: Collection[str], depth: int) -> list[Problem]:
    if not isinstance(parts, list) or not parts:
        return [Problem(path, "A group must be a list with at least one condition.")]
    problems: list[Problem] = []
    for index, part in enumerate(parts):
        problems += _problems(part, f"{path}[{index}]", segment_keys=segment_keys, depth=depth + 1)
    return problems


def _segment_problems(key: object, path: str, segment_keys: Collection[str]) -> list[Problem]:
    if not isinstance(key, str) or key not in segment_keys:
        shown = f"“{key}”" if isinstance(key, str) else "this"
        message = f"There is no segment {shown} in this environment. Choose an existing one or create it first."
        return [Problem(path, message)]
    return []


def _comparison_problems(condition: dict[str, Any], path: str) -> list[Problem]:
    problems = field_problems(condition, path, required=("attribute", "operator"), optional=("value",))
    attribute, operator = condition["attribute"], condition.get("operator")
    message = attribute_problem(attribute)
    if message:
        problems.append(Problem(join(path, "attribute"), message))
    if "operator" not in condition:
        return problems
    if not isinstance(operator, str) or operator not in OPERATORS:
        return [*problems, Problem(join(path, "operator"), f"Choose one of the operators: {', '.join(OPERATORS)}.")]
    message = _CHECKS[operator](condition.get("value"))
    return [*problems, Problem(join(path, "value"), message)] if message else problems


def _scalar(value: object) -> str:
    fits = isinstance(value, str | bool) or is_number(value)
    return "" if fits else "Compare with text, a number, true or false."


def _list(value: object) -> str:
    if not isinstance(value, list) or not value:
        return "Give a list with at least one value."
    if len(value) > MAX_LIST_VALUES:
        return (
            f"Use at most {MAX_LIST_VALUES} values; there are {len(value)}. Larger audiences belong into an attribute."
        )
    fits = all(isinstance(item, str) or is_number(item) for item in value)
    return "" if fits else "A list may hold texts and numbers only."


def _text(value: object) -> str:
    return "" if isinstance(value, str) and value else "Give the text to look for; it cannot be empty."


def _number(value: object) -> str:
    return "" if is_number(value) else "Compare with a number."


def _version(value: object) -> str:
    return "" if parse_version(value) is not None else "Compare with a version such as 2.4.0."


def _nothing(value: object) -> str:
    return "" if value is None else "This operator needs no value. Leave it empty (null)."


def _instant(value: object) -> str:
    fits = parse_instant(value) is not None
    return "" if fits else "Compare with a date and time that names its zone, such as 2026-11-21T08:00:00Z."


def _checks() -> dict[str, Callable[[object], str]]:
    exact: dict[str, Callable[[object], str]] = {
        "equals": _scalar, "not_equals": _scalar, "in": _list, "not_in": _list, "number_equals": _number,
        "before": _instant, "after": _instant,
    }  # fmt: skip
    families: list[tuple[tuple[str, ...], Callable[[object], str]]] = [
        (("version_",), _version),
        (("is_",), _nothing),
        (("less_", "greater_"), _number),
        (("",), _text),
    ]
    return {
        operator: exact.get(operator) or next(check for starts, check in families if operator.startswith(starts))
        for operator in OPERATORS
    }


_CHECKS = _checks()
