"""Words, limits and small checks shared by everything that reads a document."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite
from typing import Any, Final

Document = dict[str, Any]

SCHEMA_VERSION: Final = 1
VALUE_TYPES: Final = ("boolean", "string", "integer", "float", "object")
TOTAL_WEIGHT: Final = 100_000
MAX_NUMBER: Final = 2**53 - 1
MAX_RULES: Final = 100
MAX_CONDITIONS: Final = 50
MAX_DEPTH: Final = 8
MAX_LIST_VALUES: Final = 10_000
MAX_VARIANTS: Final = 50
MAX_NAME_CHARACTERS: Final = 100
MAX_DESCRIPTION_CHARACTERS: Final = 2_000
# Individual targets have a size of their own, so that ten thousand UUIDs fit beside a document of any size.
MAX_DOCUMENT_BYTES: Final = 256 * 1024
MAX_TARGET_BYTES: Final = 512 * 1024
MAX_TARGET_KEYS: Final = 10_000
MAX_KEY_CHARACTERS: Final = 1_024
MAX_PREREQUISITES: Final = 20
MAX_SEGMENT_DEPTH: Final = 8
TARGETING_KEY: Final = "targetingKey"
MAX_JSON_DEPTH: Final = 32

# Characters that reorder or hide the text around them; a name with one can pass for another name in a review.
REORDERING = frozenset(
    "\u061c\u200b\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"
)
# What would end a quotation, or pass for its end; and names that need no quotation marks to be told from a sentence.
_QUOTES = frozenset("“”„‟❝❞〝〞＂\\")
_PLAIN_NAME = re.compile(r"[\w$:/-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: where (`rules[0].serve.split`) and, in a sentence, what to do about it."""

    path: str
    message: str


def join(path: str, name: str) -> str:
    """The path of a field inside a path; the document itself is the empty path."""
    return f"{path}.{name}" if path else name


def is_integer(value: object) -> bool:
    """Whether a JSON value is a whole number; a boolean is none."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: object) -> bool:
    """Whether a JSON value is a number; a boolean is none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def json_problems(value: object, path: str = "") -> list[Problem]:
    """What the stores and clients of a document cannot carry, at any depth. Stops at ten problems."""
    problems: list[Problem] = []
    pending: list[tuple[object, str, int]] = [(value, path, 0)]
    while pending and len(problems) < 10:
        item, where, depth = pending.pop()
        if depth > MAX_JSON_DEPTH:
            problems.append(Problem(where, f"This is nested more than {MAX_JSON_DEPTH} levels deep. Flatten it."))
        elif isinstance(item, dict):
            problems.extend(_key_problems(item, where))
            pending.extend((child, join(where, _legible(key)), depth + 1) for key, child in reversed(item.items()))
        elif isinstance(item, list):
            pending.extend((item[i], f"{where}[{i}]", depth + 1) for i in reversed(range(len(item))))
        else:
            message = _scalar_problem(item)
            if message:
                problems.append(Problem(where, message))
    return problems


def _legible(key: object) -> str:
    """A field name that a path can show, since paths are sent to clients."""
    return str(key).encode("utf-8", "replace").decode("utf-8")


def _key_problems(item: dict[Any, Any], where: str) -> Iterator[Problem]:
    for key in item:
        message = _scalar_problem(key) if isinstance(key, str) else "A field name must be text."
        if message:
            yield Problem(where, message)


def _scalar_problem(item: object) -> str:
    if item is None or isinstance(item, bool):
        return ""
    if isinstance(item, str):
        return _text_problem(item)
    if isinstance(item, int):
        return "" if abs(item) <= MAX_NUMBER else _number_range()
    if isinstance(item, float):
        return _float_problem(item)
    return "This is no JSON value. Use text, a number, true, false, null, a list or an object."


def _text_problem(text: str) -> str:
    if "\x00" in text:
        return "Remove the NUL character: the database cannot store it."
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        return "Remove the broken character (half of a surrogate pair): it cannot be sent as UTF-8."
    return ""


def _float_problem(number: float) -> str:
    if not isfinite(number):
        return "Use a finite number: JSON has no infinity and no NaN."
    if abs(number) > MAX_NUMBER:
        # Larger floats are written with an exponent, and PostgreSQL hands them back as integers.
        return _number_range()
    return ""


def _number_range() -> str:
    return f"Use a number between -{MAX_NUMBER} and {MAX_NUMBER}: clients lose digits beyond that."


def has_hidden_characters(text: str) -> bool:
    """Whether a text holds control characters, or such as reorder or hide what stands around them."""
    return not text.isprintable() and any(map(_is_hidden, text))


def _is_hidden(character: str) -> bool:
    return character in REORDERING or unicodedata.category(character) in ("Cc", "Cs")


def name_problem(name: object, *, what: str, maximum: int = MAX_NAME_CHARACTERS) -> str:
    """Say what is wrong with a name that people read in reviews, or return an empty string."""
    if not isinstance(name, str) or not name:
        return f"Give {what} as text of 1 to {maximum} characters."
    if len(name) > maximum:
        return f"Shorten {what} to {maximum} characters; it has {len(name)}."
    if name != name.strip():
        return f"Remove the blanks at the beginning or end of {what}."
    if has_hidden_characters(name):
        return f"Remove invisible, control or text-direction characters from {what}."
    return ""


def attribute_problem(name: object) -> str:
    """Say what is wrong with the name of a context attribute, or return an empty string."""
    message = name_problem(name, what="the attribute name")
    if not message and "." in str(name):
        return "Use an attribute name without dots: flagd reads a dot as a path into an object."
    return message


def field_problems(
    item: dict[str, Any], path: str, *, required: tuple[str, ...], optional: tuple[str, ...]
) -> list[Problem]:
    """The fields that are missing and those nobody knows."""
    missing = [Problem(join(path, name), f"Add the field “{name}”.") for name in required if name not in item]
    known = ", ".join(required + optional)
    unknown = [
        Problem(join(path, name), f"Remove the unknown field “{name}”. Known here: {known}.")
        for name in item
        if name not in required and name not in optional
    ]
    return missing + unknown


def description_problems(item: dict[str, Any], path: str) -> list[Problem]:
    """What is wrong with an optional description; unlike a name it may hold any character."""
    description = item.get("description", "")
    if not isinstance(description, str):
        return [Problem(join(path, "description"), "Give the description as text, or leave it out.")]
    if len(description) > MAX_DESCRIPTION_CHARACTERS:
        message = f"Shorten the description to {MAX_DESCRIPTION_CHARACTERS} characters; it has {len(description)}."
        return [Problem(join(path, "description"), message)]
    return []


def variant_names(document: object) -> list[str]:
    """The names of the variants, in order, as far as the document can be read."""
    variants = document.get("variants") if isinstance(document, dict) else None
    if not isinstance(variants, list):
        return []
    return [v["name"] for v in variants if isinstance(v, dict) and isinstance(v.get("name"), str)]


def quoted(text: str) -> str:
    """A text in quotation marks that nothing inside it can end; hidden characters are written out."""
    if text.isprintable() and _QUOTES.isdisjoint(text):
        return f"“{text}”"
    return f"“{''.join(map(_escaped, text))}”"


def _escaped(character: str) -> str:
    if character in _QUOTES:
        return f"\\{character}"
    if _is_hidden(character):
        return {"\n": "\\n", "\t": "\\t", "\r": "\\r"}.get(character, f"\\u{ord(character):04x}")
    return character


def named(name: str) -> str:
    """A name in a sentence: as it is where it is one plain word, else quoted, so that it cannot pass for a sentence."""
    return name if _PLAIN_NAME.fullmatch(name) else quoted(name)


def quote(names: list[str], *, limit: int = 10) -> str:
    """Names in a sentence: “a”, “b” and 3 more."""
    shown = ", ".join(map(quoted, names[:limit]))
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"
