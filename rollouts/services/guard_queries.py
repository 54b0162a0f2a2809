"""The counts of guards that take them from Prometheus: four queries for each closed minute."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from flags.telemetry.closing import MINUTE
from rollouts.guarding.serving import ArmCounts
from rollouts.models import GuardWatch
from rollouts.plans.definition import GUARD_QUERIES, GuardSpec
from rollouts.selectors.guards import Minutes
from rollouts.services import probes

# Sweeps come every few seconds; what failed is not asked again at once.
AGAIN_AFTER = timedelta(seconds=30)
# So many minutes are caught up at one look; the next look goes on.
MOST_MINUTES = 15


@dataclass(slots=True)
class Asked:
    """What was learnt about Prometheus while many guards were looked at: one that is away is waited for once."""

    problem: str = ""


def ask_minutes(
    spec: GuardSpec, watch: GuardWatch, lacking: Sequence[datetime], asked: Asked, *, now: datetime
) -> tuple[Minutes, datetime | None]:
    """What Prometheus says about the minutes that the watch lacks, and the last one that it answered for, if any.

    Errors are counted in the watch; the minute that failed is asked again at a later look.
    """
    if watch.errors_in_a_row and watch.asked_at and timedelta() <= now - watch.asked_at < AGAIN_AFTER:
        return {}, None
    found: dict[datetime, dict[str, ArmCounts]] = {}
    watch.asked_at = now
    try:
        for minute in lacking[:MOST_MINUTES]:
            found[minute] = _ask(spec, minute, asked)
    except probes.ProbeError as error:
        watch.errors_in_a_row += 1
        watch.problem = str(error)[:500]
    else:
        watch.errors_in_a_row, watch.problem = 0, ""
    return found, max(found, default=None)


def _ask(spec: GuardSpec, minute: datetime, asked: Asked) -> dict[str, ArmCounts]:
    """Units and bad units of both arms. A counter that never counted has no series, so nothing means none."""
    if asked.problem:
        raise probes.ProbeError(asked.problem)
    counts = []
    for name in GUARD_QUERIES:
        text = spec.queries.get(name, "")
        if not text:
            raise probes.ProbeError(f"The guard {spec.name} has no query for {name}.")
        counts.append(_whole(_value(text, minute, asked)))
    n_control, x_control, n_treatment, x_treatment = counts
    return {
        spec.control: ArmCounts(n_control, min(x_control, n_control)),
        spec.treatment: ArmCounts(n_treatment, min(x_treatment, n_treatment)),
    }


def _value(text: str, minute: datetime, asked: Asked) -> float:
    try:
        return probes.query(text, at=minute + MINUTE) or 0.0
    except probes.Unreachable as error:
        asked.problem = str(error)
        raise


def _whole(value: float) -> int:
    """Prometheus extrapolates; what is no whole unit is none."""
    return int(min(max(value, 0.0), 1e9))
