"""Pure: what a change needs before it is applied. Approvals and the four-eyes rule, and the rules of a project."""

from rollouts.policies.approvals import (
    DEFAULT_EXPIRES_AFTER_HOURS,
    DEFAULT_REQUIRED_APPROVALS,
    Case,
    Policy,
    Verdict,
    counted_approvers,
    judge,
    may_abstain,
    may_apply_at_once,
    may_approve,
    may_lift,
    may_object,
    objectors,
    stricter,
)
from rollouts.policies.demands import DemandState
from rollouts.policies.directories import Directory, Team
from rollouts.policies.facts import Facts, FlagFacts, LintFact
from rollouts.policies.findings import Finding, findings_of
from rollouts.policies.people import Approver, GivenApproval, ServiceYes
from rollouts.policies.requirements import Requirement
from rollouts.policies.rules import Effect, Rule, is_looser

__all__ = [
    "DEFAULT_EXPIRES_AFTER_HOURS",
    "DEFAULT_REQUIRED_APPROVALS",
    "Approver",
    "Case",
    "DemandState",
    "Directory",
    "Effect",
    "Facts",
    "Finding",
    "FlagFacts",
    "GivenApproval",
    "LintFact",
    "Policy",
    "Requirement",
    "Rule",
    "ServiceYes",
    "Team",
    "Verdict",
    "counted_approvers",
    "findings_of",
    "is_looser",
    "judge",
    "may_abstain",
    "may_apply_at_once",
    "may_approve",
    "may_lift",
    "may_object",
    "objectors",
    "stricter",
]
