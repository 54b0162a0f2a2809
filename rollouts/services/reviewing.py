"""Deciding about a change request: approve, reject, withdraw."""

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
from flags.services.keys import problem
from flags.services.tickets import governed_write
from rollouts.errors import ApprovalRefused, ConcurrentUpdate
from rollouts.models import Approval, ChangeRequest, DissentKind
from rollouts.policies import GivenApproval, judge, may_approve
from rollouts.selectors.verdicts import live_case_of
from rollouts.services.applying import apply_if_due
from rollouts.services.checks import checked_prose
from rollouts.services.dissenting import keep_dissent
from rollouts.services.drafting import refuse_expired, refuse_other_digest
from rollouts.services.impact import seen_impact
from rollouts.services.judging import findings_data
from rollouts.services.membership import end_siblings
from rollouts.services.writing import lock_request, move, record, require_person
from rollouts.transitions import Act, RequestState, next_state

logger = logging.getLogger(__name__)


def approve_change_request(
    request_id: uuid.UUID, *, actor: Actor, digest: str, comment: str, now: datetime, has_reservation: bool = False
) -> ChangeRequest:
    """Say yes to the content with `digest`, the one that was looked at. With the last missing approval the request is
    approved and, once that is committed, applied if it is due.

    `has_reservation`: the comment says what speaks against it, and stays attached to what becomes of the request. A yes
    takes back the same person's request for changes.

    Raises PermissionMissing (role approver), ApprovalRefused (four-eyes rule, not named, said yes before),
    DigestMismatch, RequestExpired, InvalidTransition.
    """
    said = partial(give_approval, request_id, digest=digest, comment=comment, has_reservation=has_reservation)
    request = attempt(partial(said, actor=actor, now=now))
    if request.current_state is RequestState.APPROVED and not request.is_blocked and request.is_due(now):
        apply_soon(request, now=now)
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
        person_id = require_person(actor)
        if request.requester_id == person_id:
            raise ApprovalRefused("You asked for this change yourself. Withdraw it instead of rejecting it.")
        keep_dissent(request, DissentKind.REJECTION, author_id=person_id, text=why, now=now)
        move(request, Act.REJECT, blocked_code="", blocked_detail={})
        record(Action.CHANGE_REQUEST_REJECTED, request, actor=actor, now=now, origin=origin, reason=why)
        end_siblings(request, actor=actor, now=now)
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
        end_siblings(request, actor=actor, now=now)
        return request

    return attempt(act)


def give_approval(
    request_id: uuid.UUID, *, actor: Actor, digest: str, comment: str, has_reservation: bool, now: datetime
) -> ChangeRequest:
    """The approval alone, inside a transaction of the caller, who applies what is due once that is committed."""
    request = lock_request(request_id)
    permissions.require(actor, permissions.APPROVE, request.environment)
    text = checked_prose(comment, field="comment")
    if has_reservation and not text:
        raise problem("comment", "Write what the reservation is.")
    origin = request.current_state
    next_state(origin, Act.APPROVE)
    refuse_expired(request, now)
    refuse_other_digest(request, digest)
    case, approver_id = live_case_of(request, now=now), require_person(actor)
    if refusal := may_approve(case, str(approver_id)):
        raise ApprovalRefused(refusal)
    _insert_approval(request, approver_id=approver_id, comment=text, now=now)
    if str(approver_id) in case.objector_ids:
        keep_dissent(request, DissentKind.CHANGES_LIFTED, author_id=approver_id, text="", now=now)
    if has_reservation:
        keep_dissent(request, DissentKind.RESERVATION, author_id=approver_id, text=text, now=now)
    given = GivenApproval(str(approver_id), actor.label, request.digest)
    objector_ids = case.objector_ids - {given.approver_id}
    verdict = judge(replace(case, approvals=(*case.approvals, given), objector_ids=objector_ids))
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
        **findings_data(verdict.findings),
        **seen_impact(request),
        **({"has_reservation": True} if has_reservation else {}),
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


def apply_soon(request: ChangeRequest, *, now: datetime) -> None:
    """Apply in a transaction of its own. The approval stands whatever happens here; a sweep tries again."""
    try:
        apply_if_due(request.pk, now=now)
    except Exception:
        logger.exception("Applying change request %s after its approval failed; the next sweep tries again", request.pk)


def may_withdraw(request: ChangeRequest, actor: Actor) -> bool:
    """Whether this person may take the request back."""
    is_requester = request.requester_id == require_person(actor)
    if is_requester and permissions.holds(actor, permissions.PROPOSE, request.environment):
        return True
    return permissions.holds(actor, permissions.APPLY, request.environment)


def _require_withdrawer(request: ChangeRequest, actor: Actor) -> None:
    environment = request.environment
    if not may_withdraw(request, actor):
        raise PermissionMissing(
            f"Only the person who asked for #{request.number} and release managers of {environment.name} withdraw it. "
            "Ask one of them, or say in a comment why it should not happen.",
            permission=permissions.APPLY,
            environment=environment.key,
        )
