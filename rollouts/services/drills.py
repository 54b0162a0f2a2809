"""Rollback drills: setting them up, running them, and the alarm when nobody proved in time that one can go back."""

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from audits import trail
from audits.actions import Action
from audits.context import Actor, correlation, current_correlation_id, open_correlation_id
from flags import permissions
from flags.errors import NotFound
from flags.models import Environment, Flag
from flags.services.attempts import attempt
from flags.services.keys import problem
from flags.services.locks import lock_environment
from flags.services.tickets import governed_write
from rollouts.models import DrillRun, DrillTarget, RollbackDrill
from rollouts.selectors.drills import drills_to_alarm, due_drills
from rollouts.services.checks import checked_title
from rollouts.services.rehearsing import Rehearsal, rehearse
from rollouts.services.writing import require_person

RUNNER = Actor.system("rollouts.run_due_drills")
LONGEST_LIMIT_SECONDS = 3_600
LONGEST_INTERVAL_DAYS = 366
FURTHEST_HOURS = 24 * 366


@dataclass(frozen=True, slots=True)
class DrillPlan:
    """What somebody wants to be exercised. `flag_id` None: the whole environment, which goes back by hours only."""

    title: str
    flag_id: uuid.UUID | None
    target: str
    target_version: int | None
    target_hours: int | None
    limit_seconds: int
    interval_days: int
    is_active: bool = True


def add_drill(environment_id: uuid.UUID, plan: DrillPlan, *, actor: Actor, now: datetime) -> RollbackDrill:
    """Set up a drill that is due at once; whoever sets it up owns it. Needs the role release manager."""

    def act() -> RollbackDrill:
        environment = lock_environment(environment_id)
        permissions.require(actor, permissions.APPLY, environment)
        fields = _checked(plan, environment)
        drill = RollbackDrill(
            environment=environment, owner_id=require_person(actor), next_due_at=now, created_at=now, **fields
        )
        with governed_write(environment.pk):
            drill.save(force_insert=True)
        _record(Action.DRILL_ADDED, drill, actor=actor, now=now, **_facts(drill))
        return drill

    return attempt(act)


def change_drill(drill_id: uuid.UUID, plan: DrillPlan, *, actor: Actor, now: datetime) -> RollbackDrill:
    """Change a drill; which flag it is about stays. Needs the role release manager.

    It is due at once when it goes back to something else, and no later than a shorter interval allows.
    """

    def act() -> RollbackDrill:
        drill = _locked(drill_id)
        permissions.require(actor, permissions.APPLY, drill.environment)
        fields = _checked(plan, drill.environment)
        if fields.pop("flag_id") != drill.flag_id:
            raise problem("flag", "A drill stays about what it was set up for. Set up another one instead.")
        before, due = _facts(drill), _due(drill, fields, now=now)
        _write(drill, next_due_at=due, **fields)
        _record(Action.DRILL_CHANGED, drill, actor=actor, now=now, before=before, **_facts(drill))
        return drill

    return attempt(act)


def run_drill(
    drill_id: uuid.UUID, *, actor: Actor, now: datetime, clock: Callable[[], float] = time.monotonic
) -> DrillRun:
    """Run a drill now and keep the evidence. Needs the role editor or release manager."""
    drill = _found(drill_id)
    permissions.require_any(actor, (permissions.PROPOSE, permissions.APPLY), drill.environment)
    return _run(drill, actor=actor, now=now, clock=clock)


def run_if_due(drill_id: uuid.UUID, *, now: datetime) -> bool:
    """Run a drill in the name of the system if it is due; whether it was run."""
    if not due_drills(now).filter(pk=drill_id).exists():
        return False
    _run(_found(drill_id), actor=RUNNER, now=now, clock=time.monotonic)
    return True


def alarm_if_overdue(drill_id: uuid.UUID, *, now: datetime) -> bool:
    """Say once that a drill is overdue; whether it was said now."""

    def act() -> bool:
        drill = _locked(drill_id)
        if not drills_to_alarm(now).filter(pk=drill_id).exists():
            return False
        _write(drill, overdue_since=now)
        _record(Action.DRILL_OVERDUE, drill, actor=RUNNER, now=now, due_at=drill.next_due_at.isoformat())
        return True

    return attempt(act)


def _run(drill: RollbackDrill, *, actor: Actor, now: datetime, clock: Callable[[], float]) -> DrillRun:
    with correlation(open_correlation_id()):
        found = rehearse(drill, now=now, clock=clock)
        return attempt(partial(_keep, drill.pk, found, actor=actor, now=now))


def _keep(drill_id: uuid.UUID, found: Rehearsal, *, actor: Actor, now: datetime) -> DrillRun:
    """The evidence, and when the drill is due next: after a failure it stays due."""
    drill = _locked(drill_id)
    has_passed = not found.problem
    run = DrillRun(
        drill=drill,
        environment=drill.environment,
        started_at=now,
        took_ms=round(found.took * 1000),
        limit_seconds=drill.limit_seconds,
        has_passed=has_passed,
        problem=found.problem,
        evidence=found.evidence,
        actor_kind=actor.kind.value,
        actor_id=actor.id,
        correlation_id=current_correlation_id(),
    )
    with governed_write(drill.environment_id):
        run.save(force_insert=True)
    passed: dict[str, Any] = {}
    if has_passed:
        passed = {"next_due_at": now + timedelta(days=drill.interval_days), "overdue_since": None}
    _write(drill, last_run_at=now, **passed)
    action = Action.DRILL_PASSED if has_passed else Action.DRILL_FAILED
    data = {"run_id": str(run.pk), "milliseconds": run.took_ms, "limit_seconds": run.limit_seconds}
    _record(action, drill, actor=actor, now=now, problem=found.problem, **data)
    return run


def _checked(plan: DrillPlan, environment: Environment) -> dict[str, Any]:
    """The fields of a drill. Raises InvalidInput that names the first one that cannot be used."""
    if plan.target not in DrillTarget.values:
        raise problem("target", "Choose what the drill goes back to.")
    if plan.flag_id is None and plan.target != DrillTarget.INSTANT:
        raise problem("target", "A whole environment goes back by hours: it has no version of its own.")
    if plan.flag_id and not Flag.objects.filter(pk=plan.flag_id, project=environment.project_id).exists():
        raise problem("flag", "This flag does not exist in the environment's project.")
    version = plan.target_version if plan.target == DrillTarget.VERSION else None
    hours = plan.target_hours if plan.target == DrillTarget.INSTANT else None
    if plan.target == DrillTarget.VERSION:
        _require_between("target_version", version, 2**31 - 1, "version")
    if plan.target == DrillTarget.INSTANT:
        _require_between("target_hours", hours, FURTHEST_HOURS, "number of hours")
    _require_between("limit_seconds", plan.limit_seconds, LONGEST_LIMIT_SECONDS, "number of seconds")
    _require_between("interval_days", plan.interval_days, LONGEST_INTERVAL_DAYS, "number of days")
    return {
        "title": checked_title(plan.title),
        "flag_id": plan.flag_id,
        "target": plan.target,
        "target_version": version,
        "target_hours": hours,
        "limit_seconds": plan.limit_seconds,
        "interval_days": plan.interval_days,
        "is_active": plan.is_active,
    }


def _due(drill: RollbackDrill, fields: Mapping[str, Any], *, now: datetime) -> datetime:
    """When a drill is due next once it has these fields."""
    if any(fields[name] != getattr(drill, name) for name in ("target", "target_version", "target_hours")):
        return min(drill.next_due_at, now)
    passed = DrillRun.objects.filter(drill=drill, has_passed=True).order_by("-started_at").first()
    if passed is None:
        return drill.next_due_at
    return min(drill.next_due_at, passed.started_at + timedelta(days=fields["interval_days"]))


def _require_between(field: str, value: int | None, most: int, what: str) -> None:
    if value is None or not 1 <= value <= most:
        raise problem(field, f"Give a {what} from 1 to {most}.")


def _found(drill_id: uuid.UUID) -> RollbackDrill:
    drill = RollbackDrill.objects.select_related("environment__project", "flag").filter(pk=drill_id).first()
    if drill is None:
        raise NotFound("This drill does not exist. It may have been mistyped.", drill_id=str(drill_id))
    return drill


def _locked(drill_id: uuid.UUID) -> RollbackDrill:
    environment = lock_environment(_found(drill_id).environment_id)
    drill = _found(drill_id)
    drill.environment = environment
    return drill


def _write(drill: RollbackDrill, **fields: Any) -> None:
    with governed_write(drill.environment_id):
        RollbackDrill.objects.filter(pk=drill.pk).update(**fields)
    for name, value in fields.items():
        setattr(drill, name, value)


def _facts(drill: RollbackDrill) -> dict[str, Any]:
    names = ("target", "target_version", "target_hours", "limit_seconds", "interval_days", "is_active")
    return {name: getattr(drill, name) for name in names}


def _record(action: Action, drill: RollbackDrill, *, actor: Actor, now: datetime, **data: Any) -> None:
    environment = drill.environment
    trail.record(
        action,
        actor=actor,
        target=trail.Target("rollback_drill", str(drill.pk), drill.title),
        now=now,
        project_id=environment.project_id,
        project_key=environment.project.key,
        environment_key=environment.key,
        flag_key=drill.flag.key if drill.flag else "",
        data=data,
    )
