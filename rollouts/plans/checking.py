"""What is wrong with a plan."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flags.documents.schema import name_problem, quoted, variant_names

from .checking_guards import guard_problems
from .codec import invalid
from .definition import TOTAL_WEIGHT, CheckKind, Gates, PlanDefinition, Stage
from .narrowings import Narrowed, narrowings
from .patches import (
    Document,
    Problems,
    documents_at,
    documents_of,
    is_for_everyone,
    managed_rule,
    patch_problems,
    segment_rule_id,
)

__all__ = ["Narrowed", "checked_documents", "document_problems", "narrowings", "problems_of", "shape_problems"]

MAX_FLAGS = 20
MAX_STAGES = 30
MAX_CHECKS = 5
MAX_APPROVALS = 10
MAX_SOAK_MINUTES = 90 * 24 * 60
MAX_SAMPLE = 1_000_000_000
OPERATORS = ("<", "<=", ">", ">=", "==", "!=")

Documents = Sequence[Mapping[str, Mapping[str, Any]]]
Base = Mapping[str, Mapping[str, Any]]


def checked_documents(definition: PlanDefinition, base: Base) -> tuple[dict[str, Document], ...]:
    """The documents of all stages of a plan without problems. Raises InvalidPlan with every problem otherwise."""
    problems = problems_of(definition, base, ())
    documents = () if problems else documents_of(definition, base)
    problems = problems or document_problems(definition, base, documents)
    if problems:
        raise invalid(problems)
    return documents


def problems_of(definition: PlanDefinition, base: Base, documents: Documents) -> Problems:
    """Path and sentence of everything that is wrong. Without `documents`, all but what only they tell."""
    problems = [*_flag_problems(definition, base), *shape_problems(definition)]
    problems += patch_problems(definition, base)
    problems += guard_problems(definition, {key: variant_names(document) for key, document in base.items()})
    if not problems and documents:
        problems = document_problems(definition, base, documents)
    return problems


def shape_problems(definition: PlanDefinition) -> Problems:
    """Path and sentence of what is wrong with stages, gates and options, whatever the flags are."""
    return [*_stage_problems(definition), *_option_problems(definition)]


def _flag_problems(definition: PlanDefinition, base: Base) -> Iterator[tuple[str, str]]:
    if not definition.flags:
        yield "flags", "Choose at least one flag."
    if len(definition.flags) > MAX_FLAGS:
        yield "flags", f"Use at most {MAX_FLAGS} flags in one plan; there are {len(definition.flags)}."
    for key, times in Counter(definition.flags).items():
        if times > 1:
            yield "flags", f"The flag {quoted(key)} is listed {times} times. List it once."
        if key not in base:
            yield "flags", f"There is no flag {quoted(key)} here. Choose another one."
    touched = {patch.flag_key for stage in definition.stages for patch in stage.patches}
    for key in dict.fromkeys(definition.flags):
        if definition.stages and key not in touched:
            yield "flags", f"No stage changes {quoted(key)}. Take it out of the plan, or say what becomes of it."


def _stage_problems(definition: PlanDefinition) -> Iterator[tuple[str, str]]:
    if not definition.stages:
        yield "stages", "Add at least one stage."
    if len(definition.stages) > MAX_STAGES:
        yield "stages", f"Use at most {MAX_STAGES} stages; there are {len(definition.stages)}."
    names = Counter(stage.name for stage in definition.stages)
    for number, stage in enumerate(definition.stages):
        path = f"stages.{number}"
        message = name_problem(stage.name, what="the name of the stage")
        if not message and names[stage.name] > 1:
            message = f"{names[stage.name]} stages are called {quoted(stage.name)}. Give each a name of its own."
        if message:
            yield f"{path}.name", message
        if not stage.patches:
            yield f"{path}.patches", f"{_called(number, stage)} changes nothing. Say what it changes, or remove it."
        yield from ((f"{path}.gates.{field}", text) for field, text in _gate_problems(stage, definition))


def _gate_problems(stage: Stage, definition: PlanDefinition) -> Iterator[tuple[str, str]]:
    gates = stage.gates
    if not 0 <= gates.soak_minutes <= MAX_SOAK_MINUTES:
        yield "soak_minutes", f"Give the time of a stage in minutes, from 0 to {MAX_SOAK_MINUTES} (90 days)."
    if gates.not_before is not None and gates.not_before.utcoffset() is None:
        yield "not_before", "The earliest time must name its time zone."
    if not 0 <= gates.approvals <= MAX_APPROVALS:
        yield "approvals", f"Ask for 0 to {MAX_APPROVALS} approvals."
    if not 0 <= gates.minimum_sample <= MAX_SAMPLE:
        yield "minimum_sample", "Give the smallest sample as a number of people, 0 for none."
    if gates.minimum_sample and not definition.guards:
        yield "minimum_sample", "Nobody counts the people: add a guard, or leave the smallest sample out."
    if gates.is_monitored:
        yield from _monitoring_problems(gates, definition)
    yield from _check_problems(gates)


def _monitoring_problems(gates: Gates, definition: PlanDefinition) -> Iterator[tuple[str, str]]:
    if not definition.guards:
        yield "is_monitored", "A monitored stage needs a guard to say how it goes. Add one, or do not monitor it."
    if gates.soak_minutes < 1:
        yield "soak_minutes", "A monitored stage needs some time: guards want at least a few minutes of data."


def _check_problems(gates: Gates) -> Iterator[tuple[str, str]]:
    if len(gates.checks) > MAX_CHECKS:
        yield "checks", f"Use at most {MAX_CHECKS} external checks in one stage; there are {len(gates.checks)}."
    names = Counter(check.name for check in gates.checks)
    for place, check in enumerate(gates.checks):
        path = f"checks.{place}"
        message = name_problem(check.name, what="the name of the check")
        if not message and names[check.name] > 1:
            message = f"{names[check.name]} checks are called {quoted(check.name)}. Give each a name of its own."
        if message:
            yield f"{path}.name", message
        if check.kind is CheckKind.PROMETHEUS and not check.query.strip():
            yield f"{path}.query", "Give the query to ask Prometheus."
        if check.kind is CheckKind.PROMETHEUS and check.operator not in OPERATORS:
            yield f"{path}.operator", f"Compare by one of {', '.join(OPERATORS)}."
        if check.kind is CheckKind.HTTP and not check.url.startswith(("https://", "http://")):
            yield f"{path}.url", "Give an address that starts with https:// or http://."


def _option_problems(definition: PlanDefinition) -> Iterator[tuple[str, str]]:
    options = definition.options
    if options.rollback_to not in ("last_good", "start"):
        yield "options.rollback_to", "Roll back to the last good stage (last_good) or to the start (start)."
    if not 0 < options.alpha <= 0.5:
        yield "options.alpha", "Give the risk of a false alarm as a number above 0 and up to 0.5; 0.05 is usual."
    if not 0 <= options.hold_back <= TOTAL_WEIGHT // 2:
        yield "options.hold_back", "Hold back 0 % to 50 %."
        return
    highest = TOTAL_WEIGHT - options.hold_back
    for number, stage in enumerate(definition.stages):
        for place, patch in enumerate(stage.patches):
            if patch.weight is not None and highest < patch.weight <= TOTAL_WEIGHT:
                message = (
                    f"{_called(number, stage)} leaves less than the {options.hold_back / 1_000:g} % that the plan "
                )
                yield f"stages.{number}.patches.{place}.weight", f"{message}holds back. Lower its share."


def document_problems(definition: PlanDefinition, base: Base, documents: Documents) -> Problems:
    """What only the documents of the stages tell: stages without effect, and flags whose rule nobody reaches."""
    problems: Problems = []
    shadowed: set[str] = set()
    for number, (stage, changed) in enumerate(zip(definition.stages, documents, strict=True)):
        if not changed:
            message = f"{_called(number, stage)} changes nothing that is not so already. Remove it."
            problems.append((f"stages.{number}.patches", message))
        for key in changed.keys() - shadowed:
            message = _shadow(key, changed[key])
            if message:
                shadowed.add(key)
                problems.append((f"stages.{number}.patches", message))
        problems += _uncompared(number, stage, definition, documents_at(number + 1, base=base, documents=documents))
    return problems + _switched_off(definition, base, documents)


def _shadow(key: str, document: Mapping[str, Any]) -> str:
    """Why nobody comes to a rule of the plan; empty where they do."""
    managed = managed_rule(document)
    for index, rule in enumerate(document["rules"]):
        if rule is managed:
            return ""
        behind = document["rules"][index + 1 :]
        if is_for_everyone(rule) and any(
            item is managed or item["id"].startswith(segment_rule_id("")) for item in behind
        ):
            return (
                f"Nobody comes to the plan's rule of {quoted(key)}: rule {index + 1} ({quoted(rule['id'])}) is for "
                "everyone and stands before it. Remove that rule; the plan's rule and the default take its place."
            )
    return ""


def _uncompared(number: int, stage: Stage, definition: PlanDefinition, served: Mapping[str, Any]) -> Problems:
    """Monitored stages in which some guard has nobody to compare with."""
    if not stage.gates.is_monitored:
        return []
    for guard in definition.guards:
        rule = managed_rule(served[guard.flag_key])
        if rule is not None and rule["serve"] == {"variant": guard.treatment} and rule["condition"] is None:
            message = (
                f"{_called(number, stage)} is monitored, but everybody gets {quoted(guard.treatment)} there, so there "
                "is nobody to compare with. Hold some back, or do not monitor it."
            )
            return [(f"stages.{number}.gates.is_monitored", message)]
    return []


def _switched_off(definition: PlanDefinition, base: Base, documents: Documents) -> Problems:
    """Flags that are switched off all the time, so that their stages change nobody's answer."""
    all_stages = [documents_at(number, base=base, documents=documents) for number in range(len(documents) + 1)]
    problems = []
    for key in definition.flags:
        if all_stages and not any(served[key]["enabled"] for served in all_stages):
            message = (
                f"{quoted(key)} is switched off in every stage, so nobody gets anything. Switch it on in the first."
            )
            problems.append(("stages.0.patches", message))
    return problems


def _called(number: int, stage: Stage) -> str:
    return f"Stage {number + 1} {quoted(stage.name)}"
