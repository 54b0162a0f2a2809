"""Taking exposure away at once: no approval is needed where nobody gets anything new.

The only place that constructs `Narrowing`. Whether a change narrows is found out by the write path under its locks.
"""

import uuid
from datetime import datetime
from typing import Any

from audits.actions import Action
from audits.context import Actor, correlation
from flags import permissions
from flags.authority import Narrowing
from flags.changes import ChangeSet, ConfigEdit
from flags.errors import NotFound, StaleChange
from flags.models import Environment, FlagConfig
from flags.services.attempts import attempted
from flags.services.configs import AppliedChange, apply_change_set
from rollouts.errors import ChangesRequested, DigestMismatch, PartOfBundle
from rollouts.models import BundleMember, ChangeRequest
from rollouts.policies import may_apply_at_once
from rollouts.selectors.facts import facts_of
from rollouts.selectors.rules import ruled
from rollouts.selectors.verdicts import case_of, policy_of
from rollouts.services.checks import checked_change_set, checked_prose, refuse_moved_ground, refuse_planned
from rollouts.services.drafting import expiry, refuse_expired
from rollouts.services.judging import findings_data, keep_judgement
from rollouts.services.reversals import finish_rollback
from rollouts.services.writing import lock_request, move, record, require_person
from rollouts.transitions import Act, next_state


@attempted
def apply_narrowing(
    environment_id: uuid.UUID,
    *,
    change_set: ChangeSet,
    actor: Actor,
    reason: str,
    now: datetime,
    reason_code: str = "edit",
) -> AppliedChange:
    """Apply a change that only narrows, without approval. The actor is a person: editor or release manager.

    Raises NotNarrowing where somebody would get what he does not get now, and what the write path raises.
    """
    require_person(actor)
    reason = checked_prose(reason, field="reason", required=True)
    environment = Environment.objects.filter(pk=environment_id).first()
    if environment is None:
        raise NotFound("This environment does not exist.", environment_id=str(environment_id))
    change_set = checked_change_set(change_set, environment, source={})
    return apply_change_set(change_set, actor=actor, authority=Narrowing(reason_code), now=now, reason=reason)


def switch_off(
    flag_id: uuid.UUID, environment_id: uuid.UUID, *, actor: Actor, base_version: int, reason: str, now: datetime
) -> AppliedChange:
    """Switch a flag off for everyone, as it was at `base_version`. Raises StaleChange where it moved meanwhile."""
    config = FlagConfig.objects.filter(flag_id=flag_id, environment_id=environment_id).select_related("flag").first()
    if config is None:
        raise NotFound("This flag is not set up here, so there is nothing to switch off.", flag_id=str(flag_id))
    if config.version != base_version:
        raise StaleChange(
            f"{config.flag.key} is at version {config.version} now. Look at what it serves, then switch it off.",
            moved=[{"key": config.flag.key, "base_version": base_version, "current_version": config.version}],
        )
    edit = ConfigEdit(config.flag.key, base_version, {**config.document, "enabled": False})
    change_set = ChangeSet(str(environment_id), (edit,))
    return apply_narrowing(
        environment_id, change_set=change_set, actor=actor, reason=reason, now=now, reason_code="switch_off"
    )


@attempted
def apply_request_at_once(
    request_id: uuid.UUID, *, actor: Actor, digest: str, reason: str, now: datetime
) -> ChangeRequest:
    """Apply an open request that only narrows, without its approvals and before its time. `digest` is what was seen.

    While somebody asks for changes, whoever shaped it does not do this. Raises DigestMismatch, InvalidTransition,
    RequestExpired, ChangesRequested, NotNarrowing, and what the write path raises.
    """
    require_person(actor)
    reason = checked_prose(reason, field="reason", required=True)
    request = lock_request(request_id)
    permissions.require_any(actor, Narrowing.permissions, request.environment)
    origin = request.current_state
    next_state(origin, Act.APPLY_AT_ONCE)
    _refuse_bundled(request)
    refuse_planned(request, "It is not applied at once: edit the flag itself if that cannot wait.")
    refuse_expired(request, now)
    if request.digest != digest:
        raise DigestMismatch("The request changed since you opened this page. Look at it again, then apply it.")
    if refusal := may_apply_at_once(case_of(request), actor.id):
        raise ChangesRequested(refusal)
    refuse_moved_ground(request.content, request.environment, relies_on=request.relies_on)
    facts = facts_of(request, now=now)
    findings = ruled([request], read=lambda row: facts)[request.pk].findings
    with correlation(request.correlation_id):
        applied = apply_change_set(
            request.content,
            actor=actor,
            authority=Narrowing("request", request_id=str(request.pk)),
            now=now,
            reason=f"{request.label}: {reason}",
        )
        unblocked = {"blocked_code": "", "blocked_detail": {}}
        ended = {"applied_at": now, "applied_revision": applied.revision, **unblocked, **_submitted(request, now)}
        keep_judgement(request, Act.APPLY_AT_ONCE, facts, findings, now=now)
        move(request, Act.APPLY_AT_ONCE, **ended)
        record(
            Action.CHANGE_REQUEST_APPLIED,
            request,
            actor=actor,
            now=now,
            origin=origin,
            reason=reason,
            revision=applied.revision,
            versions=dict(applied.versions),
            authority=Narrowing.kind,
            **findings_data(findings),
        )
        finish_rollback(request, actor=actor, now=now)
    return request


def _refuse_bundled(request: ChangeRequest) -> None:
    if BundleMember.objects.filter(request=request).exists():
        raise PartOfBundle(
            f"#{request.number} was proposed together with requests for other environments, so all of them are applied "
            "together. Switch the flag off on its own page if it cannot wait."
        )


def _submitted(request: ChangeRequest, now: datetime) -> dict[str, Any]:
    """What a request that was never submitted lacks to count as applied."""
    if request.submitted_at is not None:
        return {}
    policy = policy_of(request.environment)
    return {
        "submitted_at": now,
        "policy_snapshot": policy.as_json(),
        "expires_at": expiry(policy, apply_at=None, now=now),
    }
