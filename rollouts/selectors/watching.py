"""What rules and the calendar make depend on the details of flags and on teams, for `flags.services.watches`."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flags.models import Flag, Project, Team
from rollouts.models import ChangeRequest, Judgement
from rollouts.policies import Facts, Rule
from rollouts.policies.escapes import Described, escaped
from rollouts.policies.rules import active
from rollouts.schedules import Window, next_occurrence
from rollouts.selectors.calendar import windows_of
from rollouts.selectors.rules import active_rules
from rollouts.transitions import AWAITING_STATES


@dataclass(frozen=True, slots=True)
class _Counting:
    """The rules that count now or for a request that is under way, and the owner teams such requests were judged by."""

    rules: tuple[Rule, ...]
    owner_teams: frozenset[str]


class RulesWatch:
    """What the rules and the windows of a project look at."""

    def details(self, project: Project, before: dict[str, Any], after: dict[str, Any], *, now: datetime) -> list[str]:
        """The rules and windows that a flag with other details could pass: three queries."""
        rules = escaped(_counting(project.pk).rules, _described(before), _described(after))
        windows = [window for window in windows_of(project.pk) if _passes(window, before["tags"], after["tags"], now)]
        return [*_names(rules), *(f"the {_KINDS[window.kind]} “{window.title}”" for window in windows)]

    def member(self, team: Team, *, now: datetime) -> list[str]:
        """The rules that demand approvals of this team: three queries."""
        counting = _counting(team.project_id)
        owns = str(team.pk) in counting.owner_teams or Flag.objects.filter(owner_team=team).exists()
        return _names(
            rule
            for rule in counting.rules
            if str(team.pk) in {demand.team_id for demand in rule.requirement.teams}
            or (owns and rule.requirement.owner_teams)
        )


_KINDS = {"freeze": "freeze", "allow": "allow window"}


def _described(details: dict[str, Any]) -> Described:
    return Described(details["kind"], tuple(details["tags"]), details["owner_team"])


def _names(rules: Any) -> list[str]:
    return [f"the rule “{rule.name}”" for rule in rules]


def _passes(window: Window, before: list[str], after: list[str], now: datetime) -> bool:
    """Whether a flag gets out of a freeze to come, or in or out of an allow window, by its tags."""
    was, becomes = (not window.tags.isdisjoint(tags) for tags in (before, after))
    if not window.tags or was == becomes or (window.kind == "freeze" and becomes):
        return False
    return next_occurrence(window, now) is not None


def _counting(project_id: uuid.UUID) -> _Counting:
    awaiting = ChangeRequest.objects.filter(project=project_id, state__in=[state.value for state in AWAITING_STATES])
    rules, teams = list(active_rules(project_id)), set[str]()
    for stored, facts in Judgement.objects.filter(request__in=awaiting).values_list("rules", "facts"):
        rules += [Rule.from_json(item, key=item["key"], version=item["version"]) for item in stored]
        teams.update(team for flag in Facts.from_json(facts).flags for team in flag.owner_teams)
    return _Counting(active(rules), frozenset(teams))
