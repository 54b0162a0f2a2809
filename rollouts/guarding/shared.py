"""A shared incident: both arms are much worse than within the last hour, so the treatment is not what broke."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

from .likelihoods import Arms, summed
from .planning import divergence

NOW_MINUTES = 5
# The last minutes are compared with the quietest of these stretches, so that an incident does not soon become the
# measure of itself. What lasts longer than the hour is how things are now.
STRETCH_MINUTES = 15
BEFORE_MINUTES = 60
REMEMBERED_MINUTES = NOW_MINUTES + BEFORE_MINUTES
LEAST_BAD = 10
WORSE_BY = 2.0
# Chernoff: with unchanged rates a count so far off comes about with probability 1 in 1,000 at most, in each arm.
LOG_EVIDENCE = log(1_000)


@dataclass(frozen=True, slots=True)
class SharedIncident:
    """The last minutes, and the quietest stretch of the hour before them."""

    now: Arms
    before: Arms


def shared_incident(recent: Sequence[Arms]) -> SharedIncident | None:
    """Whether both arms got worse, the last 5 counted minutes against a stretch of the hour before; None if not."""
    now = summed(recent[-NOW_MINUTES:])
    if min(now.x_control, now.x_treatment) < LEAST_BAD:
        return None
    before = _quietest(recent[-REMEMBERED_MINUTES:-NOW_MINUTES])
    if before is None:
        return None
    control = _got_worse(now.n_control, now.x_control, before.n_control, before.x_control)
    treatment = _got_worse(now.n_treatment, now.x_treatment, before.n_treatment, before.x_treatment)
    return SharedIncident(now, before) if control and treatment else None


def _quietest(minutes: Sequence[Arms]) -> Arms | None:
    chunks = [minutes[at : at + STRETCH_MINUTES] for at in range(0, len(minutes), STRETCH_MINUTES)]
    stretches = [summed(chunk) for chunk in chunks if len(chunk) >= NOW_MINUTES]
    full = [arms for arms in stretches if arms.n_control and arms.n_treatment]
    return min(full, key=_share_bad, default=None)


def _share_bad(arms: Arms) -> float:
    return (arms.x_control + arms.x_treatment) / (arms.n_control + arms.n_treatment)


def _got_worse(units: int, bad: int, units_before: int, bad_before: int) -> bool:
    """At least twice the rate, and more than chance: given all bad units, the recent ones are binomial with the recent
    part of all units while rates are unchanged, and Chernoff 1952 bounds their tail."""
    if bad * units_before < WORSE_BY * bad_before * units:
        return False
    total = bad + bad_before
    return total * divergence(bad / total, units / (units + units_before)) >= LOG_EVIDENCE
