"""Guards at work: every watch is brought up to the last closed minute and judged, and verdicts are kept as evidence.

A watch follows from the closed minutes alone: thrown away, it is counted anew to the same bits. What Prometheus said
about a minute is kept in the watch and its verdicts, as nobody can ask about it for ever.
"""

import copy
import logging
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Max

from audits.actions import Action
from audits.context import correlation
from flags.selectors.telemetry import MetricSeries
from flags.services.attempts import attempt
from flags.services.tickets import governed_write
from flags.telemetry.closing import MINUTE, closed_through
from rollouts.errors import ConcurrentUpdate
from rollouts.guarding.counts import Interval, InvalidInterval
from rollouts.guarding.eprocess import Accumulated, add, start
from rollouts.guarding.judging import GuardOutcome, Judgement, alpha_shares, judge_guard, parameters_of
from rollouts.guarding.serving import Course, Freshness, Span, Weights
from rollouts.models import GuardVerdict, GuardWatch, RolloutPlan
from rollouts.plans.codec import from_row
from rollouts.plans.definition import GuardSource, GuardSpec
from rollouts.selectors.guard_samples import intervals_kept, samples_by_watch
from rollouts.selectors.guards import (
    GuardReading,
    Minutes,
    WatchKey,
    courses_of,
    guarded_plans,
    interval_in,
    is_guarded,
    minutes_of,
    series_of,
    verdicts_by_watch,
    weights_of,
)
from rollouts.services.guard_queries import questions_of, read_minutes
from rollouts.services.guard_rows import CountedOn, write_counted
from rollouts.services.guard_samples import is_due, keep_samples
from rollouts.services.outside import Outside
from rollouts.services.plans.writing import ENGINE, lock_plan, record

logger = logging.getLogger(__name__)

_NEVER = datetime.min.replace(tzinfo=UTC)
# A watch that is further ahead than this was counted by a clock that was wrong.
_AHEAD = timedelta(minutes=5)
_STATE = (
    "through",
    "kept_through",
    "sampled_at",
    "control_at",
    "treatment_at",
    "asked_at",
    "accumulated",
    "pending",
    "outcome",
    "outcome_since",
    "fresh_minutes",
    "errors_in_a_row",
    "problem",
)


@dataclass(slots=True)
class _Guard:
    """One guard while it is brought up to date. `before` are the intervals kept for good, for a watch that is new,
    `added` those that came at this look."""

    plan: RolloutPlan
    course: Course
    spec: GuardSpec
    alpha: float
    watch: GuardWatch
    before: Sequence[Interval] = ()
    added: list[list[Any]] = field(default_factory=list)
    is_left_out: bool = False
    _known: Accumulated | None = None
    _weights: dict[int, Weights] = field(default_factory=dict)

    @property
    def known(self) -> Accumulated:
        """What the watch holds."""
        if self._known is None:
            self._known = Accumulated.from_json(self.watch.accumulated) if self.watch.accumulated else start(self.spec)
        return self._known

    @property
    def key(self) -> WatchKey:
        return WatchKey(self.plan.pk, self.plan.attempt, self.spec.metric)

    @property
    def since(self) -> datetime:
        """The first minute that is not counted yet."""
        if self.watch.through is not None:
            return self.watch.through + MINUTE
        return self.before[-1].minute + MINUTE if self.before else self.course.started_at

    def weights(self, stage: int) -> Weights:
        """The weights of the arms in a stage."""
        if stage not in self._weights:
            self._weights[stage] = weights_of(self.plan, stage, self.spec)
        return self._weights[stage]

    @property
    def is_asked(self) -> bool:
        """Whether Prometheus is asked for the counts."""
        return self.spec.source is GuardSource.PROMETHEUS


def refresh_guards(
    plan_ids: Collection[uuid.UUID], *, now: datetime, outside: Outside | None = None
) -> Mapping[uuid.UUID, tuple[GuardReading, ...]]:
    """Every guard of the plans, counted up to the last closed minute and judged; a changed outcome leaves a verdict.

    A constant number of queries for any number of plans where no outcome changes. Asks Prometheus for guards that take
    their counts from there. Plans that serve no stage have no readings.
    """
    return refresh_guards_of(guarded_plans(plan_ids), now=now, outside=outside or Outside())


def refresh_guards_of(
    read: Collection[RolloutPlan], *, now: datetime, outside: Outside | None
) -> Mapping[uuid.UUID, tuple[GuardReading, ...]]:
    """The same for plans that were read just now. Without `outside`, guards that ask Prometheus are left out."""
    plans = [plan for plan in read if is_guarded(plan)]
    if not plans:
        return {}
    through = closed_through(now, timedelta(seconds=settings.TELEMETRY_LATENESS_SECONDS))
    guards = [guard for guard in _load(plans, through=through) if outside or not guard.is_asked]
    behind = [guard for guard in guards if guard.watch.through is None or guard.watch.through < through]
    _count_telemetry([guard for guard in behind if not guard.is_asked], through=through)
    if outside:
        _count_prometheus([guard for guard in behind if guard.is_asked], outside, through=through, now=now)
    keep_samples([guard.watch for guard in guards if is_due(guard.watch, since=guard.course.started_at)], now=now)
    found: dict[uuid.UUID, list[GuardReading]] = {plan.pk: [] for plan in plans}
    for guard in guards:
        reading = _reading(guard, now=now)
        if not guard.is_left_out:
            _keep_change(guard.plan, reading, now=now)
        found[guard.plan.pk].append(reading)
    return {plan_id: tuple(readings) for plan_id, readings in found.items()}


def keep_verdict(plan: RolloutPlan, reading: GuardReading, *, now: datetime) -> GuardVerdict:
    """Keep what a guard said as evidence, with its event; the verdict before it where nothing is new since then.

    To be called with the plan locked, in the transaction of what is decided on it.
    """
    watch, judgement = reading.watch, reading.judgement
    mine = GuardVerdict.objects.filter(plan=plan, attempt=watch.attempt, metric=watch.metric)
    last = mine.order_by("-number").first()
    kept_through = datetime.fromisoformat(last.parameters["through"]) if last else None
    through = watch.through or reading.started_at
    if last and kept_through and (kept_through > through or _is_same(last, judgement, through)):
        return last
    pending = [item for item in _pending(watch) if _minute(item) <= through]
    intervals = [item for item in pending if kept_through is None or _minute(item) > kept_through]
    with governed_write(plan.environment_id):
        verdict = GuardVerdict.objects.create(
            plan=plan,
            environment_id=plan.environment_id,
            attempt=watch.attempt,
            stage=plan.stage,
            metric=watch.metric,
            number=(mine.aggregate(last=Max("number"))["last"] or 0) + 1,
            outcome=judgement.outcome.value,
            action=judgement.action.value if judgement.action else "",
            sentence=judgement.sentence,
            parameters=_parameters(reading, now=now, through=through),
            intervals=intervals,
            statistics=judgement.statistics,
            freshest_at=watch.sampled_at,
            correlation_id=plan.correlation_id,
            at=now,
        )
    _say(plan, verdict, reading, now=now)
    _forget_pending(watch, verdict, through, now=now)
    return verdict


def _load(plans: Sequence[RolloutPlan], *, through: datetime) -> list[_Guard]:
    """Every guard of the plans with its watch, a new one where there is none or where it ran ahead of the clock."""
    courses = courses_of(plans)
    served = [plan for plan in plans if plan.pk in courses]
    stored = GuardWatch.objects.filter(plan__in=served).defer("pending")
    rows = {WatchKey(row.plan_id, row.attempt, row.metric): row for row in stored}
    ahead = [key for key, row in rows.items() if row.through and row.through > through + _AHEAD]
    if ahead:
        GuardWatch.objects.filter(pk__in=[rows.pop(key).pk for key in ahead]).delete()
    guards = []
    for plan in served:
        definition = from_row(plan.definition)
        shares = alpha_shares(definition.guards, definition.options.alpha)
        for spec, alpha in zip(definition.guards, shares, strict=True):
            key = WatchKey(plan.pk, plan.attempt, spec.metric)
            watch = rows.get(key) or GuardWatch(plan=plan, attempt=plan.attempt, metric=spec.metric)
            watch.plan = plan
            guards.append(_Guard(plan, courses[plan.pk], spec, alpha, watch))
    _begin_anew([guard for guard in guards if not _is_readable(guard)])
    _recall([guard for guard in guards if guard.watch.through is None])
    return guards


def _is_readable(guard: _Guard) -> bool:
    try:
        return guard.known is not None
    except InvalidInterval:
        logger.warning("Guard %s of plan %s could not be read: it is counted anew", guard.spec.metric, guard.plan.pk)
        return False


def _begin_anew(guards: Sequence[_Guard]) -> None:
    """Throw away what cannot be read; it follows from what is kept for good and from the minutes since."""
    if guards:
        GuardWatch.objects.filter(pk__in=[guard.watch.pk for guard in guards]).delete()
    for guard in guards:
        guard.watch = GuardWatch(plan=guard.plan, attempt=guard.plan.attempt, metric=guard.spec.metric)


def _recall(guards: Sequence[_Guard]) -> None:
    """Give new watches what is kept for good: the intervals, and the outcome with its instant."""
    if not guards:
        return
    plans = list({guard.plan.pk: guard.plan for guard in guards}.values())
    known, samples = verdicts_by_watch(plans), samples_by_watch(plans)
    for guard in guards:
        verdicts = known.get(guard.key, [])
        guard.before = intervals_kept([*verdicts, *samples.get(guard.key, [])])
        if guard.before:
            guard.watch.kept_through = guard.before[-1].minute
        if verdicts:
            guard.watch.outcome, guard.watch.outcome_since = verdicts[-1].outcome, verdicts[-1].at


def _count_telemetry(guards: Sequence[_Guard], *, through: datetime) -> None:
    wanted: dict[MetricSeries, datetime] = {}
    for guard in guards:
        series = series_of(guard.plan, guard.spec)
        wanted[series] = min(guard.since, wanted.get(series, guard.since))
    minutes = minutes_of(wanted, through=through)
    stored = []
    for guard in guards:
        was = guard.watch.through
        _advance(guard, minutes[series_of(guard.plan, guard.spec)], through=through)
        if guard.watch._state.adding:
            guard.watch.pending = guard.added
        else:
            stored.append(CountedOn(guard.watch, was, guard.added))
    _create([guard.watch for guard in guards if guard.watch._state.adding])
    write_counted(stored)


def _count_prometheus(guards: Sequence[_Guard], outside: Outside, *, through: datetime, now: datetime) -> None:
    """Ask about the minutes that are missing, as far as answers come. Whoever was slower takes what the other kept."""
    lacking = {guard.key: _lacking(guard, through=through) for guard in guards}
    longest_ago_first = sorted(guards, key=lambda guard: guard.watch.asked_at or _NEVER)
    outside.ask(
        question
        for guard in longest_ago_first
        for question in questions_of(guard.spec, guard.watch, lacking[guard.key], now=now)
    )
    for guard in guards:
        watch, was, missing = guard.watch, guard.watch.through, lacking[guard.key]
        minutes, reached = read_minutes(guard.spec, watch, missing, outside, now=now)
        guard.is_left_out = bool(missing) and watch.asked_at != now
        if guard.is_left_out:
            continue
        if reached is not None or not missing:
            _advance(guard, minutes, through=reached or through)
        watch.pending = [*watch.pending, *guard.added]
        if watch._state.adding:
            GuardWatch.objects.bulk_create([watch], ignore_conflicts=True)
        else:
            state = {name: getattr(watch, name) for name in _STATE}
            GuardWatch.objects.filter(pk=watch.pk, through=was).update(**state)
        guard.watch = GuardWatch.objects.get(plan=guard.plan, attempt=watch.attempt, metric=watch.metric)
        guard.watch.plan, guard._known = guard.plan, None


def _lacking(guard: _Guard, *, through: datetime) -> list[datetime]:
    return [minute for span in guard.course.spans(after=guard.since - MINUTE, through=through) for minute in span]


def _advance(guard: _Guard, minutes: Minutes, *, through: datetime) -> None:
    """Add the minutes up to `through` to the watch, in order."""
    watch, spec = guard.watch, guard.spec
    known = guard.known
    turn = guard.course.turn_of(watch.through) if watch.through else None
    fresh = Freshness(watch.control_at, watch.treatment_at, watch.fresh_minutes)
    serves_both, stale = False, timedelta(minutes=spec.stale_after_minutes)
    for span in guard.course.spans(after=watch.through, through=through):
        weights = guard.weights(span.turn.stage)
        serves_both = weights.serves_both
        intervals = _intervals(guard, minutes, span)
        if span.turn != turn:
            fresh = Freshness(fresh.control_at, fresh.treatment_at)
        turn, fresh = span.turn, fresh.after(span, intervals, stale=stale, serves_both=serves_both)
        for interval in intervals:
            known = add(known, interval)
        kept = {item.minute for item in guard.before}
        guard.added += [item.as_json() for item in intervals if item.minute not in kept]
    present = guard.weights(guard.course.present.stage)
    watch.through, watch.accumulated, guard._known = through, known.as_json(), known
    watch.control_at, watch.treatment_at = fresh.control_at, fresh.treatment_at
    watch.fresh_minutes = fresh.minutes if turn == guard.course.present else 0
    watch.sampled_at = fresh.sampled_at(serves_both=present.serves_both)
    guard.before = ()


def _intervals(guard: _Guard, minutes: Minutes, span: Span) -> list[Interval]:
    """The intervals of a span that hold anything: first those of verdicts, then what was counted since."""
    weights = guard.weights(span.turn.stage)
    found = [item for item in guard.before if span.first <= item.minute <= span.last]
    counted = [
        interval_in(minutes, at, spec=guard.spec, weights=weights)
        for at in sorted(minutes)
        if max(span.first, guard.since) <= at <= span.last
    ]
    return found + [item for item in counted if item.n_control or item.n_treatment]


def _create(watches: Sequence[GuardWatch]) -> None:
    """Store new watches. Who created one at the same moment counted the same."""
    GuardWatch.objects.bulk_create(
        watches,
        batch_size=200,
        update_conflicts=True,
        unique_fields=["plan", "attempt", "metric"],
        update_fields=list(_STATE),
    )


def _reading(guard: _Guard, *, now: datetime) -> GuardReading:
    watch, turn = guard.watch, guard.course.present
    judgement = judge_guard(
        guard.spec,
        guard.known,
        alpha_m=guard.alpha,
        now=now,
        sampled_at=watch.sampled_at,
        started_at=turn.at,
        fresh=watch.fresh_minutes,
        errors_in_a_row=watch.errors_in_a_row,
        previous=watch.outcome or None,
    )
    return GuardReading(guard.spec, judgement, watch, guard.alpha, turn.at)


def _keep_change(plan: RolloutPlan, reading: GuardReading, *, now: datetime) -> None:
    """Keep a verdict where the outcome is another one than before. That nothing is known at the start is no news."""
    watch, outcome = reading.watch, reading.judgement.outcome
    if watch.outcome == outcome.value or (not watch.outcome and outcome is GuardOutcome.COLLECTING):
        return

    def act() -> GuardWatch:
        # Every try begins with what was read: one that was taken back must not have changed it.
        tried = copy.copy(watch)
        locked = lock_plan(plan.pk)
        if (locked.attempt, locked.stage) == (plan.attempt, plan.stage):
            keep_verdict(locked, replace(reading, watch=tried), now=now)
        return tried

    kept = attempt(act)
    for name in ("outcome", "outcome_since", "kept_through", "pending"):
        if name not in kept.get_deferred_fields():
            setattr(watch, name, getattr(kept, name))


def _is_same(last: GuardVerdict, judgement: Judgement, through: datetime) -> bool:
    """Whether the last verdict says the same about the same minutes."""
    return last.outcome == judgement.outcome.value and datetime.fromisoformat(last.parameters["through"]) == through


def _pending(watch: GuardWatch) -> list[list[Any]]:
    """The intervals since the last verdict, read only now where nobody needed them before."""
    if "pending" not in watch.get_deferred_fields():
        return list(watch.pending)
    row = GuardWatch.objects.filter(pk=watch.pk, through__gte=watch.through).first()
    if row is None:
        raise ConcurrentUpdate("This guard is being counted anew right now. Nothing was done: look again in a moment.")
    return list(row.pending)


def _minute(item: Sequence[object]) -> datetime:
    return datetime.fromisoformat(str(item[0]))


def _parameters(reading: GuardReading, *, now: datetime, through: datetime) -> dict[str, object]:
    """All that the judgement took beside the intervals."""
    watch = reading.watch
    return {
        **parameters_of(reading.spec, reading.alpha),
        "through": through.isoformat(),
        "now": now.isoformat(),
        "sampled_at": watch.sampled_at.isoformat() if watch.sampled_at else None,
        "started_at": reading.started_at.isoformat(),
        "fresh": watch.fresh_minutes,
        "errors_in_a_row": watch.errors_in_a_row,
        "previous": watch.outcome or None,
    }


def _say(plan: RolloutPlan, verdict: GuardVerdict, reading: GuardReading, *, now: datetime) -> None:
    judgement = reading.judgement
    with correlation(plan.correlation_id):
        record(
            Action.GUARD_VERDICT_GIVEN,
            plan,
            actor=ENGINE,
            now=now,
            verdict_id=str(verdict.pk),
            metric=verdict.metric,
            outcome=verdict.outcome,
            response=verdict.action,
            sentence=verdict.sentence,
            control=judgement.statistics["control"],
            treatment=judgement.statistics["treatment"],
            log_e_fail=judgement.statistics["log_e_fail"],
            log_e_pass=judgement.statistics["log_e_pass"],
            log_threshold=judgement.statistics["log_threshold"],
            method=judgement.statistics["method"],
            intervals=len(verdict.intervals),
        )


def _forget_pending(watch: GuardWatch, verdict: GuardVerdict, through: datetime, *, now: datetime) -> None:
    """Take what the verdict holds out of the watch, also out of its row, where more may have been added meanwhile."""
    rows = GuardWatch.objects.filter(plan=watch.plan_id, attempt=watch.attempt, metric=watch.metric)
    row = rows.select_for_update(of=("self",), no_key=True).first()
    changed = watch.outcome != verdict.outcome
    for each in (watch, row):
        if each is not None:
            if "pending" not in each.get_deferred_fields():
                each.pending = [item for item in each.pending if _minute(item) > through]
            each.kept_through = max(through, each.kept_through or through)
            each.outcome, each.outcome_since = verdict.outcome, now if changed else each.outcome_since
    if row is not None:
        row.save(update_fields=["pending", "kept_through", "outcome", "outcome_since"])
