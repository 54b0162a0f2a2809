"""Asking the rules of a project about a request, and keeping what they saw and said as evidence."""

from datetime import datetime
from typing import Any

from flags.services.tickets import governed_write
from rollouts.errors import PolicyRefused
from rollouts.models import ChangeRequest, Judgement
from rollouts.policies import Facts, Finding, Rule
from rollouts.policies.findings import refusals
from rollouts.selectors.facts import facts_of
from rollouts.selectors.rules import active_rules, ruled
from rollouts.transitions import Act


def judge_content(request: ChangeRequest, act: Act, *, now: datetime) -> tuple[Finding, ...]:
    """What the rules say about the content that `act` puts up for review, kept. Raises PolicyRefused."""
    facts = facts_of(request, now=now)
    found = ruled([request], read=lambda row: facts)[request.pk]
    refuse_by_rule(request, found.findings)
    keep_judgement(request, act, found.facts or facts, found.findings, now=now)
    return found.findings


def refuse_by_rule(request: ChangeRequest, findings: tuple[Finding, ...]) -> None:
    """Raise PolicyRefused, with every reason, where a rule refuses the change."""
    found = refusals(findings)
    if found:
        said = " ".join(f"“{finding.name}”: {finding.sentence} The reason: {finding.rationale}" for finding in found)
        raise PolicyRefused(
            f"#{request.number} is refused by {'a rule' if len(found) == 1 else 'rules'} of {request.project.name}. "
            f"{said}",
            rules=[finding.label for finding in found],
        )


def keep_judgement(
    request: ChangeRequest, act: Act, facts: Facts, findings: tuple[Finding, ...], *, now: datetime
) -> None:
    """Store the rules as they are, the facts they saw and what they found."""
    with governed_write(request.environment_id):
        Judgement.objects.create(
            request=request,
            environment=request.environment,
            digest=request.digest,
            occasion=act.value,
            rules=[stored(rule) for rule in active_rules(request.project_id)],
            facts=facts.as_json(),
            findings=[finding.as_json() for finding in findings],
            created_at=now,
        )


def stored(rule: Rule) -> dict[str, Any]:
    """A rule with its key and version, as a judgement keeps it."""
    return {**rule.as_json(), "key": rule.key, "version": rule.version}


def findings_data(findings: tuple[Finding, ...]) -> dict[str, Any]:
    """What an audit event keeps of findings: rules, versions and effects; nothing where no rule applied."""
    told = [{"rule": finding.label, "effect": finding.effect.value} for finding in findings]
    return {"findings": told} if told else {}
