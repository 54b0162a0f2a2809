"""Deciding about a change request: approve, reject, withdraw, comment."""

import logging
import uuid
from dataclasses import replace
from datetime import datetime
from functools import partial

from django.db import IntegrityError

from audits.actions import Action
from audits.context import Actor
from flags import permissions
from flags.errors import PermissionMissing
from flags.services.attempts import attempt
from flags.services.tickets import governed_write
from rollouts.errors import ApprovalRefused, ConcurrentUpdate
from rollouts.models import Approval, ChangeRequest, Comment
from rollouts.policies import GivenApproval, judge, may_approve
from rollouts.selectors.verdicts import case_of
from rollouts.services.applying import apply_if_due
from rollouts.services.checks import checked_prose
from rollouts.services.drafting import refuse_expired, refuse_other_digest
from rollouts.services.writing import lock_request, move, record, require_person
from rollouts.transitions import Act, RequestState, next_state

logger = logging.getLogger(__name__)


def approve_change_request(
    request_id: uuid.UUID, *, actor: Actor, digest: str, comment: str, now: datetime
) -> ChangeRequest:
    """Say yes to the content with `digest`, the one that was looked at. With the last missing approval the request is
    approved and, once that is committed, applied if it is due.

    Raises PermissionMissing (role approver), ApprovalRefused (four-eyes rule, not named, said yes before),
    DigestMismatch, RequestExpired, InvalidTransition.
    """
    request = attempt(partial(_approve, request_id, actor=actor, digest=digest, comment=comment, now=now))
    if request.current_state is RequestState.APPROVED and not request.is_blocked and request.is_due(now):
        _apply_soon(request, now=now)
        request.refresh_from_db()
    return request


def reject_change_request(request_id: uuid.UUID, *, actor: Actor, reason: str, now: datetime) -> ChangeRequest:
    """Say no, for good; the reason is mandatory. Needs the role approver; whoever asked withdraws instead."""

    def act() -> ChangeRequest:
        request = lock_request(request_id)
        permissions.require(actor, permissions.APPROVE, request.environment)
        why = checked_prose(reason, field="reason", required=True)
        origin = request.current_state
        next_state(origin, Act.REJECT)
        if request.requester_id == require_person(actor):
            raise ApprovalRefused("You asked for this change yourself. Withdraw it instead of rejecting it.")
        move(request, Act.REJECT, blocked_code="", blocked_detail={})
        record(Action.CHANGE_REQUEST_REJECTED, request, actor=actor, now=now, origin=origin, reason=why)
        return request

    return attempt(act)


def withdraw_change_request(request_id: uuid.UUID, *, actor: Actor, reason: str, now: datetime) -> ChangeRequest:
    """Take a request back before it is applied: its requester (role editor) or a release manager."""

    def act() -> ChangeRequest:
        request = lock_request(request_id)
        _require_withdrawer(request, actor)
        why = checked_prose(reason, field="reason")
        origin = request.current_state
        move(request, Act.WITHDRAW, blocked_code="", blocked_detail={})
        record(Action.CHANGE_REQUEST_WITHDRAWN, request, actor=actor, now=now, origin=origin, reason=why)
        return request

    return attempt(act)


def comment_on_change_request(request_id: uuid.UUID, *, actor: Actor, body: str, now: datetime) -> Comment:
    """Add a comment, in any state. Needs the right to look."""

    def act() -> Comment:
        request = lock_request(request_id)
        permissions.require(actor, permissions.VIEW, request.environment)
        author_id = require_person(actor)
        text = checked_prose(body, field="comment", required=True)
        comment = Comment.objects.create(request=request, author_id=author_id, body=text, created_at=now)
        origin = request.current_state
        record(
            Action.CHANGE_REQUEST_COMMENTED,
            request,
            actor=actor,
            now=now,
            origin=origin,
            reason=text,
            comment_id=str(comment.pk),
        )
        return comment

    return attempt(act)


def _approve(request_id: uuid.UUID, *, actor: Actor, digest: str, comment: str, now: datetime) -> ChangeRequest:
    request = lock_request(request_id)
    permissions.require(actor, permissions.APPROVE, request.environment)
    text = checked_prose(comment, field="comment")
    origin = request.current_state
    next_state(origin, Act.APPROVE)
    refuse_expired(request, now)
    refuse_other_digest(request, digest)
    case, approver_id = case_of(request), require_person(actor)
    if refusal := may_approve(case, str(approver_id)):
        raise ApprovalRefused(refusal)
    _insert_approval(request, approver_id=approver_id, comment=text, now=now)
    given = GivenApproval(str(approver_id), actor.label, request.digest)
    verdict = judge(replace(case, approvals=(*case.approvals, given)))
    passes = verdict.is_satisfied and origin is RequestState.IN_REVIEW
    lifts_block = verdict.is_satisfied and request.blocked_code == "approval_missing"
    unblocked = {"blocked_code": "", "blocked_detail": {}} if lifts_block else {}
    move(request, Act.PASS_REVIEW if passes else Act.APPROVE, **unblocked)
    record(
        Action.CHANGE_REQUEST_APPROVED,
        request,
        actor=actor,
        now=now,
        origin=origin,
        reason=text,
        counted_approver_ids=[person.id for person in verdict.counted],
        required_approvals=verdict.required,
    )
    return request


def _insert_approval(request: ChangeRequest, *, approver_id: uuid.UUID, comment: str, now: datetime) -> None:
    try:
        with governed_write(request.environment_id):
            Approval.objects.create(
                request=request,
                environment=request.environment,
                approver_id=approver_id,
                digest=request.digest,
                comment=comment,
                created_at=now,
            )
    except IntegrityError as error:
        if "flagsite:" in str(error):
            raise
        raise ConcurrentUpdate("Your approval was recorded a moment ago. Reload the page to see it.") from error


def _apply_soon(request: ChangeRequest, *, now: datetime) -> None:
    """Apply in a transaction of its own. The approval stands whatever happens here; a sweep tries again."""
    try:
        apply_if_due(request.pk, now=now)
    except Exception:
        logger.exception("Applying change request %s after its approval failed; the next sweep tries again", request.pk)


def _require_withdrawer(request: ChangeRequest, actor: Actor) -> None:
    environment = request.environment
    is_requester = request.requester_id == require_person(actor)
    if is_requester and permissions.holds(actor, permissions.PROPOSE, environment):
        return
    if not permissions.holds(actor, permissions.APPLY, environment):
        raise PermissionMissing(
            f"Only the person who asked for #{request.number} and release managers of {environment.name} withdraw it. "
            "Ask one of them, or say in a comment why it should not happen.",
            permission=permissions.APPLY,
            environment=environment.key,
        )
