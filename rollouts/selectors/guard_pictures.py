"""What pictures of guards are drawn from: rates of both arms, evidence against its threshold, gaps as gaps."""

import math
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from django.core.cache import cache
from django.db.models import Sum
from django.utils import timezone

from flags.archives import note_of
from flags.models import MetricCount
from rollouts.guarding.counts import TOTAL_WEIGHT, Interval
from rollouts.guarding.eprocess import Accumulated, add, bounds, log_e_fail, log_e_pass, shown_tally, start
from rollouts.guarding.judging import GuardOutcome, alpha_shares, judge_guard
from rollouts.guarding.planning import USUAL_RATIOS, events_needed
from rollouts.guarding.serving import Course
from rollouts.models import GuardSample, GuardVerdict, GuardWatch, RolloutPlan
from rollouts.plans.codec import from_json
from rollouts.plans.definition import GuardSpec
from rollouts.selectors.guard_samples import Kept, intervals_kept, samples_of
from rollouts.selectors.guards import courses_of, weights_of

MOST_BUCKETS = 240
_WIDTHS = (1, 2, 5, 10, 15, 30, 60, 120, 240, 360, 720, 1_440, 2_880, 10_080)
_MINUTE = timedelta(minutes=1)
_KEPT_SECONDS = 600
_AN_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class ArmShare:
    """One arm in one bucket. `rate` is the part of its units that people follow: bad ones, or successes."""

    units: int
    events: int
    rate: float


@dataclass(frozen=True, slots=True)
class Bucket:
    """Some minutes from `at` on; an arm that nothing was reported of is None, which is a gap and not zero.

    The others are over everything up to the bucket's end: the ratio with its bounds, and the evidence for a breach and
    for a pass as parts of what each needs (1: reached). None while nothing was compared.
    """

    at: datetime
    control: ArmShare | None
    treatment: ArmShare | None
    ratio: float | None
    at_least: float | None
    at_most: float | None
    breach: float | None
    safe: float | None


@dataclass(frozen=True, slots=True)
class Gap:
    """From `since` until `until` nothing was reported of at least one arm."""

    since: datetime
    until: datetime

    @property
    def minutes(self) -> int:
        """How long it was."""
        return (self.until - self.since) // _MINUTE


@dataclass(frozen=True, slots=True)
class Needed:
    """How many bad units of both arms together a regression to `ratio` takes to be seen, and how many are missing.

    `hours` until then, at the pace of the last hour; None where none came.
    """

    ratio: float
    events: int
    still: int
    hours: float | None


@dataclass(frozen=True, slots=True)
class GuardPicture:
    """One guard of one attempt of a plan, ready to be drawn."""

    metric: str
    name: str
    flag_key: str
    treatment: str
    control: str
    is_success_metric: bool
    tolerated: float
    tolerable: float
    attempt: int
    outcome: str
    label: str
    sentence: str
    action: str
    threshold: float
    units_control: int
    units_treatment: int
    minimum_sample: int
    freshest_at: datetime | None
    stale_after_minutes: int
    fresh_minutes: int
    late_events: int
    problem: str
    minutes_per_bucket: int
    since: datetime
    until: datetime
    turns: tuple[tuple[datetime, int], ...]
    buckets: tuple[Bucket, ...]
    gaps: tuple[Gap, ...]
    needed: tuple[Needed, ...]

    def as_json(self) -> dict[str, Any]:
        """Everything as JSON, instants as text."""
        found: dict[str, Any] = _plain(asdict(self))
        return found


def guard_pictures(
    plan: RolloutPlan, now: datetime | None = None, *, attempt: int | None = None
) -> tuple[GuardPicture, ...]:
    """A picture of each guard, in the order of the plan: seven queries.

    Without an `attempt` it is the present one, or the one before as long as the present one has seen nothing: after a
    rollback that is the one that went wrong.
    """
    definition = from_json(plan.definition)
    course = courses_of([plan]).get(plan.pk) if definition.guards else None
    if course is None:
        return ()
    rows = list(GuardWatch.objects.filter(plan=plan).order_by("attempt"))
    wanted = attempt or _attempt_to_show(plan, rows)
    watches = {row.metric: row for row in rows if row.attempt == wanted}
    verdicts, samples = _verdicts(plan, wanted), samples_of(plan.pk, wanted)
    late = _late_events(plan, definition.guards, course)
    alphas = alpha_shares(definition.guards, definition.options.alpha)
    return tuple(
        _Easel(
            plan,
            course,
            spec,
            alpha,
            watches[spec.metric],
            verdicts.get(spec.metric, []),
            samples.get(spec.metric, []),
        ).picture(now or timezone.now(), late=late.get((spec.metric, spec.flag_key), 0))
        for spec, alpha in zip(definition.guards, alphas, strict=True)
        if spec.metric in watches
    )


@dataclass(frozen=True, slots=True)
class _Easel:
    plan: RolloutPlan
    course: Course
    spec: GuardSpec
    alpha: float
    watch: GuardWatch
    verdicts: Sequence[GuardVerdict]
    samples: Sequence[GuardSample]

    def picture(self, now: datetime, *, late: int) -> GuardPicture:
        spec, watch = self.spec, self.watch
        intervals = self._intervals()
        known = Accumulated.from_json(watch.accumulated) if watch.accumulated else start(spec)
        since, until = self._period(intervals)
        width = _width(until - since)
        outcome, sentence, action = self._said(known, now)
        sentence = " ".join([sentence, *self._gone()])
        key = f"guard-picture:{watch.pk}:{until.isoformat()}:{len(intervals)}:{width}"
        buckets: tuple[Bucket, ...] | None = cache.get(key)
        if buckets is None:
            buckets = self._buckets(intervals, since, until, width)
            cache.set(key, buckets, _KEPT_SECONDS)
        return GuardPicture(
            metric=spec.metric,
            name=spec.name,
            flag_key=spec.flag_key,
            treatment=spec.treatment,
            control=spec.control,
            is_success_metric=spec.is_success_metric,
            tolerated=1 + spec.margin,
            tolerable=spec.tolerable,
            attempt=watch.attempt,
            outcome=outcome.value,
            label=outcome.label,
            sentence=sentence,
            action=action,
            threshold=1 / self.alpha,
            units_control=known.total.n_control,
            units_treatment=known.total.n_treatment,
            minimum_sample=spec.minimum_sample,
            freshest_at=watch.sampled_at,
            stale_after_minutes=spec.stale_after_minutes,
            fresh_minutes=watch.fresh_minutes,
            late_events=late,
            problem=watch.problem,
            minutes_per_bucket=width,
            since=since,
            until=until,
            turns=tuple((turn.at, turn.stage) for turn in self.course.turns if since - _MINUTE < turn.at < until),
            buckets=buckets,
            gaps=_gaps(buckets, until, width),
            needed=self._needed(known, intervals, until),
        )

    def _intervals(self) -> list[Interval]:
        kept = intervals_kept(row for row in self._rows() if note_of(row.intervals) is None)
        last = kept[-1].minute if kept else None
        pending = [Interval.from_json(item) for item in self.watch.pending]
        return kept + [item for item in pending if last is None or item.minute > last]

    def _rows(self) -> list[Kept]:
        return [*self.verdicts, *self.samples]

    def _gone(self) -> list[str]:
        """Where counts are that an archive holds, in words."""
        notes = (note_of(row.intervals) for row in self._rows())
        return [f"The counts minute by minute: {words}" for words in sorted({one.words for one in notes if one})]

    def _period(self, intervals: Sequence[Interval]) -> tuple[datetime, datetime]:
        """From the first minute of the attempt to the end of the last one that was looked at."""
        is_present = self.watch.attempt == self.plan.attempt
        # The attempt of a plan that was proposed begins with the proposal; what it serves begins with its first turn.
        began = max(self.course.started_at, self.course.turns[0].at)
        begun = began if is_present or not intervals else intervals[0].minute
        since = begun.replace(second=0, microsecond=0)
        last = self.watch.through if is_present or not intervals else intervals[-1].minute
        return since, max(last + _MINUTE if last else since, since + _MINUTE)

    def _said(self, known: Accumulated, now: datetime) -> tuple[GuardOutcome, str, str]:
        """What the guard says now; of an attempt that is over, what it said at last."""
        if self.watch.attempt != self.plan.attempt or not self.course.present.stage:
            if not self.verdicts:
                return GuardOutcome.COLLECTING, "This attempt ended before anything could be said.", ""
            last = self.verdicts[-1]
            return GuardOutcome(last.outcome), last.sentence, last.action
        said = judge_guard(
            self.spec,
            known,
            alpha_m=self.alpha,
            now=now,
            sampled_at=self.watch.sampled_at,
            started_at=self.course.present.at,
            fresh=self.watch.fresh_minutes,
            errors_in_a_row=self.watch.errors_in_a_row,
            previous=self.watch.outcome or None,
        )
        return said.outcome, said.sentence, said.action.value if said.action else ""

    def _buckets(
        self, intervals: Sequence[Interval], since: datetime, until: datetime, width: int
    ) -> tuple[Bucket, ...]:
        held: dict[int, list[Interval]] = {}
        for interval in intervals:
            held.setdefault((interval.minute - since) // (width * _MINUTE), []).append(interval)
        known, found = start(self.spec), []
        for number in range(-((since - until) // (width * _MINUTE))):
            mine = held.get(number, [])
            for interval in mine:
                known = add(known, interval)
            found.append(self._bucket(since + number * width * _MINUTE, mine, known))
        return tuple(found)

    def _bucket(self, at: datetime, mine: Sequence[Interval], known: Accumulated) -> Bucket:
        control = self._share(sum(item.n_control for item in mine), sum(item.x_control for item in mine))
        treatment = self._share(sum(item.n_treatment for item in mine), sum(item.x_treatment for item in mine))
        if not known.minutes:
            return Bucket(at, control, treatment, None, None, None, None, None)
        lower, upper = bounds(known, self.alpha)
        needed = math.log(1 / self.alpha)
        return Bucket(
            at,
            control,
            treatment,
            shown_tally(known).ratio,
            lower,
            upper,
            max(0.0, log_e_fail(known) / needed),
            max(0.0, log_e_pass(known) / needed),
        )

    def _share(self, units: int, bad: int) -> ArmShare | None:
        if not units:
            return None
        events = units - bad if self.spec.is_success_metric else bad
        return ArmShare(units, events, events / units)

    def _needed(self, known: Accumulated, intervals: Sequence[Interval], until: datetime) -> tuple[Needed, ...]:
        weights = weights_of(self.plan, self.course.present.stage, self.spec)
        both = weights.control + weights.treatment
        weight = weights.treatment * TOTAL_WEIGHT // both if weights.serves_both else TOTAL_WEIGHT // 2
        so_far = _rare_events(*known.total)
        lately = [item for item in intervals if item.minute >= until - _AN_HOUR]
        pace = _rare_events(
            sum(item.n_control for item in lately),
            sum(item.x_control for item in lately),
            sum(item.n_treatment for item in lately),
            sum(item.x_treatment for item in lately),
        )
        found = []
        for ratio in USUAL_RATIOS:
            if ratio > 1 + self.spec.margin:
                events = events_needed(ratio, alpha=self.alpha, margin=self.spec.margin, weight=weight)
                still = max(0, events - so_far)
                found.append(Needed(ratio, events, still, still / pace if pace else None))
        return tuple(found)


def _rare_events(n_control: int, x_control: int, n_treatment: int, x_treatment: int) -> int:
    """Bad units of both arms, or good ones where these are fewer."""
    bad, units = x_control + x_treatment, n_control + n_treatment
    return min(bad, units - bad) if 2 * bad > units else bad


def _attempt_to_show(plan: RolloutPlan, rows: Iterable[GuardWatch]) -> int:
    seen = [row.attempt for row in rows if row.control_at or row.treatment_at]
    return plan.attempt if plan.attempt in seen or not seen else max(seen)


def _verdicts(plan: RolloutPlan, attempt: int) -> Mapping[str, list[GuardVerdict]]:
    found: dict[str, list[GuardVerdict]] = {}
    for verdict in GuardVerdict.objects.filter(plan=plan, attempt=attempt).order_by("metric", "number"):
        found.setdefault(verdict.metric, []).append(verdict)
    return found


def _late_events(plan: RolloutPlan, guards: Sequence[GuardSpec], course: Course) -> dict[tuple[str, str], int]:
    """Events that came after their minute was closed, since the plan began to serve."""
    rows = MetricCount.objects.filter(
        environment=plan.environment_id,
        span="minute",
        metric__in={spec.metric for spec in guards},
        flag_key__in={spec.flag_key for spec in guards},
        at__gte=course.turns[0].at,
    )
    sums = rows.order_by().values_list("metric", "flag_key").annotate(late=Sum("late_count"))
    return {(metric, flag_key): late for metric, flag_key, late in sums}


def _width(span: timedelta) -> int:
    minutes = max(1, span // _MINUTE)
    return next((width for width in _WIDTHS if minutes <= width * MOST_BUCKETS), _WIDTHS[-1])


def _gaps(buckets: Sequence[Bucket], until: datetime, width: int) -> tuple[Gap, ...]:
    found: list[Gap] = []
    for bucket in buckets:
        if bucket.control is None or bucket.treatment is None:
            ends = min(bucket.at + width * _MINUTE, until)
            since = found.pop().since if found and found[-1].until == bucket.at else bucket.at
            found.append(Gap(since, ends))
    return tuple(found)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, uuid.UUID) else value
