"""The rollout plan that a request asks for: what approval does first, and what approvers consent to beyond that."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import AbstractUser

from flags.documents.words import percent
from rollouts.admin.plans.ahead import asks
from rollouts.admin.plans.bars import Column, columns_of, stage_shares
from rollouts.admin.plans.words import Chip, state_of
from rollouts.guarding.outcomes import GuardOutcome, action_of
from rollouts.models import RolloutPlan, TrainMember
from rollouts.plans import words
from rollouts.plans.codec import from_json
from rollouts.plans.definition import GuardAction, GuardSpec, PlanDefinition
from rollouts.plans.dry_run import timeline
from rollouts.plans.transitions import PlanState
from rollouts.selectors import RequestPage
from rollouts.selectors.plans.freezes import freezes_ahead

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
    """The plan with its stages, the sentences of its guards and of its options, and the train it goes with. `start` is
    what approval does first, empty once that is over.
    """

    plan: RolloutPlan
    start: str
    state: Chip
    columns: Sequence[Column]
    stages: Sequence[StageWords]
    guards: Sequence[str]
    options: Sequence[str]
    train: TrainMember | None


def plan_panel(page: RequestPage, user: AbstractUser, now: datetime) -> PlanPanel | None:
    """Four queries at most; None, and none, for a request without a plan."""
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
        start=_start(plan, definition, apply_at=page.request.apply_at, now=now),
        state=state_of(plan),
        columns=columns,
        stages=[StageWords(column, asks(stage)) for column, stage in stages],
        guards=[guard_words(spec) for spec in definition.guards],
        options=option_words(definition),
        train=TrainMember.objects.filter(plan=plan).select_related("train").first(),
    )


def start_words(shares: Sequence[tuple[int, str]], *, starts_at: datetime, ends_at: datetime, now: datetime) -> str:
    """“Starts a plan: 1 % now, up to 100 % in 6 stages by 5 May 2026 14:05 UTC at the earliest.”

    `shares` are those of `bars.stage_shares`; `starts_at` is when the first stage begins, `ends_at` the last one.
    """
    (first, first_words), (last, last_words) = shares[0], shares[-1]
    start = "now" if starts_at <= now else f"at {words.instant(starts_at, now=now)}"
    if len(shares) == 1:
        return f"Starts a plan of one stage: {first_words} {start}."
    way = "then" if first == last else "down to" if last < first else "up to"
    by = words.instant(ends_at, now=now)
    return f"Starts a plan: {first_words} {start}, {way} {last_words} in {len(shares)} stages by {by} at the earliest."


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


def _start(plan: RolloutPlan, definition: PlanDefinition, *, apply_at: datetime | None, now: datetime) -> str:
    """What approval does first, for a plan that waits for it."""
    if plan.current_state is not PlanState.PROPOSED:
        return ""
    starts_at = max(now, apply_at or now)
    freezes = freezes_ahead(plan.environment, definition.flags, starts_at)
    entries = timeline(definition, starts_at=starts_at, freezes=freezes)
    first, last = entries[0].earliest_at, entries[-1].earliest_at
    return start_words(stage_shares(definition.stages), starts_at=first, ends_at=last, now=now)
