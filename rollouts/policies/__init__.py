"""Pure: what a change needs before it is applied. Approvals and the four-eyes rule, and the rules of a project."""

from rollouts.policies.approvals import (
    DEFAULT_EXPIRES_AFTER_HOURS,
    DEFAULT_REQUIRED_APPROVALS,
    Approver,
    Case,
    GivenApproval,
    Policy,
    Verdict,
    counted_approvers,
    judge,
    may_approve,
    stricter,
)

__all__ = [
    "DEFAULT_EXPIRES_AFTER_HOURS",
    "DEFAULT_REQUIRED_APPROVALS",
    "Approver",
    "Case",
    "GivenApproval",
    "Policy",
    "Verdict",
    "counted_approvers",
    "judge",
    "may_approve",
    "stricter",
]
