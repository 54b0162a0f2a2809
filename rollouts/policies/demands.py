"""The demands of rules against the approvals there are: who gave what, what is missing, who can still give it."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from rollouts.policies.directories import Directory
from rollouts.policies.findings import Finding, demanded
from rollouts.policies.people import Approver
from rollouts.policies.words import people_in_words


@dataclass(frozen=True, slots=True)
class Demand:
    """So many people out of a group. `rules` are the names of the rules that ask for it."""

    words: str
    count: int
    member_ids: frozenset[str]
    rules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DemandState:
    """Where a demand stands: who of the group approved, how many are missing and who of it can still approve."""

    demand: Demand
    given: tuple[Approver, ...]
    missing: int
    can: tuple[Approver, ...]

    @property
    def is_reachable(self) -> bool:
        """Whether enough people are left to give what is missing."""
        return self.missing <= len(self.can)

    @property
    def sentence(self) -> str:
        """What it still needs and who can give it, or who gave it."""
        rules = ", ".join(f"“{name}”" for name in self.demand.rules)
        asked = f"{rules} demands {self.demand.words}"
        if not self.missing:
            return f"{asked}: {_people(self.given)} approved."
        so_far = f" {_people(self.given)} approved." if self.given else ""
        if self.is_reachable:
            return f"{asked}.{so_far} Can approve: {_people(self.can)}."
        who = f"only {_people(self.can)} can" if self.can else "nobody can"
        return (
            f"{asked}.{so_far} As things stand {who} give it. Give the role approver to those it names who did not "
            "work on this change, add members or an owner team, or have the rule changed."
        )


def demands_of(findings: Collection[Finding], directory: Directory) -> tuple[Demand, ...]:
    """Every group of people the findings demand approvals of; the highest number for each."""
    wanted = demanded(findings)
    found = []
    for team in wanted.teams:
        known = directory.team(team.team_id)
        rules = _names(
            finding
            for finding in findings
            if finding.requirement and team.team_id in {asked.team_id for asked in finding.requirement.teams}
        )
        found.append(Demand(f"{team.count} from {known.name}", team.count, known.member_ids, rules))
    for people in wanted.people:
        rules = _names(
            finding
            for finding in findings
            if finding.requirement and people.ids in {asked.ids for asked in finding.requirement.people}
        )
        words = people_in_words(people.ids, people.count, directory)
        found.append(Demand(words, people.count, frozenset(people.ids), rules))
    for key in wanted.unowned:
        rules = _names(finding for finding in findings if finding.requirement and key in finding.requirement.unowned)
        found.append(Demand(f"one of the owner team of “{key}”", 1, frozenset(), rules))
    return tuple(found)


def states_of(
    demands: Iterable[Demand], *, approved: Collection[Approver], left: Collection[Approver]
) -> tuple[DemandState, ...]:
    """Each demand against those who approved and those who still can."""
    states = []
    for demand in demands:
        given = tuple(person for person in approved if person.id in demand.member_ids)
        can = tuple(person for person in left if person.id in demand.member_ids)
        states.append(DemandState(demand, given, max(demand.count - len(given), 0), can))
    return tuple(states)


def _names(findings: Iterable[Finding]) -> tuple[str, ...]:
    return tuple(sorted({finding.name for finding in findings}))


def _people(people: Iterable[Approver]) -> str:
    return ", ".join(person.name for person in people)
