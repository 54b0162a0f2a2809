"""The JSON of a flagd definition, read with suspicion: size, depth and doubled fields are looked at first. Pure."""

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from flags.documents.schema import Problem

from .flagd_effort import Allowance, parts_of

MAX_BYTES = 1024 * 1024
MAX_FLAGS = 2_000
MAX_DEPTH = 400


class _Doubled(ValueError):
    """A field stands twice in one object."""


def read_json(data: bytes | str, *, limit: int = MAX_BYTES) -> tuple[Any, list[Problem]]:
    """The value a text holds, or what is wrong with the text. Never raises."""
    size = len(data)
    if size > limit:
        return None, [Problem("", f"The definition has {size:,} bytes; at most {limit:,} are read. Split it up.")]
    try:
        text = data.decode("utf-8-sig") if isinstance(data, bytes) else data
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_refuse_constant)
    except UnicodeDecodeError:
        return None, [Problem("", "The definition is no text in UTF-8. Save it as UTF-8 and try again.")]
    except _Doubled as error:
        message = f"The field {error} stands twice in one object, and readers keep one of them silently. Remove one."
        return None, [Problem("", message)]
    except RecursionError:
        return None, [_too_deep()]
    except json.JSONDecodeError as error:
        message = f"The definition is no JSON: line {error.lineno}, column {error.colno}. YAML is not read; convert it."
        return None, [Problem("", message)]
    except ValueError:
        return None, [Problem("", "The definition holds a number that JSON or this reader does not know.")]
    return value, depth_problems(value)


def read_flags(document: Any) -> tuple[dict[str, Any], list[Problem]]:
    """The flags of a definition by key, whichever of the two forms it has, and what is wrong with it as a whole."""
    if not isinstance(document, Mapping):
        return {}, [Problem("", "A definition is a JSON object with the field “flags”.")]
    flags = document.get("flags")
    if isinstance(flags, list):
        flags, problems = _from_list(flags)
    elif isinstance(flags, Mapping):
        flags, problems = {str(key): flag for key, flag in flags.items()}, []
    else:
        return {}, [Problem("flags", "Give the flags as an object by flag key, or as a list of flags with keys.")]
    if len(flags) > MAX_FLAGS:
        problems.append(Problem("flags", f"At most {MAX_FLAGS:,} flags are read at once; there are {len(flags):,}."))
    if not isinstance(document.get("$evaluators", {}), Mapping):
        problems.append(Problem("$evaluators", "Give the shared evaluators as an object by name."))
    return flags, problems


class Evaluators:
    """The shared evaluators of a definition. As in flagd, one cannot refer to another one."""

    def __init__(self, evaluators: Mapping[str, Any]) -> None:
        self._evaluators = evaluators
        self._parts: dict[str, int] = {}

    def write_out(self, logic: Any, allowance: Allowance) -> tuple[Any, list[str]]:
        """Targeting with each `{"$ref": name}` replaced, and the names that were. A missing one stays where it is.

        Every use counts as if it stood there. Raises Unsupported where this exceeds the allowance.
        """
        used: dict[str, None] = {}

        def replaced(item: Any) -> Any:
            if isinstance(item, dict):
                name = item.get("$ref") if len(item) == 1 else None
                if isinstance(name, str) and name in self._evaluators:
                    used[name] = None
                    allowance.spend(self._size(name))
                    return self._evaluators[name]
                return {key: replaced(part) for key, part in item.items()}
            return [replaced(part) for part in item] if isinstance(item, list) else item

        return replaced(logic), list(used)

    def _size(self, name: str) -> int:
        if name not in self._parts:
            self._parts[name] = parts_of(self._evaluators[name])
        return self._parts[name]


def depth_problems(value: Any) -> list[Problem]:
    """Whether a value is nested too deep to be walked through. Iterative."""
    pending = [(value, 1)]
    while pending:
        item, depth = pending.pop()
        if depth > MAX_DEPTH:
            return [_too_deep()]
        if isinstance(item, Mapping):
            pending.extend((part, depth + 1) for part in item.values())
        elif isinstance(item, list):
            pending.extend((part, depth + 1) for part in item)
    return []


def _too_deep() -> Problem:
    return Problem("", f"The definition is nested more than {MAX_DEPTH} levels deep. Flatten its rules.")


def _from_list(items: list[Any]) -> tuple[dict[str, Any], list[Problem]]:
    flags: dict[str, Any] = {}
    problems: list[Problem] = []
    for index, item in enumerate(items):
        key = item.get("key") if isinstance(item, Mapping) else None
        if not isinstance(key, str):
            problems.append(Problem(f"flags[{index}]", "A flag in a list is an object with its key in “key”."))
        elif key in flags:
            problems.append(Problem(f"flags[{index}].key", f"The flag “{key[:100]}” is in the list twice. Remove one."))
        else:
            flags[key] = {name: part for name, part in item.items() if name != "key"}
    return flags, problems


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        doubled = next(name for name, times in Counter(name for name, _ in pairs).items() if times > 1)
        raise _Doubled(f"“{doubled.encode('utf-8', 'replace').decode()[:60]}”")
    return found


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)
