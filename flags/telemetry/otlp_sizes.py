"""How much an OTLP request may hold, counted before anything looks at it one by one: few bytes can say very much."""

from collections.abc import Sized
from typing import Any, TypeVar

from flags.telemetry.reading import MAX_ROWS, UnusableBatch

# A thousand events with six attributes each. JSON is put together in Python, where each value costs.
MOST_JSON_VALUES = 30_000
MOST = {
    "resources": 200,
    "scopes": 1_000,
    "metrics": MAX_ROWS,
    "records": MAX_ROWS,
    "attributes": 50_000,
    "buckets": 50_000,
}

_Items = TypeVar("_Items", bound=Sized)


class Room:
    """What a request may still hold."""

    def __init__(self) -> None:
        self._left = dict(MOST)

    def take(self, kind: str, items: _Items) -> _Items:
        """The items, if there is room for all of them. Raises UnusableBatch."""
        self._left[kind] -= len(items)
        if self._left[kind] < 0:
            raise too_much(f"{MOST[kind]:,} {kind}")
        return items


def check_json(document: Any) -> None:
    """Raises UnusableBatch for a document of more values than are read."""
    values, open_ones = 0, [document]
    while open_ones:
        one = open_ones.pop()
        inside = one.values() if isinstance(one, dict) else one
        values += len(inside)
        if values > MOST_JSON_VALUES:
            raise too_much(f"{MOST_JSON_VALUES:,} values in JSON")
        open_ones += [each for each in inside if isinstance(each, dict | list)]


def too_much(what: str) -> UnusableBatch:
    """Why a request is refused as a whole."""
    return UnusableBatch("too_many_rows", f"The request has more than {what}. Send several smaller requests.")
