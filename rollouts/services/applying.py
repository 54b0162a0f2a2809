"""Making an approved change real, and letting old requests end. The only place that constructs `ApprovedChange`."""

import uuid
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

from django.db import transaction

from audits.actions import Action
from audits.context import Actor, correlation
from audits.errors import GovernanceError
from flags import permissions
from flags.authority import ApprovedChange, ConsentMismatch
from flags.changes import change_digest
from flags.errors import InvalidInput, NotFound, StaleChange
from flags.services.attempts import attempt
from flags.services.configs import AppliedChange, apply_change_set
from rollouts.errors import (
    ApprovalMissing,
    BundleNotReady,
    FlagInOtherPlan,
    FlagIsEnding,
    Frozen,
    NotDueYet,
    PlanHeld,
    PolicyRefused,
    TimelineOutdated,
    TrainWaits,
)
from rollouts.models import ChangeRequest, DeprecationTimeline
from rollouts.policies import Facts, Verdict, judge
from rollouts.selectors.bundles import siblings_of
from rollouts.selectors.calendar import is_still_frozen
from rollouts.selectors.due import due_changes, is_old, may_pass_review
from rollouts.selectors.facts import facts_of
from rollouts.selectors.verdicts import live_case_of
from rollouts.services.checks import refuse_moved_ground
from rollouts.services.drafting import refuse_expired
from rollouts.services.judging import findings_data, keep_judgement, refuse_by_rule
from rollouts.services.membership import end_siblings
from rollouts.services.plans.stages import start_approved_plan
from rollouts.services.reversals import finish_rollback
from rollouts.services.timelines.milestones import start_approved_timeline
from rollouts.services.writing import lock_request, move, record
from rollouts.transitions import Act, RequestState, next_state

APPLIER = Actor.system("rollouts.apply_due_changes")
EXPIRER = Actor.system("rollouts.expire_old_requests")
# What only a person can put right: the request is held back until somebody edits or approves it.
BLOCKING = (
    StaleChange,
    InvalidInput,
    NotFound,
    ConsentMismatch,
    ApprovalMissing,
    PolicyRefused,
    Frozen,
    FlagInOtherPlan,
    FlagIsEnding,
    PlanHeld,
    TimelineOutdated,
    TrainWaits,
)


def apply_change_request(request_id: uuid.UUID, *, actor: Actor, now: datetime, plan_reason: str = "") -> ChangeRequest:
    """Apply an approved request whose time has come. All is judged again: approvals, roles, policy, base versions.

    One that asks for a rollout plan or a deprecation timeline starts that, for `plan_reason` or its own, instead of
    writing what it comes to.

    Raises PermissionMissing (role release manager), InvalidTransition, NotDueYet, RequestExpired; and, after having
    marked the request as blocked, StaleChange, InvalidInput, NotFound, ConsentMismatch or ApprovalMissing.
    """
    outcome = attempt(partial(_apply_or_block, request_id, actor=actor, now=now, plan_reason=plan_reason))
    if isinstance(outcome, GovernanceError):
        raise outcome
    return outcome


def apply_if_due(request_id: uuid.UUID, *, now: datetime) -> bool:
    """Apply a request in the name of the system if it is approved, due and not blocked; whether it was applied."""
    request = due_changes(now).select_related("environment").filter(pk=request_id).first()
    if request is None or is_still_frozen(request, now=now):
        return False
    try:
        apply_change_request(request_id, actor=APPLIER, now=now)
    except GovernanceError:
        # Somebody was faster, or the request is blocked now and its page says why.
        return False
    return True


def expire_if_due(request_id: uuid.UUID, *, now: datetime) -> bool:
    """End a request that was not applied before it expired; whether it was ended now."""

    def end(request: ChangeRequest) -> None:
        origin = request.current_state
        move(request, Act.EXPIRE, blocked_code="", blocked_detail={})
        record(Action.CHANGE_REQUEST_EXPIRED, request, actor=EXPIRER, now=now, origin=origin)
        end_siblings(request, actor=EXPIRER, now=now)

    return _sweep_one(request_id, partial(is_old, now=now), end)


def pass_review_if_due(request_id: uuid.UUID, *, now: datetime) -> bool:
    """Approve a request whose approvals became sufficient without a new one: a policy was eased, a role came back."""

    def conclude(request: ChangeRequest) -> None:
        verdict = judge(live_case_of(request, now=now))
        if not verdict.is_satisfied:
            raise ApprovalMissing(verdict.sentences[0])
        origin = request.current_state
        move(request, Act.PASS_REVIEW)
        data = _consent(verdict)
        record(Action.CHANGE_REQUEST_APPROVED, request, actor=APPLIER, now=now, origin=origin, **data)

    return _sweep_one(request_id, partial(may_pass_review, now=now), conclude)


def _sweep_one(
    request_id: uuid.UUID, is_wanted: Callable[[ChangeRequest], bool], do: Callable[[ChangeRequest], None]
) -> bool:
    def act() -> bool:
        request = lock_request(request_id)
        if not is_wanted(request):
            return False
        with correlation(request.correlation_id):
            do(request)
        return True

    try:
        return attempt(act)
    except GovernanceError:
        return False


def _apply_or_block(
    request_id: uuid.UUID, *, actor: Actor, now: datetime, plan_reason: str
) -> ChangeRequest | GovernanceError:
    """Apply a request, and all of its bundle with it or nothing; whichever cannot be applied is held back."""
    request = lock_request(request_id)
    permissions.require(actor, permissions.APPLY, request.environment)
    next_state(request.current_state, Act.APPLY)
    refuse_expired(request, now)
    _refuse_early(request, now)
    together = [request, *siblings_of(request)]
    for sibling in together[1:]:
        _refuse_unready(sibling, request, actor=actor, now=now)
    tried = request
    try:
        with transaction.atomic():
            for tried in together:
                # Whoever applies and whenever: what is served is tied to the request it came from.
                with correlation(tried.correlation_id):
                    _apply(tried, actor=actor, now=now, plan_reason=plan_reason)
    except BLOCKING as error:
        with correlation(tried.correlation_id):
            _block(tried, error, actor=actor, now=now)
        return error
    return request


def _refuse_unready(sibling: ChangeRequest, request: ChangeRequest, *, actor: Actor, now: datetime) -> None:
    """Raise unless `sibling`, of the same bundle as `request`, could be applied now, by this actor."""
    permissions.require(actor, permissions.APPLY, sibling.environment)
    if sibling.current_state is RequestState.APPROVED and sibling.is_due(now) and not sibling.has_expired(now):
        return
    is_approved = sibling.current_state is RequestState.APPROVED
    standing = "is not due yet" if is_approved else f"is {sibling.current_state.label.lower()}"
    raise BundleNotReady(
        f"#{request.number} goes live together with #{sibling.number} in {sibling.environment.name}, which {standing}. "
        "Nothing was done.",
        waits_for=str(sibling.pk),
    )


def _apply(request: ChangeRequest, *, actor: Actor, now: datetime, plan_reason: str) -> None:
    facts, origin = facts_of(request, now=now), request.current_state
    verdict = _require_consent(request, facts, now=now)
    applied = _carry_out(request, verdict, actor=actor, now=now, plan_reason=plan_reason)
    unblocked = {"blocked_code": "", "blocked_detail": {}}
    keep_judgement(request, Act.APPLY, facts, verdict.findings, now=now)
    move(request, Act.APPLY, applied_at=now, applied_revision=applied.revision, **unblocked)
    record(
        Action.CHANGE_REQUEST_APPLIED,
        request,
        actor=actor,
        now=now,
        origin=origin,
        revision=applied.revision,
        versions=dict(applied.versions),
        **_consent(verdict),
    )
    finish_rollback(request, actor=actor, now=now)


def _refuse_early(request: ChangeRequest, now: datetime) -> None:
    if request.apply_at is not None and not request.is_due(now):
        raise NotDueYet(
            f"#{request.number} was approved for {request.apply_at:%d %B %Y at %H:%M} UTC, not for an earlier time. "
            "Wait until then, or change its schedule and ask for approval again.",
            apply_at=request.apply_at.isoformat(),
        )


def _require_consent(request: ChangeRequest, facts: Facts, *, now: datetime) -> Verdict:
    present = change_digest(
        request.content,
        apply_at=request.apply_at,
        round=request.round,
        relies_on=request.relies_on,
        plan_digest=request.plan_digest,
    )
    if present != request.digest:
        raise ConsentMismatch("The stored content is not the content that was approved. Edit it and ask for review.")
    verdict = judge(live_case_of(request, now=now, facts=facts))
    if not verdict.is_satisfied:
        raise ApprovalMissing(
            f"#{request.number} was approved, but its approvals do not suffice any more. {' '.join(verdict.sentences)}",
            required=verdict.required,
            counted=len(verdict.counted),
            missing=verdict.missing,
        )
    refuse_by_rule(request, verdict.findings)
    return verdict


def _carry_out(
    request: ChangeRequest, verdict: Verdict, *, actor: Actor, now: datetime, plan_reason: str
) -> AppliedChange:
    refuse_moved_ground(request.content, request.environment, relies_on=request.relies_on)
    if request.plan_digest and DeprecationTimeline.objects.filter(request=request).exists():
        return start_approved_timeline(request, actor=actor, now=now, reason=plan_reason)
    if request.plan_digest:
        return start_approved_plan(request, actor=actor, now=now, reason=plan_reason)
    authority = ApprovedChange(
        request_id=str(request.pk),
        digest=request.digest,
        content_digest=change_digest(request.content, apply_at=None),
        approver_ids=tuple(person.id for person in verdict.counted),
        required_approvals=verdict.required,
        rules=tuple(finding.label for finding in verdict.findings),
    )
    return apply_change_set(
        request.content, actor=actor, authority=authority, now=now, reason=f"{request.label}: {request.reason}"
    )


def _block(request: ChangeRequest, error: GovernanceError, *, actor: Actor, now: datetime) -> None:
    origin = request.current_state
    detail = {"message": error.message, **error.facts}
    if actor == APPLIER and (request.blocked_code, request.blocked_detail) == (error.code, detail):
        # The sweep tried again and it is held back for the same reason: there is nothing new to tell.
        return
    move(request, Act.REFUSE_APPLY, blocked_code=error.code, blocked_detail=detail)
    # The sentence may name people, who can be erased; the trail keeps code and numbers.
    record(
        Action.CHANGE_REQUEST_APPLY_REFUSED,
        request,
        actor=actor,
        now=now,
        origin=origin,
        code=error.code,
        facts=error.facts,
    )


def _consent(verdict: Verdict) -> dict[str, Any]:
    return {
        "counted_approver_ids": [person.id for person in verdict.counted],
        "required_approvals": verdict.required,
        **findings_data(verdict.findings),
    }
