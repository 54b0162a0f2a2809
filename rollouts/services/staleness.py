"""The nightly look for stale flags, and what people say to it: snoozes and thresholds. Nothing here is served."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet

from audits import trail
from audits.actions import Action
from audits.context import Actor
from flags import permissions
from flags.errors import NotFound, PermissionMissing
from flags.lifecycle import snoozes, thresholds
from flags.lifecycle.debt import Debt, debt_of
from flags.models import Environment, Flag, Project
from flags.services.administering import administered_project, require_everywhere
from flags.services.attempts import attempt, attempted
from flags.services.keys import checked_text, problem
from flags.services.tickets import governed_write
from rollouts.models import DebtScore, Snooze, StaleThresholds, StaleVerdict
from rollouts.selectors.staleness.facts import FlagLife, lives_of
from rollouts.services.verdict_rows import verdict_row
from rollouts.services.writing import require_person

SYSTEM = Actor.system("rollouts.scan_stale_flags")
_PURPOSE = "to set when flags count as stale"
_BATCH = 500
_KEPT = [field.name for field in StaleVerdict._meta.concrete_fields if field.name not in {"flag", "project"}]


def unscanned_projects(now: datetime) -> QuerySet[Project]:
    """Projects with flags that were not looked at on this day yet, in UTC."""
    flags = Flag.objects.filter(project=OuterRef("pk"))
    scores = DebtScore.objects.filter(project=OuterRef("pk"), day=now.date())
    return Project.objects.filter(Exists(flags), ~Exists(scores))


def scan_stale(project_id: uuid.UUID, *, now: datetime) -> bool:
    """Judge every flag of a project and keep the verdicts and the score of the day; whether it was the day's first.

    What is read takes long where there are many flags, so nothing is locked until it is written. One event a day.
    """
    project = Project.objects.filter(pk=project_id).first()
    if project is None:
        return False
    lives = lives_of(project, now=now)
    debt = debt_of([each.life.staleness for each in lives], now)
    return attempt(lambda: _keep(project_id, lives, debt, now))


def _keep(project_id: uuid.UUID, lives: Sequence[FlagLife], debt: Debt, now: datetime) -> bool:
    # One at a time, so that the day has one event.
    project = Project.objects.select_for_update(of=("self",), no_key=True).get(pk=project_id)
    _write(lives, now)
    StaleVerdict.objects.filter(project=project).exclude(flag__replaced_at=None).delete()
    score, is_first = DebtScore.objects.update_or_create(
        project=project,
        day=now.date(),
        defaults={"score": debt.score, "flags": debt.flags, "stale": debt.stale, "parts": dict(debt.parts)},
    )
    if is_first:
        data = {"score": score.score, "flags": score.flags, "stale": score.stale, "parts": dict(debt.parts)}
        _record(Action.STALE_FLAGS_FOUND, project, actor=SYSTEM, now=now, data=data)
    return is_first


def _write(lives: Sequence[FlagLife], now: datetime) -> None:
    rows = [verdict_row(each.flag, each.life, now) for each in lives]
    StaleVerdict.objects.bulk_create(
        rows, batch_size=_BATCH, update_conflicts=True, unique_fields=["flag"], update_fields=_KEPT
    )


def snooze(flag_id: uuid.UUID, *, until: datetime, actor: Actor, reason: str, now: datetime) -> Snooze:
    """Say that a flag is wanted until an instant, 180 days away at most; it is not stale until then.

    Another snooze of it ends. Needs the role editor in some environment of the project, and a reason. Raises
    PermissionMissing, InvalidInput, NotFound.
    """
    flag = _flag(flag_id)
    return snooze_flags(flag.project, [flag], until=until, actor=actor, reason=reason, now=now)[0]


@attempted
def snooze_flags(
    project: Project, flags: Sequence[Flag], *, until: datetime, actor: Actor, reason: str, now: datetime
) -> list[Snooze]:
    """Say the same of several flags of a project, of all or of none. Rights are those of `snooze`."""
    reason = checked_text(reason, field="reason", longest=4000, required=True)
    _require_editor(actor, project)
    found = snoozes.problem_of(until, now)
    if found:
        raise problem("until", found)
    told: dict[str, Any] = {"until": until, "reason": reason, "created_by_id": require_person(actor)}
    rows = [Snooze(project=project, flag=flag, created_at=now, **told) for flag in flags]
    with governed_write(project.pk):
        Snooze.objects.filter(flag__in=flags, ended_at=None, until__gt=now).update(ended_at=now)
        Snooze.objects.bulk_create(rows)
    for row in rows:
        data = {"snooze_id": str(row.pk), "until": until.isoformat()}
        _record(Action.FLAG_SNOOZED, project, actor=actor, now=now, reason=reason, data=data, flag=row.flag)
    _judge_again(project, flags, now)
    return rows


@attempted
def end_snooze(snooze_id: uuid.UUID, *, actor: Actor, reason: str, now: datetime) -> Snooze:
    """Take a snooze back before its end. Rights are those of `snooze`; one that has ended stays as it is."""
    reason = checked_text(reason, field="reason", longest=4000)
    row = Snooze.objects.select_related("flag__project").filter(pk=snooze_id).first()
    if row is None:
        raise NotFound("There is no such snooze.", snooze_id=str(snooze_id))
    flag = row.flag
    _require_editor(actor, flag.project)
    with governed_write(flag.project_id):
        ended = Snooze.objects.filter(pk=row.pk, ended_at=None, until__gt=now).update(ended_at=now)
    if ended:
        row.ended_at = now
        data = {"snooze_id": str(row.pk)}
        _record(Action.FLAG_SNOOZE_ENDED, flag.project, actor=actor, now=now, reason=reason, data=data, flag=flag)
        _judge_again(flag.project, [flag], now)
    return row


@attempted
def set_thresholds(
    project_id: uuid.UUID, kind: str, values: Mapping[str, int | None], *, actor: Actor, reason: str, now: datetime
) -> StaleThresholds:
    """Say after how many days flags of a kind count as stale in a project. Values that are usual are not kept.

    Needs the role administrator in every protected environment of the project, in some one where none is protected, and
    a reason. Verdicts follow with the next nightly look. Raises PermissionMissing, InvalidInput, NotFound. No change
    records nothing.
    """
    reason = checked_text(reason, field="reason", longest=4000, required=True)
    project = settable_project(project_id, actor)
    for path, message in thresholds.problems_of(kind, values):
        raise problem(path, message)
    row = StaleThresholds.objects.select_for_update(of=("self",)).filter(project=project, kind=kind).first()
    row = row or StaleThresholds(project=project, kind=kind)
    before, after = row.values, thresholds.differing(kind, values)
    if before != after:
        row.values, row.changed_at = after, now
        with governed_write(project.pk):
            row.save()
        data = {"kind": kind, "before": before, "after": after}
        _record(Action.STALE_THRESHOLDS_CHANGED, project, actor=actor, now=now, reason=reason, data=data)
    return row


def settable_project(project_id: uuid.UUID, actor: Actor) -> Project:
    """The project, if the actor may set its thresholds. Raises PermissionMissing, NotFound."""
    project = administered_project(project_id, actor, _PURPOSE)
    require_everywhere(project, actor, "what counts as stale there follows from it", _PURPOSE)
    return project


def _judge_again(project: Project, flags: Sequence[Flag], now: datetime) -> None:
    """Bring the kept verdicts of some flags up to date, so that lists follow at once."""
    _write(lives_of(project, now=now, flags=flags), now)


def _flag(flag_id: uuid.UUID) -> Flag:
    flag = Flag.objects.select_related("project").filter(pk=flag_id).first()
    if flag is None:
        raise NotFound("This flag does not exist.", flag_id=str(flag_id))
    return flag


def _require_editor(actor: Actor, project: Project) -> None:
    environments = Environment.objects.filter(project=project)
    if not any(permissions.holds(actor, permissions.PROPOSE, environment) for environment in environments):
        raise PermissionMissing(
            f"{actor.label} is not an editor of any environment of {project.name}. Ask an administrator for that role.",
            permission=permissions.PROPOSE,
        )


def _record(
    action: Action,
    project: Project,
    *,
    actor: Actor,
    now: datetime,
    data: dict[str, Any],
    reason: str = "",
    flag: Flag | None = None,
) -> None:
    target = ("flag", str(flag.pk), flag.name) if flag else ("project", str(project.pk), project.name)
    trail.record(
        action,
        actor=actor,
        target=trail.Target(*target),
        now=now,
        project_id=project.pk,
        project_key=project.key,
        flag_key=flag.key if flag else "",
        reason=reason,
        data=data,
    )
