"""What is known of one guard: everything its closed minutes came to, added one minute at a time.

Adding is the only way it grows, in the order of the minutes and with one float addition per kept ratio, so counting on
from a stored value and counting everything anew give the same bits.

Conversion: a unit without success is the bad one, but at a rate of 3 % a halved conversion lifts the bad units from 97
to 98.5 %, a ratio of 1.015 that no margin would see. The event worth following is the rare one, success below one half
and failure above, and which that is must not be picked by looking. So both are followed: failures as with any metric,
successes with the arms changed over (the control having more of them is the regression). Failing takes the mean of the
two e-values, which is one again; passing needs both.
"""

import struct
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from math import exp, isfinite, log
from typing import Any

from rollouts.plans.definition import GuardSpec

from .counts import Interval, InvalidInterval
from .likelihoods import GRID_SIZE, Arms, Ladder, Logs, at_least, at_most, ladder_of, log_fail, log_pass, with_minute
from .ratio import ODDS, ShareEvidence, has_excess, with_shares
from .shared import REMEMBERED_MINUTES
from .starting import (
    AGAIN_AFTER,
    FROM_THE_FIRST,
    hour_weight,
    in_new_stage,
    log_fail_of_starts,
    stage_weight,
    unspent,
    with_start,
)

_NO_ARMS = Arms(0, 0, 0, 0)
_NO_SHARES = ShareEvidence()


@dataclass(frozen=True, slots=True)
class Tally:
    """The log-likelihoods of one event in the present stage, and its ratio of rates after Mantel & Haenszel 1959, which
    compares within minutes: `above / below`. `carried` are all starts of the evidence, see `starting.py`."""

    logs: Logs
    carried: Logs = FROM_THE_FIRST
    above: float = 0.0
    below: float = 0.0

    @property
    def ratio(self) -> float | None:
        """The treatment's rate as a multiple of the control's; None while the control has none."""
        return self.above / self.below if self.below else None


@dataclass(frozen=True, slots=True)
class Accumulated:
    """All closed minutes of one guard. `minutes` counts those with units in both arms, `total` is over all; `failures`
    are the bad units, `successes` the others with the arms changed over, for conversion only. `recent` are the last
    minutes one by one.

    `here` is over the present `stage`, which began at the minute `since`; `begun_at` is the last start of evidence,
    `stages` and `hours` how many there were after the first. `events` counts minutes with events that nobody is known
    for. `excess_at` is the last minute that had too many reports of the treatment: such minutes are in the shares only.
    """

    margin: float
    tolerable: float
    failures: Tally
    successes: Tally | None
    design_effect: float = 1.0
    total: Arms = _NO_ARMS
    here: Arms = _NO_ARMS
    minutes: int = 0
    through: datetime | None = None
    shares: ShareEvidence = _NO_SHARES
    recent: tuple[Arms, ...] = ()
    stage: int = 0
    since: datetime | None = None
    begun_at: datetime | None = None
    stages: int = 0
    hours: int = 0
    events: int = 0
    excess_at: datetime | None = None

    @property
    def ladder(self) -> Ladder:
        """The ratios whose likelihood is kept."""
        return ladder_of(1 + self.margin, self.tolerable)

    def as_json(self) -> dict[str, Any]:
        """The stored form, floats to the last bit; `Accumulated.from_json` reads it back."""
        return {
            "margin": self.margin.hex(),
            "tolerable": self.tolerable.hex(),
            "failures": _tally_json(self.failures),
            "successes": _tally_json(self.successes) if self.successes else None,
            "design_effect": self.design_effect.hex(),
            "total": list(self.total),
            "here": list(self.here),
            "minutes": self.minutes,
            "through": _instant_text(self.through),
            "since": _instant_text(self.since),
            "begun_at": _instant_text(self.begun_at),
            "excess_at": _instant_text(self.excess_at),
            "stage": self.stage,
            "starts": [self.stages, self.hours],
            "events": self.events,
            "shares": {
                "logs": _numbers_text(self.shares.logs),
                "minutes": self.shares.minutes,
                "units": self.shares.units,
                "treated": self.shares.treated,
                "promised": self.shares.promised.hex(),
            },
            "recent": [list(arms) for arms in self.recent],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Accumulated":
        """What was stored, to the last bit. Raises InvalidInterval where it is no such thing."""
        try:
            return _read(value)
        except (KeyError, TypeError, ValueError, AttributeError, struct.error) as error:
            raise InvalidInterval("What is stored of this guard cannot be read; count it anew.") from error


def start(spec: GuardSpec) -> Accumulated:
    """A guard of which nothing is counted yet. Raises ValueError for ratios that leave nothing to tell apart."""
    tolerated, ruled_out = 1 + spec.margin, float(spec.tolerable)
    if not (isfinite(ruled_out) and 1 <= tolerated < ruled_out):
        raise ValueError("A guard tolerates a ratio of 1 or more, and a pass rules out one above that.")
    nothing = Tally(ladder_of(tolerated, ruled_out).nothing_yet)
    return Accumulated(
        float(spec.margin),
        ruled_out,
        failures=nothing,
        successes=nothing if spec.is_success_metric else None,
        design_effect=float(spec.design_effect),
    )


def add(accumulated: Accumulated, interval: Interval) -> Accumulated:
    """What is known with one closed minute more. Raises InvalidInterval for a minute that does not come after the last
    one; so nothing counts twice."""
    if accumulated.through is not None and interval.minute <= accumulated.through:
        raise InvalidInterval(f"{interval.minute:%H:%M} does not come after {accumulated.through:%H:%M}.")
    arms = Arms(interval.n_control, interval.x_control, interval.n_treatment, interval.x_treatment)
    if not (arms.n_control or arms.n_treatment):
        return replace(accumulated, through=interval.minute)
    effect = accumulated.design_effect if interval.has_events else 1.0
    shares = with_shares(accumulated.shares, interval, effect)
    known = _begun(accumulated, interval)
    if has_excess(interval, effect):
        return replace(known, through=interval.minute, shares=shares, excess_at=interval.minute)
    ladder, successes = known.ladder, known.successes
    return Accumulated(
        known.margin,
        known.tolerable,
        failures=_with_minute(known.failures, ladder, arms, effect),
        successes=_with_minute(successes, ladder, _successes_of(arms), effect) if successes else None,
        design_effect=known.design_effect,
        total=_sum(known.total, arms),
        here=_sum(known.here, arms),
        minutes=known.minutes + (1 if arms.n_control and arms.n_treatment else 0),
        through=interval.minute,
        shares=shares,
        recent=(*known.recent[1 - REMEMBERED_MINUTES :], arms),
        stage=known.stage,
        since=known.since,
        begun_at=known.begun_at,
        stages=known.stages,
        hours=known.hours,
        events=known.events + interval.has_events,
        excess_at=known.excess_at,
    )


def log_e_fail(accumulated: Accumulated) -> float:
    """Log e-value against “the treatment is no worse than tolerated”, of all starts."""
    rest = unspent(accumulated.stages, accumulated.hours)
    tallies = (accumulated.failures, accumulated.successes)
    return _log_mean([log_fail_of_starts(tally.carried, tally.logs, rest) for tally in tallies if tally])


def log_e_fail_here(accumulated: Accumulated) -> float:
    """The same from the minutes of the present stage alone."""
    return _log_mean([log_fail(tally.logs) for tally in (accumulated.failures, accumulated.successes) if tally])


def log_e_pass(accumulated: Accumulated) -> float:
    """Log e-value against “the treatment is as bad as the pass rules out, or worse” in the present stage."""
    failures = log_pass(accumulated.failures.logs)
    return failures if accumulated.successes is None else min(failures, log_pass(accumulated.successes.logs))


def shown_tally(accumulated: Accumulated) -> Tally:
    """The tally of the rarer event in this stage, which is the one that people are told about."""
    here, successes = accumulated.here, accumulated.successes
    if successes is None or 2 * (here.x_control + here.x_treatment) <= here.n_control + here.n_treatment:
        return accumulated.failures
    return successes


def tally_of(minutes: Sequence[Arms], *, is_success: bool) -> Tally:
    """The ratio of rates within some minutes, without evidence."""
    found = Tally(())
    for arms in minutes:
        if arms.n_control or arms.n_treatment:
            found = _with_rates(found, _successes_of(arms) if is_success else arms, ())
    return found


def bounds(accumulated: Accumulated, alpha: float) -> tuple[float | None, float | None]:
    """What the ratio of the rarer event in this stage is at least and at most, each with level `alpha` at all looks
    together. Where two events are followed, each has half."""
    level = log((1 if accumulated.successes is None else 2) / alpha)
    tally, ladder = shown_tally(accumulated), accumulated.ladder
    return at_least(tally.logs, ladder, level), at_most(tally.logs, ladder, level)


def _begun(known: Accumulated, interval: Interval) -> Accumulated:
    """Before a minute is added: the evidence begins anew where it is the first of a stage, or an hour after the start
    before."""
    minute = interval.minute
    if known.since is None or known.begun_at is None:
        return replace(known, stage=interval.stage, since=minute, begun_at=minute)
    if interval.stage != known.stage:
        weight = stage_weight(known.stages + 1)
        return replace(
            known,
            failures=_anew(known.failures, known.ladder, weight),
            successes=_anew(known.successes, known.ladder, weight) if known.successes else None,
            here=_NO_ARMS,
            stage=interval.stage,
            since=minute,
            begun_at=minute,
            stages=known.stages + 1,
        )
    if minute - known.begun_at < AGAIN_AFTER:
        return known
    weight = hour_weight(known.hours + 1)
    return replace(
        known,
        failures=_once_more(known.failures, weight),
        successes=_once_more(known.successes, weight) if known.successes else None,
        begun_at=minute,
        hours=known.hours + 1,
    )


def _anew(tally: Tally, ladder: Ladder, weight: float) -> Tally:
    carried = in_new_stage(tally.carried, tally.logs)
    return Tally(ladder.nothing_yet, with_start(carried, ladder.nothing_yet, weight))


def _once_more(tally: Tally, weight: float) -> Tally:
    return replace(tally, carried=with_start(tally.carried, tally.logs, weight))


def _with_minute(tally: Tally, ladder: Ladder, arms: Arms, design_effect: float) -> Tally:
    return _with_rates(tally, arms, with_minute(tally.logs, ladder, arms, design_effect))


def _with_rates(tally: Tally, arms: Arms, logs: Logs) -> Tally:
    units = arms.n_control + arms.n_treatment
    return Tally(
        logs,
        tally.carried,
        tally.above + arms.x_treatment * arms.n_control / units,
        tally.below + arms.x_control * arms.n_treatment / units,
    )


def _successes_of(arms: Arms) -> Arms:
    """The units with success, the arms changed over."""
    return Arms(arms.n_treatment, arms.n_treatment - arms.x_treatment, arms.n_control, arms.n_control - arms.x_control)


def _sum(one: Arms, other: Arms) -> Arms:
    return Arms(one[0] + other[0], one[1] + other[1], one[2] + other[2], one[3] + other[3])


def _log_mean(logs: Sequence[float]) -> float:
    """The logarithm of the mean of what has these logarithms."""
    highest = max(logs)
    return highest + log(sum([exp(value - highest) for value in logs]) / len(logs))


def _tally_json(tally: Tally) -> dict[str, Any]:
    numbers = _numbers_text((*tally.carried, *tally.logs))
    return {"logs": numbers, "above": tally.above.hex(), "below": tally.below.hex()}


def _read(value: Mapping[str, Any]) -> Accumulated:
    shares, (stages, hours) = value["shares"], value["starts"]
    accumulated = Accumulated(
        _number(value["margin"]),
        _number(value["tolerable"]),
        failures=_tally(value["failures"]),
        successes=_tally(value["successes"]) if value["successes"] else None,
        design_effect=_number(value["design_effect"]),
        total=Arms(*map(int, value["total"])),
        here=Arms(*map(int, value["here"])),
        minutes=int(value["minutes"]),
        through=_instant(value["through"]),
        since=_instant(value["since"]),
        begun_at=_instant(value["begun_at"]),
        excess_at=_instant(value["excess_at"]),
        stage=int(value["stage"]),
        stages=int(stages),
        hours=int(hours),
        events=int(value["events"]),
        shares=ShareEvidence(
            _numbers(shares["logs"]),
            int(shares["minutes"]),
            int(shares["units"]),
            int(shares["treated"]),
            _number(shares["promised"]),
        ),
        recent=tuple([Arms(*arms) for arms in value["recent"]]),
    )
    tallies = [tally for tally in (accumulated.failures, accumulated.successes) if tally]
    if len(accumulated.shares.logs) != len(ODDS) or any(len(t.logs) != len(accumulated.ladder.ratios) for t in tallies):
        raise ValueError("another ladder")
    return accumulated


def _tally(value: Mapping[str, Any]) -> Tally:
    numbers = _numbers(value["logs"])
    return Tally(numbers[GRID_SIZE:], numbers[:GRID_SIZE], _number(value["above"]), _number(value["below"]))


def _instant_text(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _numbers_text(numbers: Sequence[float]) -> str:
    """Many numbers to the last bit in one short text: their eight bytes each, little end first, in Base64."""
    return b64encode(struct.pack(f"<{len(numbers)}d", *numbers)).decode()


def _numbers(text: str) -> tuple[float, ...]:
    packed = b64decode(text, validate=True)
    numbers = struct.unpack(f"<{len(packed) // 8}d", packed)
    if not all(map(isfinite, numbers)):
        raise ValueError("Something stored is no number.")
    return numbers


def _number(text: str) -> float:
    number = float.fromhex(text)
    if not isfinite(number):
        raise ValueError(f"{text} is no number.")
    return number
