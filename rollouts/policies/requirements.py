"""What a rule demands beside the environment's approval policy, and how several demands add up."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, order=True)
class TeamDemand:
    """So many people of one team."""

    team_id: str
    count: int


@dataclass(frozen=True, slots=True, order=True)
class PeopleDemand:
    """So many of these people; ids in order."""

    ids: tuple[str, ...]
    count: int


@dataclass(frozen=True, slots=True)
class Requirement:
    """Who has to agree. Everything in it has to be met; one person's approval may meet several parts.

    `approvals` is a total, not an addition. `owner_teams` asks for one of the owner team of every flag the change
    moves; `unowned` are flags for which that was asked and that have none. `service`: a service account as well.
    """

    approvals: int = 0
    teams: tuple[TeamDemand, ...] = ()
    people: tuple[PeopleDemand, ...] = ()
    owner_teams: bool = False
    service: bool = False
    unowned: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether it demands nothing."""
        return self == NOTHING

    def as_json(self) -> dict[str, Any]:
        """The stored form."""
        return {
            "approvals": self.approvals,
            "teams": [{"team": team.team_id, "count": team.count} for team in self.teams],
            "people": [{"ids": list(people.ids), "count": people.count} for people in self.people],
            "owner_teams": self.owner_teams,
            "service": self.service,
            "unowned": list(self.unowned),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Requirement":
        """The requirement of a stored form; parts that are left out demand nothing."""
        return cls(
            approvals=int(value.get("approvals", 0)),
            teams=tuple(sorted(TeamDemand(str(team["team"]), int(team["count"])) for team in value.get("teams", ()))),
            people=tuple(
                sorted(
                    PeopleDemand(tuple(sorted(map(str, people["ids"]))), int(people["count"]))
                    for people in value.get("people", ())
                )
            ),
            owner_teams=bool(value.get("owner_teams", False)),
            service=bool(value.get("service", False)),
            unowned=tuple(value.get("unowned", ())),
        )


NOTHING = Requirement()


def combined(requirements: Iterable[Requirement]) -> Requirement:
    """What meets all of them: the highest number everywhere, every team, every group of people."""
    every = list(requirements)
    return Requirement(
        approvals=max((one.approvals for one in every), default=0),
        teams=_teams(team for one in every for team in one.teams),
        people=_people(people for one in every for people in one.people),
        owner_teams=any(one.owner_teams for one in every),
        service=any(one.service for one in every),
        unowned=tuple(sorted({key for one in every for key in one.unowned})),
    )


def covers(demanding: Requirement, other: Requirement) -> bool:
    """Whether whatever meets `demanding` meets `other` as well."""
    counts = {team.team_id: team.count for team in demanding.teams}
    return (
        demanding.approvals >= other.approvals
        and all(counts.get(team.team_id, 0) >= team.count for team in other.teams)
        and all(any(_covers_people(own, people) for own in demanding.people) for people in other.people)
        and demanding.owner_teams >= other.owner_teams
        and demanding.service >= other.service
        and set(demanding.unowned) >= set(other.unowned)
    )


def _covers_people(demanding: PeopleDemand, other: PeopleDemand) -> bool:
    return set(demanding.ids) <= set(other.ids) and demanding.count >= other.count


def _teams(teams: Iterable[TeamDemand]) -> tuple[TeamDemand, ...]:
    counts: dict[str, int] = {}
    for team in teams:
        counts[team.team_id] = max(team.count, counts.get(team.team_id, 0))
    return tuple(sorted(TeamDemand(team_id, count) for team_id, count in counts.items()))


def _people(people: Iterable[PeopleDemand]) -> tuple[PeopleDemand, ...]:
    counts: dict[tuple[str, ...], int] = {}
    for demand in people:
        counts[demand.ids] = max(demand.count, counts.get(demand.ids, 0))
    return tuple(sorted(PeopleDemand(ids, count) for ids, count in counts.items()))
