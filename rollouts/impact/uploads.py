"""Contexts that somebody hands in: JSON lines, a JSON array or CSV. No message repeats anything of them."""

import csv
import io
import json
from collections.abc import Iterable
from typing import Any

import orjson

from flags.documents.schema import MAX_JSON_DEPTH

from .populations import MAX_SIZE, Context, PopulationProblem

MAX_BYTES = 20 * 1024 * 1024
MAX_KEYS = 1_000
_KEY_NAMES = ("targetingKey", "targeting_key", "key", "user", "userId", "user_id", "id")
_TRUTH = {"true": True, "false": False}


def read_contexts(body: bytes) -> list[Context]:
    """The contexts of an upload, whichever of the three forms it has. Raises PopulationProblem."""
    if len(body) > MAX_BYTES:
        raise PopulationProblem("contexts", f"The list is larger than {MAX_BYTES >> 20} MB. Hand in fewer contexts.")
    body = body.removeprefix(b"\xef\xbb\xbf").strip()
    if not body:
        raise PopulationProblem("contexts", "The list is empty. Hand in at least one context.")
    if body[:1] == b"[":
        contexts = _from_array(body)
    elif body[:1] == b"{":
        contexts = [_parsed(line, number) for number, line in enumerate(body.splitlines(), start=1) if line.strip()]
    else:
        contexts = _from_csv(body)
    return checked_contexts(contexts)


def checked_contexts(contexts: Iterable[Any]) -> list[Context]:
    """Contexts that can be evaluated, at most `MAX_SIZE`. Raises PopulationProblem."""
    checked: list[Context] = []
    for number, context in enumerate(contexts, start=1):
        if number > MAX_SIZE:
            raise PopulationProblem("contexts", f"Hand in {MAX_SIZE:,} contexts at most.")
        checked.append(_checked(context, number))
    if not checked:
        raise PopulationProblem("contexts", "The list is empty. Hand in at least one context.")
    return checked


def _checked(context: Any, number: int) -> Context:
    if isinstance(context, dict) and context.keys() == {"context"} and isinstance(context["context"], dict):
        context = context["context"]
    if not isinstance(context, dict) or len(context) > MAX_KEYS:
        raise PopulationProblem("contexts", f"Context {number} is no JSON object with at most {MAX_KEYS:,} attributes.")
    key = context.get("targetingKey")
    if key is None:
        context.pop("targetingKey", None)
    elif not isinstance(key, str):
        raise PopulationProblem("contexts", f"The targeting key of context {number} is no text.")
    return context


def _from_array(body: bytes) -> list[Any]:
    found = _parsed(body, 1)
    if not isinstance(found, list):
        raise PopulationProblem("contexts", "The list is no JSON array.")
    return found


def _parsed(text: bytes, number: int) -> Any:
    if text.count(b"[") + text.count(b"{") > MAX_JSON_DEPTH and _depth(text) > MAX_JSON_DEPTH:
        raise PopulationProblem("contexts", f"The list is nested more than {MAX_JSON_DEPTH} levels deep.")
    try:
        return orjson.loads(text)
    except ValueError:
        raise PopulationProblem("contexts", f"Line {number} is not valid JSON in UTF-8.") from None


def _depth(text: bytes) -> int:
    """How deep the brackets go at most; those inside of texts count, which real contexts do not get deep by."""
    depth = deepest = 0
    for byte in text.translate(None, delete=bytes(set(range(256)) - set(b"[]{}"))):
        depth += 1 if byte in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _from_csv(body: bytes) -> list[Context]:
    """A head of attribute names, then a context a line. Numbers, true and false are read as such; blank is missing."""
    try:
        rows = csv.reader(io.StringIO(body.decode("utf-8"), newline=""), strict=True)
        names = [name.strip() for name in next(rows)]
        if len(set(names)) != len(names) or not all(names) or len(names) > MAX_KEYS:
            raise PopulationProblem("contexts", "The first line of a CSV names the attributes, each of them once.")
        if "targetingKey" not in names:
            found = next((name for name in _KEY_NAMES if name in names), None)
            names = ["targetingKey" if name == found else name for name in names]
        return [_from_row(names, row) for row in rows if row]
    except (csv.Error, UnicodeDecodeError):
        raise PopulationProblem("contexts", "The list is neither JSON nor a CSV in UTF-8.") from None


def _from_row(names: list[str], row: list[str]) -> Context:
    return {
        name: text if name == "targetingKey" else _value(text)
        for name, text in zip(names, row, strict=False)
        if text != ""
    }


def _value(text: str) -> Any:
    if text.lower() in _TRUTH:
        return _TRUTH[text.lower()]
    if text[0] in "-0123456789" and len(text) < 17:
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text
