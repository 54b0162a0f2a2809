"""Which flag a prerequisite of a definition asks: its parent's targeting stands written out in the child's. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .flagd_effort import Unsupported
from .logic import Logic

_CONSTANT = (str, type(None))


@dataclass(slots=True)
class ParentFinder:
    """Finds flags by their targeting. Built once for a definition, from its flags as they stand there."""

    _keys: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, flags: Mapping[str, Any]) -> "ParentFinder":
        """The finder for all flags that have targeting."""
        finder = cls()
        for key, flag in flags.items():
            targeting = flag.get("targeting") if isinstance(flag, dict) else None
            if isinstance(targeting, dict) and targeting and flag.get("state") == "ENABLED":
                default = flag.get("defaultVariant")
                finder._keys.setdefault(_text(_total(targeting, default)), []).append(key)
        return finder

    @staticmethod
    def is_asked(logic: Logic) -> bool:
        """Whether a condition has the form of “that flag serves one of these variants”."""
        if not isinstance(logic, dict) or len(logic) != 1:
            return False
        operator, arguments = next(iter(logic.items()))
        if operator not in {"===", "in"} or not isinstance(arguments, list) or len(arguments) != 2:
            return False
        parent, wanted = arguments
        is_chain = isinstance(parent, dict) and set(parent) == {"if"}
        names = wanted if operator == "in" else [wanted]
        is_named = isinstance(names, list) and all(isinstance(name, str) for name in names)
        return is_named and (is_chain or isinstance(parent, _CONSTANT))

    def find(self, logic: Logic) -> tuple[str, list[str]] | bool:
        """The flag and the variants that are asked for; True or False where the answer never changes.

        Raises Unsupported where no flag of the definition is meant.
        """
        operator, (parent, wanted) = next(iter(logic.items()))
        names = wanted if operator == "in" else [wanted]
        if isinstance(parent, _CONSTANT):
            return parent in names
        keys = self._keys.get(_text(parent), [])
        if not keys:
            raise Unsupported("A condition asks what another rule would serve, and no flag of this definition has it.")
        return keys[0], list(names)


def _text(logic: Logic) -> str:
    return json.dumps(logic, sort_keys=True)


def _total(logic: Logic, default: Any) -> Logic:
    """The targeting with the default variant written where null stood for it."""
    if logic is None:
        return default
    if not isinstance(logic, dict) or set(logic) != {"if"} or not isinstance(logic["if"], list):
        return logic
    branches = logic["if"]
    last = len(branches) - 1
    is_result = [index % 2 == 1 or index == last for index in range(len(branches))]
    written = [_total(part, default) if outcome else part for part, outcome in zip(branches, is_result, strict=True)]
    return {"if": written}
