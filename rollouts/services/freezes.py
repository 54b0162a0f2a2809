"""Freezes on the way of a write: the gate that every write of served state passes, and leave from a freeze."""

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import IntegrityError

from audits import trail
from audits.actions import Action
from audits.context import Actor
from flags import permissions
from flags.authority import ApprovedChange, Authority, BreakGlass, Milestone, PlanStage
from flags.changes import ChangeSet, ConfigEdit
from flags.directions import Movement
from flags.errors import NotFound
from flags.models import Environment
from flags.selectors.movements import movement_of_change_set
from flags.services.attempts import attempt
from flags.services.gates import register_gate
from flags.services.tickets import governed_write
from rollouts.errors import ConcurrentUpdate, ExceptionRefused, Frozen
from rollouts.models import ChangeRequest, DeprecationTimeline, FreezeException
from rollouts.selectors.calendar import ActiveFreeze, excused_windows, freezes_on_keys, widened_keys
from rollouts.selectors.timelines.frozen import held_keys, live_timeline_for, next_milestone
from rollouts.selectors.timelines.ground import is_readable
from rollouts.services.checks import checked_prose
from rollouts.services.drafting import refuse_expired, refuse_other_digest
from rollouts.services.writing import lock_request, require_person
from rollouts.transitions import AWAITING_STATES, RequestState

GATE = "calendar"


def calendar_gate(
    change_set: ChangeSet,
    environment: Environment,
    *,
    actor: Actor,
    authority: Authority,
    movement: Movement,
    now: datetime,
) -> None:
    """Raise Frozen for a write that widens exposure while a freeze runs or no allow window is open.

    What narrows or moves nobody passes, and so do break-glass and a plan or timeline that goes back. A change request,
    or what it asked for, passes with leave from every window that holds it back.
    """
    keys = _held_keys(change_set, authority, movement)
    if not keys:
        return
    request_id, digest = _leave(authority)
    freezes = freezes_on_keys(environment, keys, now=now, request_id=request_id)
    if freezes and request_id:
        excused = excused_windows(request_id, digest=digest, now=now)
        freezes = [freeze for freeze in freezes if freeze.window_id not in excused]
    if freezes:
        raise Frozen(
            refusal(freezes, environment, authority),
            until=max(freeze.ends_at for freeze in freezes).isoformat(),
            windows=[{"id": freeze.window_id, "title": freeze.title, "kind": freeze.kind} for freeze in freezes],
            flag_keys=keys,
        )


def _held_keys(change_set: ChangeSet, authority: Authority, movement: Movement) -> list[str]:
    """The flags for which the calendar is asked: those that widen, also by way of a prerequisite. A milestone that
    changes what people get is asked for either way: a freeze is for quiet.
    """
    if isinstance(authority, BreakGlass) or (isinstance(authority, PlanStage | Milestone) and authority.goes_back):
        return []
    widened = widened_keys(movement)
    if isinstance(authority, Milestone) and authority.disrupts:
        edits = [edit.flag_key for edit in change_set.edits if isinstance(edit, ConfigEdit)]
        return sorted({*edits, *widened})
    return widened


def _leave(authority: Authority) -> tuple[str | None, str]:
    """The request that may have been given leave from a freeze, and the digest for which."""
    if isinstance(authority, ApprovedChange):
        return authority.request_id, authority.digest
    if isinstance(authority, PlanStage | Milestone):
        return authority.request_id or None, authority.approved_digest
    return None, ""


def refusal(freezes: Sequence[ActiveFreeze], environment: Environment, authority: Authority) -> str:
    """Why a change may not be applied now, until when, and what can be done."""
    if isinstance(authority, Milestone):
        return _milestone_refusal(freezes, environment, authority)
    sentences = [
        f"“{freeze.title}” holds changes that widen exposure in {environment.name} back until {_moment(freeze)}: "
        f"{freeze.reason.rstrip('.')}."
        if freeze.is_freeze
        else f"Changes that widen exposure in {environment.name} are applied inside an allow window only; the next "
        f"one, “{freeze.title}”, opens on {_moment(freeze)}."
        for freeze in freezes
    ]
    return (
        f"{' '.join(sentences)} Switching off or narrowing is possible at any time. Wait until then, or ask on the "
        "page of a change request for an exception, which a second person grants."
    )


def _milestone_refusal(freezes: Sequence[ActiveFreeze], environment: Environment, authority: Milestone) -> str:
    """The same for a milestone, which is held whichever way it moves people."""
    sentences = [
        f"“{freeze.title}” keeps {environment.name} quiet until {_moment(freeze)}: {freeze.reason.rstrip('.')}."
        if freeze.is_freeze
        else f"Milestones come in {environment.name} inside an allow window only; the next one, “{freeze.title}”, "
        f"opens on {_moment(freeze)}."
        for freeze in freezes
    ]
    way_out = (
        "or ask on the page of the timeline's change request for an exception, which a second person grants"
        if authority.request_id
        else "or postpone the milestone"
    )
    return (
        f"{' '.join(sentences)} This milestone changes what people get, so it waits, whichever way it moves them. "
        f"Undoing is possible at any time. Wait until then, {way_out}."
    )


def register_calendar_gate() -> None:
    """Ask the calendar before every write from now on."""
    register_gate(GATE, calendar_gate)


def ask_for_exception(
    request_id: uuid.UUID, *, window_id: uuid.UUID, digest: str, actor: Actor, reason: str, now: datetime
) -> FreezeException:
    """Ask for leave to apply exactly this content during one window that holds it back now, or will when it is due.

    For a request whose timeline runs that is the content of all its milestones.
    Takes the role editor or release manager and a reason. Raises PermissionMissing, DigestMismatch, RequestExpired,
    InvalidTransition, and NotFound where the window does not hold the request back.
    """

    def act() -> FreezeException:
        request = lock_request(request_id)
        permissions.require_any(actor, (permissions.PROPOSE, permissions.APPLY), request.environment)
        why = checked_prose(reason, field="reason", required=True)
        _refuse_finished(request, now)
        refuse_other_digest(request, digest)
        found = [freeze for freeze in freezes_of_request(request, now=now) if freeze.window_id == str(window_id)]
        if not found:
            raise NotFound("This window does not hold the request back, so it needs no exception. Reload the page.")
        asked = FreezeException(
            request=request,
            environment=request.environment,
            window_id=window_id,
            digest=request.digest,
            covers_from=found[0].starts_at,
            covers_until=found[0].ends_at,
            reason=why,
            asked_by_id=require_person(actor),
            asked_at=now,
        )
        _insert(asked)
        _record(Action.FREEZE_EXCEPTION_ASKED, asked, found[0].title, actor=actor, now=now, reason=why)
        return asked

    return attempt(act)


def decide_exception(
    exception_id: uuid.UUID, *, is_granted: bool, actor: Actor, reason: str, now: datetime
) -> FreezeException:
    """Grant or decline an exception. Takes the role release manager or administrator, and another person than whoever
    asked for it and everybody who asked for or shaped the change; declining takes a reason.

    Raises PermissionMissing, ExceptionRefused, DigestMismatch when the content has changed since, NotFound.
    """

    def act() -> FreezeException:
        row = FreezeException.objects.filter(pk=exception_id).values_list("request_id", flat=True).first()
        if row is None:
            raise NotFound("This exception does not exist. It may have been mistyped.")
        request = lock_request(row)
        permissions.require_any(actor, (permissions.APPLY, permissions.ADMINISTER), request.environment)
        why = checked_prose(reason, field="reason", required=not is_granted)
        asked = FreezeException.objects.select_related("window").get(pk=exception_id)
        asked.request, asked.environment = request, request.environment
        if refused := why_not_decide(asked, str(require_person(actor)), now=now):
            raise ExceptionRefused(refused)
        if is_granted:
            _refuse_finished(request, now)
            refuse_other_digest(request, asked.digest)
        _decide(asked, is_granted=is_granted, actor=actor, reason=why, now=now)
        action = Action.FREEZE_EXCEPTION_GRANTED if is_granted else Action.FREEZE_EXCEPTION_DECLINED
        _record(action, asked, asked.window.title, actor=actor, now=now, reason=why)
        return asked

    return attempt(act)


def freezes_of_request(request: ChangeRequest, *, now: datetime) -> list[ActiveFreeze]:
    """What holds a request back at the time it is due, now at the earliest: eight queries at most.

    For one whose timeline runs that is the next milestone.
    """
    timeline = live_timeline_for(request.pk) if request.current_state is RequestState.APPLIED else None
    if timeline is not None:
        return _freezes_of_timeline(timeline, now=now)
    at = max(now, request.apply_at or now)
    keys = widened_keys(movement_of_change_set(request.content, request.environment))
    return freezes_on_keys(request.environment, keys, now=at, request_id=request.pk)


def _freezes_of_timeline(timeline: DeprecationTimeline, *, now: datetime) -> list[ActiveFreeze]:
    milestone = next_milestone(timeline, now=now) if is_readable(timeline) else None
    if milestone is None:
        return []
    keys = held_keys(timeline, milestone)
    return freezes_on_keys(timeline.environment, keys, now=milestone.at, request_id=timeline.request_id)


def why_not_decide(asked: FreezeException, person_id: str, *, now: datetime) -> str | None:
    """Why a person with the role cannot decide on an exception; None where he can."""
    if asked.is_granted is not None:
        return "Somebody has decided on this exception already. Reload the page to see it."
    if asked.covers_until <= now:
        return "The window that this exception was asked for is over, so it is not needed any more."
    if person_id == str(asked.asked_by_id):
        return "You asked for this exception, so somebody else has to decide on it."
    if person_id in asked.request.contributor_ids:
        return "You asked for this change or edited it, so somebody else has to decide on its exception."
    return None


def _refuse_finished(request: ChangeRequest, now: datetime) -> None:
    if request.current_state is RequestState.APPLIED and live_timeline_for(request.pk) is not None:
        return
    if request.current_state not in AWAITING_STATES:
        raise ExceptionRefused(f"#{request.number} is {request.current_state.label.lower()}, so it needs no exception.")
    refuse_expired(request, now)


def _insert(asked: FreezeException) -> None:
    try:
        with governed_write(asked.environment_id):
            asked.save(force_insert=True)
    except IntegrityError as error:
        if "flagsite:" in str(error):
            raise
        raise ExceptionRefused("An exception for this was asked for already. Reload the page to see it.") from error


def _decide(asked: FreezeException, *, is_granted: bool, actor: Actor, reason: str, now: datetime) -> None:
    fields: dict[str, Any] = {
        "is_granted": is_granted,
        "decided_by_id": require_person(actor),
        "decided_at": now,
        "decision_reason": reason,
    }
    with governed_write(asked.environment_id):
        written = FreezeException.objects.filter(pk=asked.pk, is_granted=None).update(**fields)
    if written != 1:
        raise ConcurrentUpdate("Somebody else decided on this at the same moment. Reload the page.")
    for name, value in fields.items():
        setattr(asked, name, value)


def _record(
    action: Action, asked: FreezeException, window_title: str, *, actor: Actor, now: datetime, reason: str
) -> None:
    request = asked.request
    trail.record(
        action,
        actor=actor,
        target=trail.Target("change_request", str(request.pk), request.label),
        now=now,
        project_id=request.project_id,
        project_key=request.project.key,
        environment_key=request.environment.key,
        reason=reason,
        data={
            "number": request.number,
            "exception_id": str(asked.pk),
            "window_id": str(asked.window_id),
            "window": window_title,
            "digest": asked.digest,
            "covers_from": asked.covers_from.isoformat(),
            "covers_until": asked.covers_until.isoformat(),
        },
    )


def _moment(freeze: ActiveFreeze) -> str:
    return f"{freeze.ends_at:%d %B %Y at %H:%M} UTC"
