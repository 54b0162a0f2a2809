"""Keeping what guards counted for good: every hour, the minutes that no verdict holds go from a watch into a row."""

from collections.abc import Collection
from contextlib import ExitStack
from datetime import datetime, timedelta
from functools import partial

from django.db.models import F

from flags.errors import ConcurrentUpdate
from flags.services.attempts import attempt
from flags.services.tickets import governed_write
from rollouts.models import GuardSample, GuardWatch

KEPT_EVERY = timedelta(hours=1)


def is_due(watch: GuardWatch, *, since: datetime) -> bool:
    """Whether the watch holds an hour that is kept nowhere else. `since` is where its counting began."""
    return watch.through is not None and watch.through - (watch.kept_through or since) >= KEPT_EVERY


def keep_samples(watches: Collection[GuardWatch], *, now: datetime) -> None:
    """Keep what these watches hold: five statements for any number of them. One that somebody else is writing at this
    moment is kept at a later look.
    """
    if not watches:
        return
    try:
        kept = attempt(partial(_keep, watches, now=now))
    except ConcurrentUpdate:
        return
    for watch in watches:
        if watch.pk in kept:
            watch.kept_through, watch.pending = kept[watch.pk], []


def _keep(watches: Collection[GuardWatch], *, now: datetime) -> dict[object, datetime]:
    locked = GuardWatch.objects.select_for_update(of=("self",), skip_locked=True)
    environments = {watch.pk: watch.plan.environment_id for watch in watches}
    with ExitStack() as tickets:
        for environment_id in sorted(set(environments.values())):
            tickets.enter_context(governed_write(environment_id))
        rows = list(locked.filter(pk__in=list(environments), through__isnull=False).order_by("pk"))
        samples = [
            GuardSample(
                plan_id=row.plan_id,
                environment_id=environments[row.pk],
                attempt=row.attempt,
                metric=row.metric,
                through=row.through,
                intervals=row.pending,
                at=now,
            )
            for row in rows
            if row.pending and row.through is not None
        ]
        GuardSample.objects.bulk_create(samples, batch_size=500, ignore_conflicts=True)
        GuardWatch.objects.filter(pk__in=[row.pk for row in rows]).update(pending=[], kept_through=F("through"))
    return {row.pk: row.through for row in rows if row.through is not None}
