"""The frozen input of evaluation."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .bucketing import Generation

Metadata = dict[str, bool | str | int | float]


@dataclass(frozen=True, slots=True)
class FlagSource:
    """One flag as it is in an environment: its value type, its config document and the version of that."""

    value_type: str
    document: Mapping[str, Any]
    version: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything an environment serves at one revision.

    With `requires_targeting_key` a split by targeting key answers TARGETING_KEY_MISSING where there is none.
    `samples_contexts` is for the door of the evaluation API and changes no answer.
    """

    project_key: str
    environment_id: str
    environment_key: str
    revision: int
    generation: Generation
    flags: Mapping[str, FlagSource]
    segments: Mapping[str, Mapping[str, Any]]
    requires_targeting_key: bool = False
    samples_contexts: bool = False
