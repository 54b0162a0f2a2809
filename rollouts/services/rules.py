"""Changing the rules of a project. Making one stricter is one person's act; what could let something pass takes two."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.contrib.auth import get_user_model
from django.db import IntegrityError, transaction
from django.db.models import F

from audits import trail
from audits.actions import Action
from audits.context import Actor
from flags import permissions
from flags.errors import InvalidInput, NotFound
from flags.models import Environment, Project, Team
from flags.services.attempts import attempt
from flags.services.keys import checked_key, problem
from flags.services.locks import lock_environments
from flags.services.tickets import governed_write
from flags.settings_authority import SettingsAuthority
from rollouts.errors import ConcurrentUpdate
from rollouts.models import PolicyRule, PolicyRuleVersion, SettingsProposal
from rollouts.policies import Rule, is_looser
from rollouts.policies.rules import rule_digest, rule_problems
from rollouts.selectors.rules import directory_of
from rollouts.selectors.settings import concerned
from rollouts.services.checks import checked_prose
from rollouts.services.settings import propose_setting
from rollouts.services.writing import require_person
from rollouts.settings_kinds import Scope, register_kind

KIND = "policy_rule"
LONGEST_KEY = 60
MOST_RULES = 100


def set_rule(
    project_id: uuid.UUID, *, key: str, document: Mapping[str, Any], actor: Actor, reason: str, now: datetime
) -> SettingsProposal | None:
    """Write the next version of a rule, the first one of a key that is new; None when it is in force.

    A proposal comes back where it could let something pass in a project with a protected environment: another
    administrator confirms it. Needs the role administrator in every protected environment of the project, else in all.
    Raises PermissionMissing, InvalidInput, NotFound, AlreadyExists.
    """
    project = Project.objects.filter(pk=project_id).first()
    if project is None:
        raise NotFound("This project does not exist. It may have been mistyped.", project_id=str(project_id))
    scope = Scope(project, None, checked_key(key, what="rule", longest=LONGEST_KEY))
    return propose_setting(KIND, scope, document, actor=actor, reason=reason, now=now)


class PolicyRuleKind:
    """One rule of a project; the subject is its key, None a rule that is not there."""

    name = KIND

    def read(self, scope: Scope) -> Any:
        """The document as it is now."""
        row = _row(scope)
        return row.document if row else None

    def clean(self, scope: Scope, after: Any) -> Any:
        """The wanted document in normal form. Raises InvalidInput."""
        return checked_rule(scope.project, after)

    def is_looser(self, before: Any, after: Any) -> bool:
        """Whether something could pass that the rule stopped."""
        return is_looser(_rule(before), _rule(after))

    def title(self, scope: Scope, before: Any, after: Any) -> str:
        """The change in a few words."""
        verb = "Add" if before is None else "Change" if after["is_active"] else "Switch off"
        return f"{verb} the rule “{after['name']}” of {scope.project.name}"

    def describe(self, scope: Scope, before: Any, after: Any) -> Sequence[str]:
        """The change in sentences."""
        was, becomes = _rule(before), _rule(after)
        directory = directory_of([scope.project.pk], [rule for rule in (was, becomes) if rule])
        sentences = [f"Until now: {was.sentence(directory)}"] if was and was.is_active else []
        if becomes and becomes.is_active:
            return [*sentences, f"Then: {becomes.sentence(directory)}"]
        return [*sentences, "Then the rule is switched off and nothing is asked for by it."]

    def apply(
        self, scope: Scope, after: Any, *, actor: Actor, authority: SettingsAuthority, now: datetime, reason: str
    ) -> None:
        """Write the rule."""
        write_rule(scope, after, actor=actor, authority=authority, now=now, reason=reason)


def write_rule(
    scope: Scope, after: Any, *, actor: Actor, authority: SettingsAuthority, now: datetime, reason: str
) -> None:
    """Write one rule as decided, its version and the event. A change that changes nothing records nothing.

    Locks every environment of the project first, so that an apply either comes before the rule or meets it.
    """

    def act() -> None:
        environments = lock_environments(Environment.objects.filter(project=scope.project))
        for environment in concerned(scope):
            permissions.require(actor, permissions.ADMINISTER, environment)
        row, wanted = _row(scope), checked_rule(scope.project, after)
        why = checked_prose(reason, field="reason", required=True)
        before = row.document if row else None
        if before == wanted:
            return
        is_guarded = any(environment.is_guarded for environment in environments)
        looser = is_guarded and PolicyRuleKind().is_looser(before, wanted)
        authority.check(scope.change(KIND, before, wanted), is_looser=looser)
        version = _write(scope, row, wanted, actor=actor, reason=why, now=now)
        _record(scope, version, before, wanted, actor=actor, authority=authority, now=now, reason=why)

    attempt(act)


def checked_rule(project: Project, document: Any) -> dict[str, Any]:
    """The document in normal form, if the teams and people it names exist. Raises InvalidInput."""
    found = rule_problems(document)
    if found:
        raise InvalidInput(found[0][1], problems=[{"path": path, "message": message} for path, message in found])
    name = checked_prose(document["name"], field="name", required=True)
    rationale = checked_prose(document["rationale"], field="rationale", required=True)
    rule = Rule.from_json({**document, "name": name, "rationale": rationale}, key="", version=1)
    teams = {team.team_id for team in rule.requirement.teams}
    if teams - {str(pk) for pk in Team.objects.filter(project=project, pk__in=teams).values_list("pk", flat=True)}:
        raise problem("requirement", f"One of these teams is not a team of {project.name}. Choose from the list.")
    people = {person for demand in rule.requirement.people for person in demand.ids}
    active = get_user_model().objects.filter(pk__in=people, is_active=True).values_list("pk", flat=True)
    if people - {str(pk) for pk in active}:
        raise problem("requirement", "One of these people has no active account. Name somebody else.")
    return rule.as_json()


def register_rule_kind() -> None:
    """Know rules as settings."""
    register_kind(PolicyRuleKind())


def _rule(document: Any) -> Rule | None:
    return None if document is None else Rule.from_json(document, key="", version=1)


def _row(scope: Scope) -> PolicyRule | None:
    return PolicyRule.objects.filter(project=scope.project, key=scope.subject).first()


def _write(
    scope: Scope, row: PolicyRule | None, document: dict[str, Any], *, actor: Actor, reason: str, now: datetime
) -> PolicyRuleVersion:
    digest = rule_digest(document)
    with governed_write(scope.project.pk):
        if row is None:
            row = _create(scope, document, digest, now=now)
        else:
            rows = PolicyRule.objects.filter(pk=row.pk, version=row.version)
            if rows.update(document=document, digest=digest, version=F("version") + 1, updated_at=now) != 1:
                raise ConcurrentUpdate("Somebody else changed this rule at the same moment. Reload the page.")
            row.version += 1
        return PolicyRuleVersion.objects.create(
            project=scope.project,
            rule=row,
            version=row.version,
            document=document,
            digest=digest,
            author_id=require_person(actor),
            reason=reason,
            created_at=now,
        )


def _create(scope: Scope, document: dict[str, Any], digest: str, *, now: datetime) -> PolicyRule:
    if PolicyRule.objects.filter(project=scope.project).count() >= MOST_RULES:
        raise problem("key", f"A project has at most {MOST_RULES} rules. Change one that is switched off.")
    try:
        with transaction.atomic():
            return PolicyRule.objects.create(
                project=scope.project,
                key=scope.subject,
                document=document,
                digest=digest,
                created_at=now,
                updated_at=now,
            )
    except IntegrityError as error:
        if "flagsite:" in str(error):
            raise
        raise ConcurrentUpdate("Somebody added a rule with this key a moment ago. Reload the page.") from error


def _record(
    scope: Scope,
    version: PolicyRuleVersion,
    before: Any,
    after: Any,
    *,
    actor: Actor,
    authority: SettingsAuthority,
    now: datetime,
    reason: str,
) -> None:
    trail.record(
        Action.POLICY_RULE_CHANGED,
        actor=actor,
        target=trail.Target("policy_rule", str(version.rule_id), after["name"]),
        now=now,
        project_id=scope.project.pk,
        project_key=scope.project.key,
        reason=reason,
        data={
            "key": scope.subject,
            "version": version.version,
            "digest": version.digest,
            "from": before,
            "to": after,
            **authority.evidence(),
        },
    )
