"""What the editors post: JSON typed or built by a person. Reading it never raises; what is wrong becomes a problem."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flags.documents import Problem

MAX_VERSION = 2**31 - 1


@dataclass(slots=True)
class Draft:
    """A document on its way: the text as typed, what it was based on, and what is wrong with it so far."""

    text: str
    base_version: int
    document: Any = None
    is_json: bool = True
    reason: str = ""
    error: str = ""
    problems: list[Problem] = field(default_factory=list)


def read_draft(fields: Mapping[str, str]) -> Draft:
    """The draft in a form: `document`, `base_version`, `reason`."""
    base_version = version_number(fields.get("base_version", ""))
    draft = Draft(fields.get("document", ""), base_version, reason=fields.get("reason", ""))
    try:
        draft.document = parse_document(draft.text)
    except ValueError as error:
        draft.is_json = False
        draft.problems.append(Problem("", f"This is not valid JSON: {error}."))
    return draft


def parse_document(text: str) -> Any:
    """The JSON value of a text. Raises ValueError, also for what other readers would understand differently."""
    try:
        return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_unique)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of two fields with one name every reader keeps another one, so there may be only one."""
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"the field {twice!r} is there twice")
    return found


def version_number(text: str) -> int:
    """A version number as typed; anything else becomes -1, which no version is."""
    is_number = text.isascii() and text.isdigit() and len(text) <= len(str(MAX_VERSION))
    return int(text) if is_number and int(text) <= MAX_VERSION else -1
