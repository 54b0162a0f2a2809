"""“What would this rule have stopped?”: a rule against what is known of past requests."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum

from rollouts.policies.demands import demands_of
from rollouts.policies.directories import Directory
from rollouts.policies.facts import Facts
from rollouts.policies.findings import Finding, findings_of
from rollouts.policies.rules import Effect, Rule
from rollouts.policies.words import demands_in_words


class Outcome(StrEnum):
    """What the rule would have done, the hardest first."""

    REFUSED = "refused"
    WAITED = "waited"
    WARNED = "warned"
    PASSED = "passed"

    @property
    def is_different(self) -> bool:
        """Whether the request would not have come through as it did."""
        return self in (Outcome.REFUSED, Outcome.WAITED)


@dataclass(frozen=True, slots=True)
class PastRequest:
    """One request of the past. `approver_ids` are those whose yes its last content had."""

    id: str
    facts: Facts
    approver_ids: frozenset[str]
    has_service: bool = False


@dataclass(frozen=True, slots=True)
class ReplayLine:
    """What the rule would have done with one request. `unknown`: facts that nobody stored; it may not have applied."""

    id: str
    outcome: Outcome
    sentence: str
    unknown: tuple[str, ...]


def replay(rule: Rule, past: Iterable[PastRequest], directory: Directory) -> tuple[ReplayLine, ...]:
    """One line for every request the rule would have applied to, in the order given. Teams count as they are now."""
    return tuple(line for request in past if (line := _line(rule, request, directory)) is not None)


def _line(rule: Rule, past: PastRequest, directory: Directory) -> ReplayLine | None:
    findings = findings_of([rule], past.facts, directory)
    if not findings:
        return None
    outcome, sentence = _outcome(findings[0], past, directory)
    return ReplayLine(past.id, outcome, sentence, findings[0].unknown)


def _outcome(finding: Finding, past: PastRequest, directory: Directory) -> tuple[Outcome, str]:
    if finding.effect is Effect.REFUSE:
        return Outcome.REFUSED, "It would have been refused."
    if finding.effect is Effect.WARN:
        return Outcome.WARNED, "Its reviewers would have been warned."
    if finding.requirement is None:
        return Outcome.PASSED, "Nothing more would have been demanded."
    words = demands_in_words(finding.requirement, directory)
    lacking = _lacking([finding], past, directory)
    if not lacking:
        return Outcome.PASSED, f"It had what the rule demands: {words}."
    return Outcome.WAITED, f"It would have waited for more: {'; '.join(lacking)}."


def _lacking(findings: Collection[Finding], past: PastRequest, directory: Directory) -> list[str]:
    """What the approvals of then lack, in words."""
    lacking = []
    for finding in findings:
        if finding.requirement and len(past.approver_ids) < finding.requirement.approvals:
            lacking.append(f"{finding.requirement.approvals} approvals, it had {len(past.approver_ids)}")
        if finding.requirement and finding.requirement.service and not past.has_service:
            lacking.append("a service account")
    for demand in demands_of(findings, directory):
        given = len(past.approver_ids & demand.member_ids)
        if given < demand.count:
            lacking.append(f"{demand.words}, it had {given}")
    return lacking
