"""Contexts that somebody hands in: JSON lines, a JSON array or CSV. No message repeats anything of them."""

import csv
import io
import json
import math
from collections.abc import Iterable
from typing import Any

import orjson

from flags.documents.schema import MAX_JSON_DEPTH

from .populations import MAX_SIZE, Context, PopulationProblem

MAX_BYTES = 20 * 1024 * 1024
MAX_KEYS = 1_000
_KEY_NAMES = ("targetingKey", "targeting_key", "key", "user", "userId", "user_id", "id")
_DELIMITERS = (",", ";", "\t")
_TRUTH = {"true": True, "false": False}


def read_contexts(body: bytes) -> list[Context]:
    """The contexts of an upload, whichever of the three forms it has. Raises PopulationProblem."""
    if len(body) > MAX_BYTES:
        raise PopulationProblem("contexts", f"The list is larger than {MAX_BYTES >> 20} MB. Hand in fewer contexts.")
    # A tab at the end may be a blank cell.
    body = body.removeprefix(b"\xef\xbb\xbf").lstrip().rstrip(b" \r\n")
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
    if key is None or key == "":
        raise PopulationProblem(
            "contexts",
            f"Context {number} has no targeting key, so it stands for nobody. Give every context one.",
        )
    if not isinstance(key, str):
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
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise PopulationProblem("contexts", "The list is not in UTF-8. Save it as UTF-8 and try again.") from None
    head = text.split("\n", 1)[0]
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=max(_DELIMITERS, key=head.count), strict=True)
    try:
        names = _names(next(rows))
        return [_from_row(names, row, rows.line_num) for row in rows if any(row)]
    except csv.Error:
        raise PopulationProblem(
            "contexts",
            f"Line {rows.line_num} of the CSV cannot be read: a quote is not closed, or a cell is longer than 128 kB.",
        ) from None


def _names(head: list[str]) -> list[str]:
    """The attributes of a CSV, the one that says who somebody is by its proper name."""
    names = [name.strip() for name in head]
    if len(set(names)) != len(names) or not all(names) or len(names) > MAX_KEYS:
        raise PopulationProblem("contexts", "The first line of a CSV names the attributes, each of them once.")
    written = {name.lower(): name for name in reversed(names)}
    found = next((written[name.lower()] for name in _KEY_NAMES if name.lower() in written), None)
    if "targetingKey" not in names and found is None:
        raise PopulationProblem(
            "contexts",
            "The list is no JSON, and as a CSV its first line names no column that says who somebody is. Call that "
            "column targetingKey.",
        )
    return names if "targetingKey" in names else ["targetingKey" if name == found else name for name in names]


def _from_row(names: list[str], row: list[str], line: int) -> Context:
    if len(row) != len(names):
        raise PopulationProblem(
            "contexts",
            f"Line {line} of the CSV has {len(row)} cells, its first line names {len(names)}. Quote cells that hold "
            "the separator.",
        )
    return {
        name: text if name == "targetingKey" else _value(text)
        for name, text in zip(names, row, strict=True)
        if text != ""
    }


def _value(text: str) -> Any:
    """What a cell holds. What JSON has no number for, such as -Infinity or 1e999, stays text."""
    if text.lower() in _TRUTH:
        return _TRUTH[text.lower()]
    if text[0] in "-0123456789" and len(text) < 17:
        try:
            number = json.loads(text)
        except ValueError:
            return text
        return number if math.isfinite(number) else text
    return text
