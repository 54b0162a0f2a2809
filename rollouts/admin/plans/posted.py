"""From the fields of the editor to a plan definition, and from a definition to the fields that show it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from pydantic import TypeAdapter, ValidationError

from rollouts.admin.plans.shapes import chosen_strategy, shaped_stages, usual_fields
from rollouts.admin.plans.stage_rows import rows_of, stages_from
from rollouts.admin.plans.typed import Typed, percent_text
from rollouts.admin.plans.values import Known
from rollouts.models import GuardMetric
from rollouts.plans.definition import (
    GuardAction,
    GuardSource,
    GuardSpec,
    MetricKind,
    Options,
    PlanDefinition,
    Strategy,
)

_SPEC = TypeAdapter(GuardSpec)
MOST_FLAGS = 20
Arms = tuple[str, str, str]


def arms_of(typed: Typed) -> list[Arms]:
    """Every chosen flag with the variant that grows and the one that the others get."""
    found: dict[str, Arms] = {}
    for number in range(min(MOST_FLAGS, typed.count("flags", 1))):
        key = typed.text(f"flag-{number}")
        if not key:
            continue
        if key in found:
            typed.problems[f"flag-{number}"] = "This flag is chosen already."
            continue
        variant, against = typed.text(f"variant-{number}"), typed.text(f"against-{number}")
        if not variant:
            typed.problems[f"variant-{number}"] = "Choose the variant that people get."
        elif variant == against:
            typed.problems[f"against-{number}"] = "Choose another variant than the one that grows."
        found[key] = (key, variant, against)
    if not found:
        typed.problems["flag-0"] = "Choose the flag to roll out."
    return list(found.values())


def definition_from(
    typed: Typed, metrics: Sequence[GuardMetric], stored: PlanDefinition | None = None, known: Known | None = None
) -> PlanDefinition | None:
    """What the fields say; None where something cannot be read, which `typed.problems` names.

    `known` are the present values of the chosen flags.
    """
    arms, strategy = arms_of(typed), chosen_strategy(typed)
    if not arms or any(not variant for _, variant, _ in arms):
        return None
    if strategy is Strategy.CUSTOM:
        stages = stages_from(typed, arms, stored, known or {})
        shape = _former_shape(typed, stored)
    else:
        stages, shape = shaped_stages(typed, strategy, arms, known), strategy
    definition = PlanDefinition(
        flags=tuple(key for key, _, _ in arms),
        strategy=shape,
        stages=stages,
        guards=tuple(_guards(typed, metrics, arms, stored)),
        options=Options(
            rollback_to="start" if typed.text("rollback_to") == "start" else "last_good",
            may_skip=typed.is_ticked("may_skip"),
            hold_back=typed.share("care-hold-back", "the share that stays without it"),
            extends_once=typed.is_ticked("extends_once"),
            alpha=stored.options.alpha if stored else Options().alpha,
        ),
    )
    return None if typed.problems else definition


def fields_of_definition(definition: PlanDefinition) -> dict[str, str]:
    """The fields that show a definition, its stages one by one."""
    fields = {**usual_fields(), **rows_of(definition.stages), "strategy": Strategy.CUSTOM.value}
    fields["flags"] = str(len(definition.flags))
    for number, key in enumerate(definition.flags):
        patches = [patch for stage in definition.stages for patch in stage.patches if patch.flag_key == key]
        fields[f"flag-{number}"] = key
        fields[f"variant-{number}"] = next((patch.variant for patch in patches if patch.variant), "")
        fields[f"against-{number}"] = next((patch.against for patch in patches if patch.against), "")
    for guard in definition.guards:
        fields[f"guard-{guard.metric}"] = "1"
        fields[f"watch-{guard.metric}"] = guard.flag_key
        fields[f"breach-{guard.metric}"] = guard.on_breach.value
    options = definition.options
    return fields | {
        "rollback_to": options.rollback_to,
        "may_skip": "1" if options.may_skip else "",
        "extends_once": "1" if options.extends_once else "",
        "care-hold-back": percent_text(options.hold_back) if options.hold_back else "",
        "shape": definition.strategy.value,
    }


def spec_of(metric: GuardMetric, arms: Arms, *, on_breach: str = "") -> GuardSpec | None:
    """The guard that a metric of the catalogue is for these arms; None where its numbers cannot be read."""
    key, variant, against = arms
    own: dict[str, Any] = {
        "metric": metric.key,
        "name": metric.name,
        "kind": MetricKind(metric.kind),
        "source": GuardSource(metric.source),
        "limit": metric.limit,
        "flag_key": key,
        "treatment": variant,
        "control": against,
    }
    if on_breach in set(GuardAction):
        own["on_breach"] = GuardAction(on_breach)
    try:
        return _SPEC.validate_python({**metric.defaults, **own})
    except ValidationError:
        return None


def _guards(
    typed: Typed, metrics: Sequence[GuardMetric], every: Sequence[Arms], stored: PlanDefinition | None
) -> list[GuardSpec]:
    """The ticked guards, each on the flag that was chosen for it, the first one where none was."""
    by_flag = {arms[0]: arms for arms in every}
    former: Mapping[str, GuardSpec] = {guard.metric: guard for guard in stored.guards} if stored else {}
    offered = {metric.key: metric for metric in metrics}
    found = []
    for key in [*offered, *(key for key in former if key not in offered)]:
        if not typed.is_ticked(f"guard-{key}"):
            continue
        chosen = typed.text(f"breach-{key}")
        arms = by_flag.get(typed.text(f"watch-{key}"), every[0])
        spec = (
            _former_guard(former[key], arms, chosen) if key in former else spec_of(offered[key], arms, on_breach=chosen)
        )
        if spec is None:
            typed.problems[f"guard-{key}"] = "This metric of the catalogue cannot be used. Look at its numbers."
            continue
        if not arms[2]:
            typed.problems[f"against-{list(by_flag).index(arms[0])}"] = (
                "Guards compare with the variant that the others get: choose it."
            )
        found.append(spec)
    return found


def _former_guard(guard: GuardSpec, arms: Arms, on_breach: str) -> GuardSpec:
    """A guard that the plan has already keeps its numbers, whatever became of the catalogue."""
    action = GuardAction(on_breach) if on_breach in set(GuardAction) else guard.on_breach
    fields = {name: getattr(guard, name) for name in asdict(guard)}
    fields |= {"flag_key": arms[0], "treatment": arms[1], "control": arms[2]}
    return GuardSpec(**{**fields, "on_breach": action})


def _former_shape(typed: Typed, stored: PlanDefinition | None) -> Strategy:
    """Stages that were spelled out from a shape and only adjusted keep its name."""
    shape = typed.text("shape")
    return (
        Strategy(shape) if shape in set(Strategy) and (stored is not None or typed.count("rows")) else Strategy.CUSTOM
    )
