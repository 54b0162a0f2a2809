"""What the linter says, and what it has to know about the surroundings of a document."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from .reasoning import Reasoning

Severity = Literal["warning", "note"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something valid that is probably not meant: what it is, and what to do about it.

    A warning says that people get something else than the author seems to expect; a note is worth a look.
    """

    code: str
    severity: Severity
    path: str
    message: str
    advice: str


@dataclass(frozen=True, slots=True)
class AttributeFacts:
    """What a project declares about an attribute. `value_type` is text, number, boolean, version or instant."""

    value_type: str
    grants_access: bool = True


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Everything around a document that a check may ask for. `known_attributes` are in use elsewhere in the project."""

    now: datetime
    segments: Mapping[str, Mapping[str, Any]]
    configs: Mapping[str, Mapping[str, Any]]
    attributes: Mapping[str, AttributeFacts]
    known_attributes: Collection[str]
    reasoning: Reasoning
    # What was found out on the way: who a segment goes by, and which variants a flag can serve.
    opened: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    possible: dict[str, set[str]] = field(default_factory=dict)
