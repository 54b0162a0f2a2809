"""An evaluation context as people type it: attribute by attribute, or as JSON. Messages never repeat what was typed."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.http import QueryDict

from flags.api.contexts import UnusableBody, read_context

TYPES = {"text": "Text", "number": "Number", "boolean": "True or false", "json": "JSON"}
_TRUTH = {"true": True, "false": False, "yes": True, "no": False, "1": True, "0": False}
_MAX_ROWS = 200
_NUMBER = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]+)?(?:[eE][+-]?[0-9]+)?")


@dataclass(frozen=True, slots=True)
class AttributeLine:
    """One attribute as typed. `is_declared`: the project says that services send it."""

    name: str = ""
    kind: str = "text"
    value: str = ""
    description: str = ""
    is_declared: bool = False


@dataclass(slots=True)
class ContextDraft:
    """A context on its way: what was typed, what it comes to, and what is wrong with it."""

    is_json: bool = False
    targeting_key: str = ""
    lines: Sequence[AttributeLine] = ()
    text: str = ""
    context: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def read_context_draft(posted: QueryDict, declared: Sequence[AttributeLine]) -> ContextDraft:
    """The context in a form. Reading it never raises; what cannot be used becomes a problem."""
    draft = ContextDraft(
        is_json=posted.get("context_as") == "json",
        targeting_key=posted.get("targeting_key", ""),
        lines=_lines(posted, declared),
        text=posted.get("context_json", ""),
    )
    if draft.is_json:
        _read_text(draft)
    else:
        _read_lines(draft)
    return draft


def _lines(posted: QueryDict, declared: Sequence[AttributeLine]) -> list[AttributeLine]:
    known = {line.name: line for line in declared}
    typed = zip(
        posted.getlist("attribute_name"),
        posted.getlist("attribute_type"),
        posted.getlist("attribute_value"),
        strict=False,
    )
    lines = []
    for name, kind, value in list(typed)[:_MAX_ROWS]:
        name = name.strip()
        description = known[name].description if name in known else ""
        kind = kind if kind in TYPES else "text"
        if name or value:
            lines.append(AttributeLine(name, kind, value, description, is_declared=name in known))
    return lines


def _read_lines(draft: ContextDraft) -> None:
    context: dict[str, Any] = {}
    if draft.targeting_key:
        context["targetingKey"] = draft.targeting_key
    for number, line in enumerate(draft.lines, start=1):
        if not line.value.strip():
            continue
        if not line.name:
            draft.problems.append(f"Attribute {number} has a value but no name. Name it, or remove the value.")
            continue
        try:
            context[line.name] = _value(line)
        except ValueError as error:
            draft.problems.append(f"Attribute {number}: {error}")
    if not draft.problems:
        _take(draft, json.dumps({"context": context}))


def _value(line: AttributeLine) -> Any:
    text = line.value.strip()
    if line.kind == "number":
        if not _NUMBER.fullmatch(text):
            raise ValueError("this is not a number. Write one like 42 or 3.5, or choose another type.")
        number = float(text.replace(",", "."))
        return int(text) if re.fullmatch(r"[+-]?[0-9]{1,15}", text) else number
    if line.kind == "boolean":
        if text.lower() not in _TRUTH:
            raise ValueError("write true or false, or choose another type.")
        return _TRUTH[text.lower()]
    if line.kind == "json":
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            raise ValueError("this is not valid JSON. Write a value such as [1, 2], or choose another type.") from None
    return line.value


def _read_text(draft: ContextDraft) -> None:
    """JSON as pasted: the context itself, or a whole request body with the context in it."""
    text = draft.text.strip() or "{}"
    try:
        # The reader of the API looks at depth and size before anything parses the text.
        context = read_context(b'{"context":' + text.encode("utf-8", "replace") + b"}")
        json.loads(text)
    except (UnusableBody, ValueError, RecursionError) as error:
        words = error.message if isinstance(error, UnusableBody) else "This is not valid JSON. Paste one JSON object."
        draft.problems.append(words)
        return
    inner = context.get("context")
    if context.keys() == {"context"} and isinstance(inner, dict):
        _take(draft, text)
    else:
        draft.context = context


def _take(draft: ContextDraft, body: str) -> None:
    try:
        draft.context = read_context(body.encode("utf-8", "replace"))
    except UnusableBody as error:
        draft.problems.append(error.message)
