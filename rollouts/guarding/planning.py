"""How much must be counted until a guard can see a regression, in numbers and in words for the form.

`(ln(1/alpha) + 1.5) / KL` bad units of both arms together, where KL is the divergence of the treatment's part of them
under the regression from its part at the tolerated ratio: the expected growth of the log e-value per bad unit (Wald
1945; Grünwald, de Heide & Koolen, Safe testing, JRSS B 2024), and 1.5 for what the mixture over ratios costs.
"""

from dataclasses import dataclass
from math import ceil, inf, log

from .counts import TOTAL_WEIGHT

COST_OF_MIXTURE = 1.5
USUAL_RATIOS = (1.5, 2.0, 3.0, 5.0)


def divergence(part: float, other: float) -> float:
    """Kullback-Leibler divergence of a coin with `part` from one with `other`, in nats."""
    if not (0 <= part <= 1 and 0 < other < 1):
        raise ValueError(f"{part} and {other} are no parts of all bad units.")
    first = part * log(part / other) if part else 0.0
    second = (1 - part) * log((1 - part) / (1 - other)) if part < 1 else 0.0
    return first + second


def events_needed(ratio: float, *, alpha: float = 0.05, margin: float = 0.0, weight: int = TOTAL_WEIGHT // 2) -> int:
    """Bad units in both arms together until a regression to `ratio` times the control's rate is usually seen.

    `weight` is the treatment's part of 100,000 among both arms.
    """
    if not ratio > 1 + margin:
        raise ValueError(f"x{ratio} is tolerated, so no guard looks for it.")
    if not (0 < alpha < 1 and 0 < weight < TOTAL_WEIGHT):
        raise ValueError("Neither the level nor the weight may be nothing or everything.")
    shift = divergence(_part(ratio, weight), _part(1 + margin, weight))
    return ceil((log(1 / alpha) + COST_OF_MIXTURE) / shift)


def units_until(events: int, base_rate: float, weight: int = TOTAL_WEIGHT // 2, *, ratio: float = 1.0) -> float:
    """Units of both arms until so many of them are bad, when `base_rate` of the control's units are."""
    treated = weight / TOTAL_WEIGHT
    rate = (1 - treated) * base_rate + treated * min(1.0, base_rate * ratio)
    return events / rate if rate > 0 else inf


def hours_until(
    events: int, base_rate: float, units_per_hour: float, weight: int = TOTAL_WEIGHT // 2, *, ratio: float = 1.0
) -> float:
    """Hours until so many units of both arms are bad; infinite where none comes. `ratio` is how bad the treatment is;
    1, as if it were no worse than the control, is the careful answer."""
    if units_per_hour <= 0:
        return inf
    return units_until(events, base_rate, weight, ratio=ratio) / units_per_hour


@dataclass(frozen=True, slots=True)
class Need:
    """What it takes to see one regression. `sentence` says it to people."""

    ratio: float
    events: int
    units_per_arm: float
    hours: float
    sentence: str


def need_for(
    ratio: float,
    *,
    base_rate: float,
    units_per_hour: float,
    alpha: float = 0.05,
    margin: float = 0.0,
    weight: int = TOTAL_WEIGHT // 2,
) -> Need:
    """What it takes to see a regression to `ratio`. `units_per_arm` is of the smaller arm."""
    events = events_needed(ratio, alpha=alpha, margin=margin, weight=weight)
    units = units_until(events, base_rate, weight, ratio=ratio)
    smaller = units * min(weight, TOTAL_WEIGHT - weight) / TOTAL_WEIGHT
    hours = units / units_per_hour if units_per_hour > 0 else inf
    about = "about" if weight * 2 == TOTAL_WEIGHT else "at least"
    return Need(ratio, events, smaller, hours, _sentence(ratio, smaller, hours, units_per_hour, about))


def _sentence(ratio: float, units: float, hours: float, units_per_hour: float, about: str) -> str:
    if units == inf:
        return f"To see x{ratio:g} it needs bad units, and at a rate of nothing there are none."
    needs = f"To see x{ratio:g} it needs {about} {_rounded(units):,} people with each variant"
    if hours == inf:
        return f"{needs}; nobody comes now."
    return f"{needs}; at {_rounded(units_per_hour):,} people an hour that is {_duration(hours)}."


def _part(ratio: float, weight: int) -> float:
    return weight * ratio / (weight * ratio + TOTAL_WEIGHT - weight)


def _rounded(value: float) -> int:
    whole = max(1, ceil(value))
    digits = len(str(whole))
    return whole if digits <= 2 else round(whole, 2 - digits)


def _duration(hours: float) -> str:
    if hours < 1:
        minutes = max(1, round(hours * 60))
        return f"{minutes} minute{'' if minutes == 1 else 's'}"
    if hours < 48:
        return f"{round(hours)} hour{'' if round(hours) == 1 else 's'}"
    return f"{round(hours / 24):,} days"
