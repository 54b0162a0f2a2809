"""Did the arms get the shares that the split promised? If not, nobody knows whom the counts of an arm speak for.

The multinomial e-process of Lindon & Malek (NeurIPS 2022) for two arms, stratified by minute since shares change on
the way: of the minute's units, the treatment's part is o w_t / (o w_t + w_c) with odds o times the promised ones. Odds
within `TOLERATED` either way are let pass, because one arm's people may come back a little more often. The same people
come back minute after minute, so their counts are not independent: the log-likelihood of k minutes is divided by k, up
to `MINUTES_OF_A_VISIT`. If the very same people came in all of these minutes, that leaves what one minute says.
"""

from dataclasses import dataclass
from enum import StrEnum
from math import exp, log

from .counts import Interval
from .planning import divergence

P_VALUE = 0.001
TOLERATED = 1.1
MINUTES_OF_A_VISIT = 30
_STEPS = 16
_STEP = 0.25
_MASS = sum(1 / number for number in range(1, _STEPS + 1))
# Each side has half of the level. One more than its inverse, as dividing logs may lift what lies below 1 up to 1.
LOG_THRESHOLD = log(2 / P_VALUE + 1)
_LOG_EXCESS = log(1_000_000)

_ABOVE = tuple(TOLERATED * exp(_STEP * number) for number in range(1, _STEPS + 1))
ODDS = (TOLERATED, 1 / TOLERATED, *_ABOVE, *(1 / odds for odds in _ABOVE))
_LOG_ODDS = tuple(map(log, ODDS))
_LOG_MASSES = tuple(log(number * _MASS) for number in range(1, _STEPS + 1))


class Skew(StrEnum):
    """Which way the shares are off."""

    MORE = "more"
    FEWER = "fewer"


@dataclass(frozen=True, slots=True)
class ShareEvidence:
    """Log-likelihoods of the odds of `ODDS`, the minutes that are in them, and how many units the treatment should have
    had of how many."""

    logs: tuple[float, ...] = (0.0,) * len(ODDS)
    minutes: int = 0
    units: int = 0
    treated: int = 0
    promised: float = 0.0


def has_excess(interval: Interval, design_effect: float = 1.0) -> bool:
    """Whether this minute alone has too many reports of the treatment for its share, of which chance makes one in a
    million: Chernoff's bound at the tolerated odds. What came in it may have been invented."""
    control, treatment = interval.weight_control, interval.weight_treatment
    units, treated = interval.n_control + interval.n_treatment, interval.n_treatment
    promised = TOLERATED * treatment
    if not (control and treatment) or treated * (promised + control) <= units * promised:
        return False
    return units * divergence(treated / units, promised / (promised + control)) >= _LOG_EXCESS * design_effect


def with_shares(evidence: ShareEvidence, interval: Interval, design_effect: float = 1.0) -> ShareEvidence:
    """The evidence with one minute more; one without units or without a split between both arms says nothing."""
    control, treatment = interval.weight_control, interval.weight_treatment
    units = interval.n_control + interval.n_treatment
    if not (control and treatment and units):
        return evidence
    weights, treated = control + treatment, interval.n_treatment
    logs = tuple(
        [
            old + (treated * log_odds - units * log((treatment * odds + control) / weights)) / design_effect
            for old, odds, log_odds in zip(evidence.logs, ODDS, _LOG_ODDS, strict=True)
        ]
    )
    return ShareEvidence(
        logs,
        evidence.minutes + 1,
        evidence.units + units,
        evidence.treated + treated,
        evidence.promised + units * treatment / weights,
    )


def log_skews(evidence: ShareEvidence) -> tuple[float, float]:
    """Log e-values of “the treatment has more than its share” and “it has fewer”."""
    visits = max(1, min(evidence.minutes, MINUTES_OF_A_VISIT))
    more = [(value - evidence.logs[0]) / visits for value in evidence.logs[2 : 2 + _STEPS]]
    fewer = [(value - evidence.logs[1]) / visits for value in evidence.logs[2 + _STEPS :]]
    return _log_mixture(more), _log_mixture(fewer)


def skew_of(log_skews: tuple[float, float]) -> Skew | None:
    """Which way the shares are off with p < 0.001 at all looks together; None while nothing says so."""
    more, fewer = log_skews
    if max(more, fewer) < LOG_THRESHOLD:
        return None
    return Skew.MORE if more >= fewer else Skew.FEWER


def _log_mixture(logs: list[float]) -> float:
    """Near odds weigh more than far ones, which are seen soon anyway."""
    weighed = [value - log_mass for value, log_mass in zip(logs, _LOG_MASSES, strict=True)]
    highest = max(weighed)
    return highest + log(sum([exp(value - highest) for value in weighed]))
