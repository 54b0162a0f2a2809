"""The counts that are kept of guards for good: with their verdicts, and with the samples between them."""

import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

from flags.archives import note_of
from rollouts.guarding.counts import Interval
from rollouts.models import GuardSample, GuardVerdict, RolloutPlan
from rollouts.selectors.guards import WatchKey

Kept = GuardSample | GuardVerdict


def intervals_kept(rows: Iterable[Kept], *, through: datetime | None = None) -> list[Interval]:
    """Every minute that the rows of one guard hold, in order and once, up to `through`.

    Raises ValueError where an archive holds some of them.
    """
    found: dict[datetime, Interval] = {}
    for row in rows:
        note = note_of(row.intervals)
        if note is not None:
            raise ValueError(f"its counts are no longer in the database. {note.words}")
        for item in row.intervals:
            interval = Interval.from_json(item)
            found.setdefault(interval.minute, interval)
    return [found[minute] for minute in sorted(found) if through is None or minute <= through]


def samples_by_watch(plans: Collection[RolloutPlan]) -> Mapping[WatchKey, list[GuardSample]]:
    """The samples of the plans' present attempts: one query."""
    attempts = {plan.pk: plan.attempt for plan in plans}
    found: dict[WatchKey, list[GuardSample]] = defaultdict(list)
    for row in GuardSample.objects.filter(plan__in=plans).order_by("through"):
        if row.attempt == attempts[row.plan_id]:
            found[WatchKey(row.plan_id, row.attempt, row.metric)].append(row)
    return found


def samples_of(plan_id: uuid.UUID, attempt: int) -> Mapping[str, list[GuardSample]]:
    """The samples of one attempt by metric: one query."""
    found: dict[str, list[GuardSample]] = defaultdict(list)
    for row in GuardSample.objects.filter(plan=plan_id, attempt=attempt).order_by("through"):
        found[row.metric].append(row)
    return found
