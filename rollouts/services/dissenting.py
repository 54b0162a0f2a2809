"""Disagreeing with a change request without ending it: asking for changes, taking that back, abstaining."""

import uuid
from datetime import datetime
from functools import partial

from audits.actions import Action
from audits.context import Actor
from flags import permissions
from flags.services.attempts import attempt
from flags.services.tickets import governed_write
from rollouts.errors import ApprovalRefused
from rollouts.models import ChangeRequest, Dissent, DissentKind
from rollouts.policies import may_abstain, may_lift, may_object
from rollouts.selectors.contents import touched_words
from rollouts.selectors.verdicts import case_of
from rollouts.services.applying import apply_if_due, pass_review_if_due
from rollouts.services.checks import checked_prose
from rollouts.services.drafting import refuse_expired, refuse_other_digest
from rollouts.services.writing import lock_request, move, record, require_person
from rollouts.transitions import Act, next_state


def request_changes(request_id: uuid.UUID, *, actor: Actor, digest: str, text: str, now: datetime) -> ChangeRequest:
    """Say what has to be different first. Nothing counts until the content is edited or the same person lifts it.

    Raises PermissionMissing (role approver), ApprovalRefused (own work, asked already), DigestMismatch, RequestExpired,
    InvalidTransition.
    """

    def act() -> ChangeRequest:
        request = lock_request(request_id)
        permissions.require(actor, permissions.APPROVE, request.environment)
        why = checked_prose(text, field="text", required=True)
        origin = request.current_state
        next_state(origin, Act.REQUEST_CHANGES)
        refuse_expired(request, now)
        refuse_other_digest(request, digest)
        person_id = require_person(actor)
        if refusal := may_object(case_of(request), str(person_id)):
            raise ApprovalRefused(refusal)
        keep_dissent(request, DissentKind.CHANGES_REQUESTED, author_id=person_id, text=why, now=now)
        move(request, Act.REQUEST_CHANGES, blocked_code="", blocked_detail={})
        record(Action.CHANGE_REQUEST_CHANGES_REQUESTED, request, actor=actor, now=now, origin=origin, reason=why)
        return request

    return attempt(act)


def lift_changes(request_id: uuid.UUID, *, actor: Actor, text: str, now: datetime) -> ChangeRequest:
    """Take back one's own request for changes of the present content; what is approved by that goes on its way.

    Raises PermissionMissing (role approver), ApprovalRefused (did not ask for changes), InvalidTransition.
    """
    request = attempt(partial(_lift, request_id, actor=actor, text=text, now=now))
    if pass_review_if_due(request.pk, now=now):
        apply_if_due(request.pk, now=now)
    request.refresh_from_db()
    return request


def _lift(request_id: uuid.UUID, *, actor: Actor, text: str, now: datetime) -> ChangeRequest:
    request = lock_request(request_id)
    permissions.require(actor, permissions.APPROVE, request.environment)
    why = checked_prose(text, field="text")
    origin = request.current_state
    next_state(origin, Act.LIFT_CHANGES)
    refuse_expired(request, now)
    person_id = require_person(actor)
    if refusal := may_lift(case_of(request), str(person_id)):
        raise ApprovalRefused(refusal)
    keep_dissent(request, DissentKind.CHANGES_LIFTED, author_id=person_id, text=why, now=now)
    move(request, Act.LIFT_CHANGES)
    record(Action.CHANGE_REQUEST_CHANGES_LIFTED, request, actor=actor, now=now, origin=origin, reason=why)
    return request


def abstain_from_change_request(
    request_id: uuid.UUID, *, actor: Actor, digest: str, text: str, now: datetime
) -> ChangeRequest:
    """Leave the decision about this content to others, for good; a new round asks again.

    Raises PermissionMissing (role approver), ApprovalRefused (could not approve it anyway), DigestMismatch,
    RequestExpired, InvalidTransition.
    """

    def act() -> ChangeRequest:
        request = lock_request(request_id)
        permissions.require(actor, permissions.APPROVE, request.environment)
        why = checked_prose(text, field="text")
        origin = request.current_state
        next_state(origin, Act.ABSTAIN)
        refuse_expired(request, now)
        refuse_other_digest(request, digest)
        person_id = require_person(actor)
        if refusal := may_abstain(case_of(request), str(person_id)):
            raise ApprovalRefused(refusal)
        keep_dissent(request, DissentKind.ABSTENTION, author_id=person_id, text=why, now=now)
        move(request, Act.ABSTAIN)
        record(Action.CHANGE_REQUEST_ABSTAINED, request, actor=actor, now=now, origin=origin, reason=why)
        return request

    return attempt(act)


def keep_dissent(request: ChangeRequest, kind: DissentKind, *, author_id: uuid.UUID, text: str, now: datetime) -> None:
    """Store a disagreement with the present content, for as long as there is evidence."""
    with governed_write(request.environment_id):
        Dissent.objects.create(
            request=request,
            environment=request.environment,
            sequence=Dissent.objects.filter(request=request).count() + 1,
            author_id=author_id,
            kind=kind.value,
            digest=request.digest,
            round=request.round,
            text=text,
            touched=touched_words(request),
            created_at=now,
        )
