"""How much of a refused row may be shown. Whoever sends a targeting key by mistake does not find it in our tables.

Shown are keys that are set up and texts that resemble one, numbers, minutes and names of metrics; nothing else.
"""

import difflib
from collections.abc import Collection, Mapping
from typing import Any

import orjson

from flags.evaluation.instants import parse_instant
from flags.telemetry import labels
from flags.telemetry.rows import EvaluationRow, MetricRow

MAX_ROW_TEXT = 1_000
LARGEST_COUNT = 1_000_000_000
# Comparing with many keys costs, and only some rows of a batch are kept.
MOST_COMPARED = 50
_ALIKE = 0.8
_LONGER = 2
_VALUES = frozenset({"sum", "sum_squares"})

# The variants of every flag that an environment serves.
Known = Mapping[str, Collection[str]]


def resembling(text: str, known: Collection[str]) -> str | None:
    """The one of `known` that a text was probably meant to be. What people are called often differs in digits only, so
    these have to be the same.
    """
    if not labels.is_tellable(text):
        return None
    digits = _digits(text)
    alike = [each for each in known if abs(len(each) - len(text)) <= _LONGER and _digits(each) == digits]
    return next(iter(difflib.get_close_matches(text, alike, n=1, cutoff=_ALIKE)), None)


class Telling:
    """What of one batch may be shown to whoever looks at the environment."""

    def __init__(self, known: Known) -> None:
        self._known = known
        self._compared: dict[tuple[str, str], str | None] = {}

    def flag(self, text: str) -> str | None:
        """The flag that a text is or was probably meant to be."""
        return text if text in self._known else self._resembling("", text, self._known)

    def variant(self, flag_key: Any, text: str) -> str | None:
        """The variant of a flag that a text is or was probably meant to be."""
        variants = self._known.get(flag_key, ()) if isinstance(flag_key, str) else ()
        return text if text in variants else self._resembling(flag_key, text, variants) if variants else None

    def row(self, item: Mapping[str, Any], fields: Collection[str]) -> str:
        """A row as JSON. Of fields that nobody asked for only their number is told."""
        told = {name: self._told(name, item[name], item) for name in sorted(set(fields) & item.keys())}
        others = len(item.keys() - set(fields))
        if others:
            told["(other fields)"] = others
        return orjson.dumps(told).decode()[:MAX_ROW_TEXT]

    def checked_row(self, row: EvaluationRow | MetricRow) -> str:
        """A row whose values have the right types."""
        fields: dict[str, Any] = {"flag": row.flag_key, "variant": row.variant, "minute": row.minute.isoformat()}
        if isinstance(row, MetricRow):
            fields |= {"metric": row.metric, "bad": row.bad, "units": row.units, "bad_units": row.bad_units}
        else:
            fields |= {"reason": row.reason}
        fields["count"] = row.count
        return self.row(fields, fields.keys())

    def _resembling(self, of: str, text: str, known: Collection[str]) -> str | None:
        place = of, text
        if place not in self._compared:
            if len(self._compared) >= MOST_COMPARED:
                return None
            self._compared[place] = resembling(text, known)
        return self._compared[place]

    def _told(self, name: str, value: Any, item: Mapping[str, Any]) -> Any:
        if isinstance(value, str):
            return value if self._may_tell(name, value, item) else "(a text that cannot be shown)"
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int | float):
            # Longer numbers are what people and their phones have.
            is_usual = abs(value) <= LARGEST_COUNT or (isinstance(value, float) and name in _VALUES)
            return value if is_usual else "(a number that cannot be shown)"
        return f"({type(value).__name__})"

    def _may_tell(self, name: str, text: str, item: Mapping[str, Any]) -> bool:
        if name == "reason":
            return text.upper() in labels.REASONS
        if name == "minute":
            return parse_instant(text) is not None
        if name == "metric":
            return labels.is_metric_name(text)
        if name == "flag":
            return self.flag(text) is not None
        return name == "variant" and (text == "" or self.variant(item.get("flag"), text) is not None)


def _digits(text: str) -> str:
    return "".join(filter(str.isdigit, text))
