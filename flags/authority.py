"""Why a write of served state is allowed. Pure: values that are checked against facts, never looked up.

The single write path asks for one of these and calls `check`. A test pins which module may construct which authority.
"""

from dataclasses import dataclass
from typing import ClassVar, Protocol

from audits.errors import GovernanceError


class ProtectedEnvironment(GovernanceError):
    """A direct edit met a protected environment."""

    code = "protected_environment"
    status = 409
    title = "This environment is protected"


class ConsentMismatch(GovernanceError):
    """What was approved is not what would be applied."""

    code = "consent_mismatch"
    status = 409
    title = "The approved content differs from the content to apply"


class Authority(Protocol):
    """What every authority can say."""

    @property
    def kind(self) -> str:
        """The name of this authority in the audit trail."""

    @property
    def permission(self) -> str:
        """What the actor must hold in the environment."""

    def check(self, *, is_protected: bool, digest: str) -> None:
        """Raise a GovernanceError unless this authority covers content with that digest in such an environment."""

    def evidence(self) -> dict[str, object]:
        """What the audit trail keeps of this authority."""


@dataclass(frozen=True, slots=True)
class DirectEdit:
    """A person with edit rights changes an environment that is not protected."""

    kind: ClassVar[str] = "direct_edit"
    permission: ClassVar[str] = "flags.propose_change"

    def check(self, *, is_protected: bool, digest: str) -> None:
        """Raise ProtectedEnvironment in a protected environment."""
        if is_protected:
            raise ProtectedEnvironment(
                "This environment is protected, so nothing in it changes without approval. Propose the change instead."
            )

    def evidence(self) -> dict[str, object]:
        """What the audit trail keeps of this authority."""
        return {"authority": self.kind}


@dataclass(frozen=True, slots=True)
class ApprovedChange:
    """A change request whose approvals were judged sufficient for exactly this content.

    `digest` is the digest the approvers saw, `content_digest` that of the change set without its schedule.
    """

    request_id: str
    digest: str
    content_digest: str
    approver_ids: tuple[str, ...]
    required_approvals: int

    kind: ClassVar[str] = "approved_change"
    permission: ClassVar[str] = "flags.apply_change"

    def check(self, *, is_protected: bool, digest: str) -> None:
        """Raise ConsentMismatch unless enough people approved exactly the content with `digest`."""
        if digest != self.content_digest:
            raise ConsentMismatch(
                "The content to apply is not the content that was approved. Submit the change again for review."
            )
        if self.required_approvals < 1 or len(set(self.approver_ids)) < self.required_approvals:
            raise ConsentMismatch("The approvals do not reach the number this environment requires. Ask for review.")

    def evidence(self) -> dict[str, object]:
        """What the audit trail keeps of this authority."""
        return {
            "authority": self.kind,
            "request_id": self.request_id,
            "approved_digest": self.digest,
            "approver_ids": list(self.approver_ids),
            "required_approvals": self.required_approvals,
        }
