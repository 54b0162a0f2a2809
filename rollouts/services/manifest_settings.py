"""Flags, policies, rules and templates of a manifest, each written by the service that people's clicks reach."""

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from audits.context import Actor
from audits.integrity import canonical_json
from flags.errors import AlreadyExists, PermissionMissing
from flags.models import Flag
from flags.services.flags import create_flag, update_flag
from flags.services.keys import checked_key
from flags.services.watches import DETAILS
from flags.settings_authority import SecondPersonNeeded
from rollouts.manifest.diffing import Kind, Subject
from rollouts.manifest.rules import renamed
from rollouts.models import PlanTemplate, SettingsProposal
from rollouts.models.settings_proposals import ProposalState
from rollouts.plans.codec import from_json
from rollouts.selectors.manifest_plans import WATCHED, ManifestPlan, Step
from rollouts.services.manifest_outcomes import Result, State
from rollouts.services.plans.templates import save_template
from rollouts.services.rules import KIND as RULE
from rollouts.services.rules import LONGEST_KEY
from rollouts.services.settings import propose_setting
from rollouts.settings_kinds import Scope, kind_named

PLAIN = ("name", "description", "links", "owner")


def write_flag(
    plan: ManifestPlan, key: str, steps: Sequence[Step], *, actor: Actor, reason: str, now: datetime
) -> Result:
    """Create a flag, switched off and without a team, or change its plain or its watched metadata.

    Raises what these services raise.
    """
    entry = plan.wanted["flags"][key]
    if steps[0].difference.kind is Kind.NEW:
        _create(plan, key, entry, actor=actor, now=now)
        return Result(State.DONE, f"{key} exists now, switched off.")
    flag = Flag.objects.get(project=plan.project, key=key)
    changed = {step.difference.name: entry[step.difference.name] for step in steps}
    if "team" in changed:
        return write_details(plan, key, changed, actor=actor, reason=reason, now=now)
    try:
        update_flag(flag.pk, actor=actor, now=now, **_fields(plan, changed))
    except (SecondPersonNeeded, PermissionMissing):
        if not set(changed) <= set(WATCHED):
            raise
        return write_details(plan, key, changed, actor=actor, reason=reason, now=now)
    return Result(State.DONE, f"{key} is described so now.")


def write_setting(plan: ManifestPlan, step: Step, *, actor: Actor, reason: str, now: datetime) -> Result:
    """Write a policy, a rule or a template, or propose it to a second administrator. Raises what services raise."""
    key = step.difference.key
    match step.difference.subject:
        case Subject.POLICY:
            entry = plan.wanted["environments"][key]["policy"]
            named = [plan.present.people.get(name, name) for name in entry["named_approvers"]]
            scope = Scope.of_environment(plan.present.environments[key])
            after = {**entry, "named_approvers": named}
            return _proposed("approval_policy", scope, after, actor=actor, reason=reason, now=now)
        case Subject.RULE:
            document = renamed(
                plan.wanted["policy_rules"][key],
                team=lambda name: plan.present.teams.get(name, name),
                person=lambda name: plan.present.people.get(name, name),
            )
            scope = Scope(plan.project, None, checked_key(key, what="rule", longest=LONGEST_KEY))
            return _proposed(RULE, scope, document, actor=actor, reason=reason, now=now)
    return _save_template(plan, key, actor=actor, now=now)


def _create(plan: ManifestPlan, key: str, entry: dict[str, Any], *, actor: Actor, now: datetime) -> None:
    """Variants come from the first environment that has a config for it, so that they fit its schema."""
    places = plan.wanted.get("environments", {}).values()
    configs = [place.get("flags", {}).get(key, {}).get("config") for place in places]
    variants = next((config["variants"] for config in configs if config), None)
    fields = _fields(plan, {name: entry[name] for name in (*PLAIN, "kind", "tags") if name in entry})
    create_flag(
        plan.project.pk,
        actor=actor,
        key=key,
        value_type=entry["value_type"],
        value_schema=entry.get("value_schema"),
        variants=variants,
        now=now,
        **fields,
    )


def _fields(plan: ManifestPlan, named: dict[str, Any]) -> dict[str, Any]:
    """Fields as the services of flags take them: the owner by id."""
    fields = {name: value for name, value in named.items() if name != "owner"}
    if "owner" in named:
        fields["owner_id"] = uuid.UUID(plan.present.people[named["owner"]]) if named["owner"] else None
    return fields


def write_details(
    plan: ManifestPlan, key: str, changed: dict[str, Any], *, actor: Actor, reason: str, now: datetime
) -> Result:
    """Kind, tags or team of a flag, as administrators set or propose them. Raises what that raises."""
    flag = Flag.objects.select_related("owner_team").get(project=plan.project, key=key)
    team = changed.get("team", flag.owner_team.key if flag.owner_team else None)
    after = {
        "kind": changed.get("kind", flag.kind),
        "tags": changed.get("tags", flag.tags),
        "owner_team": plan.present.teams[team] if team else None,
    }
    return _proposed(DETAILS, Scope(plan.project, None, key), after, actor=actor, reason=reason, now=now)


def _proposed(kind: str, scope: Scope, after: Any, *, actor: Actor, reason: str, now: datetime) -> Result:
    try:
        proposal = propose_setting(kind, scope, after, actor=actor, reason=reason, now=now)
    except AlreadyExists as error:
        return _already(kind, scope, after, error)
    if proposal is None:
        return Result(State.DONE, "It is in force.")
    return Result(State.PENDING, f"{proposal.title}: a second administrator has to confirm it.", is_proposed=True)


def _already(kind: str, scope: Scope, after: Any, error: AlreadyExists) -> Result:
    """Waiting where the same is proposed already; refused where it is something else, until that is decided on."""
    rows = SettingsProposal.objects.filter(project=scope.project, environment=scope.environment, kind=kind)
    found = rows.filter(subject=scope.subject, state=ProposalState.OPEN).first()
    if found is not None and canonical_json(found.after) == canonical_json(kind_named(kind).clean(scope, after)):
        return Result(State.PENDING, error.message)
    return Result(State.REFUSED, f"Something else is proposed for the same setting. {error.message}")


def _save_template(plan: ManifestPlan, key: str, *, actor: Actor, now: datetime) -> Result:
    entry = plan.wanted["plan_templates"][key]
    last = PlanTemplate.objects.filter(project=plan.project, key=key).order_by("-version").first()
    saved = save_template(
        plan.project.pk,
        key=key,
        name=entry["name"],
        definition=from_json(entry["definition"]),
        actor=actor,
        now=now,
        description=entry.get("description", last.description if last else ""),
        kinds=entry.get("kinds", last.kinds if last else ()),
        seen_version=last.version if last else 0,
    )
    return Result(State.DONE, f"{saved.name} is offered in version {saved.version}.")
