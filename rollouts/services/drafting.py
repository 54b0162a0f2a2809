"""Shaping a change request: create, edit, schedule, submit."""

import uuid
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from audits.actions import Action
from audits.context import Actor, current_correlation_id
from flags import permissions
from flags.changes import ChangeSet
from flags.errors import InvalidInput, NotFound, PermissionMissing
from flags.models import Environment, Project
from flags.services.attempts import attempt
from flags.services.configs import refuse_stale_change_set
from flags.services.keys import problem
from flags.services.locks import lock_environment
from rollouts.errors import DigestMismatch, RequestExpired
from rollouts.models import ChangeRequest
from rollouts.policies import Policy, stricter
from rollouts.selectors.reliance import relied_on
from rollouts.selectors.verdicts import policy_of
from rollouts.services.checks import (
    checked_change_set,
    checked_digest,
    checked_prose,
    checked_schedule,
    checked_ticket,
    checked_title,
    refuse_moved_ground,
)
from rollouts.services.judging import findings_data, judge_content
from rollouts.services.numbering import insert_numbered
from rollouts.services.rounds import keep_round
from rollouts.services.writing import lock_request, move, record, require_person
from rollouts.transitions import AWAITING_STATES, Act, RequestState, next_state

FIRST_ROUND = 1


class Unchanged:
    """Says that a field of an edit stays as it is, where None is a value."""


UNCHANGED: Final = Unchanged()


def create_change_request(
    environment_id: uuid.UUID,
    *,
    actor: Actor,
    title: str,
    reason: str,
    change_set: ChangeSet,
    apply_at: datetime | None,
    now: datetime,
    source: Mapping[str, Any] | None = None,
    ticket_url: str = "",
    plan_digest: str = "",
    also_by: Collection[str] = (),
) -> ChangeRequest:
    """A new draft; its reason may wait until it is submitted. `apply_at` None: as soon as it is approved.

    `source` says where the content came from, as JSON with a `kind`; services set it, never a person. `ticket_url` is
    where the work is planned. `plan_digest` is that of the rollout plan or timeline that reaches the content. `also_by`
    are the ids of others who shaped it.

    Raises PermissionMissing (role editor), InvalidInput, InvalidDocument, NotFound.
    """

    def act() -> ChangeRequest:
        environment = lock_for_number(environment_id)
        permissions.require(actor, permissions.PROPOSE, environment)
        content = checked_change_set(change_set, environment, source=source or {})
        schedule = checked_schedule(apply_at, now=now)
        relies_on = relied_on(content, environment)
        request = ChangeRequest(
            project=environment.project,
            environment=environment,
            requester_id=require_person(actor),
            title=checked_title(title),
            reason=checked_prose(reason, field="reason", required=False),
            state=RequestState.DRAFT.value,
            change_set=content.as_json(),
            digest=checked_digest(
                content, apply_at=schedule, round=FIRST_ROUND, relies_on=relies_on, plan_digest=plan_digest
            ),
            plan_digest=plan_digest,
            apply_at=schedule,
            round=FIRST_ROUND,
            relies_on=relies_on,
            source=dict(source or {}),
            ticket_url=checked_ticket(ticket_url),
            contributors=list(dict.fromkeys([str(require_person(actor)), *also_by])),
            created_at=now,
            correlation_id=current_correlation_id(),
        )
        insert_numbered(request, noun="requests")
        record(Action.CHANGE_REQUEST_CREATED, request, actor=actor, now=now, origin=None, reason=request.reason)
        return request

    return attempt(act)


def edit_change_request(
    request_id: uuid.UUID,
    *,
    actor: Actor,
    now: datetime,
    expected_digest: str,
    title: str | None = None,
    reason: str | None = None,
    change_set: ChangeSet | None = None,
    apply_at: datetime | Unchanged | None = UNCHANGED,
    ticket_url: str | None = None,
    also_by: Collection[str] = (),
    merged: Mapping[str, Any] | None = None,
) -> ChangeRequest:
    """Change a draft, or the content of a request under review; None leaves a field as it is.

    A draft saved as it was records nothing. `also_by` are the ids of people who shaped the new content as well, and
    `merged` says for the trail what it was put together from.

    Every edit under review opens a new round with a new digest, so all approvals given so far are void for good, also
    when former content returns, and whoever edits may not approve. Title, reason and ticket change in a draft only. A
    new change set relies on its segments as they are now. Raises PermissionMissing, InvalidTransition, DigestMismatch,
    StaleChange, InvalidInput, PolicyRefused.
    """
    wanted: dict[str, Any] = {
        "title": title,
        "reason": reason,
        "change_set": change_set,
        "apply_at": apply_at,
        "ticket_url": ticket_url,
        "also_by": also_by,
        "merged": merged,
    }
    return attempt(partial(_edit, request_id, Act.EDIT, actor=actor, now=now, expected=expected_digest, wanted=wanted))


def schedule_change_request(
    request_id: uuid.UUID, *, actor: Actor, apply_at: datetime | None, now: datetime, expected_digest: str
) -> ChangeRequest:
    """Choose when the change is applied. An edit like any other: the digest covers the time, so approvals are void.

    Needs the role editor for one's own request, release manager for anybody's.
    """
    wanted = {"title": None, "reason": None, "change_set": None, "apply_at": apply_at, "ticket_url": None}
    act = partial(_edit, request_id, Act.SCHEDULE, actor=actor, now=now, expected=expected_digest, wanted=wanted)
    return attempt(act)


def submit_change_request(request_id: uuid.UUID, *, actor: Actor, now: datetime) -> ChangeRequest:
    """Ask for review: fixes the approval policy and the expiry. Whoever submits may not approve.

    Raises PermissionMissing, InvalidTransition, StaleChange (something moved since it was prepared), InvalidDocument,
    PolicyRefused.
    """

    def act() -> ChangeRequest:
        request = lock_request(request_id)
        permissions.require(actor, permissions.PROPOSE, request.environment)
        origin = request.current_state
        next_state(origin, Act.SUBMIT)
        checked_prose(request.reason, field="reason", required=True)
        refuse_stale_change_set(request.content, request.environment)
        refuse_moved_ground(request.content, request.environment, relies_on=request.relies_on)
        checked_change_set(request.content, request.environment, source=request.source)
        checked_schedule(request.apply_at, now=now)
        policy = policy_of(request.environment)
        findings = judge_content(request, Act.SUBMIT, now=now)
        move(
            request,
            Act.SUBMIT,
            submitted_at=now,
            policy_snapshot=policy.as_json(),
            expires_at=expiry(policy, apply_at=request.apply_at, now=now),
            contributors=_with_contributor(request, actor),
        )
        record(
            Action.CHANGE_REQUEST_SUBMITTED,
            request,
            actor=actor,
            now=now,
            origin=origin,
            required_approvals=policy.required_approvals,
            **findings_data(findings),
        )
        keep_round(request, Act.SUBMIT, actor=actor, now=now)
        return request

    return attempt(act)


def expiry(policy: Policy, *, apply_at: datetime | None, now: datetime) -> datetime:
    """When a request under this policy expires: counted from its time where it has one, else from now."""
    return max(now, apply_at or now) + timedelta(hours=policy.expires_after_hours)


def refuse_expired(request: ChangeRequest, now: datetime) -> None:
    """Raise RequestExpired for a request whose life is over although no sweep has said so yet."""
    if request.current_state in AWAITING_STATES and request.expires_at is not None and request.has_expired(now):
        raise RequestExpired(
            f"#{request.number} expired on {request.expires_at:%d %B %Y at %H:%M} UTC without having been applied. "
            "Ask for a new change instead.",
            expires_at=request.expires_at.isoformat(),
        )


def refuse_other_digest(request: ChangeRequest, digest: str) -> None:
    """Raise DigestMismatch unless `digest` is that of the request's present content."""
    if digest != request.digest:
        raise DigestMismatch(
            f"#{request.number} changed since the page was opened. Nothing was done: reload the page, look at what "
            "changed and decide again.",
            seen_digest=digest[:64],
            current_digest=request.digest,
        )


def _edit(
    request_id: uuid.UUID, act: Act, *, actor: Actor, now: datetime, expected: str, wanted: dict[str, Any]
) -> ChangeRequest:
    request = lock_request(request_id)
    _require_editor(request, act, actor)
    origin = request.current_state
    next_state(origin, act)
    refuse_expired(request, now)
    refuse_other_digest(request, expected)
    former = request.digest
    fields = _edited_fields(request, wanted, now=now)
    if origin is RequestState.DRAFT and all(getattr(request, name) == value for name, value in fields.items()):
        return request
    if origin is not RequestState.DRAFT:
        fields |= _renewed_review(request, fields, now=now)
    contributors = list(dict.fromkeys([*_with_contributor(request, actor), *sorted(wanted.get("also_by", ()))]))
    move(request, act, **fields, contributors=contributors, blocked_code="", blocked_detail={})
    findings = () if origin is RequestState.DRAFT else judge_content(request, act, now=now)
    action = Action.CHANGE_REQUEST_SCHEDULED if act is Act.SCHEDULE else Action.CHANGE_REQUEST_EDITED
    told = {**findings_data(findings), **({"merged": dict(wanted["merged"])} if wanted.get("merged") else {})}
    record(action, request, actor=actor, now=now, origin=origin, former_digest=former, **told)
    if origin is not RequestState.DRAFT:
        keep_round(request, act, actor=actor, now=now)
    return request


def _require_editor(request: ChangeRequest, act: Act, actor: Actor) -> None:
    environment = request.environment
    if act is Act.EDIT or (
        str(require_person(actor)) in request.contributor_ids
        and permissions.holds(actor, permissions.PROPOSE, environment)
    ):
        permissions.require(actor, permissions.PROPOSE, environment)
    elif not permissions.holds(actor, permissions.APPLY, environment):
        raise PermissionMissing(
            f"Only the people who prepared #{request.number} and release managers of {environment.name} choose its "
            "time. Ask one of them.",
            permission=permissions.APPLY,
            environment=environment.key,
        )


def _edited_fields(request: ChangeRequest, wanted: dict[str, Any], *, now: datetime) -> dict[str, Any]:
    content, apply_at, relies_on = request.content, request.apply_at, request.relies_on
    if wanted["change_set"] is not None and request.plan_digest:
        raise problem(
            "change_set",
            f"This request asks for a {'deprecation timeline' if request.asks_for_timeline else 'rollout plan'}, which "
            "says what is changed. Take that back, edit it, and propose it again.",
        )
    if wanted["change_set"] is not None:
        content = checked_change_set(wanted["change_set"], request.environment, source=request.source)
        relies_on = relied_on(content, request.environment)
    if not isinstance(wanted["apply_at"], Unchanged) and wanted["apply_at"] != apply_at:
        apply_at = checked_schedule(wanted["apply_at"], now=now)
    fields: dict[str, Any] = {
        "change_set": content.as_json(),
        "apply_at": apply_at,
        "relies_on": relies_on,
        "digest": checked_digest(
            content,
            apply_at=apply_at,
            round=request.round,
            relies_on=relies_on,
            plan_digest=request.plan_digest,
        ),
    }
    return fields | _edited_texts(request, wanted)


def _edited_texts(request: ChangeRequest, wanted: dict[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if wanted["title"] is not None:
        fields["title"] = checked_title(wanted["title"])
    if wanted["reason"] is not None:
        fields["reason"] = checked_prose(wanted["reason"], field="reason")
    if wanted["ticket_url"] is not None:
        fields["ticket_url"] = checked_ticket(wanted["ticket_url"])
    is_draft = request.current_state is RequestState.DRAFT
    changed = [name for name, text in fields.items() if text != getattr(request, name)]
    if changed and not is_draft:
        raise problem(
            changed[0],
            "Title, reason and ticket were shown to reviewers and stay as they are: add a comment instead.",
        )
    return fields


def _renewed_review(request: ChangeRequest, fields: dict[str, Any], *, now: datetime) -> dict[str, Any]:
    """New content under review is judged from the start: a new round, nothing stale, its own time to be reviewed in."""
    if fields["digest"] == request.digest:
        raise InvalidInput(
            "Neither the content nor the time of this change is different. Title and reason were shown to reviewers "
            "and stay: add a comment instead.",
            problems=[],
        )
    checked_schedule(fields["apply_at"], now=now)
    content, number = ChangeSet.from_json(fields["change_set"]), request.round + 1
    refuse_stale_change_set(content, request.environment)
    refuse_moved_ground(content, request.environment, relies_on=fields["relies_on"])
    policy = policy_of(request.environment)
    if request.submitted_policy is not None:
        policy = stricter(policy, request.submitted_policy)
    return {
        "round": number,
        "digest": checked_digest(
            content,
            apply_at=fields["apply_at"],
            round=number,
            relies_on=fields["relies_on"],
            plan_digest=request.plan_digest,
        ),
        "expires_at": expiry(policy, apply_at=fields["apply_at"], now=now),
    }


def _with_contributor(request: ChangeRequest, actor: Actor) -> list[str]:
    person = str(require_person(actor))
    return [*request.contributors, *([] if person in request.contributors else [person])]


def lock_for_number(environment_id: uuid.UUID) -> Environment:
    """The environment, locked after its project: numbers count per project."""
    project = Project.objects.select_for_update(of=("self",), no_key=True).filter(environments=environment_id).first()
    if project is None:
        raise NotFound("This environment does not exist. It may have been mistyped.", environment=str(environment_id))
    return lock_environment(environment_id)
