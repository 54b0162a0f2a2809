"""What a manifest may hold, as types and as JSON Schema. What is not said is left as it is."""

import json
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, FailFast, Field

from rollouts.deprecations.definition import TimelineDefinition
from rollouts.plans.definition import PlanDefinition

VERSION = 1
SCHEMA_ID = "https://flagsite.example/schemas/manifest-1.json"
Kind = Literal["release", "experiment", "operational", "kill_switch", "permission"]
ValueType = Literal["boolean", "string", "integer", "float", "object"]
# As services check it, so that a manifest with another key is refused with its line before anything is written.
Key = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
# One wrong entry is told, not a million of them.
Texts = Annotated[list[str], FailFast()]
# Facts of an environment that a manifest compares and never changes: they are settings that people decide.
SETTINGS = ("name", "kind", "is_protected", "requires_targeting_key", "generation", "position")


def _keyed() -> Any:
    """A field that holds things by their keys, none unless they are given."""
    return Field(default_factory=dict, json_schema_extra={"additionalProperties": False})


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class ProjectEntry(_Entry):
    """Which project it is. Name and description are compared, not changed."""

    key: str
    name: str = ""
    description: str = ""


class FlagEntry(_Entry):
    """A flag. `name`, `kind` and `value_type` are needed for a new one; `value_type` and `value_schema` never change.

    `owner` is a user name, `team` the key of a team of the project; null is nobody.
    """

    name: str = ""
    description: str = ""
    kind: Kind = "release"
    value_type: ValueType = "boolean"
    value_schema: dict[str, Any] | None = None
    owner: str | None = None
    team: str | None = None
    tags: Texts = Field(default_factory=list)
    links: Texts = Field(default_factory=list)


class PolicyEntry(_Entry):
    """How many approvals changes need, whose (user names; none is every approver), and how long they may take."""

    required_approvals: int
    named_approvers: Texts
    expires_after_hours: int


class SegmentEntry(_Entry):
    """A named audience of one environment. The condition is that of the segment's document."""

    name: str
    condition: Any


class TimelineEntry(_Entry):
    """How the flag ends here. It becomes a draft, which people start or propose."""

    reason: str = ""
    definition: TimelineDefinition


class ServedEntry(_Entry):
    """One flag in one environment: the whole config document, and how it ends."""

    config: dict[str, Any] = Field(default_factory=dict)
    timeline: TimelineEntry | None = None


class PlanEntry(_Entry):
    """A rollout plan, known by its title. It becomes a draft, which people start or propose."""

    title: str = Field(min_length=1)
    reason: str = ""
    definition: PlanDefinition


class EnvironmentEntry(_Entry):
    """One environment. Its own settings are compared, not changed."""

    name: str = ""
    kind: Literal["development", "staging", "production"] = "production"
    is_protected: bool = True
    requires_targeting_key: bool = False
    generation: Literal["flagd-v2", "flagd-v3"] = "flagd-v2"
    position: int = 0
    policy: PolicyEntry | None = None
    segments: dict[Key, SegmentEntry] = _keyed()
    flags: dict[Key, ServedEntry] = _keyed()
    plans: list[PlanEntry] = Field(default_factory=list)


class TemplateEntry(_Entry):
    """A shape for plans. `kinds` are the flag kinds for which it is the first choice."""

    name: str
    description: str = ""
    kinds: Annotated[list[Kind], FailFast()] = Field(default_factory=list)
    definition: PlanDefinition


class Manifest(_Entry):
    """A project as it is to be."""

    version: Literal[1]
    project: ProjectEntry
    flags: dict[Key, FlagEntry] = _keyed()
    environments: dict[str, EnvironmentEntry] = Field(default_factory=dict)
    policy_rules: dict[Key, dict[str, Any]] = _keyed()
    plan_templates: dict[Key, TemplateEntry] = _keyed()


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a manifest."""
    schema = Manifest.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA_ID, **schema}


@cache
def schema_text() -> str:
    """The JSON Schema as it is published, in the documentation and by the API."""
    return json.dumps(json_schema(), indent=2) + "\n"
