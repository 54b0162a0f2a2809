"""What guards read: the stages that plans served when, and the counts of closed minutes."""

import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db.models import F, Min, Q

from flags.models import MetricCount
from flags.selectors.telemetry import MetricSeries, metric_minutes
from rollouts.guarding.counts import Interval
from rollouts.guarding.judging import Judgement
from rollouts.guarding.serving import NOTHING, ArmCounts, Course, Turn, Weights, interval_of, weights_in
from rollouts.models import GuardVerdict, GuardWatch, PlanStep, RolloutPlan
from rollouts.plans.definition import GuardSpec
from rollouts.plans.transitions import LIVE_STATES, PlanAct

_MINUTE = timedelta(minutes=1)
# A watch further behind is counted on apart from the others, so that these need not read its long past.
_NEAR = timedelta(minutes=10)

# What was counted of a metric: by minute and variant.
Minutes = Mapping[datetime, Mapping[str, ArmCounts]]


class WatchKey(NamedTuple):
    """One guard of one attempt of a plan."""

    plan_id: uuid.UUID
    attempt: int
    metric: str


@dataclass(frozen=True, slots=True)
class GuardReading:
    """What one guard says now, and what it was counted from."""

    spec: GuardSpec
    judgement: Judgement
    watch: GuardWatch
    alpha: float
    started_at: datetime


def guarded_plans(plan_ids: Collection[uuid.UUID]) -> list[RolloutPlan]:
    """Those of the plans that serve a stage and have guards: one query."""
    rows = RolloutPlan.objects.filter(pk__in=plan_ids, stage__gt=0, state__in=[state.value for state in LIVE_STATES])
    return [plan for plan in rows.order_by("pk") if is_guarded(plan)]


def is_guarded(plan: RolloutPlan) -> bool:
    """Whether the plan serves a stage and has guards."""
    return plan.stage > 0 and plan.current_state in LIVE_STATES and bool(plan.definition["guards"])


def courses_of(plans: Collection[RolloutPlan]) -> dict[uuid.UUID, Course]:
    """What each plan served when, of those that serve something: two queries."""
    steps = PlanStep.objects.filter(plan__in=plans).order_by("plan_id", "sequence")
    begun = steps.order_by().values_list("plan_id", "attempt").annotate(begun=Min("at"))
    begun_at = {(plan_id, attempt): at for plan_id, attempt, at in begun}
    turns: dict[uuid.UUID, list[Turn]] = defaultdict(list)
    # What came while a plan was paused or had gone back is no part of the stage's soak, so that begins with the resume.
    begins = steps.filter(~Q(from_stage=F("to_stage")) | Q(act=PlanAct.RESUME.value))
    for plan_id, at, stage in begins.values_list("plan_id", "at", "to_stage"):
        turns[plan_id].append(Turn(at, stage))
    return {
        plan.pk: Course(tuple(turns[plan.pk]), begun_at.get((plan.pk, plan.attempt), turns[plan.pk][0].at))
        for plan in plans
        if plan.pk in turns
    }


def weights_of(plan: RolloutPlan, stage: int, spec: GuardSpec) -> Weights:
    """The weights of a guard's arms in a stage."""
    document = plan.base[spec.flag_key]["document"]
    for changed in plan.documents[:stage]:
        document = changed.get(spec.flag_key, document)
    return weights_in(document, spec, stage=stage)


def series_of(plan: RolloutPlan, spec: GuardSpec) -> MetricSeries:
    """Where the counts of a guard are kept."""
    return MetricSeries(plan.environment_id, spec.metric, spec.flag_key)


def minutes_of(wanted: Mapping[MetricSeries, datetime], *, through: datetime) -> dict[MetricSeries, Minutes]:
    """The counts of each series from its instant on, up to the closed minute `through`: two queries at most."""
    near = {key: since for key, since in wanted.items() if since > through - _NEAR}
    far = {key: since for key, since in wanted.items() if key not in near}
    found: dict[MetricSeries, dict[datetime, dict[str, ArmCounts]]] = {key: {} for key in wanted}
    for keys in (near, far):
        since = min(keys.values(), default=through + _MINUTE)
        if since > through:
            continue
        for row in metric_minutes(keys, since=since, until=through + _MINUTE):
            series = MetricSeries(row.environment_id, row.metric, row.flag_key)
            found[series].setdefault(row.at, {})[row.variant] = arm_counts(row)
    return dict(found)


def arm_counts(row: MetricCount) -> ArmCounts:
    """What came in time to a minute of one variant."""
    sketch = {int(bucket): count for bucket, count in row.sketch.items()}
    return ArmCounts(row.units, row.bad_units, row.without_units, row.bad_without_units, sketch)


def interval_in(minutes: Minutes, at: datetime, *, spec: GuardSpec, weights: Weights) -> Interval:
    """The interval of a guard in the minute `at`."""
    arms = minutes.get(at, {})
    control, treatment = arms.get(spec.control, NOTHING), arms.get(spec.treatment, NOTHING)
    return interval_of(at, control, treatment, spec=spec, weights=weights)


def intervals_of(verdicts: Iterable[GuardVerdict]) -> list[Interval]:
    """What verdicts in the order of their numbers rest on."""
    return [Interval.from_json(item) for verdict in verdicts for item in verdict.intervals]


def verdicts_by_watch(plans: Collection[RolloutPlan]) -> dict[WatchKey, list[GuardVerdict]]:
    """The verdicts of the plans' present attempts in the order of their numbers: one query."""
    attempts = {plan.pk: plan.attempt for plan in plans}
    found: dict[WatchKey, list[GuardVerdict]] = defaultdict(list)
    for row in GuardVerdict.objects.filter(plan__in=plans).order_by("plan_id", "metric", "attempt", "number"):
        if row.attempt == attempts[row.plan_id]:
            found[WatchKey(row.plan_id, row.attempt, row.metric)].append(row)
    return found
