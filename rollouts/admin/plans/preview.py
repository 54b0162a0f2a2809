"""The preview beside the editor: what the stages come to, when they would come, what they need and take away."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Sum

from audits.errors import GovernanceError
from flags.documents.words import percent
from flags.models import Environment, EvaluationCount
from rollouts.admin.plans.bars import Column, stage_shares
from rollouts.admin.plans.values import ShownChange, shown_changes
from rollouts.guarding.judging import alpha_shares
from rollouts.guarding.planning import need_for
from rollouts.guarding.serving import weights_in
from rollouts.plans.definition import TOTAL_WEIGHT, GuardSpec, PlanDefinition
from rollouts.plans.dry_run import TimelineEntry
from rollouts.plans.value_changes import value_changes
from rollouts.policies import Finding
from rollouts.selectors.plans.dry_runs import StageReach, dry_run
from rollouts.selectors.plans.starting import start_holds
from rollouts.selectors.timelines.beside import endings_beside
from rollouts.services.plans.preparing import Prepared, prepare

RATIOS = (1.5, 2.0, 3.0)
# What is taken for the usual part of bad events where the flag's own is not known yet.
USUAL_RATE = 0.01
_LOOKED_AT = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Row:
    """One stage ahead: its column, when it comes and why not sooner, its new values, and whom it reaches."""

    column: Column
    entry: TimelineEntry
    values: Sequence[ShownChange]
    reach: StageReach


@dataclass(frozen=True, slots=True)
class Needs:
    """What one guard takes to see regressions, in the stage where the smaller variant is smallest but watched."""

    name: str
    share: str
    sentences: Sequence[str]


@dataclass(frozen=True, slots=True)
class Preview:
    """Everything beside the editor. Without `rows` the stages cannot be carried out, and `problems` say why. `holds`
    is what would keep the plan from being started now.
    """

    rows: Sequence[Row] = ()
    narrowed: Sequence[str] = ()
    needs: Sequence[Needs] = ()
    problems: Sequence[tuple[str, str]] = ()
    message: str = ""
    per_hour: float | None = None
    ends_at: datetime | None = None
    consents: str = ""
    depends: Sequence[str] = ()
    endings: Sequence[str] = ()
    findings: Sequence[Finding] = ()
    holds: Sequence[str] = ()

    @property
    def is_possible(self) -> bool:
        """Whether the plan could be saved."""
        return bool(self.rows)


def preview_of(definition: PlanDefinition, environment: Environment, *, now: datetime) -> Preview:
    """What the definition comes to on how the flags are now; nothing is written."""
    try:
        prepared = prepare(definition, environment)
    except GovernanceError as error:
        return Preview(problems=problems_in(error), message=error.message)
    found = dry_run(prepared.definition, environment, base=prepared.base, documents=prepared.documents, now=now)
    per_hour = people_per_hour(environment, definition.flags[0], now=now)
    return Preview(
        rows=[Row(*row) for row in zip(_columns(prepared), found.entries, _values(prepared), found.reach, strict=True)],
        narrowed=[item.sentence for item in prepared.narrowed],
        needs=_needs(prepared, per_hour),
        per_hour=per_hour,
        ends_at=found.ends_at,
        consents=_consents(found.approvals),
        depends=found.depends,
        endings=list(endings_beside(environment, prepared.definition.flags, now=now).values()),
        findings=found.findings,
        holds=start_holds(prepared.definition, environment, now=now),
    )


def problems_in(error: GovernanceError) -> list[tuple[str, str]]:
    """Path and sentence of everything that a service names."""
    found = [item for item in error.facts.get("problems") or [] if isinstance(item, dict)]
    return [(str(item.get("path", "")), str(item.get("message", ""))) for item in found]


def people_per_hour(environment: Environment, flag_key: str, *, now: datetime) -> float | None:
    """How many evaluations of a flag there were an hour, over the last day; None where nothing was reported."""
    rows = EvaluationCount.objects.filter(
        environment=environment, flag_key=flag_key, span="minute", at__gte=now - _LOOKED_AT, at__lt=now
    )
    total = rows.aggregate(total=Sum("count"))["total"]
    first = rows.order_by("at").values_list("at", flat=True).first()
    if not total or first is None:
        return None
    return float(total) / max(1.0, (now - first) / timedelta(hours=1))


def _consents(approvals: int) -> str:
    """Whose yes the whole plan takes before it starts; empty where nobody is asked."""
    if not approvals:
        return ""
    said = f"{approvals} approval{'' if approvals == 1 else 's'}"
    return f"Proposing it asks for {said} of the whole plan; policy rules may ask for more."


def _values(prepared: Prepared) -> list[list[ShownChange]]:
    base = {key: known["document"] for key, known in prepared.base.items()}
    return [shown_changes(changes) for changes in value_changes(base, prepared.documents)]


def _columns(prepared: Prepared) -> list[Column]:
    stages = prepared.definition.stages
    return [
        Column(number, stage.name, words, weight, "next")
        for number, (stage, (weight, words)) in enumerate(zip(stages, stage_shares(stages), strict=True), start=1)
    ]


def _needs(prepared: Prepared, per_hour: float | None) -> list[Needs]:
    """What each guard takes, at the largest share at which somebody is left to compare with."""
    definition = prepared.definition
    weights = [weight for weight, _ in stage_shares(definition.stages) if 0 < weight < TOTAL_WEIGHT]
    if not weights or not definition.guards:
        return []
    weight = min(weights, key=lambda one: abs(one - TOTAL_WEIGHT // 2))
    alphas = alpha_shares(definition.guards, definition.options.alpha)
    found = []
    for spec, alpha in zip(definition.guards, alphas, strict=True):
        needs = [
            need_for(
                ratio,
                base_rate=USUAL_RATE,
                units_per_hour=per_hour or 0.0,
                alpha=alpha,
                margin=spec.margin,
                weight=weight,
            )
            for ratio in RATIOS
            if ratio > 1 + spec.margin
        ]
        sentences = [need.sentence if per_hour else need.sentence.replace("; nobody comes now", "") for need in needs]
        found.append(Needs(spec.name, percent(weight), [*sentences, *_not_by_lot(prepared, spec)]))
    return found


def _not_by_lot(prepared: Prepared, spec: GuardSpec) -> list[str]:
    """Where the split is not the only way to the variants of a guard, which then only advises."""
    document = prepared.base[spec.flag_key]["document"] if spec.flag_key in prepared.base else None
    stages = []
    for number, changed in enumerate(prepared.documents, start=1):
        document = changed.get(spec.flag_key, document)
        weights = weights_in(document, spec, stage=number)
        if weights.serves_both and not weights.is_comparable:
            stages.append(prepared.definition.stages[number - 1].name)
    if not stages:
        return []
    return [
        f"Other rules, targets or prerequisites also lead to its variants in {', '.join(stages)}, so people are not "
        "drawn by lot there: a breach pauses the plan and does not take it back."
    ]
