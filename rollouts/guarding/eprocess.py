"""What is known of one guard: everything its closed minutes came to, added one minute at a time.

Adding is the only way it grows, in the order of the minutes and with one float addition per kept ratio, so counting on
from a stored value and counting everything anew give the same bits.

Conversion: a unit without success is the bad one, but at a rate of 3 % a halved conversion lifts the bad units from 97
to 98.5 %, a ratio of 1.015 that no margin would see. The event worth following is the rare one, success below one half
and failure above, and which that is must not be picked by looking. So both are followed: failures as with any metric,
successes with the arms changed over (the control having more of them is the regression). Failing takes the mean of the
two e-values, which is one again; passing needs both.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from math import exp, isfinite, log
from typing import Any

from rollouts.plans.definition import GuardSpec

from .counts import Interval, InvalidInterval
from .likelihoods import Arms, Ladder, Logs, at_least, at_most, ladder_of, log_fail, log_pass, with_minute
from .ratio import ODDS, ShareEvidence, with_shares
from .shared import REMEMBERED_MINUTES

_NO_ARMS = Arms(0, 0, 0, 0)
_NO_SHARES = ShareEvidence()


@dataclass(frozen=True, slots=True)
class Tally:
    """The log-likelihoods of one event, and its ratio of rates after Mantel & Haenszel 1959, which compares within
    minutes: `above / below`."""

    logs: Logs
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
    minutes one by one."""

    margin: float
    tolerable: float
    failures: Tally
    successes: Tally | None
    total: Arms = _NO_ARMS
    minutes: int = 0
    through: datetime | None = None
    shares: ShareEvidence = _NO_SHARES
    recent: tuple[Arms, ...] = ()

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
            "total": list(self.total),
            "minutes": self.minutes,
            "through": self.through.isoformat() if self.through else None,
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
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InvalidInterval("What is stored of this guard cannot be read; count it anew.") from error


def start(spec: GuardSpec) -> Accumulated:
    """A guard of which nothing is counted yet. Raises ValueError for ratios that leave nothing to tell apart."""
    tolerated, ruled_out = 1 + spec.margin, float(spec.tolerable)
    if not (isfinite(ruled_out) and 1 <= tolerated < ruled_out):
        raise ValueError("A guard tolerates a ratio of 1 or more, and a pass rules out one above that.")
    nothing = Tally(ladder_of(tolerated, ruled_out).nothing_yet)
    return Accumulated(
        float(spec.margin), ruled_out, failures=nothing, successes=nothing if spec.is_success_metric else None
    )


def add(accumulated: Accumulated, interval: Interval) -> Accumulated:
    """What is known with one closed minute more. Raises InvalidInterval for a minute that does not come after the last
    one; so nothing counts twice."""
    if accumulated.through is not None and interval.minute <= accumulated.through:
        raise InvalidInterval(f"{interval.minute:%H:%M} does not come after {accumulated.through:%H:%M}.")
    arms = Arms(interval.n_control, interval.x_control, interval.n_treatment, interval.x_treatment)
    if not (arms.n_control or arms.n_treatment):
        return replace(accumulated, through=interval.minute)
    ladder, total, successes = accumulated.ladder, accumulated.total, accumulated.successes
    return Accumulated(
        accumulated.margin,
        accumulated.tolerable,
        failures=_with_minute(accumulated.failures, ladder, arms),
        successes=_with_minute(successes, ladder, _successes_of(arms)) if successes else None,
        total=Arms(total[0] + arms[0], total[1] + arms[1], total[2] + arms[2], total[3] + arms[3]),
        minutes=accumulated.minutes + (1 if arms.n_control and arms.n_treatment else 0),
        through=interval.minute,
        shares=with_shares(accumulated.shares, interval),
        recent=(*accumulated.recent[1 - REMEMBERED_MINUTES :], arms),
    )


def log_e_fail(accumulated: Accumulated) -> float:
    """Log e-value against “the treatment is no worse than tolerated”."""
    failures = log_fail(accumulated.failures.logs)
    if accumulated.successes is None:
        return failures
    successes = log_fail(accumulated.successes.logs)
    highest = max(failures, successes)
    return highest + log((exp(failures - highest) + exp(successes - highest)) / 2)


def log_e_pass(accumulated: Accumulated) -> float:
    """Log e-value against “the treatment is as bad as the pass rules out, or worse”."""
    failures = log_pass(accumulated.failures.logs)
    return failures if accumulated.successes is None else min(failures, log_pass(accumulated.successes.logs))


def shown_tally(accumulated: Accumulated) -> Tally:
    """The tally of the rarer event, which is the one that people are told about."""
    total, successes = accumulated.total, accumulated.successes
    if successes is None or 2 * (total.x_control + total.x_treatment) <= total.n_control + total.n_treatment:
        return accumulated.failures
    return successes


def bounds(accumulated: Accumulated, alpha: float) -> tuple[float | None, float | None]:
    """What the ratio of the rarer event is at least and at most, each with level `alpha` at all looks together. Where
    two events are followed, each has half."""
    level = log((1 if accumulated.successes is None else 2) / alpha)
    tally, ladder = shown_tally(accumulated), accumulated.ladder
    return at_least(tally.logs, ladder, level), at_most(tally.logs, ladder, level)


def _with_minute(tally: Tally, ladder: Ladder, arms: Arms) -> Tally:
    units = arms.n_control + arms.n_treatment
    return Tally(
        with_minute(tally.logs, ladder, arms),
        tally.above + arms.x_treatment * arms.n_control / units,
        tally.below + arms.x_control * arms.n_treatment / units,
    )


def _successes_of(arms: Arms) -> Arms:
    """The units with success, the arms changed over."""
    return Arms(arms.n_treatment, arms.n_treatment - arms.x_treatment, arms.n_control, arms.n_control - arms.x_control)


def _tally_json(tally: Tally) -> dict[str, Any]:
    return {"logs": _numbers_text(tally.logs), "above": tally.above.hex(), "below": tally.below.hex()}


def _read(value: Mapping[str, Any]) -> Accumulated:
    shares, through = value["shares"], value["through"]
    accumulated = Accumulated(
        _number(value["margin"]),
        _number(value["tolerable"]),
        failures=_tally(value["failures"]),
        successes=_tally(value["successes"]) if value["successes"] else None,
        total=Arms(*map(int, value["total"])),
        minutes=int(value["minutes"]),
        through=datetime.fromisoformat(through) if through else None,
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
    return Tally(_numbers(value["logs"]), _number(value["above"]), _number(value["below"]))


def _numbers_text(numbers: Iterable[float]) -> str:
    """Many numbers in one text: a database driver takes each text of a document in its hand."""
    return " ".join([number.hex() for number in numbers])


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(map(_number, text.split()))


def _number(text: str) -> float:
    number = float.fromhex(text)
    if not isfinite(number):
        raise ValueError(f"{text} is no number.")
    return number
