"""The rules of the demo's shop, and the two teams they name."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from audits.context import correlation
from flags.models import Project, Team
from flags.services.teams import add_member, create_team
from rollouts.policies import Requirement
from rollouts.policies.presets import PRESETS
from rollouts.policies.requirements import TeamDemand
from rollouts.services.rules import set_rule

if TYPE_CHECKING:
    from flagsite.demo.story import Story


CHOSEN = [rule for rule in PRESETS if rule.key in {"big-steps", "name-a-ticket", "calm-down"}]


def tell_rules(story: "Story") -> None:
    """Two days ago: a team for security, one for the checkout, and what risky changes need from now on."""
    project = Project.objects.get(key="storefront")
    at = story.now - timedelta(days=2)
    with correlation():
        security = _team(story, project, "security", "Security", "nora", at)
        _team(story, project, "checkout", "Checkout", "ben", at)
        reason = "Agreed after the loyalty points were to go from 20 % to everyone at once"
        rules = [replace(rule, requirement=_security(security)) if rule.key == "big-steps" else rule for rule in CHOSEN]
        for rule in rules:
            set_rule(
                project.pk,
                key=rule.key,
                document=rule.as_json(),
                actor=story.actor("ada"),
                reason=reason,
                now=at + timedelta(minutes=5),
            )


def _security(team: Team) -> Requirement:
    return Requirement(approvals=2, teams=(TeamDemand(str(team.pk), 1),))


def _team(story: "Story", project: Project, key: str, name: str, member: str, at: datetime) -> Team:
    team = create_team(project.pk, actor=story.actor("ada"), key=key, name=name, now=at)
    add_member(team.pk, story.people[member].pk, actor=story.actor("ada"), reason=f"Works in {name}", now=at)
    return team
