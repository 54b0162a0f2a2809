"""The sentences of verdicts: what was seen, in numbers, and what that means for the rollout."""

from collections.abc import Callable
from datetime import datetime, timedelta
from math import ceil, floor

from rollouts.plans.definition import GuardSpec

from .eprocess import Tally
from .likelihoods import Arms
from .outcomes import GuardOutcome
from .ratio import ShareEvidence
from .shared import SharedIncident

CONCLUSIONS = {
    GuardOutcome.BREACH: "That is worse than tolerated.",
    GuardOutcome.AT_RISK: "That may be worse than tolerated; it is not shown yet.",
    GuardOutcome.HEALTHY: "So {tolerable} is ruled out.",
    GuardOutcome.COLLECTING: "It is not shown yet that it is worse than tolerated, nor that {tolerable} is ruled out.",
    GuardOutcome.RECOVERED: "What was wrong before no longer holds.",
}
# A ratio of all counts this far from the one within minutes is told apart from it.
_APART = 1.2


def compared(
    spec: GuardSpec, total: Arms, tally: Tally, *, is_success: bool, is_lately: bool = False, has_events: bool = False
) -> str:
    """“Errors: 4.1 % with “on” against 1.0 % with “off” among 3,034 reports, each person once a minute; x4.1”."""
    treated, control = total.x_treatment, total.x_control
    if spec.is_success_metric:
        treated, control = total.n_treatment - treated, total.n_control - control
    reports = total.n_control + total.n_treatment
    told = f"{reports:,} reports{' of the last hour' if is_lately else ''}"
    if not has_events:
        told += ", each person once a minute"
    start = (
        f"{spec.name}: {percent(treated, total.n_treatment)} with “{spec.treatment}” against "
        f"{percent(control, total.n_control)} with “{spec.control}” among {told}"
    )
    ratio = tally.ratio
    if not ratio:
        return start
    said = f"{start}; {_event(spec, is_success=is_success)}{times(ratio)}"
    plain = _plain_ratio(total, is_success=is_success)
    if plain and not 1 / _APART <= plain / ratio <= _APART:
        said += " (compared minute by minute, as the shares changed on the way)"
    return said


def bounded(lower: float | None, upper: float | None, alpha: float) -> str:
    """“, at least x2 with 95 % certainty”, or nothing while no bound is shown."""
    level = f"{100 * (1 - alpha):.3g} %"
    parts = [f"at least {times(_careful(lower, floor))}"] if lower else []
    parts += [f"at most {times(_careful(upper, ceil))}"] if upper else []
    return f", {' and '.join(parts)} with {level} certainty" if parts else ""


def too_few(spec: GuardSpec, total: Arms) -> str:
    """Below the sample that is asked for."""
    return (
        f"{spec.name}: {total.n_treatment:,} reports with “{spec.treatment}” and {total.n_control:,} with "
        f"“{spec.control}” so far; {spec.minimum_sample:,} of each are needed before anything is said."
    )


def one_sided(spec: GuardSpec, total: Arms) -> str:
    """Nothing to compare."""
    if not (total.n_control or total.n_treatment):
        return f"{spec.name}: no data yet."
    silent, spoken = (spec.control, spec.treatment) if total.n_treatment else (spec.treatment, spec.control)
    return f"{spec.name}: nothing was reported for “{silent}” yet, so “{spoken}” has nothing to be compared with."


def nothing_here(spec: GuardSpec) -> str:
    """A stage that has just begun, or goes on after a pause."""
    return f"{spec.name}: nothing is counted yet since this stage began or went on; it is judged by its own minutes."


def hard_break(spec: GuardSpec, arms: Arms) -> str:
    """A treatment that plainly does not work."""
    return (
        f"{spec.name}: “{spec.treatment}” is broken: {arms.x_treatment:,} of {arms.n_treatment:,} reports are bad, "
        f"against {arms.x_control:,} of {arms.n_control:,} with “{spec.control}”."
    )


def missing(spec: GuardSpec, total: Arms, sampled_at: datetime | None, silent_for: timedelta) -> str:
    """No data for long, or none ever."""
    since = " since the rollout began" if sampled_at is None else ""
    silent = [
        name for name, units in ((spec.control, total.n_control), (spec.treatment, total.n_treatment)) if not units
    ]
    whose = f" for “{silent[0]}”" if len(silent) == 1 else ""
    return f"{spec.name}: no data{whose} for {duration(silent_for)}{since}. Check that the service reports it."


def stale(spec: GuardSpec, silent_for: timedelta) -> str:
    """The newest data are old."""
    return f"{spec.name}: the newest data are {duration(silent_for)} old; it is judged again when new ones arrive."


def probe_error(spec: GuardSpec, errors: int) -> str:
    """The source does not answer."""
    return f"{spec.name}: Prometheus gave no usable answer {errors:,} times in a row. Check its queries and the server."


def sample_ratio(spec: GuardSpec, shares: ShareEvidence) -> str:
    """The arms did not get what the split promised."""
    seen = percent(shares.treated, shares.units)
    promised = f"{100 * shares.promised / shares.units:.1f} %"
    return (
        f"{spec.name}: “{spec.treatment}” has {seen} of the {shares.units:,} reports of both variants and should have "
        f"{promised}. Reports are lost or doubled somewhere, so the variants cannot be compared."
    )


def excess(spec: GuardSpec, minute: datetime | None) -> str:
    """A minute that nobody can believe."""
    when = f"in the minute of {minute:%H:%M} UTC" if minute else "lately"
    return (
        f"{spec.name}: {when} “{spec.treatment}” had far more reports than its share, so they may be doubled or "
        f"invented. That minute is left out of the comparison."
    )


def shared_incident(spec: GuardSpec, found: SharedIncident) -> str:
    """Both arms are bad."""
    now, before = found.now, found.before
    bad, bad_before = now.x_control + now.x_treatment, before.x_control + before.x_treatment
    units, units_before = now.n_control + now.n_treatment, before.n_control + before.n_treatment
    return (
        f"{spec.name}: both variants got worse at the same time, from {percent(bad_before, units_before)} to "
        f"{percent(bad, units)}. Something that they share is wrong, so this is no reason to roll back."
    )


def percent(part: int, whole: int) -> str:
    """A share with as many digits as small ones need: “4.1 %”, “0.03 %”."""
    value = 100 * part / whole if whole else 0.0
    return f"{value:.1f} %" if value >= 1 or not value else f"{value:.2g} %"


def times(ratio: float) -> str:
    """“x4.1”, “x12”."""
    return f"x{round(ratio, 1 if ratio < 10 else 0):g}"


def duration(span: timedelta) -> str:
    """“18 minutes”, “3 hours”, “2 days”."""
    minutes = max(0, int(span.total_seconds() // 60))
    number, unit = (minutes, "minute") if minutes < 120 else (minutes // 60, "hour")
    if unit == "hour" and number >= 48:
        number, unit = number // 24, "day"
    return f"{number:,} {unit}{'' if number == 1 else 's'}"


def _event(spec: GuardSpec, *, is_success: bool) -> str:
    if not spec.is_success_metric:
        return ""
    return f"success with “{spec.control}” " if is_success else f"no success with “{spec.treatment}” "


def _plain_ratio(total: Arms, *, is_success: bool) -> float | None:
    treated, control = total.x_treatment, total.x_control
    above, below = (treated * total.n_control, control * total.n_treatment)
    if is_success:
        above = (total.n_control - control) * total.n_treatment
        below = (total.n_treatment - treated) * total.n_control
    return above / below if below else None


def _careful(bound: float, rounded: Callable[[float], int]) -> float:
    """A bound with the digits of `times`, rounded to its own side. What only float arithmetic put beyond a digit is
    not counted as beyond."""
    scale = 10 if bound < 10 else 1
    return rounded(round(bound * scale, 6)) / scale
