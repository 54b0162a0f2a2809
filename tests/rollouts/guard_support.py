"""Counts for guards, written as the telemetry door writes them."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from flags.models import Environment, MetricCount
from rollouts.plans.definition import GuardSpec, MetricKind

MINUTE = timedelta(minutes=1)


def guard(metric: str = "errors", **fields: Any) -> GuardSpec:
    """A guard on the errors of the bench's flag."""
    facts: dict[str, Any] = {
        "name": metric.capitalize(),
        "kind": MetricKind.ERROR_RATE,
        "flag_key": "checkout-redesign",
        "treatment": "on",
        "control": "off",
        **fields,
    }
    return GuardSpec(metric=metric, **facts)


def minutes(first: datetime, count: int) -> list[datetime]:
    """The beginnings of `count` minutes in a row."""
    return [first + number * MINUTE for number in range(count)]


def counted(
    environment: Environment,
    at: Iterable[datetime],
    *,
    on: tuple[int, int] | None = (500, 5),
    off: tuple[int, int] | None = (500, 5),
    metric: str = "errors",
    flag_key: str = "checkout-redesign",
) -> None:
    """Units and bad units of both variants in each of the minutes."""
    rows = [
        MetricCount(
            environment=environment,
            span="minute",
            at=minute,
            metric=metric,
            flag_key=flag_key,
            variant=variant,
            count=arm[0],
            bad=arm[1],
            units=arm[0],
            bad_units=arm[1],
        )
        for minute in at
        for variant, arm in (("on", on), ("off", off))
        if arm is not None
    ]
    MetricCount.objects.bulk_create(rows)
