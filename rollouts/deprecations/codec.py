"""Timeline definitions as JSON and back."""

import hashlib
from collections.abc import Sequence
from typing import Any

from pydantic import TypeAdapter, ValidationError

from audits.errors import GovernanceError
from audits.integrity import canonical_json

from .definition import TimelineDefinition

_ADAPTER = TypeAdapter(TimelineDefinition)


class InvalidTimeline(GovernanceError):
    """The definition of a timeline breaks a rule; `problems` says where and why."""

    code = "invalid_timeline"
    status = 422
    title = "This timeline cannot be carried out as it is"


def invalid(problems: Sequence[tuple[str, str]]) -> InvalidTimeline:
    """The error for problems given as path and sentence."""
    first, others = problems[0][1], len(problems) - 1
    more = f" There {'is 1 more problem' if others == 1 else f'are {others} more problems'}." if others else ""
    return InvalidTimeline(f"{first}{more}", problems=[{"path": path, "message": text} for path, text in problems])


def as_json(definition: TimelineDefinition) -> dict[str, Any]:
    """The stored form; `from_json` reads it back."""
    found: dict[str, Any] = _ADAPTER.dump_python(definition, mode="json")
    return found


def from_json(value: object) -> TimelineDefinition:
    """The definition of a stored form. Raises InvalidTimeline naming every field that is wrong."""
    try:
        return _ADAPTER.validate_python(value)
    except ValidationError as error:
        found = [(".".join(map(str, item["loc"])), f"{item['msg']}.") for item in error.errors()]
        raise invalid(found) from None


def timeline_digest(definition: TimelineDefinition, base_digest: str, *, successor_id: str = "") -> str:
    """SHA-256 (hex) of all that approvers of a timeline consent to: what it says, and the document it starts from.

    The document of every milestone follows from these two. `successor_id` is which flag the key of the successor means.
    """
    facts = {"definition": as_json(definition), "base": base_digest}
    if successor_id:
        facts["successor_id"] = successor_id
    return hashlib.sha256(canonical_json(facts)).hexdigest()
