"""The teams and people that rules name, as they are now."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Team:
    """A team and the ids of its members."""

    name: str
    member_ids: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Directory:
    """Teams and names of people by id. Who is in neither is gone and called so."""

    teams: Mapping[str, Team] = field(default_factory=dict)
    people: Mapping[str, str] = field(default_factory=dict)

    def team(self, team_id: str) -> Team:
        """The team; one that is gone has no members."""
        return self.teams.get(team_id, Team("a team that is gone"))

    def person(self, person_id: str) -> str:
        """What a person is called."""
        return self.people.get(person_id, "somebody who is gone")
