"""Query parameters of the trail -> filter, page and position. Everything that is not understood is a problem."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any
from uuid import UUID

from django.http import QueryDict

from audits.actions import Action
from audits.context import ActorKind
from audits.errors import InvalidInput
from audits.selectors import EventFilter, Position

FORMATS = ("json", "csv", "jsonl")
DEFAULT_PAGE_SIZE, LARGEST_PAGE_SIZE = 50, 200
LONGEST_VALUE = 400


@dataclass(frozen=True, slots=True)
class Query:
    """What a caller asked for."""

    filters: EventFilter
    page_size: int
    after: Position | None


def parse_query(parameters: QueryDict) -> Query:
    """Read the parameters of a request; raise InvalidInput naming every one that cannot be used."""
    problems: list[dict[str, str]] = []
    values: dict[str, Any] = {}
    for name in parameters:
        try:
            values[name] = _value(name, parameters.getlist(name))
        except ValueError as error:
            problems.append({"path": _shown(name), "message": str(error)})
    begins, ends = values.get("from"), values.get("to")
    if begins and ends and begins >= ends:
        problems.append({"path": "to", "message": "must be later than `from`; the end itself is not included."})
    if problems:
        first = problems[0]
        raise InvalidInput(
            f"The parameter {first['path']} {first['message']} Nothing was read; correct it and ask again.",
            problems=problems,
        )
    filters = EventFilter(**{field: values[name] for name, (field, _) in _FILTERS.items() if name in values})
    return Query(filters, values.get("page_size", DEFAULT_PAGE_SIZE), values.get("cursor"))


def encode_cursor(position: Position) -> str:
    """A position as an opaque text for URLs."""
    text = json.dumps([position.occurred_at.isoformat(), position.sequence, position.id.hex], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _value(name: str, given: list[str]) -> Any:
    parse = _OTHERS.get(name) or _FILTERS.get(name, (None, None))[1]
    if parse is None:
        known = ", ".join(sorted([*_FILTERS, *_OTHERS]))
        raise ValueError(f"is not known. Known are: {known}.")
    if len(given) != 1:
        raise ValueError("is given more than once; give it once.")
    value = given[0]
    if len(value) > LONGEST_VALUE:
        raise ValueError(f"is longer than {LONGEST_VALUE} characters.")
    if not value:
        raise ValueError("is empty; leave it out or give it a value.")
    if not _is_storable(value):
        raise ValueError("holds characters that no event can hold.")
    return parse(value)


def _is_storable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\x00" not in text


def _shown(name: str) -> str:
    return name[:60].encode("utf-8", "replace").decode()


def _text(value: str) -> str:
    return value


def _one_of(choices: list[str]) -> Callable[[str], str]:
    def parse(value: str) -> str:
        if value not in choices:
            raise ValueError(f"must be one of: {', '.join(choices)}.")
        return value

    return parse


def _uuid(value: str) -> UUID:
    try:
        return UUID(value)
    except ValueError:
        raise ValueError("must be a UUID like 6f1c2a52-6f0e-4d0c-9a50-8f3f0a4f4e11.") from None


def _instant(value: str) -> datetime:
    explanation = (
        "must be a date (2026-11-21, midnight UTC) or an instant with offset (2026-11-21T09:30:00Z). "
        "In a URL a plus sign is written %2B."
    )
    try:
        if len(value) == len("2026-11-21"):
            return datetime.combine(date.fromisoformat(value), time(), UTC)
        instant = datetime.fromisoformat(value)
        if instant.tzinfo is None:
            raise ValueError(explanation)
        return instant.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(explanation) from None


def _page_size(value: str) -> int:
    if not (value.isascii() and value.isdigit()) or not 1 <= int(value) <= LARGEST_PAGE_SIZE:
        raise ValueError(f"must be a whole number from 1 to {LARGEST_PAGE_SIZE}.")
    return int(value)


def _cursor(value: str) -> Position:
    try:
        padded = value.encode("ascii") + b"=" * (-len(value) % 4)
        moment, sequence, event_id = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        position = Position(datetime.fromisoformat(moment), sequence, UUID(hex=event_id))
        if type(sequence) is not int or not 0 < sequence < 2**63 or position.occurred_at.tzinfo is None:
            raise ValueError
        return Position(position.occurred_at.astimezone(UTC), sequence, position.id)
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        raise ValueError("is not one this server gave out; begin again without it.") from None


# Parameter -> field of the filter and how to read it.
_FILTERS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "project": ("project_key", _text),
    "environment": ("environment_key", _text),
    "flag": ("flag_key", _text),
    "actor": ("actor_id", _text),
    "actor_kind": ("actor_kind", _one_of([kind.value for kind in ActorKind])),
    "action": ("action", _one_of([action.value for action in Action])),
    "from": ("occurred_from", _instant),
    "to": ("occurred_to", _instant),
    "correlation_id": ("correlation_id", _uuid),
    "target_type": ("target_type", _text),
    "target_id": ("target_id", _text),
}
_OTHERS: dict[str, Callable[[str], Any]] = {
    "cursor": _cursor,
    "page_size": _page_size,
    "format": _one_of(list(FORMATS)),
}
