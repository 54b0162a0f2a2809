"""A population of contexts that an environment sampled: whose keys nobody knows any more, with declared attributes."""

from collections.abc import Iterable, Mapping
from typing import Any

from .populations import Context

SMALLEST_SAMPLE = 1_000
NOTE = (
    "Their keys are hashed, so a percentage takes other people than in reality, but as many of them; targets and rules "
    "that name keys match nobody here."
)


def described_sample(size: int) -> dict[str, Any]:
    """The population as a run keeps it."""
    return {"kind": "sampled", "size": size, "note": NOTE}


def sampled_contexts(samples: Iterable[tuple[str, Mapping[str, Any]]]) -> list[Context]:
    """Contexts to ask with, from hashes of keys and attributes."""
    return [{**attributes, "targetingKey": key_hash} for key_hash, attributes in samples]
