"""Small documents and snapshots to evaluate."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from flags.documents import initial_document
from flags.evaluation import CompiledSnapshot, FlagSource, Generation, Snapshot, compile_snapshot

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
GOLD = {"attribute": "plan", "operator": "equals", "value": "gold"}
ON = {"variant": "on"}
USER_1 = {"targetingKey": "user-1"}


def plain_snapshot(
    documents: Mapping[str, Any],
    *,
    value_type: str = "boolean",
    segments: Mapping[str, Any] | None = None,
    generation: Generation = Generation.FLAGD_V2,
    strict: bool = False,
) -> Snapshot:
    flags = {key: FlagSource(value_type, stored, 4) for key, stored in documents.items()}
    return Snapshot("shop", "id", "production", 7, generation, flags, segments or {}, strict)


def snapshot_of(documents: Mapping[str, Any], **options: Any) -> CompiledSnapshot:
    return compile_snapshot(plain_snapshot(documents, **options))


def document(**fields: Any) -> dict[str, Any]:
    return initial_document("checkout", "boolean") | {"enabled": True} | fields


def rule(serve: dict[str, Any], condition: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    return {"id": "r", "description": "", "condition": condition, "serve": serve} | fields


def split(*shares: tuple[str, int]) -> dict[str, Any]:
    return {"split": [{"variant": variant, "weight": weight} for variant, weight in shares]}


HALF = split(("on", 50_000), ("off", 50_000))


def needs(flag: str, *variants: str) -> dict[str, Any]:
    return {"flag": flag, "variants": list(variants or ("on",))}


def child(*parents: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A flag that is on for everyone as soon as its prerequisites are met."""
    return document(prerequisites=list(parents), rules=[rule(ON)]) | fields


def segment(condition: dict[str, Any]) -> dict[str, Any]:
    return {"schema": 1, "condition": condition}


class CountingText(str):
    """A text that counts how often any of its kind is compared."""

    compared = 0

    def __eq__(self, other: object) -> bool:
        CountingText.compared += 1
        return super().__eq__(other)

    __hash__ = str.__hash__
