"""From what was counted to a verdict: typed outcomes, each with its action and a sentence that says why."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import exp, log
from typing import Any, NamedTuple

from pydantic import TypeAdapter

from rollouts.plans.definition import GuardAction, GuardSource, GuardSpec

from . import wording
from .breaks import MINUTES, hard_break
from .counts import Interval
from .eprocess import (
    Accumulated,
    add,
    bounds,
    log_e_fail,
    log_e_fail_here,
    log_e_pass,
    shown_tally,
    start,
    tally_of,
)
from .likelihoods import Arms, summed
from .outcomes import TROUBLES, GuardOutcome, action_of
from .ratio import Skew, log_skews, skew_of
from .shared import SharedIncident, shared_incident

METHOD_VERSION = 1
# Failing answers in a row until a source counts as one that cannot be asked (Argo Rollouts: consecutiveErrorLimit 4).
ERRORS_TOLERATED = 4
# At risk from e^(2/3 log threshold) on: without a regression that is ever reached in 14 of 100 guards at most.
RISK_PART = 2 / 3
# What began within a long stage shows in its last minutes better than in all of them.
LATELY_MINUTES = 60
_MINUTE = timedelta(minutes=1)
_LARGEST_LOG = 700.0
_SPEC = TypeAdapter(GuardSpec)


class Samples(NamedTuple):
    """Units of either arm."""

    control: int
    treatment: int


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a guard says at one look. `threshold` is what `e_fail` and `e_pass` have to reach; `statistics` is JSON."""

    outcome: GuardOutcome
    action: GuardAction | None
    sentence: str
    statistics: dict[str, Any]
    e_fail: float
    e_pass: float
    threshold: float
    samples: Samples


@dataclass(frozen=True, slots=True)
class _Look:
    """Everything one judgement rests on."""

    spec: GuardSpec
    known: Accumulated
    alpha: float
    now: datetime
    sampled_at: datetime | None
    started_at: datetime
    errors_in_a_row: int
    log_fail: float
    log_pass: float
    bounds: tuple[float | None, float | None]
    broken: Arms | None
    log_skews: tuple[float, float]
    skew: Skew | None
    incident: SharedIncident | None

    @property
    def log_threshold(self) -> float:
        return log(1 / self.alpha)

    @property
    def silent_for(self) -> timedelta:
        """How long nothing was counted. A minute's counts speak for all of it."""
        return self.now - (self.sampled_at + _MINUTE if self.sampled_at else self.started_at)

    @property
    def has_enough(self) -> bool:
        total, wanted = self.known.total, float(self.spec.minimum_sample)
        if self.known.events:
            wanted *= self.spec.design_effect
        return min(total.n_control, total.n_treatment) >= max(1.0, wanted)

    @property
    def is_new(self) -> bool:
        """Whether nothing is counted yet since the present stage began or went on."""
        return self.known.through is None or self.known.through < self.started_at

    @property
    def has_excess(self) -> bool:
        """Whether one of the last minutes had too many reports of the treatment."""
        known = self.known
        if known.excess_at is None or known.through is None:
            return False
        return known.through - known.excess_at < MINUTES * _MINUTE

    @property
    def shows_lately(self) -> bool:
        """Whether the stage as a whole does not show what all starts of evidence show."""
        part = log_e_fail_here(self.known)
        return part < min(self.log_fail, self.log_threshold) and len(self.known.recent) >= LATELY_MINUTES


def alpha_shares(guards: Sequence[GuardSpec], alpha: float) -> list[float]:
    """The level of each guard of a plan, by weight (Bonferroni: holds however the guards depend on each other)."""
    total = sum(guard.weight for guard in guards)
    return [alpha * guard.weight / total for guard in guards]


def parameters_of(spec: GuardSpec, alpha_m: float) -> dict[str, Any]:
    """What a verdict keeps of its guard, so that it can be judged again."""
    return {"method": METHOD_VERSION, "alpha": float(alpha_m).hex(), "guard": _SPEC.dump_python(spec, mode="json")}


def judge_guard(
    spec: GuardSpec,
    accumulated: Accumulated,
    *,
    alpha_m: float,
    now: datetime,
    sampled_at: datetime | None,
    started_at: datetime,
    fresh: int = 0,
    errors_in_a_row: int = 0,
    previous: str | None = None,
) -> Judgement:
    """What the guard says now. `sampled_at` is the newest minute with data, `fresh` how many minutes had data in time,
    `previous` the outcome of the look before."""
    if not 0 < alpha_m < 1:
        raise ValueError(f"{alpha_m} is no level of a test.")
    skews = log_skews(accumulated.shares)
    look = _Look(
        spec,
        accumulated,
        alpha_m,
        now,
        sampled_at,
        started_at,
        errors_in_a_row,
        log_e_fail(accumulated),
        log_e_pass(accumulated),
        bounds(accumulated, alpha_m),
        # Where many do not convert anyway half of all without success is no break.
        None if spec.is_success_metric else hard_break(accumulated.here, accumulated.recent),
        skews,
        skew_of(skews),
        shared_incident(accumulated.recent),
    )
    outcome = _outcome_of(look)
    if previous in TROUBLES and outcome not in TROUBLES:
        outcome = GuardOutcome.RECOVERED
    total = accumulated.total
    return Judgement(
        outcome,
        action_of(outcome, spec, has_events=accumulated.events > 0),
        _sentence_of(look, outcome),
        _statistics_of(look, outcome, fresh),
        exp(min(look.log_fail, _LARGEST_LOG)),
        exp(min(look.log_pass, _LARGEST_LOG)),
        1 / alpha_m,
        Samples(total.n_control, total.n_treatment),
    )


def replay(
    parameters: Mapping[str, Any],
    intervals: Iterable[Interval],
    *,
    now: datetime,
    sampled_at: datetime | None,
    started_at: datetime,
    fresh: int = 0,
    errors_in_a_row: int = 0,
    previous: str | None = None,
) -> Judgement:
    """The judgement of stored parameters and intervals, the same to the last bit as it was given. Raises ValueError for
    parameters of another version of the method."""
    if parameters.get("method") != METHOD_VERSION:
        raise ValueError(f"This verdict was given by version {parameters.get('method')} of the method.")
    spec = _SPEC.validate_python(parameters["guard"])
    known = start(spec)
    for interval in intervals:
        known = add(known, interval)
    return judge_guard(
        spec,
        known,
        alpha_m=float.fromhex(parameters["alpha"]),
        now=now,
        sampled_at=sampled_at,
        started_at=started_at,
        fresh=fresh,
        errors_in_a_row=errors_in_a_row,
        previous=previous,
    )


def _outcome_of(look: _Look) -> GuardOutcome:
    """The gravest thing that holds. What was proven stays so when data stop; silence outweighs what old data hint."""
    # Reports missing from a treatment hide its faults. Reports in excess may have invented them: that is only held.
    if look.has_enough and look.skew != Skew.MORE:
        if look.broken:
            return GuardOutcome.HARD_BREAK
        if look.log_fail >= look.log_threshold:
            return GuardOutcome.BREACH
    silence = _silence_of(look)
    if silence:
        return silence
    if look.skew or look.has_excess:
        return GuardOutcome.SAMPLE_RATIO
    if look.incident:
        return GuardOutcome.SHARED_INCIDENT
    return _standing_of(look)


def _silence_of(look: _Look) -> GuardOutcome | None:
    spec = look.spec
    if spec.source == GuardSource.PROMETHEUS and look.errors_in_a_row > ERRORS_TOLERATED:
        return GuardOutcome.PROBE_ERROR
    if look.silent_for >= timedelta(minutes=spec.missing_after_minutes):
        return GuardOutcome.MISSING
    if look.sampled_at and look.silent_for >= timedelta(minutes=spec.stale_after_minutes):
        return GuardOutcome.STALE
    return None


def _standing_of(look: _Look) -> GuardOutcome:
    if not look.has_enough:
        return GuardOutcome.COLLECTING
    if look.log_fail >= RISK_PART * look.log_threshold:
        return GuardOutcome.AT_RISK
    is_safe = look.log_pass >= look.log_threshold and not look.is_new
    return GuardOutcome.HEALTHY if is_safe else GuardOutcome.COLLECTING


def _sentence_of(look: _Look, outcome: GuardOutcome) -> str:
    spec, known = look.spec, look.known
    match outcome:
        case GuardOutcome.HARD_BREAK:
            return wording.hard_break(spec, look.broken or known.total)
        case GuardOutcome.MISSING:
            return wording.missing(spec, known.total, look.sampled_at, look.silent_for)
        case GuardOutcome.STALE:
            return wording.stale(spec, look.silent_for)
        case GuardOutcome.PROBE_ERROR:
            return wording.probe_error(spec, look.errors_in_a_row)
        case GuardOutcome.SAMPLE_RATIO:
            return wording.sample_ratio(spec, known.shares) if look.skew else wording.excess(spec, known.excess_at)
        case GuardOutcome.SHARED_INCIDENT:
            return wording.shared_incident(spec, look.incident) if look.incident else ""
        case _:
            return _comparison(look, outcome)


def _comparison(look: _Look, outcome: GuardOutcome) -> str:
    spec, known = look.spec, look.known
    if not (known.total.n_control and known.total.n_treatment):
        return wording.one_sided(spec, known.total)
    if not look.has_enough:
        return wording.too_few(spec, known.total)
    is_bad = outcome in (GuardOutcome.BREACH, GuardOutcome.AT_RISK)
    if (look.is_new and not is_bad) or not (known.here.n_control and known.here.n_treatment):
        return wording.nothing_here(spec)
    is_success, has_events = _shows_success(known), known.events > 0
    if is_bad and look.shows_lately:
        lately = known.recent[-LATELY_MINUTES:]
        tally = tally_of(lately, is_success=is_success)
        said = wording.compared(
            spec, summed(lately), tally, is_success=is_success, is_lately=True, has_events=has_events
        )
    else:
        said = wording.compared(spec, known.here, shown_tally(known), is_success=is_success, has_events=has_events)
        said += wording.bounded(*look.bounds, look.alpha)
    return f"{said}. {wording.CONCLUSIONS[outcome].format(tolerable=f'x{spec.tolerable:g}')}"


def _shows_success(known: Accumulated) -> bool:
    return known.successes is not None and shown_tally(known) is known.successes


def _statistics_of(look: _Look, outcome: GuardOutcome, fresh: int) -> dict[str, Any]:
    known, total = look.known, look.known.total
    lower, upper = look.bounds
    more, fewer = look.log_skews
    return {
        "method": METHOD_VERSION,
        "outcome": outcome.value,
        "control": _arm_json(total.n_control, total.x_control),
        "treatment": _arm_json(total.n_treatment, total.x_treatment),
        "stage_control": _arm_json(known.here.n_control, known.here.x_control),
        "stage_treatment": _arm_json(known.here.n_treatment, known.here.x_treatment),
        "since": known.since.isoformat() if known.since else None,
        "starts": 1 + known.stages + known.hours,
        "minutes": known.minutes,
        "fresh_minutes": fresh,
        "through": known.through.isoformat() if known.through else None,
        "event": "success" if _shows_success(known) else "failure",
        "ratio": _hex(shown_tally(known).ratio),
        "at_least": _hex(lower),
        "at_most": _hex(upper),
        "log_e_fail": _hex(look.log_fail),
        "log_e_pass": _hex(look.log_pass),
        "log_threshold": _hex(look.log_threshold),
        "log_e_more": _hex(more),
        "log_e_fewer": _hex(fewer),
        "errors_in_a_row": look.errors_in_a_row,
    }


def _arm_json(units: int, bad: int) -> dict[str, int]:
    return {"units": units, "bad": bad}


def _hex(value: float | None) -> str | None:
    return None if value is None else value.hex()


__all__ = [
    "ERRORS_TOLERATED",
    "METHOD_VERSION",
    "Arms",
    "GuardOutcome",
    "Judgement",
    "Samples",
    "alpha_shares",
    "judge_guard",
    "parameters_of",
    "replay",
]
