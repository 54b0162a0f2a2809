"""How much work a definition may ask for. What it repeats by reference costs as if it were written out. Pure."""

from typing import Any

# Read in about a second and in a fifth of one.
MAX_DEFINITION_PARTS = 1_000_000
MAX_FLAG_PARTS = 200_000
# A long text costs more than a short one.
_CHARACTERS_PER_PART = 64


class Unsupported(Exception):
    """Something of a definition that has no counterpart here. The message says what and why."""


class Allowance:
    """What may still be read of a definition, and of one flag in it. A file of a few bytes can ask for years."""

    def __init__(self, parts: int = MAX_DEFINITION_PARTS, *, whole: "Allowance | None" = None) -> None:
        """`whole` is the allowance of the definition that a flag shares with all others."""
        self._left = parts
        self._whole = whole

    def of_flag(self) -> "Allowance":
        """The allowance of one more flag of this definition."""
        return Allowance(MAX_FLAG_PARTS, whole=self)

    def spend(self, parts: int) -> None:
        """Take `parts` off. Raises Unsupported where they are not left."""
        self._left -= parts
        if self._left < 0:
            raise Unsupported(
                "Its rules grow too large once nested rules and shared evaluators are written out. Use fewer of them."
            )
        whole = self._whole
        if whole is not None:
            whole._left -= parts
            if whole._left < 0:
                raise Unsupported(
                    "The definition as a whole grows too large once nested rules and shared evaluators are written "
                    "out, and it ended before this flag was read. Split the definition up."
                )


def parts_of(value: Any) -> int:
    """The size of a JSON value: its values at any depth, long texts more than once. Iterative."""
    parts, pending = 0, [value]
    while pending:
        item = pending.pop()
        parts += 1
        if isinstance(item, str):
            parts += len(item) // _CHARACTERS_PER_PART
        elif isinstance(item, dict):
            pending.extend(item.values())
            parts += sum(len(name) // _CHARACTERS_PER_PART for name in item)
        elif isinstance(item, list):
            pending.extend(item)
    return parts
