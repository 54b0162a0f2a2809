"""The root of every error the product raises on purpose.

A domain error has a stable `code` (API clients switch on it), an HTTP `status`, a `title` that never varies, a
`message` that says what happened, why and what to do next, and `facts` for programs. One handler in
`flagsite.problems` turns it into RFC 9457.
"""

from typing import Any, ClassVar


class GovernanceError(Exception):
    """Something the rules of the product do not allow."""

    code: ClassVar[str] = "governance_error"
    status: ClassVar[int] = 400
    title: ClassVar[str] = "The request cannot be carried out"

    def __init__(self, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.message = message
        self.facts = facts


class OutsideTransaction(GovernanceError):
    """Evidence was to be written outside the transaction of the act it proves."""

    code = "outside_transaction"
    status = 500
    title = "An audit event needs the transaction of its act"


class InvalidEvidence(GovernanceError):
    """An audit event was to hold a value that cannot be stored or hashed; `facts["column"]` names where."""

    code = "invalid_evidence"
    status = 400
    title = "This text cannot be recorded"


class ChainMoved(GovernanceError):
    """Another transaction appended to the chain between reading its head and advancing it; nothing was written."""

    code = "audit_chain_moved"
    status = 409
    title = "Something else was recorded at the same moment"


class InvalidInput(GovernanceError):
    """Something given holds a value that cannot be used; `facts["problems"]` lists path and message of each."""

    code = "invalid_input"
    status = 400
    title = "Some values cannot be used"


class TrailNotVisible(GovernanceError):
    """The caller may read no part of the trail."""

    code = "trail_not_visible"
    status = 403
    title = "You may not read the audit trail"
