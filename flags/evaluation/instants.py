"""RFC 3339 instants."""

import re
from datetime import UTC, datetime
from functools import lru_cache

_SHAPE = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
)

_MAX_CHARACTERS = len("2026-11-21T12:00:00.123456789+00:00")


def parse_instant(text: object) -> datetime | None:
    """Return the aware UTC instant, or None where `text` is no RFC 3339 instant with an offset.

    Digits beyond microseconds are cut off. A leap second (`:60`) is no instant here.
    """
    return _parse(text) if isinstance(text, str) and len(text) <= _MAX_CHARACTERS else None


def instant_text(instant: datetime) -> str:
    """An aware instant as documents and answers write it: UTC, with a Z."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


# One attribute is compared by many rules, and reading an instant costs ten times as much as remembering it.
@lru_cache(maxsize=2_048)
def _parse(text: str) -> datetime | None:
    if _SHAPE.fullmatch(text) is None:
        return None
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
