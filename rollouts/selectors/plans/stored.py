"""What a plan's guards say as far as they were counted, and what the engine would do: read without counting on."""

from datetime import datetime

from rollouts.guarding.eprocess import Accumulated, start
from rollouts.guarding.judging import alpha_shares, judge_guard
from rollouts.models import GuardWatch, RolloutPlan
from rollouts.plans.codec import from_json
from rollouts.plans.transitions import PlanState
from rollouts.selectors.guards import GuardReading, courses_of
from rollouts.selectors.plans.facts import Reading, readings_of

_STANDING = frozenset({PlanState.RUNNING, PlanState.PAUSED})


def stored_guards(plan: RolloutPlan, *, now: datetime) -> tuple[GuardReading, ...]:
    """Every guard of the plan's present attempt: three queries, none without guards or before the start."""
    definition = from_json(plan.definition)
    if not definition.guards or plan.started_at is None:
        return ()
    course = courses_of([plan]).get(plan.pk)
    if course is None:
        return ()
    watches = {watch.metric: watch for watch in GuardWatch.objects.filter(plan=plan, attempt=plan.attempt)}
    shares = alpha_shares(definition.guards, definition.options.alpha)
    found = []
    for spec, alpha in zip(definition.guards, shares, strict=True):
        watch = watches.get(spec.metric) or GuardWatch(plan=plan, attempt=plan.attempt, metric=spec.metric)
        judgement = judge_guard(
            spec,
            Accumulated.from_json(watch.accumulated) if watch.accumulated else start(spec),
            alpha_m=alpha,
            now=now,
            sampled_at=watch.sampled_at,
            started_at=course.present.at,
            fresh=watch.fresh_minutes,
            errors_in_a_row=watch.errors_in_a_row,
            previous=watch.outcome or None,
        )
        found.append(GuardReading(spec, judgement, watch, alpha, course.present.at))
    return tuple(found)


def reading_of(plan: RolloutPlan, guards: tuple[GuardReading, ...], *, now: datetime) -> Reading | None:
    """What the engine would do with a plan that is running or paused; None for one that stands elsewhere."""
    if plan.current_state not in _STANDING:
        return None
    return readings_of([plan], {plan.pk: guards}, now=now)[0]
