"""The counts of guards that take them from Prometheus: four queries for each closed minute."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from flags.telemetry.closing import MINUTE
from rollouts.guarding.serving import ArmCounts
from rollouts.models import GuardWatch
from rollouts.plans.definition import GUARD_QUERIES, GuardSpec
from rollouts.selectors.guards import Minutes
from rollouts.services import probes
from rollouts.services.outside import NotAsked, Outside, Query

# Sweeps come every few seconds; what failed is not asked again at once.
AGAIN_AFTER = timedelta(seconds=30)
# So many minutes are caught up at one look; the next look goes on.
MOST_MINUTES = 15


def questions_of(spec: GuardSpec, watch: GuardWatch, lacking: Sequence[datetime], *, now: datetime) -> list[Query]:
    """What Prometheus has to be asked about the minutes that the watch lacks; nothing soon after an error."""
    if _has_failed_lately(watch, now):
        return []
    texts = [spec.queries.get(name, "") for name in GUARD_QUERIES]
    return [Query(text, minute + MINUTE) for minute in lacking[:MOST_MINUTES] for text in texts if text]


def read_minutes(
    spec: GuardSpec, watch: GuardWatch, lacking: Sequence[datetime], outside: Outside, *, now: datetime
) -> tuple[Minutes, datetime | None]:
    """What Prometheus said about the minutes that the watch lacks, and the last one that it answered for, if any.

    Errors are counted in the watch; the minute that failed is asked again at a later look.
    """
    found: dict[datetime, dict[str, ArmCounts]] = {}
    if _has_failed_lately(watch, now):
        return found, None
    try:
        for minute in lacking[:MOST_MINUTES]:
            found[minute] = _counts(spec, minute, outside)
    except NotAsked:
        if not found:
            return found, None
    except probes.ProbeError as error:
        watch.asked_at = now
        watch.errors_in_a_row += 1
        watch.problem = str(error)[:500]
        return found, max(found, default=None)
    watch.asked_at, watch.errors_in_a_row, watch.problem = now, 0, ""
    return found, max(found, default=None)


def _has_failed_lately(watch: GuardWatch, now: datetime) -> bool:
    asked_at = watch.asked_at
    return bool(watch.errors_in_a_row) and asked_at is not None and timedelta() <= now - asked_at < AGAIN_AFTER


def _counts(spec: GuardSpec, minute: datetime, outside: Outside) -> dict[str, ArmCounts]:
    """Units and bad units of both arms. A counter that never counted has no series, so nothing means none."""
    counts = []
    for name in GUARD_QUERIES:
        text = spec.queries.get(name, "")
        if not text:
            raise probes.ProbeError(f"The guard {spec.name} has no query for {name}.")
        counts.append(_whole(outside.said(Query(text, minute + MINUTE)) or 0.0))
    n_control, x_control, n_treatment, x_treatment = counts
    return {
        spec.control: ArmCounts(n_control, min(x_control, n_control)),
        spec.treatment: ArmCounts(n_treatment, min(x_treatment, n_treatment)),
    }


def _whole(value: float) -> int:
    """Prometheus extrapolates, so parts of a unit are rounded: dropping them would lose most of a small arm."""
    return round(min(max(value, 0.0), 1e9))
