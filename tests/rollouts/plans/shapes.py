"""Plans and documents for the pure tests."""

from typing import Any

from flags.documents import initial_document
from rollouts.plans.definition import (
    Gates,
    GuardSpec,
    MetricKind,
    Options,
    Patch,
    PlanDefinition,
    Stage,
    Strategy,
)

KEY = "checkout"


def flag_document(key: str = KEY, **fields: Any) -> dict[str, Any]:
    """A boolean flag that is switched on and serves “off” to everybody."""
    return {**initial_document(key, "boolean"), "enabled": True, **fields}


def rule(rule_id: str, serve: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"id": rule_id, "description": "", "condition": None, "serve": serve, **fields}


def split(**weights: int) -> dict[str, Any]:
    return {"split": [{"variant": name, "weight": weight} for name, weight in weights.items()]}


def plan(
    *stages: Stage, flags: tuple[str, ...] = (KEY,), guards: tuple[GuardSpec, ...] = (), **options: Any
) -> PlanDefinition:
    return PlanDefinition(flags, Strategy.CUSTOM, stages, guards, Options(**options))


def stage(name: str, *patches: Patch, **gates: Any) -> Stage:
    return Stage(name, patches, Gates(**gates))


def share(weight: int, *, key: str = KEY, **fields: Any) -> Patch:
    return Patch(key, variant="on", against="off", weight=weight, **fields)


def guard(metric: str = "errors", **fields: Any) -> GuardSpec:
    return GuardSpec(metric, metric.capitalize(), MetricKind.ERROR_RATE, KEY, "on", "off", **fields)
