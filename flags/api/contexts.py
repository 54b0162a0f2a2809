"""Reading an evaluation context from a request body that may be anything. Pure; messages never repeat what was sent."""

import json
import math
import re
from typing import Any, NoReturn

import orjson

from flags.evaluation.resolution import ErrorCode

MAX_DEPTH = 32
MAX_KEYS = 1_000

# A text is skipped as one token: brackets and colons inside it do not count. Possessive: each byte is looked at once.
_TOKENS = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[\]{}:]', re.DOTALL)
_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")
# Integers that may not fit into 64 bits have so many digits. All digits made alike, a plain search finds them, in a
# fifth of the time that a regular expression takes.
_LONG_NUMBER = b"0" * 19
_DIGITS_ALIKE = bytes.maketrans(b"123456789", b"000000000")


class UnusableBody(ValueError):
    """The body holds no evaluation context; `code` says in the words of OpenFeature what kind of fault it is."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def read_context(body: bytes) -> dict[str, Any]:
    """Return the evaluation context of an OFREP request body. Raises UnusableBody for anything unusable."""
    _check_shape(body)
    document = _parse(body)
    if not isinstance(document, dict):
        raise _invalid('The body is not a JSON object. Send {"context": {...}}.')
    context = document.get("context")
    if not isinstance(context, dict):
        raise _invalid('The body has no “context” object. Send {"context": {...}}, empty if there are no attributes.')
    if context.get("targetingKey") is None:
        context.pop("targetingKey", None)
    elif not isinstance(context["targetingKey"], str):
        raise _invalid("The targeting key is not a text. Send “targetingKey” as a string, or leave it out.")
    return context


def _invalid(message: str) -> UnusableBody:
    return UnusableBody(ErrorCode.INVALID_CONTEXT, message)


def _unreadable(message: str) -> UnusableBody:
    return UnusableBody(ErrorCode.PARSE_ERROR, message)


def _check_shape(body: bytes) -> None:
    """Refuse deep nesting and very many keys before the parser meets them: it recurses, and keys cost memory."""
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH and (len(body) <= MAX_KEYS or body.count(b":") <= MAX_KEYS):
        return
    depth = keys = 0
    for token in _TOKENS.finditer(body):
        first = token[0][0]
        if first in b"[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise _unreadable(f"The body is nested more than {MAX_DEPTH} levels deep. Send a flatter context.")
        elif first in b"]}":
            depth -= 1
        elif first == 0x3A:
            keys += 1
            if keys > MAX_KEYS:
                raise _invalid(f"The body has more than {MAX_KEYS:,} keys. Send the attributes that rules use.")


def _parse(body: bytes) -> Any:
    """The fast parser reads what is fine; the exact one what the fast one refuses, to say why, and long integers.

    Both keep the last of several equal keys, and both refuse what is not JSON. Only of integers beyond 64 bits do they
    think differently: the fast one rounds them to floating point.
    """
    if _LONG_NUMBER not in body.translate(_DIGITS_ALIKE):
        try:
            return orjson.loads(body)
        except ValueError:
            return _parse_exactly(body)
    return _parse_exactly(body)


def _parse_exactly(body: bytes) -> Any:
    try:
        document = json.loads(body.decode("utf-8"), parse_constant=_refuse_constant, parse_float=_finite)
        if _SURROGATE_ESCAPE.search(body):
            # Halves of a pair that stand alone are no characters: they cannot be hashed or written anywhere.
            json.dumps(document, ensure_ascii=False).encode("utf-8")
    except UnusableBody:
        raise
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise _unreadable(f"The body is not valid JSON ({place}). Send a JSON object.") from None
    except UnicodeError:
        raise _unreadable(
            "The body is not valid Unicode text in UTF-8. Encode it as UTF-8 without lone surrogates."
        ) from None
    except (ValueError, RecursionError):
        raise _unreadable("The body holds a number that is too long. Send numbers of ordinary size.") from None
    return document


def _refuse_constant(name: str) -> NoReturn:
    raise _unreadable("NaN and Infinity are not JSON. Leave the attribute out or send a number.")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise _unreadable("The body holds a number beyond the range of floating point. Send numbers of ordinary size.")
    return number
