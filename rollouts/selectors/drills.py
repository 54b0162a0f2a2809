"""Rollback drills: what is due, what is overdue, and what each person sees of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.auth.models import AbstractUser
from django.db.models import F, Q, QuerySet

from flags import permissions
from rollouts.models import DrillRun, RollbackDrill
from rollouts.selectors.desk_kinds import DeskTask

# A drill that failed is tried again a day later, and one that nobody passed for a day after it was due is overdue.
RETRY_AFTER = timedelta(days=1)
GRACE = timedelta(days=1)
RUNS_SHOWN = 20


@dataclass(frozen=True, slots=True)
class DrillLine:
    """A drill with its newest runs, oldest first."""

    drill: RollbackDrill
    runs: tuple[DrillRun, ...]
    is_due: bool
    is_overdue: bool
    may_run: bool
    may_change: bool

    @property
    def last(self) -> DrillRun | None:
        """The newest run."""
        return self.runs[-1] if self.runs else None

    @property
    def has_failed(self) -> bool:
        """Whether the newest run failed."""
        return self.last is not None and not self.last.has_passed


def due_drills(now: datetime) -> QuerySet[RollbackDrill]:
    """Drills to be run now."""
    is_rested = Q(last_run_at=None) | Q(last_run_at__lt=F("next_due_at")) | Q(last_run_at__lte=now - RETRY_AFTER)
    return RollbackDrill.objects.filter(is_rested, is_active=True, next_due_at__lte=now)


def drills_to_alarm(now: datetime) -> QuerySet[RollbackDrill]:
    """Overdue drills that nobody was told about yet."""
    return RollbackDrill.objects.filter(is_active=True, overdue_since=None, next_due_at__lte=now - GRACE)


def visible_drills(user: AbstractUser) -> QuerySet[RollbackDrill]:
    """The drills of environments the person may look at."""
    rows = RollbackDrill.objects.select_related("environment__project", "flag", "owner")
    return rows.filter(environment__in=permissions.visible_environments(user))


def drill_lines(user: AbstractUser, *, now: datetime) -> list[DrillLine]:
    """Every drill the person may see, the ones that need somebody first: four queries."""
    drills = list(visible_drills(user))
    runs: dict[object, list[DrillRun]] = {}
    for run in DrillRun.objects.filter(drill__in=drills).order_by("-started_at"):
        kept = runs.setdefault(run.drill_id, [])
        if len(kept) < RUNS_SHOWN:
            kept.append(run)
    proposes = permissions.environments_with(user, permissions.PROPOSE)
    applies = permissions.environments_with(user, permissions.APPLY)
    lines = [
        DrillLine(
            drill,
            tuple(reversed(runs.get(drill.pk, []))),
            is_due=drill.is_active and drill.next_due_at <= now,
            is_overdue=drill.is_active and drill.next_due_at <= now - GRACE,
            may_run=drill.environment_id in proposes | applies,
            may_change=drill.environment_id in applies,
        )
        for drill in drills
    ]
    return sorted(lines, key=lambda line: (not line.is_overdue, not line.has_failed, line.drill.next_due_at))


def drill_tasks(user: AbstractUser, now: datetime) -> Sequence[DeskTask]:
    """Drills that failed or are overdue, for their owners and the release managers of the environment."""
    return [
        _task(line)
        for line in drill_lines(user, now=now)
        if line.drill.is_active
        and (line.is_overdue or line.has_failed)
        and (line.may_change or line.drill.owner_id == user.pk)
    ]


def _task(line: DrillLine) -> DeskTask:
    drill = line.drill
    text = f"Nobody has shown that {drill.environment.name} can go back since this was due. Run it and look."
    if line.last and line.has_failed:
        text = line.last.problem
    return DeskTask(
        title=f"Rollback drill “{drill.title}” {'failed' if line.has_failed else 'is overdue'}",
        text=text,
        symbol="history",
        tone="bad",
        route="admin:rollouts_rollbackdrill_change",
        arguments=(drill.pk,),
        due_at=drill.next_due_at,
    )
