"""What the nightly look kept about flags: lists with filters, and what the flags of a project come to by day."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from django.db.models import QuerySet, TextField
from django.db.models.functions import Cast

from flags.models import Project
from rollouts.models import DebtScore, StaleVerdict


@dataclass(frozen=True, slots=True)
class StaleQuery:
    """What is looked for; empty means any."""

    reason: str = ""
    readiness: str = ""
    kind: str = ""
    confidence: str = ""


@dataclass(frozen=True, slots=True)
class StalePart:
    """Some stale flags by key. `next_key`: the key after which the next part begins; None at the end."""

    verdicts: Sequence[StaleVerdict]
    next_key: str | None


def stale_verdicts(project: Project, query: StaleQuery) -> QuerySet[StaleVerdict]:
    """The stale flags of a project that a query is about, by key."""
    rows = StaleVerdict.objects.filter(project=project, is_stale=True)
    for name, wanted in (
        ("readiness", query.readiness),
        ("confidence", query.confidence),
        ("flag__kind", query.kind),
    ):
        rows = rows.filter(**{name: wanted}) if wanted else rows
    if query.reason:
        # Names of reasons stand nowhere else in what is kept.
        rows = rows.annotate(text=Cast("reasons", TextField())).filter(text__contains=f'"code": "{query.reason}"')
    return rows.select_related("flag", "flag__owner", "flag__owner_team").order_by("flag__key")


def stale_part(project: Project, query: StaleQuery, *, after: str = "", size: int) -> StalePart:
    """Stale flags with keys after `after`: one query."""
    rows = stale_verdicts(project, query)
    found = list((rows.filter(flag__key__gt=after) if after else rows)[: size + 1])
    shown = found[:size]
    return StalePart(shown, shown[-1].flag.key if len(found) > size else None)


def debt_trend(project: Project, *, until: date, days: int) -> list[DebtScore]:
    """The scores of the last days up to and with one, oldest first: one query."""
    rows = DebtScore.objects.filter(project=project, day__gt=until - timedelta(days=days), day__lte=until)
    return list(rows.order_by("day"))
