"""JSONLogic conditions of a flagd definition as conditions of ours. Pure.

The forms our own export writes are read back exactly. Looser forms are read where their meaning can be kept; what then
differs at the edges is noted. Everything else is refused with the reason.
"""

from collections.abc import Callable
from typing import Any

from flags.documents.schema import is_number
from flags.evaluation.versions import parse_version

from .flagd_effort import Allowance, Unsupported, parts_of
from .logic import Logic, full_version, is_text

Condition = dict[str, Any]
MAX_LEVELS = 60

_FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_COMPARED = {"<": "less_than", "<=": "less_or_equal", ">": "greater_than", ">=": "greater_or_equal"}
_VERSIONS = {
    "=": "version_equals", "<": "version_less_than", "<=": "version_less_or_equal", ">": "version_greater_than",
    ">=": "version_greater_or_equal", "^": "version_same_major", "~": "version_same_minor",
}  # fmt: skip
_NEGATABLE = frozenset({"in", "contains", "starts_with", "ends_with"})
_TEXT, _NO_TEXT, _SET = "text", "no text", "set"


class ConditionReader:
    """Reads conditions and collects in `notes` what changed at the edges."""

    def __init__(self, allowance: Allowance) -> None:
        self._allowance = allowance
        self._notes: dict[str, None] = {}

    @property
    def notes(self) -> list[str]:
        """What a person should know, in the order it was found."""
        return list(self._notes)

    def note(self, text: str) -> None:
        """Remember once what a person should know."""
        self._notes[text] = None

    def spend(self, parts: int) -> None:
        """Count work that is done. Raises Unsupported where the flag asks for too much of it."""
        self._allowance.spend(parts)

    def read(self, logic: Logic, level: int = 0) -> Condition | bool:
        """The condition, or True or False where it is the same for everyone. Raises Unsupported.

        Parts of the answer may be shared, as those of nested `if`s are: count before walking it (`is_within`).
        """
        self.spend(1)
        if isinstance(logic, bool):
            return logic
        if logic is None:
            return False
        if level > MAX_LEVELS:
            raise Unsupported(f"Conditions are nested more than {MAX_LEVELS} levels deep.")
        operator, arguments = single(logic)
        if operator == "var":
            return self._truthy(attribute_of(logic))
        reader = self._groups.get(operator)
        if reader is not None:
            return reader(self, arguments, level)
        return self._comparison(operator, arguments, set())

    def _and(self, arguments: Any, level: int) -> Condition | bool:
        parts = arguments if isinstance(arguments, list) else [arguments]
        return self._guarded(parts) or _joined("and", [self.read(part, level + 1) for part in parts])

    def _or(self, arguments: Any, level: int) -> Condition | bool:
        parts = arguments if isinstance(arguments, list) else [arguments]
        return _joined("or", [self.read(part, level + 1) for part in parts])

    def _not(self, arguments: Any, level: int) -> Condition | bool:
        is_listed = isinstance(arguments, list)
        inner = self.read(_only(arguments, "!"), level + 1)
        if not is_listed and isinstance(inner, dict) and inner.get("operator") in _NEGATABLE:
            return {**inner, "operator": f"not_{inner['operator']}"}
        return _negated(inner)

    def _truth(self, arguments: Any, level: int) -> Condition | bool:
        return self.read(_only(arguments, "!!"), level + 1)

    def _if(self, arguments: Any, level: int) -> Condition | bool:
        parts = arguments if isinstance(arguments, list) else [arguments]
        if len(parts) < 2:
            return self.read(parts[0], level + 1) if parts else False
        chosen, otherwise = self.read(parts[0], level + 1), self._if(parts[2:], level + 1)
        met = _joined("and", [chosen, self.read(parts[1], level + 1)])
        return _joined("or", [met, _joined("and", [_negated(chosen), otherwise])])

    _groups: dict[str, Callable[["ConditionReader", Any, int], Condition | bool]] = {
        "and": _and, "or": _or, "!": _not, "!!": _truth, "if": _if, "?:": _if,
    }  # fmt: skip

    def _guarded(self, parts: list[Logic]) -> Condition | bool | None:
        """One comparison with the guards around it that make it mean the same in every engine; None for a group."""
        self.spend(len(parts))
        if len(parts) < 2 or not isinstance(parts[-1], dict) or len(parts[-1]) != 1:
            return None
        operator, arguments = single(parts[-1])
        name = next((item for item in map(variable_name, _listed(arguments)) if item), None)
        if operator in self._groups or name is None:
            return None
        known = _implied_guards(operator, _listed(arguments), {"var": name})
        found = [next((kind for kind, form in known if form == part), None) for part in parts[:-1]]
        if None in found:
            return None
        return self._comparison(operator, arguments, {kind for kind in found if kind})

    def _truthy(self, attribute: str) -> Condition:
        self.note(f"“{attribute}” alone was read as: set, and neither false, 0 nor an empty text.")
        empty = [("is_not_set", None), ("is_false", None), ("equals", ""), ("equals", 0)]
        return {"not": {"or": [_compared(attribute, operator, value) for operator, value in empty]}}

    def _comparison(self, operator: str, arguments: Any, guards: set[str]) -> Condition | bool:
        self.spend(parts_of(arguments))
        reader = self._operators.get(operator)
        if reader is None:
            raise Unsupported(f"The operator “{shown(operator)}” has no counterpart in a condition here.")
        return reader(self, operator, _listed(arguments), guards)

    def _in(self, operator: str, arguments: list[Any], guards: set[str]) -> Condition | bool:
        needle, haystack = _two(arguments, operator)
        if isinstance(haystack, list):
            return _membership(attribute_of(needle), haystack)
        if not isinstance(needle, str):
            raise Unsupported("“in” is read for an attribute in a list, and for a text in an attribute, only.")
        attribute = attribute_of(haystack)
        if _TEXT not in guards:
            self.note(f"“{attribute}” is searched as a text only; a list there would have matched an equal element.")
        return _compared(attribute, "contains", needle)

    def _equal(self, operator: str, arguments: list[Any], guards: set[str]) -> Condition | bool:
        left, right = _two(arguments, operator)
        is_first = variable_name(left) is not None
        attribute, value = (attribute_of(left), right) if is_first else (attribute_of(right), left)
        if isinstance(value, dict | list):
            raise Unsupported(f"“{attribute}” is compared with a computed value. Compare it with a text or a number.")
        if len(operator) == 2 and value is not None:
            self.note(f"“{attribute}” is compared strictly: the number 1 and the text “1” differ here.")
        condition = _equality(attribute, value, is_first=is_first)
        if not operator.startswith("!"):
            return condition
        opposite = {"equals": "not_equals", "is_not_set": "is_set"}.get(condition["operator"])
        return {**condition, "operator": opposite} if opposite else {"not": condition}

    def _compare(self, operator: str, arguments: list[Any], guards: set[str]) -> Condition | bool:
        if len(arguments) == 3:
            first, middle, last = arguments
            both = [self._compare(operator, pair, guards) for pair in ([first, middle], [middle, last])]
            return _joined("and", both)
        left, right = _two(arguments, operator)
        if variable_name(left) is None:
            left, right, operator = right, left, _FLIPPED[operator]
        attribute = attribute_of(left)
        if not is_number(right):
            raise Unsupported(f"“{attribute}” is compared with something that is no number.")
        if _NO_TEXT not in guards:
            self.note(f"“{attribute}” is compared as a number only; a text that looks like a number is not.")
        condition = _compared(attribute, _COMPARED[operator], right)
        if _SET in guards or not _holds_for_zero(operator, right):
            return condition
        self.note(f"In flagd a missing “{attribute}” counts as 0; a condition of its own keeps that.")
        return {"or": [_compared(attribute, "is_not_set"), condition]}

    def _affix(self, operator: str, arguments: list[Any], guards: set[str]) -> Condition | bool:
        left, right = _two(arguments, operator)
        if not isinstance(right, str):
            raise Unsupported(f"“{operator}” is read for an attribute and a text only.")
        attribute = attribute_of(left)
        if right == "":
            raise Unsupported(f"Whether “{attribute}” is a text at all cannot be asked here.")
        return _compared(attribute, operator, right)

    def _version(self, operator: str, arguments: list[Any], guards: set[str]) -> Condition | bool:
        if len(arguments) != 3:
            raise Unsupported("“sem_ver” takes an attribute, an operator and a version.")
        left, relation, right = arguments
        if variable_name(left) is None:
            left, right, relation = right, left, _FLIPPED.get(str(relation), relation)
        attribute = attribute_of(left)
        if not isinstance(right, str) or parse_version(right) is None:
            raise Unsupported(f"“{attribute}” is compared with “{shown(right)}”, which is no version such as 2.4.0.")
        version = full_version(right)
        if _TEXT not in guards:
            self.note(f"“{attribute}” is read as a version only where it is a text; a number is none here.")
        if relation == "!=":
            either = ("version_less_than", "version_greater_than")
            return {"or": [_compared(attribute, name, version) for name in either]}
        if not isinstance(relation, str) or relation not in _VERSIONS:
            raise Unsupported(f"“sem_ver” has no operator “{shown(relation)}”.")
        return _compared(attribute, _VERSIONS[relation], version)

    _operators: dict[str, Callable[["ConditionReader", str, list[Any], set[str]], Condition | bool]] = {
        "in": _in,
        **dict.fromkeys(("==", "===", "!=", "!=="), _equal),
        **dict.fromkeys(_COMPARED, _compare),
        "starts_with": _affix,
        "ends_with": _affix,
        "sem_ver": _version,
    }


def is_within(condition: Condition | None, limit: int) -> bool:
    """Whether a condition that was read has at most so many comparisons. Looks no further than that."""
    count, pending = 0, [condition]
    while pending and count <= limit:
        item = pending.pop() or {}
        parts = item.get("and") or item.get("or") or ([item["not"]] if "not" in item else [])
        count += not parts
        pending.extend(parts)
    return count <= limit


def single(logic: Logic) -> tuple[str, Any]:
    """The operator of a rule and its arguments. Raises Unsupported for what is no rule."""
    if not isinstance(logic, dict) or len(logic) != 1:
        raise Unsupported(f"“{shown(logic)}” is no rule: a rule is an object with one operator.")
    return next(iter(logic.items()))


def variable_name(logic: Logic) -> str | None:
    """The name a `var` reads, None for anything else."""
    if not isinstance(logic, dict) or len(logic) != 1 or "var" not in logic:
        return None
    name = logic["var"]
    if isinstance(name, list):
        name = name[0] if len(name) == 1 or (len(name) == 2 and name[1] is None) else None
    return name if isinstance(name, str) and name else None


def attribute_of(logic: Logic) -> str:
    """The attribute a `var` reads. Raises Unsupported for computed values and paths into objects."""
    name = variable_name(logic)
    if name is None:
        raise Unsupported(f"“{shown(logic)}” is compared; only an attribute can be.")
    if name.startswith("$flagd"):
        raise Unsupported(f"“{name}” can be read at the beginning of a rule (its time window) only.")
    if "." in name:
        raise Unsupported(f"“{name}” reads a field inside an object. Send it as an attribute of its own.")
    return name


def shown(value: Any) -> str:
    """A value in a sentence: short, whatever it is."""
    text = value if isinstance(value, str) else repr(value)
    text = text.encode("utf-8", "replace").decode("utf-8")
    return text if len(text) <= 60 else text[:59] + "…"


def _implied_guards(operator: str, arguments: list[Any], variable: Logic) -> list[tuple[str, Logic]]:
    """The guards that our own comparison implies, so that they need no condition of their own."""
    listed = arguments[1] if operator == "in" and len(arguments) == 2 and isinstance(arguments[1], list) else None
    if operator in {"sem_ver", "starts_with", "ends_with"} or (operator == "in" and listed is None):
        kind = _TEXT
    elif operator in _COMPARED or (listed and all(map(is_number, listed))):
        kind = _NO_TEXT
    elif listed and all(isinstance(item, str) for item in listed):
        kind = _TEXT
    else:
        return []
    guard = is_text(variable) if kind is _TEXT else {"!": is_text(variable)}
    return [(kind, guard), (_SET, {"!==": [variable, None]})]


def _compared(attribute: str, operator: str, value: Any = None) -> Condition:
    return {"attribute": attribute, "operator": operator, "value": value}


def _equality(attribute: str, value: Any, *, is_first: bool) -> Condition:
    if value is None:
        return _compared(attribute, "is_not_set")
    if isinstance(value, bool) and not is_first:
        return _compared(attribute, "is_true" if value else "is_false")
    if is_number(value) and not is_first:
        return _compared(attribute, "number_equals", value)
    return _compared(attribute, "equals", value)


def _membership(attribute: str, values: list[Any]) -> Condition | bool:
    """One `in`, and a comparison for each value that a list here cannot hold."""
    if any(isinstance(item, dict | list) for item in values):
        raise Unsupported(f"The list for “{attribute}” holds lists or objects.")
    plain = [item for item in values if isinstance(item, str) or is_number(item)]
    others = [item for item in values if item is None or isinstance(item, bool)]
    parts: list[Condition | bool] = [_compared(attribute, "in", plain)] if plain else []
    parts += [_equality(attribute, item, is_first=True) for item in others]
    return parts[0] if len(parts) == 1 else _joined("or", parts)


def _holds_for_zero(operator: str, number: float) -> bool:
    return {"<": number > 0, "<=": number >= 0, ">": number < 0, ">=": number <= 0}[operator]


def _joined(group: str, parts: list[Condition | bool]) -> Condition | bool:
    """The group without what is the same for everyone."""
    decides = group == "or"
    if any(part is decides for part in parts):
        return decides
    kept = [part for part in parts if not isinstance(part, bool)]
    if not kept:
        return not decides
    return kept[0] if len(kept) == 1 < len(parts) else {group: kept}


def _negated(condition: Condition | bool) -> Condition | bool:
    return not condition if isinstance(condition, bool) else {"not": condition}


def _listed(arguments: Any) -> list[Any]:
    return arguments if isinstance(arguments, list) else [arguments]


def _two(arguments: list[Any], operator: str) -> tuple[Any, Any]:
    if len(arguments) != 2:
        raise Unsupported(f"“{operator}” takes two values here; there are {len(arguments)}.")
    return arguments[0], arguments[1]


def _only(arguments: Any, operator: str) -> Any:
    items = _listed(arguments)
    if len(items) != 1:
        raise Unsupported(f"“{operator}” takes one value here; there are {len(items)}.")
    return items[0]
