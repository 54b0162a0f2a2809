"""Demands in words."""

from rollouts.policies.directories import Directory
from rollouts.policies.requirements import Requirement


def demands_in_words(requirement: Requirement, directory: Directory) -> str:
    """Who must approve: “2 from Security, one of the owner team of each flag and a service account”."""
    parts = []
    if requirement.approvals:
        parts.append(f"{requirement.approvals} {'person' if requirement.approvals == 1 else 'people'} in all")
    parts += [f"{team.count} from {directory.team(team.team_id).name}" for team in requirement.teams]
    parts += [people_in_words(people.ids, people.count, directory) for people in requirement.people]
    if requirement.owner_teams:
        parts.append("one of the owner team of each flag")
    parts += [f"one of the owner team of “{key}”, which has none," for key in requirement.unowned]
    if requirement.service:
        parts.append("a service account beside the people")
    if not parts:
        return "nobody beside the approval policy"
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def people_in_words(ids: tuple[str, ...], count: int, directory: Directory) -> str:
    """“Ben Okafor”, or “2 of Ben Okafor, Rosa Klein, Ida Berg”."""
    names = sorted(map(directory.person, ids))
    if len(names) == count:
        return names[0] if count == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    return f"{count} of {', '.join(names)}"
