"""What the rules say about a change: every rule that applies gives one finding, and all findings count."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from rollouts.policies.directories import Directory
from rollouts.policies.facts import Facts
from rollouts.policies.requirements import Requirement, TeamDemand, combined
from rollouts.policies.rules import Effect, Rule, active


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule that applies. `requirement` is what it demands, with owner teams named; None unless it demands.

    `unknown` are the facts that were not known and therefore counted as if they held.
    """

    effect: Effect
    rule_key: str
    rule_version: int
    name: str
    sentence: str
    rationale: str
    requirement: Requirement | None = None
    unknown: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """Key and version of the rule, as evidence keeps it."""
        return f"{self.rule_key}@{self.rule_version}"

    def as_json(self) -> dict[str, Any]:
        """The stored form."""
        return {
            "effect": self.effect.value,
            "rule_key": self.rule_key,
            "rule_version": self.rule_version,
            "name": self.name,
            "sentence": self.sentence,
            "rationale": self.rationale,
            "requirement": self.requirement.as_json() if self.requirement else None,
            "unknown": list(self.unknown),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Finding":
        """The finding of a stored form."""
        demanded = value["requirement"]
        return cls(
            **{
                **value,
                "effect": Effect(value["effect"]),
                "requirement": Requirement.from_json(demanded) if demanded else None,
                "unknown": tuple(value["unknown"]),
            }
        )


def findings_of(rules: Iterable[Rule], facts: Facts, directory: Directory) -> tuple[Finding, ...]:
    """What every active rule that applies says, the most restrictive first."""
    found = [finding for rule in active(rules) if (finding := _finding(rule, facts, directory)) is not None]
    return tuple(sorted(found, key=lambda finding: (-finding.effect.rank, finding.rule_key, finding.rule_version)))


def demanded(findings: Iterable[Finding]) -> Requirement:
    """All that the findings demand together."""
    return combined(finding.requirement for finding in findings if finding.requirement is not None)


def refusals(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings that refuse."""
    return tuple(finding for finding in findings if finding.effect is Effect.REFUSE)


def _finding(rule: Rule, facts: Facts, directory: Directory) -> Finding | None:
    held = [(condition, condition.holds(facts)) for condition in rule.conditions]
    if any(answer is False for _, answer in held):
        return None
    unknown = tuple(condition.unknown for condition, answer in held if answer is None)
    if unknown and rule.effect is Effect.ALLOW:
        return None
    requirement = _concrete(rule.requirement, facts) if rule.effect is Effect.REQUIRE else None
    consequence = rule.consequence(directory, requirement)
    sentence = f"Because this change {rule.circumstances}, {consequence}."
    if unknown:
        sentence += f" Not known: {'; '.join(unknown)}. What is not known counts as if it were so."
    return Finding(rule.effect, rule.key, rule.version, rule.name, sentence, rule.rationale, requirement, unknown)


def _concrete(requirement: Requirement, facts: Facts) -> Requirement:
    """The requirement with the owner teams of this change's flags in the place of “owner teams”."""
    if not requirement.owner_teams:
        return requirement
    owners = tuple(sorted({TeamDemand(team, 1) for flag in facts.flags for team in flag.owner_teams}))
    named = combined([replace(requirement, owner_teams=False), Requirement(teams=owners)])
    return replace(named, unowned=tuple(sorted(flag.key for flag in facts.flags if not flag.owner_team)))
