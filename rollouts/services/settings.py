"""Settings that take two people: proposing, confirming, declining, withdrawing, and ending what nobody decided on.

The door is in the service that writes the setting, which asks the authority it is handed. This module is the only one
that may say that two people agreed.
"""

import uuid
from datetime import datetime, timedelta
from typing import Any

from audits import trail
from audits.actions import Action
from audits.context import Actor
from flags import permissions
from flags.errors import AlreadyExists, ConcurrentUpdate, NotFound, PermissionMissing, StaleChange
from flags.models import Environment, Project
from flags.services.attempts import attempt
from flags.services.tickets import governed_write
from flags.settings_authority import ALONE, JointAct, SecondPersonNeeded, SettingChange
from rollouts.errors import InvalidTransition
from rollouts.models import SettingsProposal
from rollouts.models.settings_proposals import ProposalState
from rollouts.selectors.settings import concerned, possible_confirmers, scope_of
from rollouts.services.checks import checked_prose
from rollouts.services.writing import require_person
from rollouts.settings_kinds import Scope, SettingsKind, kind_named

LIFE = timedelta(days=14)
SYSTEM = Actor.system("rollouts.expire_settings_proposals")


def propose_setting(
    kind: str, scope: Scope, after: Any, *, actor: Actor, reason: str, now: datetime
) -> SettingsProposal | None:
    """Change a setting, or propose the change where it could loosen something protected; None when it is in force.

    Raises PermissionMissing, InvalidInput, AlreadyExists while somebody's proposal about the same setting is open, and
    SecondPersonNeeded where nobody else could confirm.
    """

    def act() -> SettingsProposal | None:
        handler, place = kind_named(kind), _locked(scope)
        why = checked_prose(reason, field="reason", required=True)
        before, wanted = handler.read(place), handler.clean(place, after)
        is_guarded = any(item.is_guarded for item in concerned(place))
        if before == wanted or not is_guarded or not handler.is_looser(before, wanted):
            handler.apply(place, wanted, actor=actor, authority=ALONE, now=now, reason=why)
            return None
        return _open(handler, place, place.change(kind, before, wanted), actor=actor, reason=why, now=now)

    return attempt(act)


def confirm(proposal_id: uuid.UUID, *, actor: Actor, digest: str, now: datetime, reason: str = "") -> SettingsProposal:
    """Put a proposed setting in force. `digest` is that of the content the person saw.

    Whoever proposed it never confirms it, superuser or not, and has to administer what is concerned still.
    Raises PermissionMissing, SecondPersonNeeded, InvalidTransition, StaleChange when the setting moved since.
    """

    def act() -> SettingsProposal:
        proposal = _locked_proposal(proposal_id)
        scope, handler = scope_of(proposal), kind_named(proposal.kind)
        person = require_person(actor)
        _require_administrator(actor, concerned(scope))
        why = checked_prose(reason, field="reason")
        _refuse_lone_person(proposal, person)
        _require_open(proposal, now)
        if digest != proposal.digest or handler.read(scope) != proposal.before:
            raise StaleChange(
                f"{proposal.title}: the setting has changed since this was proposed, so confirming it would do "
                "something else. Decline it and propose the change again.",
                moved=[],
            )
        joint = JointAct(str(proposal.pk), proposal.digest, str(proposal.proposed_by_id), str(person))
        _decide(proposal, ProposalState.CONFIRMED, Action.SETTINGS_PROPOSAL_CONFIRMED, actor=actor, reason=why, now=now)
        handler.apply(scope, proposal.after, actor=actor, authority=joint, now=now, reason=proposal.reason)
        return proposal

    return attempt(act)


def decline(proposal_id: uuid.UUID, *, actor: Actor, reason: str, now: datetime) -> SettingsProposal:
    """Turn a proposal down, with a reason. Raises PermissionMissing, InvalidInput, InvalidTransition."""

    def act() -> SettingsProposal:
        proposal = _locked_proposal(proposal_id)
        person = require_person(actor)
        _require_administrator(actor, concerned(scope_of(proposal)))
        if person == proposal.proposed_by_id:
            raise InvalidTransition("You proposed this yourself. Withdraw it instead of declining it.")
        why = checked_prose(reason, field="reason", required=True)
        _require_open(proposal, now)
        _decide(proposal, ProposalState.DECLINED, Action.SETTINGS_PROPOSAL_DECLINED, actor=actor, reason=why, now=now)
        return proposal

    return attempt(act)


def withdraw(proposal_id: uuid.UUID, *, actor: Actor, now: datetime) -> SettingsProposal:
    """Take one's own proposal back. Raises PermissionMissing for everybody else, InvalidTransition."""

    def act() -> SettingsProposal:
        proposal = _locked_proposal(proposal_id)
        if require_person(actor) != proposal.proposed_by_id:
            raise PermissionMissing("Only the person who proposed this withdraws it. Decline it instead.")
        _require_open(proposal, now)
        _decide(proposal, ProposalState.WITHDRAWN, Action.SETTINGS_PROPOSAL_WITHDRAWN, actor=actor, reason="", now=now)
        return proposal

    return attempt(act)


def expire_if_due(proposal_id: uuid.UUID, *, now: datetime) -> bool:
    """End a proposal that nobody decided on in time; whether this call did it."""

    def act() -> bool:
        proposal = _locked_proposal(proposal_id)
        if proposal.state != ProposalState.OPEN or now < proposal.expires_at:
            return False
        _decide(proposal, ProposalState.EXPIRED, Action.SETTINGS_PROPOSAL_EXPIRED, actor=SYSTEM, reason="", now=now)
        return True

    return attempt(act)


def _open(
    handler: SettingsKind, scope: Scope, change: SettingChange, *, actor: Actor, reason: str, now: datetime
) -> SettingsProposal:
    environments = concerned(scope)
    person = require_person(actor)
    _require_administrator(actor, environments)
    _refuse_where_nobody_could_confirm(environments, person)
    _refuse_second_proposal(scope, change, now)
    proposal = SettingsProposal(
        project=scope.project,
        environment=scope.environment,
        kind=change.kind,
        subject=change.subject,
        title=handler.title(scope, change.before, change.after),
        before=change.before,
        after=change.after,
        digest=change.digest,
        reason=reason,
        proposed_by_id=person,
        created_at=now,
        expires_at=now + LIFE,
    )
    with governed_write(scope.project.pk):
        proposal.save(force_insert=True)
    _record(Action.SETTINGS_PROPOSAL_OPENED, proposal, actor=actor, now=now, reason=reason)
    return proposal


def _locked(scope: Scope) -> Scope:
    """The scope with its rows read anew, the environments locked in one order until the transaction ends."""
    rows = Environment.objects.select_for_update(of=("self",), no_key=True).select_related("project").order_by("pk")
    if scope.environment is not None:
        environment = rows.filter(pk=scope.environment.pk).first()
        if environment is None:
            raise NotFound("This environment does not exist. It may have been mistyped.")
        return Scope.of_environment(environment, scope.subject)
    list(rows.filter(project=scope.project))
    return Scope(Project.objects.get(pk=scope.project.pk), None, scope.subject)


def _locked_proposal(proposal_id: uuid.UUID) -> SettingsProposal:
    """The proposal with its environments, locked as every other writer locks them. Raises NotFound."""
    rows = SettingsProposal.objects.filter(pk=proposal_id)
    found = rows.select_related("project", "environment__project").first()
    if found is None:
        raise NotFound("This proposal does not exist. It may have been mistyped.", proposal_id=str(proposal_id))
    scope = _locked(scope_of(found))
    proposal = rows.select_for_update(of=("self",), no_key=True).select_related("proposed_by").get()
    proposal.project, proposal.environment = scope.project, scope.environment
    return proposal


def _require_administrator(actor: Actor, environments: list[Environment]) -> None:
    for environment in environments:
        permissions.require(actor, permissions.ADMINISTER, environment)


def _refuse_where_nobody_could_confirm(environments: list[Environment], person: uuid.UUID) -> None:
    if not possible_confirmers(environments, but=person):
        names = " and ".join(item.name for item in environments)
        raise SecondPersonNeeded(
            f"This would make {names} less strict, which a second administrator has to confirm, and you are the only "
            f"administrator. Give another person the role administrator in {names} first; then propose this again."
        )


def _refuse_second_proposal(scope: Scope, change: SettingChange, now: datetime) -> None:
    rows = SettingsProposal.objects.filter(
        project=scope.project,
        environment=scope.environment,
        kind=change.kind,
        subject=change.subject,
        state=ProposalState.OPEN,
    )
    present = rows.select_related("proposed_by").first()
    if present is None:
        return
    if not present.is_open(now):
        _decide(present, ProposalState.EXPIRED, Action.SETTINGS_PROPOSAL_EXPIRED, actor=SYSTEM, reason="", now=now)
        return
    name = present.proposed_by.get_full_name() or present.proposed_by.get_username()
    raise AlreadyExists(
        f"{name} has proposed a change of this already: {present.title}. Let somebody decide on it first.",
        proposal_id=str(present.pk),
    )


def _refuse_lone_person(proposal: SettingsProposal, person: uuid.UUID) -> None:
    if person == proposal.proposed_by_id:
        raise SecondPersonNeeded("You proposed this, so another administrator has to confirm it. Ask one.")
    proposer = Actor.person(proposal.proposed_by)
    if not all(permissions.holds(proposer, permissions.ADMINISTER, item) for item in concerned(scope_of(proposal))):
        raise SecondPersonNeeded(
            f"{proposer.label} proposed this and is no administrator any more, so you would decide alone. Decline it "
            "and propose it yourself."
        )


def _require_open(proposal: SettingsProposal, now: datetime) -> None:
    if not proposal.is_open(now):
        state = "expired" if proposal.state == ProposalState.OPEN else proposal.state
        raise InvalidTransition(f"This proposal is {state} already. Propose the change again if it is still wanted.")


def _decide(
    proposal: SettingsProposal, state: ProposalState, action: Action, *, actor: Actor, reason: str, now: datetime
) -> None:
    """Write what somebody decided, provided that nobody else has, and record it."""
    person: Any = permissions.person_of(actor)
    rows = SettingsProposal.objects.filter(pk=proposal.pk, state=ProposalState.OPEN)
    with governed_write(proposal.project_id):
        written = rows.update(state=state, decided_by=person, decided_at=now, decision_reason=reason)
    if written != 1:
        raise ConcurrentUpdate("Somebody else decided on this at the same moment. Reload the page.")
    proposal.state, proposal.decided_by, proposal.decided_at = state, person, now
    proposal.decision_reason = reason
    _record(action, proposal, actor=actor, now=now, reason=reason)


def _record(action: Action, proposal: SettingsProposal, *, actor: Actor, now: datetime, reason: str) -> None:
    trail.record(
        action,
        actor=actor,
        target=trail.Target("settings_proposal", str(proposal.pk), proposal.title),
        now=now,
        project_id=proposal.project_id,
        project_key=proposal.project.key,
        environment_key=proposal.environment.key if proposal.environment else "",
        reason=reason,
        data={
            "kind": proposal.kind,
            "subject": proposal.subject,
            "before": proposal.before,
            "after": proposal.after,
            "digest": proposal.digest,
            "proposed_by": str(proposal.proposed_by_id),
        },
    )
