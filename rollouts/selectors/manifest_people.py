"""People and teams that a manifest names and that nobody has. Who stands there already may stay, also when he left."""

from collections.abc import Iterator, Mapping
from typing import Any

from rollouts.manifest.errors import Path, Problem
from rollouts.manifest.rules import named_in
from rollouts.selectors.manifests import Present

# The same words for a name of nobody and one of somebody elsewhere: who has an account is nobody's business.
NO_PERSON = "Nobody with an active account and a role in the project has this user name."
NO_TEAM = "The project has no team with this key."


def unknown_people(manifest: Mapping[str, Any], present: Present) -> Iterator[Problem]:
    """A problem for every user name and every team that is nowhere in the project."""
    for key, entry in manifest.get("flags", {}).items():
        before = present.manifest["flags"].get(key, {})
        if entry.get("owner") and entry["owner"] != before.get("owner"):
            yield from _person(("flags", key, "owner"), entry["owner"], present)
        if entry.get("team"):
            yield from _team(("flags", key, "team"), entry["team"], present)
    for key, rule in manifest.get("policy_rules", {}).items():
        known = {name for _, _, name in named_in(present.manifest["policy_rules"].get(key, {}))}
        for path, is_team, name in named_in(rule):
            if name not in known:
                yield from (_team if is_team else _person)(("policy_rules", key, *path), name, present)
    for key, environment in manifest.get("environments", {}).items():
        known = set(present.manifest["environments"].get(key, {}).get("policy", {}).get("named_approvers", ()))
        for number, name in enumerate((environment.get("policy") or {}).get("named_approvers", ())):
            if name not in known:
                yield from _person(("environments", key, "policy", "named_approvers", number), name, present)


def _person(path: Path, name: str, present: Present) -> Iterator[Problem]:
    if name not in present.members:
        yield Problem(path, NO_PERSON)


def _team(path: Path, key: str, present: Present) -> Iterator[Problem]:
    if key not in present.teams:
        yield Problem(path, NO_TEAM)
