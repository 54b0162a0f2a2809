"""A service's yes: it meets the demand for a service account and never stands for a person."""

import uuid
from dataclasses import replace
from datetime import datetime
from functools import partial

from django.db import IntegrityError, transaction

from audits.actions import Action
from audits.context import Actor
from flags.errors import NotFound, PermissionMissing
from flags.models import EnvironmentToken
from flags.models.tokens import TokenScope
from flags.services.attempts import attempt
from flags.services.tickets import governed_write
from rollouts.errors import ApprovalRefused, ConcurrentUpdate
from rollouts.models import ChangeRequest, ServiceApproval
from rollouts.policies import ServiceYes, judge
from rollouts.policies.findings import demanded
from rollouts.selectors.verdicts import live_case_of
from rollouts.services.checks import checked_prose
from rollouts.services.drafting import refuse_expired, refuse_other_digest
from rollouts.services.judging import findings_data
from rollouts.services.reviewing import apply_soon
from rollouts.services.writing import lock_request, move, record
from rollouts.transitions import Act, RequestState, next_state


def approve_as_service(
    request_id: uuid.UUID, *, token_id: uuid.UUID, digest: str, comment: str, now: datetime
) -> ChangeRequest:
    """Say yes, with a token of the request's own environment, to the content with `digest`.

    With the last missing approval the request is approved and, once that is committed, applied if it is due. Raises
    NotFound, PermissionMissing (another environment or scope, revoked), ApprovalRefused where no rule asks for a
    service or the token was issued by somebody who shaped the request, DigestMismatch, RequestExpired,
    InvalidTransition, ConcurrentUpdate for a second yes.
    """
    said = partial(_approve, request_id, token_id=token_id, digest=digest, comment=comment, now=now)
    request = attempt(said)
    if request.current_state is RequestState.APPROVED and not request.is_blocked and request.is_due(now):
        apply_soon(request, now=now)
        request.refresh_from_db()
    return request


def _approve(request_id: uuid.UUID, *, token_id: uuid.UUID, digest: str, comment: str, now: datetime) -> ChangeRequest:
    request = lock_request(request_id)
    token = _token(request, token_id, now)
    text = checked_prose(comment, field="comment")
    origin = request.current_state
    next_state(origin, Act.APPROVE)
    refuse_expired(request, now)
    refuse_other_digest(request, digest)
    case = live_case_of(request, now=now)
    if not demanded(case.findings).service:
        raise ApprovalRefused(
            f"No rule asks for a service to approve #{request.number}, so a yes of a service would count for nothing."
        )
    _insert(request, token, comment=text, now=now)
    given = ServiceYes(token.name, request.digest)
    verdict = judge(replace(case, service_approvals=(*case.service_approvals, given)))
    passes = verdict.is_satisfied and origin is RequestState.IN_REVIEW
    lifts_block = verdict.is_satisfied and request.blocked_code == "approval_missing"
    unblocked = {"blocked_code": "", "blocked_detail": {}} if lifts_block else {}
    move(request, Act.PASS_REVIEW if passes else Act.APPROVE, **unblocked)
    record(
        Action.CHANGE_REQUEST_APPROVED_BY_SERVICE,
        request,
        actor=Actor.service(str(token.pk), token.name),
        now=now,
        origin=origin,
        reason=text,
        counted_approver_ids=[person.id for person in verdict.counted],
        required_approvals=verdict.required,
        **findings_data(verdict.findings),
    )
    return request


def _token(request: ChangeRequest, token_id: uuid.UUID, now: datetime) -> EnvironmentToken:
    """The token, provided that it may speak here now."""
    token = EnvironmentToken.objects.filter(pk=token_id, revoked_at=None).first()
    if token is None or (token.expires_at is not None and token.expires_at <= now):
        raise PermissionMissing("This token is not valid any more. Use one that is neither expired nor revoked.")
    if token.environment_id != request.environment_id:
        raise NotFound("There is no such change request in the environment of this token.", request_id=str(request.pk))
    if token.scope != TokenScope.MANAGE:
        raise PermissionMissing("Only tokens with the scope “manage” approve. Use one of those.", scope=token.scope)
    if str(token.created_by_id) in request.contributor_ids:
        raise ApprovalRefused(
            f"The token {token.name} was issued by somebody who shaped #{request.number}, so its yes is nobody else's. "
            "Use a token that another administrator issued."
        )
    return token


def _insert(request: ChangeRequest, token: EnvironmentToken, *, comment: str, now: datetime) -> None:
    try:
        with transaction.atomic(), governed_write(request.environment_id):
            ServiceApproval.objects.create(
                request=request,
                environment=request.environment,
                token=token,
                token_name=token.name,
                digest=request.digest,
                comment=comment,
                created_at=now,
            )
    except IntegrityError as error:
        if "flagsite:" in str(error):
            raise
        raise ConcurrentUpdate("This token approved the present content already. Nothing more is needed.") from error
