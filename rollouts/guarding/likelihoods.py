"""The likelihood of ratios between the arms, minute by minute, and the e-values that are read off it.

In a minute with `x_t` bad units of `n_t` in treatment and `x_c` of `n_c` in control, a bad unit is the treatment's with
probability theta(r) = n_t r / (n_t r + n_c) when its rate is r times the control's. The log-likelihood of r gains

    x_t ln r - (x_t + x_c) ln((n_t r + n_c) / (n_t + n_c)).

Dividing by the likelihood at a tolerated ratio r0 gives a product of factors that each expect at most 1 if the ratio
is r0 or less, whatever the base rate is and however it drifts. With r0 = 1 randomisation alone gives that (Hoeffding
1963: drawing without replacement is no more spread than with); with any r0, units that go wrong independently of each
other do (1 + u <= e^u). So the mixture over ratios passes 1/alpha ever with probability alpha at most (Ville 1939).
With a constant split this is the sequential test of Lindon & Malek, NeurIPS 2022. `docs/guards.md` has the proofs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import exp, log
from typing import NamedTuple

# Ratios on either side lie e^(1/8), 13 percent, apart, up to 20 times the tolerated one. Near ones weigh more: far ones
# are seen at once anyway.
GRID_STEP = 0.125
GRID_SIZE = 24
_MASS = sum(1 / number for number in range(1, GRID_SIZE + 1))
LOG_WEIGHTS = tuple(log(1 / number / _MASS) for number in range(1, GRID_SIZE + 1))
FACTORS = tuple(exp(GRID_STEP * number) for number in range(1, GRID_SIZE + 1))

Logs = tuple[float, ...]


class Arms(NamedTuple):
    """Units and events of both arms in one minute."""

    n_control: int
    x_control: int
    n_treatment: int
    x_treatment: int


def summed(minutes: Sequence[Arms]) -> Arms:
    """The counts of several minutes together."""
    return Arms(*map(sum, zip(*minutes, strict=True))) if minutes else Arms(0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Ladder:
    """The ratios whose likelihood is kept: the tolerated one, the one a pass rules out, then the steps up from the
    first and down from the second. `logs` are their logarithms."""

    ratios: tuple[float, ...]
    logs: Logs

    @property
    def nothing_yet(self) -> Logs:
        """The log-likelihoods before anything is counted."""
        return (0.0,) * len(self.ratios)


@lru_cache(maxsize=256)
def ladder_of(tolerated: float, ruled_out: float) -> Ladder:
    """The ladder between two ratios."""
    above = tuple(tolerated * factor for factor in FACTORS)
    below = tuple(ruled_out / factor for factor in FACTORS)
    ratios = (tolerated, ruled_out, *above, *below)
    return Ladder(ratios, tuple(map(log, ratios)))


def with_minute(logs: Logs, ladder: Ladder, arms: Arms, design_effect: float = 1.0) -> Logs:
    """The log-likelihoods with one minute more, divided by the design effect of its counts. A minute without events, or
    without units in one arm, says nothing."""
    treated, events = arms.x_treatment, arms.x_treatment + arms.x_control
    if not events or not arms.n_control or not arms.n_treatment:
        return logs
    n_treatment, n_control = arms.n_treatment, arms.n_control
    units = n_treatment + n_control
    return tuple(
        [
            old + (treated * log_ratio - events * log((n_treatment * ratio + n_control) / units)) / design_effect
            for old, ratio, log_ratio in zip(logs, ladder.ratios, ladder.logs, strict=True)
        ]
    )


def log_fail(logs: Logs) -> float:
    """Log e-value against “no worse than tolerated”."""
    return _log_mixture(logs[2 : 2 + GRID_SIZE]) - logs[0]


def log_pass(logs: Logs) -> float:
    """Log e-value against “as bad as ruled out, or worse”."""
    return _log_mixture(logs[2 + GRID_SIZE :]) - logs[1]


def at_least(logs: Logs, ladder: Ladder, log_threshold: float) -> float | None:
    """The ratio it is at least: the highest step up to which every ratio is refused; None if the tolerated one is not.

    The bound holds at all looks together with the level of the threshold (inverting the test: Howard, Ramdas, McAuliffe
    & Sekhon, Ann. Stat. 2021).
    """
    return _furthest(logs, ladder, (0, *range(2, 2 + GRID_SIZE)), _log_mixture(logs[2 : 2 + GRID_SIZE]), log_threshold)


def at_most(logs: Logs, ladder: Ladder, log_threshold: float) -> float | None:
    """The ratio it is at most, likewise; None if the one to be ruled out is not."""
    steps = (1, *range(2 + GRID_SIZE, 2 + 2 * GRID_SIZE))
    return _furthest(logs, ladder, steps, _log_mixture(logs[2 + GRID_SIZE :]), log_threshold)


def _furthest(logs: Logs, ladder: Ladder, steps: tuple[int, ...], mixture: float, log_threshold: float) -> float | None:
    found = None
    for step in steps:
        if mixture - logs[step] < log_threshold:
            return found
        found = ladder.ratios[step]
    return found


def _log_mixture(logs: Logs) -> float:
    weighed = [weight + value for weight, value in zip(LOG_WEIGHTS, logs, strict=True)]
    highest = max(weighed)
    return highest + log(sum([exp(value - highest) for value in weighed]))
