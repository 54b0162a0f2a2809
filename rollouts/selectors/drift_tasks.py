"""Unexplained drift on the desk: one task per flag."""

from collections.abc import Sequence
from datetime import datetime
from urllib.parse import urlencode

from django.contrib.auth.models import AbstractUser

from rollouts.selectors.desk_kinds import DeskTask
from rollouts.selectors.drift import OldDrift, drift_for

SHOWN = 3
ROUTE = "admin:rollouts_intendeddifference_changelist"


def drift_tasks(user: AbstractUser, now: datetime) -> Sequence[DeskTask]:
    """One task for each flag that environments serve differently without a reason; those beyond three are one task."""
    flags: dict[object, list[OldDrift]] = {}
    for drift in drift_for(user, now=now):
        flags.setdefault(drift.flag.pk, []).append(drift)
    found = list(flags.values())
    tasks = [_task(drifts, now=now) for drifts in found[:SHOWN]]
    rest = found[SHOWN:]
    if rest:
        count = f"{len(rest)} more {'flag is' if len(rest) == 1 else 'flags are'}"
        tasks.append(
            DeskTask(
                title=f"{count} served differently without a reason",
                text="Promote what should be the same, bring it back, or say that it is intended.",
                symbol="compare_arrows",
                tone="quiet",
                route=ROUTE,
                query="?" + urlencode({"project": rest[0][0].flag.project.key, "state": "unexplained"}),
            )
        )
    return tasks


def _task(drifts: Sequence[OldDrift], *, now: datetime) -> DeskTask:
    flag = drifts[0].flag
    places = [
        f"{one.upstream.name} and {one.downstream.name} differ in {', '.join(aspect.phrase for aspect in one.aspects)}"
        for one in drifts
    ]
    days = max((now - min(one.since for one in drifts)).days, 1)
    return DeskTask(
        title=f"{flag.name} is not the same everywhere",
        text=f"{'; '.join(places)}, for {days} {'day' if days == 1 else 'days'}. Promote it, bring it back, or say "
        "that it is intended.",
        symbol="compare_arrows",
        tone="quiet",
        route=ROUTE,
        query="?" + urlencode({"project": flag.project.key, "flag": flag.key}),
    )
