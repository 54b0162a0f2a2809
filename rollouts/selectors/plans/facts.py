"""What is known of the present stage of running plans, and what follows from it: for the engine and for plan pages."""

import uuid
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Count, Max

from flags.telemetry.closing import MINUTE, closed_through
from rollouts.models import PlanStep, RolloutPlan, StageApproval, StageCheck
from rollouts.plans.codec import from_row
from rollouts.plans.deciding import (
    CheckFacts,
    CheckOutcome,
    Decision,
    GuardFacts,
    StageFacts,
    decide,
    is_good,
)
from rollouts.plans.definition import PlanDefinition
from rollouts.plans.transitions import PlanAct
from rollouts.selectors.guards import GuardReading, weights_of
from rollouts.selectors.plans.consents import stage_consents
from rollouts.selectors.plans.signals import Signal, signal_of, surroundings_of

# From how far ahead on the beginning of a stage was written by a clock that was wrong.
_FURTHEST_AHEAD = timedelta(days=1)


Guards = Mapping[uuid.UUID, Sequence[GuardReading]]


@dataclass(frozen=True, slots=True)
class Reading:
    """A plan at one look: the facts, what follows from them, and the signal that holds it back from outside."""

    plan: RolloutPlan
    definition: PlanDefinition
    facts: StageFacts
    decision: Decision
    signal: Signal | None
    guards: tuple[GuardReading, ...]

    @property
    def is_good(self) -> bool:
        """Whether the guards found the present stage good."""
        return is_good(self.facts)

    @property
    def is_ahead(self) -> bool:
        """Whether the stage was entered at a time that is far from having come."""
        return self.facts.entered_at > self.facts.now + _FURTHEST_AHEAD

    @property
    def next_look_at(self) -> datetime:
        """When to look again where nothing moves now."""
        look = self.decision.next_look_at
        return look if look is not None and look > self.facts.now else next_closing(self.facts.now)


@dataclass(frozen=True, slots=True)
class _Known:
    """What rows say of many plans, by plan."""

    checks: Mapping[uuid.UUID, Mapping[str, CheckFacts]]
    approvals: Mapping[uuid.UUID, int]
    able_since: Mapping[uuid.UUID, datetime]
    extended: Collection[uuid.UUID]


def readings_of(plans: Sequence[RolloutPlan], guards: Guards, *, now: datetime) -> list[Reading]:
    """What these plans would do now: seven queries, and four more for each that has the approvals to go on.

    `guards` is what `refresh_guards` says of them.
    """
    surroundings, known = surroundings_of(plans, now=now), _known(plans)
    found = []
    for plan in plans:
        definition, signal = from_row(plan.definition), signal_of(plan, surroundings)
        mine = tuple(guards.get(plan.pk, ()))
        facts = _facts(plan, definition, signal, mine, known, now=now)
        found.append(Reading(plan, definition, facts, decide(definition, plan.stage, facts), signal, mine))
    return found


def facts_of_plan(plan: RolloutPlan, *, now: datetime, guards: Sequence[GuardReading] = ()) -> StageFacts:
    """The facts about the present stage of one plan."""
    return readings_of([plan], {plan.pk: guards}, now=now)[0].facts


def next_closing(now: datetime) -> datetime:
    """When guards know more: another minute of telemetry is closed."""
    lateness = timedelta(seconds=settings.TELEMETRY_LATENESS_SECONDS)
    return closed_through(now, lateness) + 2 * MINUTE + lateness


def _facts(
    plan: RolloutPlan,
    definition: PlanDefinition,
    signal: Signal | None,
    guards: Sequence[GuardReading],
    known: _Known,
    *,
    now: datetime,
) -> StageFacts:
    by_lot = [weights_of(plan, plan.stage, one.spec).is_randomised for one in guards]
    deciding = [one for one, is_drawn in zip(guards, by_lot, strict=True) if is_drawn] or guards
    return StageFacts(
        now=now,
        entered_at=plan.stage_entered_at or now,
        fresh_minutes=min((one.watch.fresh_minutes for one in deciding), default=0),
        extra_soak_minutes=plan.extra_soak_minutes,
        approvals=_approvals(plan, definition, known),
        guards=tuple(_guard_facts(one, is_randomised=is_drawn) for one, is_drawn in zip(guards, by_lot, strict=True)),
        checks=known.checks.get(plan.pk, {}),
        blocked_by=signal.message if signal else "",
        reversals=plan.automatic_reversals,
        good_stage=plan.good_stage,
        is_extended=plan.pk in known.extended,
        able_since=now if plan.is_blocked else known.able_since.get(plan.pk),
        look_again_at=next_closing(now),
    )


def _guard_facts(reading: GuardReading, *, is_randomised: bool) -> GuardFacts:
    said = reading.judgement
    seen = said.samples
    return GuardFacts(
        reading.spec.name, said.outcome, said.action, said.sentence, seen.control, seen.treatment, is_randomised
    )


def _approvals(plan: RolloutPlan, definition: PlanDefinition, known: _Known) -> int:
    """How many approvals count for leaving the stage. Who gave them is looked at once there are enough of them."""
    wanted = definition.stages[plan.stage - 1].gates.approvals if plan.stage else 0
    given = known.approvals.get(plan.pk, 0)
    return len(stage_consents(plan).counted) if wanted and given >= wanted else given


def _known(plans: Sequence[RolloutPlan]) -> _Known:
    """The rows about the present stages of all these plans: three queries."""
    here = {plan.pk: (plan.attempt, plan.stage) for plan in plans}
    checks: dict[uuid.UUID, dict[str, CheckFacts]] = defaultdict(dict)
    for row in StageCheck.objects.filter(plan__in=plans):
        if here[row.plan_id] == (row.attempt, row.stage):
            checks[row.plan_id][row.name] = CheckFacts(CheckOutcome(row.outcome), row.sentence)
    given = StageApproval.objects.filter(plan__in=plans).order_by().values_list("plan_id", "attempt", "stage")
    approvals = {
        plan_id: count for plan_id, *place, count in given.annotate(Count("pk")) if here[plan_id] == tuple(place)
    }
    return _Known(checks, approvals, *_let_go_and_extended(here))


def _let_go_and_extended(
    here: Mapping[uuid.UUID, tuple[int, int]],
) -> tuple[dict[uuid.UUID, datetime], set[uuid.UUID]]:
    """When what held each plan went away, and which were given the soak of their present stage once more: one query."""
    acts = [PlanAct.CLEAR.value, PlanAct.RESUME.value, PlanAct.EXTEND.value]
    # A stage that began anew after a clock was wrong was not extended.
    steps = PlanStep.objects.filter(plan__in=list(here), act__in=acts).exclude(evidence__has_key="entered_at")
    rows = steps.order_by().values_list("plan_id", "act", "attempt", "to_stage").annotate(Max("at"))
    able_since: dict[uuid.UUID, datetime] = {}
    extended = set()
    for plan_id, act, attempt, stage, at in rows:
        if act != PlanAct.EXTEND.value:
            able_since[plan_id] = max(at, able_since.get(plan_id, at))
        elif (attempt, stage) == here[plan_id]:
            extended.add(plan_id)
    return able_since, extended
