"""What is left of a plan from a stage on, as a plan that stands for itself."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .definition import Gates, Patch, PlanDefinition, Stage
from .patches import Arms, moves_share


def rest_of(definition: PlanDefinition, base: Mapping[str, Mapping[str, Any]], *, reached: int) -> PlanDefinition:
    """The plan without the stages up to `reached`; whole where that was the last one.

    What later stages take over from those is written into them. Flags that none of them touches are left out with their
    guards, and where no guard is left nothing waits for one. `base` is what the flags were before the plan.
    """
    left = definition.stages[reached:]
    if not reached or not left:
        return definition
    touched = {patch.flag_key for stage in left for patch in stage.patches}
    guards = tuple(guard for guard in definition.guards if guard.flag_key in touched)
    stages = _filled(left, _arms_after(definition, base, reached), base)
    if not guards:
        stages = tuple(replace(stage, gates=_unguarded(stage.gates)) for stage in stages)
    flags = tuple(key for key in definition.flags if key in touched)
    return replace(definition, flags=flags, stages=stages, guards=guards)


def _arms_after(definition: PlanDefinition, base: Mapping[str, Mapping[str, Any]], reached: int) -> dict[str, Arms]:
    arms: dict[str, Arms] = {}
    for stage in definition.stages[:reached]:
        for patch in stage.patches:
            arms[patch.flag_key] = arms.get(patch.flag_key, Arms()).after(patch, base[patch.flag_key])
    return arms


def _filled(
    stages: tuple[Stage, ...], known: Mapping[str, Arms], base: Mapping[str, Mapping[str, Any]]
) -> tuple[Stage, ...]:
    """The stages with what the first patch of each flag takes over from before."""
    open_keys, found = set(known), []
    for stage in stages:
        patches = []
        for patch in stage.patches:
            key = patch.flag_key
            patches.append(_with_arms(patch, known[key].after(patch, base[key])) if key in open_keys else patch)
            open_keys.discard(key)
        found.append(replace(stage, patches=tuple(patches)))
    return tuple(found)


def _with_arms(patch: Patch, arms: Arms) -> Patch:
    weight = arms.weight if moves_share(patch, arms) else patch.weight
    return replace(patch, variant=arms.variant, against=arms.against, weight=weight)


def _unguarded(gates: Gates) -> Gates:
    return replace(gates, is_monitored=False, minimum_sample=0)
