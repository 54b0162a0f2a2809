"""What the demo's shop reported in the past: counts by minute, the same on every day."""

import math
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from flags.services.telemetry import accept
from flags.telemetry.closing import MINUTE, minute_of
from flags.telemetry.rows import Batch, EvaluationRow, MetricRow
from rollouts.models import RolloutPlan
from rollouts.plans.definition import TOTAL_WEIGHT

PEOPLE_A_MINUTE = 360
SERVICE, VERSION = "shop", "3.8.1"
# Two minutes are still open this long after the beginning of the first.
_SOON = timedelta(seconds=75)
# The waves of both variants are not the same.
_PHASES = {"on": 0.0, "off": 2.0}


def report_minutes(
    plan: RolloutPlan,
    since: datetime,
    until: datetime,
    *,
    weight: int,
    rates: Mapping[str, Mapping[str, float]],
) -> None:
    """Report whole minutes from `since` until before `until` for a plan's flag, in time and two in a batch.

    `rates` is the part of bad customers by variant and metric, `weight` the share of the variant “on”.
    """
    flag_key = plan.definition["flags"][0]
    minutes = [minute_of(since) + number * MINUTE for number in range((minute_of(until) - minute_of(since)) // MINUTE)]
    for first in range(0, len(minutes), 2):
        pair = minutes[first : first + 2]
        people = {"on": PEOPLE_A_MINUTE * weight // TOTAL_WEIGHT}
        people["off"] = PEOPLE_A_MINUTE - people["on"]
        batch = Batch(
            f"demo-{plan.number}-{pair[0]:%d%H%M}",
            SERVICE,
            VERSION,
            tuple(
                EvaluationRow(flag_key, variant, "SPLIT", minute, 3 * count)
                for minute in pair
                for variant, count in people.items()
                if count
            ),
            tuple(row for minute in pair for row in _rows(flag_key, minute, people, rates)),
        )
        accept(batch, plan.environment_id, None, now=pair[0] + _SOON)


def _rows(
    flag_key: str, minute: datetime, people: Mapping[str, int], rates: Mapping[str, Mapping[str, float]]
) -> Iterator[MetricRow]:
    for variant, count in people.items():
        for metric, rate in rates[variant].items():
            bad = _between(minute, count * rate, _PHASES[variant])
            if count:
                yield MetricRow(metric, flag_key, variant, minute, count, bad, units=count, bad_units=bad)


def _between(minute: datetime, a_minute: float, phase: float) -> int:
    """Whole ones of a number that comes up by `a_minute` in a minute, in gentle waves."""
    place = int(minute.timestamp()) // 60 % 1_440
    return math.floor(_reached(place + 1, a_minute, phase)) - math.floor(_reached(place, a_minute, phase))


def _reached(place: int, a_minute: float, phase: float) -> float:
    return a_minute * (place + 0.6 * math.sin(place / 3.1 + phase) + 1.3 * math.sin(place / 9.7 - phase))
