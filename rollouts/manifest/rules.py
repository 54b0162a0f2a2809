"""Policy rules in a manifest name teams by key and people by user name, where stored ones hold ids."""

import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from rollouts.policies.rules import rule_problems

from .errors import Path

Rename = Callable[[str], str]


def renamed(document: Mapping[str, Any], *, team: Rename, person: Rename) -> dict[str, Any]:
    """The document with other names for teams and people, both in order. What has another shape stays as it is."""
    requirement = document.get("requirement")
    if not isinstance(requirement, Mapping):
        return dict(document)
    changed = dict(requirement)
    if _is_list_with(requirement.get("teams"), "team", str):
        teams = [{**item, "team": team(item["team"])} for item in requirement["teams"]]
        changed["teams"] = sorted(teams, key=lambda item: str(item["team"]))
    if _is_list_with(requirement.get("people"), "ids", list):
        changed["people"] = sorted(
            ({**item, "ids": sorted(person(str(one)) for one in item["ids"])} for item in requirement["people"]),
            key=lambda item: (item["ids"], str(item.get("count"))),
        )
    return {**document, "requirement": changed}


def named_in(document: Mapping[str, Any]) -> Iterator[tuple[Path, bool, str]]:
    """Every name in a rule: where it stands, whether it is a team's, and the name. What has another shape has none."""
    requirement = document.get("requirement")
    if not isinstance(requirement, Mapping):
        return
    if _is_list_with(requirement.get("teams"), "team", str):
        for number, item in enumerate(requirement["teams"]):
            yield ("requirement", "teams", number, "team"), True, item["team"]
    if _is_list_with(requirement.get("people"), "ids", list):
        for number, item in enumerate(requirement["people"]):
            for place, name in enumerate(item["ids"]):
                yield ("requirement", "people", number, "ids", place), False, str(name)


def named_rule_problems(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What is wrong with a rule whose teams and people are named; whether they exist is another question."""
    return rule_problems(renamed(document, team=_stand_in, person=_stand_in))


def in_normal_form(document: Mapping[str, Any]) -> dict[str, Any]:
    """A valid rule as it is compared."""
    result = renamed(document, team=str, person=str)
    return {**result, "name": result["name"].strip(), "rationale": result["rationale"].strip()}


def _stand_in(name: str) -> str:
    """An id for a name, so that the shape of a rule can be judged where nobody knows the ids."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, name))


def _is_list_with(value: object, name: str, kind: type) -> bool:
    return isinstance(value, list) and all(
        isinstance(item, Mapping) and isinstance(item.get(name), kind) for item in value
    )
