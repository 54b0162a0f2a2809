"""RFC 3339 instants."""

import re
from datetime import UTC, datetime

_SHAPE = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
)


def parse_instant(text: object) -> datetime | None:
    """Return the aware UTC instant, or None where `text` is no RFC 3339 instant with an offset.

    Digits beyond microseconds are cut off. A leap second (`:60`) is no instant here.
    """
    if not isinstance(text, str) or _SHAPE.fullmatch(text) is None:
        return None
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
