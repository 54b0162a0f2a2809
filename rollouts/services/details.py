"""What rules look at, as settings: a flag's details and the members of teams. Two people where something could pass.

`passes` in the wanted setting names what could be passed. It is part of what the second person confirms.
"""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.contrib.auth import get_user_model
from django.utils import timezone

from audits.context import Actor
from flags.errors import NotFound
from flags.models import Flag, Team
from flags.models.flags import FlagKind
from flags.services.flags import changed_details, set_flag_details
from flags.services.keys import problem
from flags.services.teams import add_member, is_member
from flags.services.watches import DETAILS, MEMBER, details_of, member_change
from flags.settings_authority import SettingsAuthority
from rollouts.settings_kinds import Scope, register_kind


class FlagDetailsKind:
    """Kind, tags and owner team of a flag. The subject is its key."""

    name = DETAILS

    def read(self, scope: Scope) -> Any:
        """The details as they are now."""
        return {**details_of(_flag(scope)), "passes": []}

    def clean(self, scope: Scope, after: Any) -> Any:
        """The wanted details, with what the flag could pass then. Raises InvalidInput."""
        if not isinstance(after, Mapping) or not isinstance(after.get("tags"), list):
            raise problem("tags", "Give the kind, the tags and the owner team.")
        wanted = {"kind": after.get("kind"), "tags": after["tags"], "owner_team_id": _id(after.get("owner_team"))}
        return changed_details(_flag(scope), **wanted, now=timezone.now()).after

    def is_looser(self, before: Any, after: Any) -> bool:
        """Whether the flag could pass something."""
        return bool(after["passes"])

    def title(self, scope: Scope, before: Any, after: Any) -> str:
        """The change in a few words."""
        return f"Change the details of {_flag(scope).name}"

    def describe(self, scope: Scope, before: Any, after: Any) -> Sequence[str]:
        """The change in sentences."""
        teams = {str(team.pk): team.name for team in Team.objects.filter(project=scope.project)}
        was, becomes = _in_words(before, teams), _in_words(after, teams)
        lines = [f"{what}: {becomes[what]}. Until now: {was[what]}." for what in becomes if was[what] != becomes[what]]
        return [*lines, *(f"The flag could then pass {name}." for name in after["passes"])]

    def apply(
        self, scope: Scope, after: Any, *, actor: Actor, authority: SettingsAuthority, now: datetime, reason: str
    ) -> None:
        """Write the details."""
        set_flag_details(
            _flag(scope).pk,
            kind=after["kind"],
            tags=after["tags"],
            owner_team_id=_id(after["owner_team"]),
            actor=actor,
            reason=reason,
            now=now,
            authority=authority,
        )


class TeamMemberKind:
    """One more member of a team. The subject is the team's key and the person's id, with a slash between."""

    name = MEMBER

    def read(self, scope: Scope) -> Any:
        """Whether the person is in it."""
        team, person = _team_and_person(scope)
        return {"is_member": is_member(team, person.pk), "passes": []}

    def clean(self, scope: Scope, after: Any) -> Any:
        """That the person is in it, with the rules that the person could help to meet."""
        team, person = _team_and_person(scope)
        return member_change(team, person.pk, is_member=is_member(team, person.pk), now=timezone.now()).after

    def is_looser(self, before: Any, after: Any) -> bool:
        """Whether a rule demands approvals of the team."""
        return bool(after["passes"])

    def title(self, scope: Scope, before: Any, after: Any) -> str:
        """The change in a few words."""
        team, person = _team_and_person(scope)
        return f"Add {person.get_full_name() or person.get_username()} to {team.name}"

    def describe(self, scope: Scope, before: Any, after: Any) -> Sequence[str]:
        """The change in sentences."""
        team, person = _team_and_person(scope)
        name = person.get_full_name() or person.get_username()
        return [
            f"{name} could then approve as a member of {team.name}, which {rule} asks for." for rule in after["passes"]
        ]

    def apply(
        self, scope: Scope, after: Any, *, actor: Actor, authority: SettingsAuthority, now: datetime, reason: str
    ) -> None:
        """Add the person."""
        team, person = _team_and_person(scope)
        add_member(team.pk, person.pk, actor=actor, reason=reason, now=now, authority=authority)


def register_details_kinds() -> None:
    """Know the kinds of this module."""
    register_kind(FlagDetailsKind())
    register_kind(TeamMemberKind())


def _flag(scope: Scope) -> Flag:
    flag = Flag.objects.select_related("project").filter(project=scope.project, key=scope.subject).first()
    if flag is None:
        raise NotFound("This flag does not exist. It may have been mistyped.")
    return flag


def _team_and_person(scope: Scope) -> tuple[Team, Any]:
    key, _, person_id = scope.subject.partition("/")
    team = Team.objects.select_related("project").filter(project=scope.project, key=key).first()
    pk = _id(person_id)
    person = get_user_model().objects.filter(pk=pk).first() if pk else None
    if team is None or person is None:
        raise NotFound("This team or this person does not exist. Reload the page.")
    return team, person


def _in_words(details: Mapping[str, Any], teams: Mapping[str, str]) -> dict[str, str]:
    team = details["owner_team"]
    return {
        "Kind": FlagKind(details["kind"]).label.lower(),
        "Tags": ", ".join(details["tags"]) or "none",
        "Owner team": teams.get(team, "a team that is gone") if team else "none",
    }


def _id(text: Any) -> uuid.UUID | None:
    try:
        return uuid.UUID(str(text)) if text else None
    except ValueError:
        raise problem("owner_team", "Choose from the list.") from None
