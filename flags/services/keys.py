"""Keys and names people type: one rule for all of them."""

import unicodedata

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
        raise problem(field, f"Fill in {field.replace('_', ' ')}; it may not be empty.")
    if len(value) > longest:
        raise problem(field, f"Shorten {field.replace('_', ' ')} to {longest} characters; it has {len(value)}.")
    if any(unicodedata.category(char) in {"Cc", "Cs"} and char not in "\n\r\t" for char in value):
        raise problem(field, f"Remove the control characters from {field.replace('_', ' ')}.")
    if any(char in REORDERING for char in value):
        raise problem(field, f"Remove invisible or text-direction characters from {field.replace('_', ' ')}.")
    return value


def problem(path: str, message: str) -> InvalidInput:
    """An InvalidInput about one field."""
    return InvalidInput(message, problems=[{"path": path, "message": message}])
