"""Keys and names people type: one rule for all of them."""

import unicodedata
from collections.abc import Sequence

from flags.documents.schema import REORDERING
from flags.errors import InvalidInput
from flags.telemetry.unknown_keys import KEY


def checked_key(value: str, *, what: str, longest: int = 100) -> str:
    """The key, or InvalidInput: keys travel in URLs unencoded, so only letters, digits, dot, dash and underscore."""
    if not KEY.fullmatch(value) or len(value) > longest:
        raise problem(
            "key",
            f"The key of a {what} starts with a letter or digit and goes on with letters, digits, dots, dashes or "
            f"underscores, {longest} characters at most.",
        )
    return value


def checked_text(value: str, *, field: str, longest: int, required: bool = False) -> str:
    """The text without blanks around it. Raises InvalidInput when missing, too long or holding control characters."""
    value = value.strip()
    if required and not value:
        raise _text_problem(field, "Fill in", "It may not be empty.")
    if len(value) > longest:
        raise _text_problem(field, "Shorten", f"It has {len(value)} characters; {longest} are the most.")
    if any(unicodedata.category(char) in {"Cc", "Cs"} and char not in "\n\r\t" for char in value):
        raise _text_problem(field, "Correct", "Remove its control characters.")
    if any(char in REORDERING for char in value):
        raise _text_problem(field, "Correct", "Remove its invisible or text-direction characters.")
    return value


def problem(path: str, message: str, *, beside: str = "") -> InvalidInput:
    """An InvalidInput about one field.

    `beside` is the part of the message that a page shows next to the field, whose label people see there instead of
    the name that services know it by.
    """
    return InvalidInput(message, problems=[{"path": path, "message": beside or message}])


def together(found: Sequence[InvalidInput]) -> InvalidInput:
    """One error about everything that was found."""
    problems = [item for error in found for item in error.facts["problems"]]
    return InvalidInput(" ".join(error.message for error in found), problems=problems)


def _text_problem(field: str, act: str, beside: str) -> InvalidInput:
    return problem(field, f"{act} {field.replace('_', ' ')}. {beside}", beside=beside)
