"""The withdrawal of a deprecated flag as flagd targeting: one branch ahead of all others. Pure."""

from collections.abc import Mapping
from typing import Any

from flags.evaluation.deprecations import WITHDRAWAL_WEIGHT, Withdrawal, deprecation_of

from .logic import TIMESTAMP, Inexpressible, Logic, has_text, is_text

_KEY = {"var": "targetingKey"}
# What the split inside the condition gives; no variant of the flag.
_TAKEN, _LEFT = "withdrawn", "left"


def withdrawal_of(document: Mapping[str, Any]) -> Withdrawal | None:
    """The withdrawal of a config document, whether it is over or not."""
    deprecation = deprecation_of(document)
    return deprecation.withdrawal if deprecation else None


def is_for_good(withdrawal: Withdrawal) -> bool:
    """Whether nobody ever gets past it."""
    return withdrawal.is_for_everyone and withdrawal.until is None


def withdrawal_condition(withdrawal: Withdrawal, *, salt: str, strict: bool) -> Logic:
    """Who is withdrawn, and until when. Raises Inexpressible."""
    parts: list[Logic] = []
    if withdrawal.until is not None:
        if withdrawal.until.microsecond:
            raise Inexpressible("a withdrawal that ends within a second", "flagd's clock counts whole seconds.")
        parts.append({"<": [TIMESTAMP, int(withdrawal.until.timestamp())]})
    if not withdrawal.is_for_everyone:
        shares = [[_TAKEN, withdrawal.weight], [_LEFT, WITHDRAWAL_WEIGHT - withdrawal.weight]]
        is_taken = {"===": [{"fractional": [{"cat": [salt, _KEY]}, *shares]}, _TAKEN]}
        parts.append({"if": [has_text(_KEY) if strict else is_text(_KEY), is_taken, False]})
    return True if not parts else parts[0] if len(parts) == 1 else {"and": parts}
