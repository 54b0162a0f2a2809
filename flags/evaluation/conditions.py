"""Compile one condition of a document to a closure.

Comparisons are built by `operators`; here they are put together. What always or never holds is folded away, and a
group looks at its cheap parts first: on the values JSON has, conditions have no effects and never fail.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from .operators import OPERATORS, Builder, Condition, Context, cost_of, negated

__all__ = ["OPERATORS", "Builder", "Condition", "Context", "Weighed", "always", "compile_condition", "never"]

# Documents may nest 8 levels deep; what is deeper than this came around the validation and is not run.
_MAX_DEPTH = 64


class Guard(NamedTuple):
    """A condition taken apart: this attribute equals this text, and the rest holds."""

    attribute: str
    text: str
    rest: Condition


class Weighed(NamedTuple):
    """A compiled condition, what it costs at most, and its guard if it begins with one.

    Most rules ask for a certain text first. Whoever runs many conditions can look at that without a call.
    """

    holds: Condition
    cost: int = 1
    guard: Guard | None = None


def always(context: Context) -> bool:
    """The condition that everyone meets."""
    return True


def never(context: Context) -> bool:
    """The condition that no one meets."""
    return False


def compile_condition(
    condition: Mapping[str, Any] | None, *, segment: Callable[[str], Condition | Weighed]
) -> Condition:
    """Return the closure of a condition; None is everyone. `segment` returns the compiled condition of a segment key.

    Raises KeyError, TypeError, ValueError or AttributeError for a condition that validation would refuse.
    """
    return weigh_condition(condition, segment=segment).holds


def weigh_condition(
    condition: Mapping[str, Any] | None, *, segment: Callable[[str], Condition | Weighed], depth: int = 0
) -> Weighed:
    """`compile_condition` with what evaluating it costs at most."""
    if condition is None:
        return Weighed(always, 0)
    if depth > _MAX_DEPTH:
        raise ValueError(f"Conditions are nested more than {_MAX_DEPTH} levels deep.")
    for kind, grouped in _GROUPS.items():
        if kind in condition:
            return grouped([weigh_condition(part, segment=segment, depth=depth + 1) for part in condition[kind]])
    if "not" in condition:
        return _negated(weigh_condition(condition["not"], segment=segment, depth=depth + 1))
    if "segment" in condition:
        found = segment(condition["segment"])
        return found if isinstance(found, Weighed) else Weighed(found)
    return _comparison(condition)


def _comparison(condition: Mapping[str, Any]) -> Weighed:
    attribute, operator, value = condition["attribute"], condition["operator"], condition.get("value")
    holds = OPERATORS[operator](attribute, value)
    guard = Guard(attribute, value, always) if operator == "equals" and isinstance(value, str) else None
    return Weighed(holds, cost_of(operator), guard)


def _negated(part: Weighed) -> Weighed:
    if part.holds is always:
        return Weighed(never, 0)
    if part.holds is never:
        return Weighed(always, 0)
    return Weighed(negated(part.holds), part.cost)


def _all_of(parts: list[Weighed]) -> Weighed:
    if any(part.holds is never for part in parts):
        return Weighed(never, 0)
    asked = sorted((part for part in parts if part.holds is not always), key=_by_cost)
    if len(asked) < 2:
        return asked[0] if asked else Weighed(always, 0)
    first, *others = asked
    rest = _every(tuple(part.holds for part in others))
    cost = sum(part.cost for part in asked)
    if first.guard is not None and first.guard.rest is always:
        guard = first.guard._replace(rest=rest)
        return Weighed(_guarded(guard), cost, guard)
    return Weighed(_every(tuple(part.holds for part in asked)), cost)


def _any_of(parts: list[Weighed]) -> Weighed:
    if any(part.holds is always for part in parts):
        return Weighed(always, 0)
    asked = sorted((part for part in parts if part.holds is not never), key=_by_cost)
    if len(asked) < 2:
        return asked[0] if asked else Weighed(never, 0)
    return Weighed(_some(tuple(part.holds for part in asked)), sum(part.cost for part in asked))


_GROUPS: dict[str, Callable[[list[Weighed]], Weighed]] = {"and": _all_of, "or": _any_of}


def _by_cost(part: Weighed) -> tuple[int, bool]:
    """Of equally cheap parts, a comparison with a text comes first: it needs no call of its own."""
    return part.cost, part.guard is None


def _guarded(guard: Guard) -> Condition:
    attribute, text, rest = guard
    # Nothing but text equals text, so the type needs no look.
    return lambda context: context.get(attribute) == text and rest(context)


def _every(parts: tuple[Condition, ...]) -> Condition:
    if len(parts) == 1:
        return parts[0]
    if len(parts) == 2:
        first, second = parts
        return lambda context: first(context) and second(context)

    def every(context: Context) -> bool:
        for part in parts:  # noqa: SIM110 - a loop is twice as fast as all() with a generator
            if not part(context):
                return False
        return True

    return every


def _some(parts: tuple[Condition, ...]) -> Condition:
    if len(parts) == 2:
        first, second = parts
        return lambda context: first(context) or second(context)

    def some(context: Context) -> bool:
        for part in parts:  # noqa: SIM110 - a loop is twice as fast as any() with a generator
            if part(context):
                return True
        return False

    return some
