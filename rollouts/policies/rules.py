"""Rules: which changes meet more than the approval policy of their environment, and why. Documents, checks, comparison.

A rule only ever adds. Several rules add up, whatever their order, and the most restrictive one wins.
"""

import hashlib
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from audits.integrity import canonical_json
from rollouts.policies.conditions import KINDS, Condition
from rollouts.policies.directories import Directory
from rollouts.policies.requirements import NOTHING, Requirement, covers
from rollouts.policies.words import demands_in_words

MOST_CONDITIONS = 12
MOST_APPROVALS = 10
MOST_DEMANDS = 10
LONGEST_NAME = 120
LONGEST_RATIONALE = 500
SCHEMA = 1


class Effect(StrEnum):
    """What a rule that applies does, the mildest first."""

    ALLOW = "allow"
    WARN = "warn"
    REQUIRE = "require"
    REFUSE = "refuse"

    @property
    def rank(self) -> int:
        """How restrictive it is."""
        return list(Effect).index(self)

    @property
    def label(self) -> str:
        """The effect in words."""
        return {"allow": "Demands nothing more", "warn": "Warns", "require": "Demands", "refuse": "Refuses"}[self.value]


@dataclass(frozen=True, slots=True)
class Rule:
    """One version of a rule. `rationale` ends the sentence “… because”."""

    key: str
    version: int
    name: str
    rationale: str
    effect: Effect
    conditions: tuple[Condition, ...]
    requirement: Requirement = NOTHING
    is_active: bool = True

    def sentence(self, directory: Directory) -> str:
        """The rule as one sentence."""
        return f"When a change {self.circumstances}, {self.consequence(directory)}."

    @property
    def circumstances(self) -> str:
        """When it applies, as the continuation of “When a change …”."""
        words = [condition.words for condition in self.conditions]
        return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"

    def consequence(self, directory: Directory, requirement: Requirement | None = None) -> str:
        """What follows, without a full stop. `requirement` stands in for the rule's own, with owner teams named."""
        match self.effect:
            case Effect.ALLOW:
                return "this rule demands nothing more than the approval policy"
            case Effect.WARN:
                return "whoever reviews it is warned"
            case Effect.REFUSE:
                return "it is refused"
            case Effect.REQUIRE:
                return f"{demands_in_words(requirement or self.requirement, directory)} must approve"

    def as_json(self) -> dict[str, Any]:
        """The stored document, without key and version."""
        return {
            "schema": SCHEMA,
            "name": self.name,
            "rationale": self.rationale,
            "effect": self.effect.value,
            "conditions": [condition.as_json() for condition in self.conditions],
            "requirement": self.requirement.as_json(),
            "is_active": self.is_active,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any], *, key: str, version: int) -> "Rule":
        """The rule of a checked document."""
        conditions = [
            Condition(item["kind"], {name: item[name] for name in item if name != "kind"})
            for item in value["conditions"]
        ]
        return cls(
            key,
            version,
            value["name"],
            value["rationale"],
            Effect(value["effect"]),
            tuple(conditions),
            Requirement.from_json(value["requirement"]),
            bool(value["is_active"]),
        )


def rule_digest(document: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of the canonical JSON of a rule's document."""
    return hashlib.sha256(canonical_json(document)).hexdigest()


def rule_problems(document: object) -> list[tuple[str, str]]:
    """What is wrong with a document: the field, and what to do about it."""
    wanted = {"schema", "name", "rationale", "effect", "conditions", "requirement", "is_active"}
    if not isinstance(document, dict) or document.keys() != wanted or document["schema"] != SCHEMA:
        return [("", f"A rule is an object with the fields {', '.join(sorted(wanted))}, schema {SCHEMA}.")]
    found = [
        *_text(document, "name", LONGEST_NAME, "Give the rule a name that people recognise."),
        *_text(document, "rationale", LONGEST_RATIONALE, "Say why: people read it when the rule stops them."),
        *_condition_problems(document["conditions"]),
    ]
    if not isinstance(document["is_active"], bool):
        found.append(("is_active", "Say whether the rule is active."))
    if document["effect"] not in set(Effect):
        return [*found, ("effect", "Choose what the rule does.")]
    problems = _requirement_problems(document["requirement"])
    if not problems:
        is_empty = Requirement.from_json(document["requirement"]).is_empty
        if document["effect"] == Effect.REQUIRE and is_empty:
            problems = [("requirement", "Say who must approve, or choose another effect.")]
        if document["effect"] != Effect.REQUIRE and not is_empty:
            problems = [("requirement", "Only a rule that demands approvals says whose.")]
    return found + problems


def is_looser(before: Rule | None, after: Rule | None) -> bool:
    """Whether `after` in the place of `before` might let something pass that `before` stopped. None: no such rule.

    What cannot be shown to be as strict counts as looser. A rule that is new never is: rules only add.
    """
    if before is None or not before.is_active or before.effect is Effect.ALLOW:
        return False
    if after is None or not after.is_active or after.effect.rank < before.effect.rank:
        return True
    if not _is_at_least_as_wide(after.conditions, before.conditions):
        return True
    return before.effect is after.effect and not covers(after.requirement, before.requirement)


def active(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """The rules that count, in an order that depends on nothing but themselves; each version once."""
    unique = {(rule.key, rule.version, rule_digest(rule.as_json())): rule for rule in rules if rule.is_active}
    return tuple(unique[name] for name in sorted(unique))


def _is_at_least_as_wide(conditions: Iterable[Condition], others: tuple[Condition, ...]) -> bool:
    """Whether all of `conditions` hold wherever all of `others` do."""
    return all(any(own.is_at_least_as_wide(other) for other in others) for own in conditions)


def _text(document: dict[str, Any], name: str, longest: int, words: str) -> list[tuple[str, str]]:
    text = document[name]
    if not isinstance(text, str) or not text.strip():
        return [(name, words)]
    return [(name, f"Use at most {longest} characters.")] if len(text) > longest else []


def _condition_problems(value: object) -> list[tuple[str, str]]:
    if not isinstance(value, list) or not value or len(value) > MOST_CONDITIONS:
        return [("conditions", f"Choose 1 to {MOST_CONDITIONS} conditions: a rule says which changes it is about.")]
    found: list[tuple[str, str]] = []
    for item in value:
        kind = KINDS.get(item.get("kind", "")) if isinstance(item, dict) and isinstance(item.get("kind"), str) else None
        if kind is None or item.keys() != {"kind", *(parameter.name for parameter in kind.parameters)}:
            return [("conditions", "There is no such condition. Choose from the list.")]
        for parameter in kind.parameters:
            if problem := parameter.problem(item[parameter.name]):
                found.append((f"{kind.name}.{parameter.name}", problem))
    kinds = [item["kind"] for item in value]
    if len(set(kinds)) < len(kinds):
        found.append(("conditions", "Use each condition once: all of them must hold."))
    return found


def _requirement_problems(value: object) -> list[tuple[str, str]]:
    problem = [("requirement", "Say who must approve: a number, teams, named people, owner teams or a service.")]
    if not isinstance(value, dict) or value.keys() != Requirement().as_json().keys() or value["unowned"]:
        return problem
    if not _is_count(value["approvals"], lowest=0) or not all(
        isinstance(value[name], bool) for name in ("owner_teams", "service")
    ):
        return problem
    demands = [value["teams"], value["people"]]
    if not all(isinstance(items, list) and len(items) <= MOST_DEMANDS for items in demands):
        return problem
    if not all(_is_team(item) for item in value["teams"]) or not all(_is_people(item) for item in value["people"]):
        return [("requirement", f"Ask for 1 to {MOST_APPROVALS} people of each team, and for no more than are named.")]
    teams = [item["team"] for item in value["teams"]]
    return [("requirement", "Name each team once.")] if len(set(teams)) < len(teams) else []


def _is_team(item: object) -> bool:
    return (
        isinstance(item, dict)
        and item.keys() == {"team", "count"}
        and _is_id(item["team"])
        and _is_count(item["count"])
    )


def _is_people(item: object) -> bool:
    if not isinstance(item, dict) or item.keys() != {"ids", "count"} or not isinstance(item["ids"], list):
        return False
    ids = item["ids"]
    return all(map(_is_id, ids)) and _is_count(item["count"]) and item["count"] <= len(set(ids)) == len(ids)


def _is_id(value: object) -> bool:
    try:
        return isinstance(value, str) and str(uuid.UUID(value)) == value
    except ValueError:
        return False


def _is_count(value: object, *, lowest: int = 1) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and lowest <= value <= MOST_APPROVALS
