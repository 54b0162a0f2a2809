"""Evidence that begins anew: a regression must not be drowned in the healthy minutes before it.

The e-value against “no worse than tolerated” is a mixture over starts: one at the first minute, one at each later entry
of a stage, and one at every further hour within a stage. What begins at one of them is 1 until then and a
supermartingale under the null from then on, the weights are fixed in advance and sum to 1, so their mixture is one too
and reaches 1/alpha ever with probability alpha at most, for all starts together (as e-detectors do: Shin, Ramdas &
Rinaldo, NEJSDS 2024). Of all starts only their sum is kept, one number for each ratio: `carried` is
log sum_k w_k / (likelihood ratio at start k), which the present likelihood ratio multiplies.
"""

from datetime import timedelta
from math import exp, log

from .likelihoods import GRID_SIZE, LOG_WEIGHTS, Logs

FIRST, STAGES, HOURS = 2 / 3, 1 / 4, 1 / 12
AGAIN_AFTER = timedelta(hours=1)
FROM_THE_FIRST: Logs = tuple([log(FIRST) + weight for weight in LOG_WEIGHTS])


def stage_weight(number: int) -> float:
    """The weight of the `number`th entry of a stage after the first: all of them together have a quarter."""
    return STAGES / (number * (number + 1))


def hour_weight(number: int) -> float:
    """The weight of the `number`th start within a stage: all of them together have a twelfth."""
    return HOURS / (number * (number + 1))


def unspent(stages: int, hours: int) -> float:
    """The weight of all starts to come, after so many entries of later stages and so many starts within stages."""
    return STAGES / (stages + 1) + HOURS / (hours + 1)


def with_start(carried: Logs, logs: Logs, weight: float) -> Logs:
    """The starts with one more, now."""
    log_weight = log(weight)
    return tuple(
        [
            _log_sum(old, log_weight + near - (now - logs[0]))
            for old, near, now in zip(carried, LOG_WEIGHTS, logs[2 : 2 + GRID_SIZE], strict=True)
        ]
    )


def in_new_stage(carried: Logs, logs: Logs) -> Logs:
    """The starts, where the likelihoods of a new stage begin at nothing."""
    return tuple([old + (now - logs[0]) for old, now in zip(carried, logs[2 : 2 + GRID_SIZE], strict=True)])


def log_fail_of_starts(carried: Logs, logs: Logs, rest: float) -> float:
    """Log e-value against “no worse than tolerated” of all starts together; `rest` is the weight of those to come."""
    found = [old + (now - logs[0]) for old, now in zip(carried, logs[2 : 2 + GRID_SIZE], strict=True)]
    highest = max(*found, 0.0)
    return highest + log(sum([exp(value - highest) for value in found]) + rest * exp(-highest))


def _log_sum(one: float, other: float) -> float:
    highest = max(one, other)
    return highest + log(exp(one - highest) + exp(other - highest))
