"""Break-glass: changing a protected environment without approval, and the review that follows.

The only place that constructs `BreakGlass`.
"""

import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.contrib.auth import get_user_model
from django.urls import reverse

from audits import trail
from audits.actions import Action
from audits.context import Actor, correlation, open_correlation_id
from flags import permissions
from flags.authority import BreakGlass
from flags.changes import ChangeSet, change_digest
from flags.errors import NotFound
from flags.models import Environment, EnvironmentUserGrant
from flags.selectors.movements import movement_of_change_set
from flags.services.attempts import attempted
from flags.services.configs import apply_change_set
from flags.services.locks import lock_environment
from flags.services.tickets import governed_write
from rollouts.errors import ConcurrentUpdate, ReviewRefused
from rollouts.models import BreakGlassOutcome, BreakGlassUse
from rollouts.services.checks import checked_change_set, checked_prose
from rollouts.services.mails import tell
from rollouts.services.writing import require_person

ESCALATOR = Actor.system("rollouts.escalate_break_glass")
logger = structlog.get_logger(__name__)


@attempted
def break_glass(
    environment_id: uuid.UUID, *, change_set: ChangeSet, actor: Actor, reason: str, now: datetime
) -> BreakGlassUse:
    """Apply a change to a protected environment at once, whatever it does. Everybody who may review hears of it.

    Raises PermissionMissing (role break-glass), NotProtected, InvalidInput, StaleChange and InvalidDocument.
    """
    user_id = require_person(actor)
    environment = lock_environment(environment_id)
    permissions.require(actor, permissions.BREAK_GLASS, environment)
    reason = checked_prose(reason, field="reason", required=True)
    change_set = checked_change_set(change_set, environment, source={})
    movement = movement_of_change_set(change_set, environment)
    use = BreakGlassUse(
        environment=environment,
        user_id=user_id,
        reason=reason,
        change_set=change_set.as_json(),
        digest=change_digest(change_set, apply_at=None),
        movement=[{"flag_key": item.flag_key, "direction": item.direction.value} for item in movement.flags],
        created_at=now,
        review_due_at=now + timedelta(hours=settings.BREAK_GLASS_REVIEW_HOURS),
    )
    # One act, also where nobody opened one: the use, what it changed and who was alarmed.
    with correlation(open_correlation_id()) as use.correlation_id:
        _carry_out(use, change_set, actor=actor, now=now)
        data = {
            "digest": use.digest,
            "direction": movement.direction.value,
            "review_due_at": use.review_due_at.isoformat(),
        }
        _record(Action.BREAK_GLASS_USED, use, actor=actor, now=now, reason=reason, **data)
    _raise_alarm(use)
    return use


def _carry_out(use: BreakGlassUse, change_set: ChangeSet, *, actor: Actor, now: datetime) -> None:
    authority = BreakGlass(str(use.pk))
    applied = apply_change_set(change_set, actor=actor, authority=authority, now=now, reason=use.reason)
    use.revision = applied.revision
    with governed_write(use.environment_id):
        use.save(force_insert=True)


@attempted
def review_break_glass(
    use_id: uuid.UUID, *, actor: Actor, outcome: BreakGlassOutcome, comment: str, now: datetime
) -> BreakGlassUse:
    """Say afterwards whether a use was justified, and why. Somebody else does that: approver or administrator.

    Raises PermissionMissing, ReviewRefused, InvalidInput.
    """
    reviewer_id = require_person(actor)
    use = _locked(use_id)
    permissions.require_any(actor, (permissions.APPROVE, permissions.ADMINISTER), use.environment)
    if reviewer_id == use.user_id:
        raise ReviewRefused("You broke the glass yourself, so somebody else reviews it.")
    if not use.is_open:
        raise ReviewRefused("Somebody has reviewed this already. Reload the page to see the outcome.")
    comment = checked_prose(comment, field="comment", required=True)
    _write(use, outcome=outcome.value, reviewer_id=reviewer_id, reviewed_at=now, comment=comment)
    is_late = now >= use.review_due_at
    _record(
        Action.BREAK_GLASS_REVIEWED, use, actor=actor, now=now, reason=comment, outcome=use.outcome, is_late=is_late
    )
    return use


def escalate_if_overdue(use_id: uuid.UUID, *, now: datetime) -> bool:
    """Tell the administrators of the project and all superusers, once, that a review is overdue; whether it was now."""
    return _escalate(use_id, now=now)


@attempted
def _escalate(use_id: uuid.UUID, *, now: datetime) -> bool:
    use = _locked(use_id)
    if not use.is_open or use.escalated_at is not None or now < use.review_due_at:
        return False
    _write(use, escalated_at=now)
    _record(Action.BREAK_GLASS_ESCALATED, use, actor=ESCALATOR, now=now, review_due_at=use.review_due_at.isoformat())
    logger.critical("break_glass_review_overdue", **_facts(use))
    subject = f"Overdue: nobody has reviewed a break-glass in {use.environment.name}"
    _mail(_responsible(use.environment), use, subject)
    return True


def _locked(use_id: uuid.UUID) -> BreakGlassUse:
    """The use with its environment, both rows locked until the transaction ends. Raises NotFound."""
    rows = BreakGlassUse.objects.filter(pk=use_id)
    environment_id = rows.values_list("environment_id", flat=True).first()
    if environment_id is None:
        raise NotFound("This use of break-glass does not exist. It may have been mistyped.", use_id=str(use_id))
    environment = lock_environment(environment_id)
    use = rows.select_for_update(of=("self",), no_key=True).get()
    use.environment = environment
    return use


def _write(use: BreakGlassUse, **fields: Any) -> None:
    """Write provided nobody wrote since; that holds where row locks are ignored too."""
    as_read = BreakGlassUse.objects.filter(pk=use.pk, outcome=use.outcome, escalated_at=use.escalated_at)
    with governed_write(use.environment_id):
        if as_read.update(**fields) != 1:
            raise ConcurrentUpdate("Somebody else acted on this at the same moment. Reload the page.")
    for name, value in fields.items():
        setattr(use, name, value)


def _record(action: Action, use: BreakGlassUse, *, actor: Actor, now: datetime, reason: str = "", **data: Any) -> None:
    keys = use.keys
    environment = use.environment
    trail.record(
        action,
        actor=actor,
        target=trail.Target("break_glass_use", str(use.pk), ", ".join(keys)[:200]),
        now=now,
        project_id=environment.project_id,
        project_key=environment.project.key,
        environment_key=environment.key,
        flag_key=keys[0] if len(keys) == 1 else "",
        reason=reason,
        data={"revision": use.revision, "keys": keys, **data},
    )


def _raise_alarm(use: BreakGlassUse) -> None:
    logger.critical("break_glass_used", **_facts(use))
    reviewers = {
        person.pk: person
        for permission in (permissions.APPROVE, permissions.ADMINISTER)
        for person in permissions.people_with(use.environment, permission)
        if person.pk != use.user_id
    }
    _mail(reviewers.values(), use, f"Break-glass: {use.environment.name} was changed without approval")


def _responsible(environment: Environment) -> Iterable[Any]:
    """The administrators of every environment of the project, and all superusers."""
    grants = EnvironmentUserGrant.objects.filter(
        content_object__project=environment.project_id,
        permission__codename=permissions.ADMINISTER.removeprefix("flags."),
    )
    people = get_user_model().objects.filter(is_active=True)
    return (people.filter(pk__in=grants.values("user_id")) | people.filter(is_superuser=True)).distinct()


def _mail(people: Iterable[Any], use: BreakGlassUse, subject: str) -> None:
    lines = [
        f"{use.user.get_full_name() or use.user.get_username()} changed {', '.join(use.keys)} in "
        f"{use.environment.name} on {use.created_at:%d %B %Y at %H:%M} UTC, without approval.",
        f"The reason given: {use.reason}",
        f"Please review it by {use.review_due_at:%d %B %Y at %H:%M} UTC: was it justified?",
    ]
    tell(people, subject=subject, lines=lines, address=reverse("admin:rollouts_breakglassuse_change", args=[use.pk]))


def _facts(use: BreakGlassUse) -> dict[str, Any]:
    """What a log line says: ids, since names are for the pages."""
    environment = use.environment
    return {
        "use_id": str(use.pk),
        "project": environment.project.key,
        "environment": environment.key,
        "keys": use.keys,
        "user_id": str(use.user_id),
        "revision": use.revision,
        "review_due_at": use.review_due_at.isoformat(),
    }
