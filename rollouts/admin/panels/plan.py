"""The rollout plan that a request asks for: what approvers consent to beyond the end state, stage by stage."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import AbstractUser

from flags.documents.words import percent
from rollouts.admin.plans.ahead import asks
from rollouts.admin.plans.bars import Column, columns_of
from rollouts.admin.plans.words import Chip, state_of
from rollouts.guarding.outcomes import GuardOutcome, action_of
from rollouts.models import RolloutPlan, TrainMember
from rollouts.plans.codec import from_json
from rollouts.plans.definition import GuardAction, GuardSpec, PlanDefinition
from rollouts.selectors import RequestPage

_DEEDS = {
    GuardAction.ROLL_BACK: "the plan rolls itself back",
    GuardAction.PAUSE: "the plan pauses and a person decides",
    GuardAction.HOLD: "the plan waits",
    GuardAction.WARN: "people are told, and the plan goes on",
}


@dataclass(frozen=True, slots=True)
class StageWords:
    """One stage: its column in the picture, and what leaving it takes; empty for nothing."""

    column: Column
    asks: str


@dataclass(frozen=True, slots=True)
class PlanPanel:
    """The plan with its stages, the sentences of its guards and of its options, and the train it goes with."""

    plan: RolloutPlan
    state: Chip
    columns: Sequence[Column]
    stages: Sequence[StageWords]
    guards: Sequence[str]
    options: Sequence[str]
    train: TrainMember | None


def plan_panel(page: RequestPage, user: AbstractUser, now: datetime) -> PlanPanel | None:
    """Two queries; None, and none, for a request without a plan."""
    if not page.request.plan_digest:
        return None
    plan = RolloutPlan.objects.select_related("environment").filter(request=page.request).first()
    if plan is None:
        return None
    definition = from_json(plan.definition)
    columns = columns_of(plan, definition)
    stages = zip(columns, definition.stages, strict=True)
    return PlanPanel(
        plan=plan,
        state=state_of(plan),
        columns=columns,
        stages=[StageWords(column, asks(stage)) for column, stage in stages],
        guards=[guard_words(spec) for spec in definition.guards],
        options=option_words(definition),
        train=TrainMember.objects.filter(plan=plan).select_related("train").first(),
    )


def guard_words(spec: GuardSpec) -> str:
    """What a guard watches, and what happens when it is bad or silent."""
    worse = f"more than {spec.margin:.0%} worse with “{spec.treatment}” than with “{spec.control}”"
    at_breach, at_silence = (action_of(one, spec) for one in (GuardOutcome.BREACH, GuardOutcome.MISSING))
    said = f"{spec.name}, {worse}: {_DEEDS[at_breach or GuardAction.WARN]}."
    return f"{said} Without data {_DEEDS[at_silence or GuardAction.WARN]}."


def option_words(definition: PlanDefinition) -> list[str]:
    """What the plan may do that its stages do not show."""
    options, found = definition.options, []
    to_start = options.rollback_to == "start"
    found.append(f"It rolls back to {'how it was before' if to_start else 'the last stage that was found good'}.")
    if options.may_skip:
        found.append("A release manager may leave a stage before its time, with a reason; approvals are never skipped.")
    if options.hold_back:
        found.append(f"{percent(options.hold_back)} of people are held back for comparison until the end.")
    return found
