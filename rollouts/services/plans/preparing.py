"""What a plan is made of: the definition checked against how flags are now, and the documents of every stage."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC
from typing import Any

from flags.changes import ChangeSet, ConfigEdit
from flags.errors import InvalidDocument
from flags.models import Environment, Flag, Segment
from rollouts.errors import ConfirmationMissing
from rollouts.models import RolloutPlan
from rollouts.plans.checking import checked_documents
from rollouts.plans.codec import as_json, invalid, plan_digest
from rollouts.plans.definition import PlanDefinition, Stage
from rollouts.plans.narrowings import Narrowed, narrowings
from rollouts.selectors.plans.ground import base_of
from rollouts.selectors.reliance import relied_on
from rollouts.services.checks import checked_change_set
from rollouts.services.plans.consent import base_digests, every_document
from rollouts.services.stage_checks import check_problems

Documents = tuple[dict[str, dict[str, Any]], ...]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A definition that can be carried out as flags are now. `narrowed`: what it takes away on its way forward."""

    definition: PlanDefinition
    flags: tuple[Flag, ...]
    base: dict[str, dict[str, Any]]
    documents: Documents
    relies_on: dict[str, int]
    digest: str
    narrowed: tuple[Narrowed, ...]

    def columns(self) -> dict[str, Any]:
        """The columns of a plan that hold it."""
        return {
            "definition": as_json(self.definition),
            "base": self.base,
            "documents": list(self.documents),
            "relies_on": self.relies_on,
            "digest": self.digest,
            "written": {},
        }


def prepare(definition: PlanDefinition, environment: Environment) -> Prepared:
    """The plan as it would be stored now; nothing is written. Raises InvalidPlan naming every problem."""
    definition = _in_utc(definition)
    flags = _flags(definition, environment)
    base = base_of(environment, flags)
    known = {key: found["document"] for key, found in base.items()}
    documents = checked_documents(definition, known)
    if problems := check_problems(definition):
        raise invalid(problems)
    documents = _normal(definition, environment, base, documents)
    relies_on = relied_on(every_document(environment, documents), environment)
    segments = dict(Segment.objects.filter(environment=environment).values_list("key", "document"))
    return Prepared(
        definition,
        flags,
        base,
        documents,
        relies_on,
        plan_digest(definition, base_digests=base_digests(base, relies_on), documents=documents),
        tuple(narrowings(definition, known, documents, segments)),
    )


def refuse_unconfirmed(prepared: Prepared, *, is_confirmed: bool) -> None:
    """Raise ConfirmationMissing where the plan takes something away from people and nobody said that this is meant."""
    if not prepared.narrowed or is_confirmed:
        return
    said = [item.sentence for item in prepared.narrowed]
    raise ConfirmationMissing(
        f"{' '.join(said[:5])} Confirm that this is meant, or change the stages.",
        narrowings=[
            {"stage": item.stage, "flag_key": item.flag_key, "message": item.sentence} for item in prepared.narrowed
        ],
    )


def end_state(plan: RolloutPlan) -> ChangeSet:
    """What the plan comes to, on top of how flags were when it was prepared: what a change request about it shows."""
    documents = {key: known["document"] for key, known in plan.base.items()}
    for changed in plan.documents:
        documents |= changed
    edits = tuple(
        ConfigEdit(key, plan.base[key]["version"], documents[key])
        for key in plan.definition["flags"]
        if documents[key] != plan.base[key]["document"] or not plan.base[key]["version"]
    )
    return ChangeSet(str(plan.environment_id), edits)


def _flags(definition: PlanDefinition, environment: Environment) -> tuple[Flag, ...]:
    """The flags that exist, in the plan's order; those that do not are found when the definition is checked."""
    rows = {flag.key: flag for flag in Flag.objects.filter(project=environment.project_id, key__in=definition.flags)}
    return tuple(rows[key] for key in dict.fromkeys(definition.flags) if key in rows)


def _normal(
    definition: PlanDefinition,
    environment: Environment,
    base: Mapping[str, Mapping[str, Any]],
    documents: Documents,
) -> Documents:
    """The documents of each stage in normal form. Raises InvalidPlan where the environment would break a rule."""
    served = {key: found["document"] for key, found in base.items()}
    normal: list[dict[str, dict[str, Any]]] = []
    problems: list[tuple[str, str]] = []
    for number, (stage, changed) in enumerate(zip(definition.stages, documents, strict=True), start=1):
        served = {**served, **changed}
        edits = tuple(ConfigEdit(key, base[key]["version"], document) for key, document in served.items())
        try:
            checked = checked_change_set(ChangeSet(str(environment.pk), edits), environment, source={})
        except InvalidDocument as error:
            problems += _problems(error, number, stage)
            continue
        found = {edit.flag_key: edit.document for edit in checked.edits if isinstance(edit, ConfigEdit)}
        normal.append({key: found[key] for key in changed})
    if problems:
        raise invalid(problems)
    return tuple(normal)


def _problems(error: InvalidDocument, number: int, stage: Stage) -> list[tuple[str, str]]:
    return [
        (f"stages.{number - 1}.{item['key']}", f"Stage {number} “{stage.name}”, {item['key']}: {item['message']}")
        for item in error.facts["problems"]
    ] or [(f"stages.{number - 1}", f"Stage {number} “{stage.name}”: {error.message}")]


def _in_utc(definition: PlanDefinition) -> PlanDefinition:
    """Every instant in UTC, so that the same instant has the same digest. Raises InvalidPlan for one without a zone."""
    problems = [
        (f"stages.{index}.gates.not_before", f"Say in which time zone stage “{stage.name}” begins.")
        for index, stage in enumerate(definition.stages)
        if stage.gates.not_before is not None and stage.gates.not_before.utcoffset() is None
    ]
    if problems:
        raise invalid(problems)
    stages = tuple(
        replace(stage, gates=replace(stage.gates, not_before=stage.gates.not_before.astimezone(UTC)))
        if stage.gates.not_before is not None
        else stage
        for stage in definition.stages
    )
    return replace(definition, stages=stages)
