"""Templates: plans with placeholders instead of a flag and its two variants."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from flags.documents import initial_document

from .checking import problems_of
from .codec import as_json, from_json
from .definition import TOTAL_WEIGHT, PlanDefinition, Stage, Strategy
from .patches import Problems, documents_of
from .strategies import blue_green, canary, custom, exponential, linear

FLAG, VARIANT, AGAINST = "$flag", "$variant", "$against"
_PLACEHOLDER = re.compile(r"\$(?:flag|variant|against)\b")
# Fields of a definition that name a flag or a variant; elsewhere a text that reads the same means something else.
_NAMING = frozenset({"flags", "flag_key", "variant", "against", "default_variant", "treatment", "control"})


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """A template that every project has. `kinds` are the flag kinds for which it is the first choice."""

    key: str
    name: str
    description: str
    kinds: tuple[str, ...]
    definition: PlanDefinition


def fill(template: PlanDefinition, *, flag_key: str, variant: str, against: str) -> PlanDefinition:
    """The plan of a template for one flag. Placeholders count in every text, also within queries and addresses."""
    names = {FLAG: flag_key, VARIANT: variant, AGAINST: against}
    return from_json(_filled(as_json(template), names, ""))


def as_template(definition: PlanDefinition, *, flag_key: str, variant: str, against: str) -> PlanDefinition:
    """The template of a plan for one flag: its names become placeholders where they name the flag or a variant.

    Where the plan says nothing of it, the first stage switches the flag on, for the next flag may be off.
    """
    flags, variants = {flag_key: FLAG}, {variant: VARIANT, against: AGAINST}
    return from_json(_emptied(as_json(_switched_on(definition)), flags, variants, ""))


def template_problems(template: PlanDefinition) -> Problems:
    """Path and sentence of everything that is wrong with a template, whatever flag it is filled with."""
    variants = [{"name": VARIANT, "value": True}, {"name": AGAINST, "value": False}]
    document = {**initial_document(FLAG, "boolean", variants), "default_variant": AGAINST, "off_variant": AGAINST}
    base = {FLAG: document}
    problems = problems_of(template, base, ())
    return problems or problems_of(template, base, documents_of(template, base))


def built_in_for(kind: str) -> BuiltIn:
    """The built-in template that is the first choice for a flag kind."""
    return next((template for template in BUILT_IN if kind in template.kinds), BUILT_IN[0])


def _switched_on(definition: PlanDefinition) -> PlanDefinition:
    patches = [patch for stage in definition.stages for patch in stage.patches]
    if not patches or any(patch.enabled is not None for patch in patches):
        return definition
    first, *others = definition.stages
    switched = tuple(replace(patch, enabled=True) for patch in first.patches)
    return replace(definition, stages=(replace(first, patches=switched), *others))


def _filled(value: Any, names: Mapping[str, str], field: str) -> Any:
    if isinstance(value, str):
        return _PLACEHOLDER.sub(lambda match: _escaped(names[match.group()], field), value)
    if isinstance(value, list):
        return [_filled(item, names, field) for item in value]
    if isinstance(value, dict):
        inner = "query" if field == "queries" else ""
        return {_filled(key, names, ""): _filled(item, names, inner or key) for key, item in value.items()}
    return value


def _escaped(name: str, field: str) -> str:
    """A name as it may stand in a quoted text of a query, or in an address."""
    if field == "query":
        return name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return quote(name, safe="") if field == "url" else name


def _emptied(value: Any, flags: Mapping[str, str], variants: Mapping[str, str], field: str) -> Any:
    if isinstance(value, str) and field in _NAMING:
        return (flags if field in ("flags", "flag_key") else variants).get(value, value)
    if isinstance(value, list):
        return [_emptied(item, flags, variants, field) for item in value]
    if isinstance(value, dict) and field == "values":
        return {variants.get(name, name): item for name, item in value.items()}
    if isinstance(value, dict):
        return {key: _emptied(item, flags, variants, key) for key, item in value.items()}
    return value


def _template(strategy: Strategy, stages: tuple[Stage, ...]) -> PlanDefinition:
    return PlanDefinition((FLAG,), strategy, stages)


_DAY = 1_440

BUILT_IN: tuple[BuiltIn, ...] = (
    BuiltIn(
        "step-by-step",
        "Step by step",
        "1 %, 5 %, 10 %, 25 %, 50 %, then everybody, an hour each.",
        ("release",),
        _template(Strategy.EXPONENTIAL, exponential(FLAG, variant=VARIANT, against=AGAINST)),
    ),
    BuiltIn(
        "half-and-half",
        "Half and half",
        "5 % for an hour to see that it works, then half of all people for a week.",
        ("experiment",),
        _template(
            Strategy.CUSTOM,
            custom(FLAG, variant=VARIANT, against=AGAINST, shares=[(5_000, 60), (TOTAL_WEIGHT // 2, 7 * _DAY)]),
        ),
    ),
    BuiltIn(
        "canary",
        "Canary",
        "5 % for a day, then everybody.",
        ("operational",),
        _template(Strategy.CANARY, canary(FLAG, variant=VARIANT, against=AGAINST)),
    ),
    BuiltIn(
        "one-switch",
        "One switch",
        "Everybody at one moment, then a quarter of an hour in which it can go back at once.",
        ("kill_switch",),
        _template(Strategy.BLUE_GREEN, blue_green(FLAG, variant=VARIANT, minutes=15)),
    ),
    BuiltIn(
        "a-quarter-a-day",
        "A quarter a day",
        "25 % more every day until everybody has it.",
        ("permission",),
        _template(Strategy.LINEAR, linear(FLAG, variant=VARIANT, against=AGAINST, steps=4, minutes=_DAY)),
    ),
)
