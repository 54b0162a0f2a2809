"""Setting the approval policy of an environment."""

import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from audits import trail
from audits.actions import Action
from audits.context import Actor
from flags import permissions
from flags.models import Environment
from flags.services.attempts import attempt
from flags.services.keys import problem
from flags.services.locks import lock_environment
from flags.services.tickets import governed_write
from flags.settings_authority import ALONE, SettingChange, SettingsAuthority
from rollouts.models import ApprovalPolicy
from rollouts.policies import Policy, stricter
from rollouts.selectors.verdicts import policy_of, role_holders
from rollouts.services.checks import checked_prose


def set_approval_policy(
    environment_id: uuid.UUID,
    *,
    actor: Actor,
    required_approvals: int,
    named_approvers: Sequence[uuid.UUID | str],
    expires_after_hours: int,
    now: datetime,
    reason: str,
    authority: SettingsAuthority = ALONE,
) -> ApprovalPolicy:
    """Set how many approvals changes need here and whose; an empty list of names admits every approver.

    Requests under review go by the stricter of the policy at their submit and this one. Needs the role administrator
    and a reason; loosening it where the environment is protected needs two people. Raises PermissionMissing,
    InvalidInput, NotFound, SecondPersonNeeded. A call that changes nothing records nothing.
    """

    def act() -> ApprovalPolicy:
        environment = lock_environment(environment_id)
        permissions.require(actor, permissions.ADMINISTER, environment)
        why = checked_prose(reason, field="reason", required=True)
        wanted = checked_policy(
            environment,
            required_approvals=required_approvals,
            named_approvers=named_approvers,
            expires_after_hours=expires_after_hours,
        )
        before = policy_of(environment)
        row, is_same = _row(environment, now), before == wanted
        if is_same and not row._state.adding:
            return row
        change = SettingChange(
            kind="approval_policy",
            project_id=str(environment.project_id),
            environment_id=str(environment.pk),
            before=before.as_json(),
            after=wanted.as_json(),
        )
        authority.check(change, is_looser=environment.is_guarded and is_looser(before, wanted))
        row.required_approvals, row.named_approvers = required_approvals, sorted(wanted.named_approvers or ())
        row.expires_after_hours, row.updated_at = expires_after_hours, now
        with governed_write(environment.pk):
            row.save()
        if not is_same:
            _record(environment, before, wanted, actor=actor, authority=authority, now=now, reason=why)
        return row

    return attempt(act)


def checked_policy(
    environment: Environment, *, required_approvals: Any, named_approvers: Iterable[Any], expires_after_hours: Any
) -> Policy:
    """The policy that is asked for, if it could work in the environment as it is. Raises InvalidInput."""
    named = frozenset(str(person) for person in named_approvers)
    policy = Policy(required_approvals, named or None, expires_after_hours)
    if named - {holder.id for holder in role_holders(environment)}:
        raise problem(
            "named_approvers",
            f"Every named approver needs an active account and the role approver in {environment.name}. Give them the "
            "role first, or name somebody else.",
        )
    for field, message in policy.problems():
        raise problem(field, message)
    return policy


def is_looser(before: Policy, after: Policy) -> bool:
    """Whether `after` asks for less in any respect: fewer approvals, more people who may give them, a longer life."""
    return stricter(before, after) != after


def _row(environment: Environment, now: datetime) -> ApprovalPolicy:
    row = ApprovalPolicy.objects.select_related("environment").filter(environment=environment).first()
    return row or ApprovalPolicy(environment=environment, updated_at=now)


def _record(
    environment: Environment,
    before: Policy,
    after: Policy,
    *,
    actor: Actor,
    authority: SettingsAuthority,
    now: datetime,
    reason: str,
) -> None:
    trail.record(
        Action.APPROVAL_POLICY_CHANGED,
        actor=actor,
        target=trail.Target("approval_policy", str(environment.pk), environment.name),
        now=now,
        project_id=environment.project_id,
        project_key=environment.project.key,
        environment_key=environment.key,
        reason=reason,
        data={"from": before.as_json(), "to": after.as_json(), **authority.evidence()},
    )
