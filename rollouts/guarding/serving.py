"""Which minutes of an attempt say something: whole ones in which the plan served one and the same stage."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from flags.documents.lint_rules import served_by
from flags.telemetry.latency import Sketch, count_above
from rollouts.plans.definition import GuardSpec
from rollouts.plans.patches import managed_rule

from .counts import MOST_UNITS, Interval

_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Turn:
    """From `at` on the plan serves `stage`."""

    at: datetime
    stage: int


@dataclass(frozen=True, slots=True)
class Span:
    """Whole minutes of one turn, from the one that begins at `first` to the one that begins at `last`."""

    turn: Turn
    first: datetime
    last: datetime

    def __iter__(self) -> Iterator[datetime]:
        """Every minute, by its beginning."""
        count = (self.last - self.first) // _MINUTE + 1
        return (self.first + number * _MINUTE for number in range(count))


@dataclass(frozen=True, slots=True)
class Course:
    """What a plan served when, oldest first, and since when the present attempt runs."""

    turns: tuple[Turn, ...]
    started_at: datetime

    @property
    def present(self) -> Turn:
        """The stage served now, since when."""
        return self.turns[-1]

    def spans(self, *, after: datetime | None, through: datetime) -> Iterator[Span]:
        """The minutes of the attempt that come after `after`, up to `through`. A minute in which the share changed is
        in none: nobody knows which of its units saw which share.
        """
        for number, turn in enumerate(self.turns):
            is_last = number + 1 == len(self.turns)
            first = _next_whole(max(turn.at, self.started_at))
            last = through if is_last else min(through, _whole(self.turns[number + 1].at) - _MINUTE)
            if after is not None:
                first = max(first, after + _MINUTE)
            if turn.stage and first <= last:
                yield Span(turn, first, last)

    def turn_of(self, minute: datetime) -> Turn | None:
        """The turn that a minute begins in."""
        return next((turn for turn in reversed(self.turns) if turn.at <= minute), None)


@dataclass(frozen=True, slots=True)
class Weights:
    """The weights of both arms in a `stage`. `is_comparable`: the split is the only way to either arm, so the people
    counted have to show these shares, and only the lot tells the arms apart.
    """

    control: int = 0
    treatment: int = 0
    is_comparable: bool = False
    stage: int = 0

    @property
    def serves_both(self) -> bool:
        """Whether both arms are served."""
        return bool(self.control and self.treatment)

    @property
    def is_randomised(self) -> bool:
        """Whether both arms are served, and nobody comes to either in another way than by lot."""
        return self.serves_both and self.is_comparable


def weights_in(document: Mapping[str, Any] | None, spec: GuardSpec, *, stage: int = 0) -> Weights:
    """The weights that the managed rule of a stage's document gives the arms of a guard."""
    rule = managed_rule(document) if document and document["enabled"] else None
    if document is None or rule is None or "split" not in rule["serve"]:
        return Weights(stage=stage)
    weights = {share["variant"]: share["weight"] for share in rule["serve"]["split"]}
    is_only_way = _is_only_way(document, rule, {spec.control, spec.treatment})
    return Weights(weights.get(spec.control, 0), weights.get(spec.treatment, 0), is_only_way, stage)


def _is_only_way(document: Mapping[str, Any], rule: Mapping[str, Any], arms: set[str]) -> bool:
    """Whether everybody comes to the split but those who get neither arm: what stands below it is never reached."""
    is_withdrawing = "withdrawal" in (document.get("deprecation") or {})
    if document.get("prerequisites") or is_withdrawing or rule["condition"]:
        return False
    above = document["rules"][: document["rules"].index(rule)]
    served = {target["variant"] for target in document.get("targets", ())}
    return not arms & served.union(*(served_by(other["serve"]) for other in above))


@dataclass(frozen=True, slots=True)
class ArmCounts:
    """What was counted of one arm in one minute: units and bad ones, and events of those who report no units. `sketch`
    holds events by bucket of latency (`flags.telemetry.latency`), those of units among them.
    """

    units: int = 0
    bad_units: int = 0
    without_units: int = 0
    bad_without_units: int = 0
    sketch: Sketch = field(default_factory=dict)

    @property
    def is_sketched(self) -> bool:
        """Whether the sketch holds every event and nobody reported units, so that it alone tells which are slow."""
        return not self.units and sum(self.sketch.values()) == self.without_units

    def slower_than(self, limit: float) -> "ArmCounts":
        """The same with the events over a limit as the bad ones, whatever services counted as bad."""
        return replace(self, bad_without_units=count_above(self.sketch, limit))

    def counted(self, spec: GuardSpec) -> tuple[int, int]:
        """Units and bad units, events without units included as they are: the design effect divides what they show,
        not the counts, of which rounding would lose most in a small arm."""
        units = min(self.units + self.without_units, MOST_UNITS)
        marked = self.bad_units + self.bad_without_units
        marked = min(marked, units)
        return units, units - marked if spec.is_success_metric else marked


NOTHING = ArmCounts()


def interval_of(
    minute: datetime, control: ArmCounts, treatment: ArmCounts, *, spec: GuardSpec, weights: Weights
) -> Interval:
    """The interval of one minute. Where the guard has a limit and both sketches are whole, they say what is slow; in
    any other minute services do, in both arms alike.
    """
    if spec.limit is not None and control.is_sketched and treatment.is_sketched:
        control, treatment = control.slower_than(spec.limit), treatment.slower_than(spec.limit)
    promised = (weights.control, weights.treatment) if weights.is_comparable else (0, 0)
    has_events = any((control.without_units, treatment.without_units))
    counts = (*control.counted(spec), *treatment.counted(spec))
    return Interval(minute, *counts, *promised, weights.stage, has_events)


@dataclass(frozen=True, slots=True)
class Freshness:
    """The newest minutes with data, and how many minutes of the present turn had data in time."""

    control_at: datetime | None = None
    treatment_at: datetime | None = None
    minutes: int = 0

    def sampled_at(self, *, serves_both: bool) -> datetime | None:
        """The newest minute with data of every arm that is served."""
        known = [at for at in (self.control_at, self.treatment_at) if at is not None]
        if serves_both:
            return min(known) if len(known) == 2 else None
        return max(known, default=None)

    def after(self, span: Span, intervals: Sequence[Interval], *, stale: timedelta, serves_both: bool) -> "Freshness":
        """What is known once a span with these intervals is over."""
        fresh, minutes, since = self, self.minutes, span.first
        for interval in intervals:
            minutes += _fresh_between(since, interval.minute, fresh.sampled_at(serves_both=serves_both), stale)
            control_at = interval.minute if interval.n_control else fresh.control_at
            treatment_at = interval.minute if interval.n_treatment else fresh.treatment_at
            fresh, since = Freshness(control_at, treatment_at), interval.minute
        minutes += _fresh_between(since, span.last + _MINUTE, fresh.sampled_at(serves_both=serves_both), stale)
        return Freshness(fresh.control_at, fresh.treatment_at, minutes)


def _fresh_between(since: datetime, until: datetime, sampled_at: datetime | None, stale: timedelta) -> int:
    """How many minutes of [since, until) begin less than `stale` after the end of the newest sample's minute."""
    if sampled_at is None:
        return 0
    ends = min(until, sampled_at + _MINUTE + stale)
    return max(0, -((since - ends) // _MINUTE))


def _whole(instant: datetime) -> datetime:
    return instant.replace(second=0, microsecond=0)


def _next_whole(instant: datetime) -> datetime:
    """The beginning of the first minute that lies wholly after `instant`."""
    whole = _whole(instant)
    return whole if whole == instant else whole + _MINUTE
