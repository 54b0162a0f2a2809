"""Watches: what apps above this one make depend on the details of flags and on who is in a team.

`flags` knows no rules and no calendar. An app that does registers a watch when it is loaded. The services that change
such details ask every watch what could then be passed; where something could, it takes two people.
"""

from datetime import datetime
from typing import Any, Protocol

from django.db.models import Q

from flags.models import Environment, Flag, Project, Team
from flags.settings_authority import SettingChange

DETAILS, MEMBER = "flag_details", "team_member"


class Watch(Protocol):
    """Names, such as “the rule “Payments””, of what lets more through after a change."""

    def details(self, project: Project, before: dict[str, Any], after: dict[str, Any], *, now: datetime) -> list[str]:
        """What a flag could pass once it has the kind, the tags and the owner team of `after`."""

    def member(self, team: Team, *, now: datetime) -> list[str]:
        """What one more member of this team could meet."""


_watches: dict[str, Watch] = {}


def register_watch(name: str, watch: Watch) -> None:
    """Ask `watch` from now on; a watch of the same name is replaced."""
    _watches[name] = watch


def details_of(flag: Flag) -> dict[str, Any]:
    """Kind, tags and owner team of a flag, as proposals and the audit trail keep them."""
    team = str(flag.owner_team_id) if flag.owner_team_id else None
    return {"kind": flag.kind, "tags": list(flag.tags), "owner_team": team}


def details_change(
    project: Project, flag_key: str, before: dict[str, Any], after: dict[str, Any], *, now: datetime
) -> SettingChange:
    """Other details of a flag, with the names of what that could let pass under `passes`."""
    found = [name for watch in _watches.values() for name in watch.details(project, before, after, now=now)]
    return _change(DETAILS, project, flag_key, before, after, found)


def member_change(team: Team, person_id: object, *, is_member: bool, now: datetime) -> SettingChange:
    """One more member of a team, with the names of what that could meet under `passes`."""
    found = [] if is_member else [name for watch in _watches.values() for name in watch.member(team, now=now)]
    before, after = {"is_member": is_member}, {"is_member": True}
    return _change(MEMBER, team.project, f"{team.key}/{person_id}", before, after, found)


def lets_pass(change: SettingChange) -> bool:
    """Whether the change takes two people."""
    return bool(change.after["passes"])


def _change(
    kind: str, project: Project, subject: str, before: dict[str, Any], after: dict[str, Any], found: list[str]
) -> SettingChange:
    return SettingChange(
        kind=kind,
        project_id=str(project.pk),
        subject=subject,
        before={**before, "passes": []},
        after={**after, "passes": sorted(set(found)) if found and _is_guarded(project) else []},
    )


def _is_guarded(project: Project) -> bool:
    """Whether something of the project is protected, or was until two people opened it for a while."""
    guarded = Q(is_protected=True) | Q(unprotected_by__isnull=False)
    return Environment.objects.filter(guarded, project=project).exists()
