"""Plan definitions as JSON and back."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from audits.errors import GovernanceError
from audits.integrity import canonical_json

from .definition import PlanDefinition

_ADAPTER = TypeAdapter(PlanDefinition)
# Longer ones are read each time, so that what is remembered stays small.
_LONGEST_REMEMBERED = 10_000


class InvalidPlan(GovernanceError):
    """The definition of a plan breaks a rule; `problems` says where and why."""

    code = "invalid_plan"
    status = 422
    title = "This plan cannot be carried out as it is"


def invalid(problems: Sequence[tuple[str, str]]) -> InvalidPlan:
    """The error for problems given as path and sentence."""
    first = problems[0][1]
    more = f" There are {len(problems) - 1} more problems." if len(problems) > 1 else ""
    return InvalidPlan(f"{first}{more}", problems=[{"path": path, "message": text} for path, text in problems])


def as_json(definition: PlanDefinition) -> dict[str, Any]:
    """The stored form; `from_json` reads it back."""
    found: dict[str, Any] = _ADAPTER.dump_python(definition, mode="json")
    return found


def from_json(value: object) -> PlanDefinition:
    """The definition of a stored form. Raises InvalidPlan naming every field that is wrong."""
    try:
        return _ADAPTER.validate_python(value)
    except ValidationError as error:
        found = [(".".join(map(str, item["loc"])), f"{item['msg']}.") for item in error.errors()]
        raise invalid(found) from None


def from_row(value: Mapping[str, Any]) -> PlanDefinition:
    """What `from_json` makes of the definition in a row, remembered: the engine reads the same ones at every look."""
    text = json.dumps(value, separators=(",", ":"))
    return _remembered(text) if len(text) <= _LONGEST_REMEMBERED else from_json(value)


@lru_cache(maxsize=2_000)
def _remembered(text: str) -> PlanDefinition:
    return from_json(json.loads(text))


def plan_digest(
    definition: PlanDefinition, *, base_digests: Mapping[str, str], documents: Sequence[Mapping[str, Any]]
) -> str:
    """SHA-256 (hex) of all that approvers of a plan consent to: what it says, on what ground, and every document.

    `documents` holds one mapping of flag keys to documents for each stage, the first stage first.
    """
    facts = {"definition": as_json(definition), "base": dict(base_digests), "documents": [dict(d) for d in documents]}
    return hashlib.sha256(canonical_json(facts)).hexdigest()
