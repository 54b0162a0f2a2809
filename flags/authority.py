"""Why a write of served state is allowed. Pure: values that are checked against facts, never looked up.

The single write path asks for one of these and calls `check`. A test pins which module may construct which authority.
"""

from dataclasses import dataclass
from typing import ClassVar, Protocol

from audits.errors import GovernanceError

PROPOSE = "flags.propose_change"
APPLY = "flags.apply_change"
BREAK_GLASS = "flags.break_glass"


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


class NotNarrowing(GovernanceError):
    """A change was to be applied at once, but it shows something to somebody who did not get it before."""

    code = "not_narrowing"
    status = 409
    title = "This change does not only narrow"


class NotProtected(GovernanceError):
    """Break-glass in an environment that anybody with the role editor changes directly."""

    code = "not_protected"
    status = 409
    title = "This environment is not protected"


class Authority(Protocol):
    """What every authority can say."""

    @property
    def kind(self) -> str:
        """The name of this authority in the audit trail."""

    @property
    def permissions(self) -> tuple[str, ...]:
        """What the actor must hold in the environment; one of these will do."""

    def demands_narrowing(self, *, is_protected: bool) -> bool:
        """Whether it covers only changes that expose nobody anew."""

    def check(self, *, is_protected: bool, digest: str) -> None:
        """Raise a GovernanceError unless this authority covers content with that digest in such an environment."""

    def evidence(self) -> dict[str, object]:
        """What the audit trail keeps of this authority."""


@dataclass(frozen=True, slots=True)
class DirectEdit:
    """A person with edit rights changes an environment that is not protected."""

    kind: ClassVar[str] = "direct_edit"
    permissions: ClassVar[tuple[str, ...]] = (PROPOSE,)

    def demands_narrowing(self, *, is_protected: bool) -> bool:
        """Where it is allowed at all, any change will do."""
        return False

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
class Retirement(DirectEdit):
    """A person archives or revives a flag in an environment that is not protected, after a look at who needs it."""

    kind: ClassVar[str] = "retirement"


@dataclass(frozen=True, slots=True)
class ApprovedChange:
    """A change request whose approvals were judged sufficient for exactly this content.

    `digest` is the digest the approvers saw, `content_digest` that of the change set without its schedule. `rules` are
    the rules that applied, as key and version.
    """

    request_id: str
    digest: str
    content_digest: str
    approver_ids: tuple[str, ...]
    required_approvals: int
    rules: tuple[str, ...] = ()

    kind: ClassVar[str] = "approved_change"
    permissions: ClassVar[tuple[str, ...]] = (APPLY,)

    def demands_narrowing(self, *, is_protected: bool) -> bool:
        """Whatever was approved is covered."""
        return False

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
            **({"rules": list(self.rules)} if self.rules else {}),
        }


@dataclass(frozen=True, slots=True)
class Narrowing:
    """Somebody with edit rights takes exposure away at once. `reason_code` says from where, such as “switch_off”.

    The write path finds out under its locks whether the change only narrows, and refuses where it does not.
    """

    reason_code: str
    request_id: str = ""

    kind: ClassVar[str] = "narrowing"
    permissions: ClassVar[tuple[str, ...]] = (PROPOSE, APPLY)

    def demands_narrowing(self, *, is_protected: bool) -> bool:
        """Always."""
        return True

    def check(self, *, is_protected: bool, digest: str) -> None:
        """Whether the content is covered depends on what it does, not on its digest."""

    def evidence(self) -> dict[str, object]:
        """What the audit trail keeps of this authority."""
        request = {"request_id": self.request_id} if self.request_id else {}
        return {"authority": self.kind, "reason_code": self.reason_code, **request}


@dataclass(frozen=True, slots=True)
class Reversal:
    """Somebody goes back to what was served before: `what` is rolled back or restored, `target` is to where.

    In a protected environment it covers only what narrows; anything else is proposed.
    """

    what: str
    target: str

    kind: ClassVar[str] = "reversal"
    permissions: ClassVar[tuple[str, ...]] = (PROPOSE, APPLY)

    def demands_narrowing(self, *, is_protected: bool) -> bool:
        """In protected environments."""
        return is_protected

    def check(self, *, is_protected: bool, digest: str) -> None:
        """Whether the content is covered depends on what it does, not on its digest."""

    def evidence(self) -> dict[str, object]:
        """What the audit trail keeps of this authority."""
        return {"authority": self.kind, "what": self.what, "target": self.target}


@dataclass(frozen=True, slots=True)
class BreakGlass:
    """An emergency: a protected environment is changed without approval, and the use is reviewed afterwards."""

    use_id: str

    kind: ClassVar[str] = "break_glass"
    permissions: ClassVar[tuple[str, ...]] = (BREAK_GLASS,)

    def demands_narrowing(self, *, is_protected: bool) -> bool:
        """In an emergency anything may be needed."""
        return False

    def check(self, *, is_protected: bool, digest: str) -> None:
        """Raise NotProtected where nothing has to be broken."""
        if not is_protected:
            raise NotProtected("This environment is not protected, so there is nothing to break. Edit it directly.")

    def evidence(self) -> dict[str, object]:
        """What the audit trail keeps of this authority."""
        return {"authority": self.kind, "use_id": self.use_id}


@dataclass(frozen=True, slots=True)
class PlanStage:
    """A stage of a rollout plan: what its documents are was laid down, and in a protected environment approved, before.

    `stage` 0 is how it was before the plan. `request_id` is the approved change request, empty for a plan that somebody
    started in an environment without protection; `approved_digest` what its approvers saw, `content_digest` that of the
    change set to write. `goes_back`: to a stage that was served before, or to the start. Such a way back was part of
    what was approved, and is open at any time. `must_narrow`: it is not any more, or not to whoever goes back, so that
    only what exposes nobody is covered.
    """

    plan_id: str
    stage: int
    attempt: int
    content_digest: str
    request_id: str = ""
    approved_digest: str = ""
    approver_ids: tuple[str, ...] = ()
    required_approvals: int = 0
    rules: tuple[str, ...] = ()
    verdict_ids: tuple[str, ...] = ()
    goes_back: bool = False
    must_narrow: bool = False

    kind: ClassVar[str] = "plan_stage"

    @property
    def permissions(self) -> tuple[str, ...]:
        """Release managers take an approved plan forward, as any approved change; editors as well on other ways."""
        return (APPLY,) if self.request_id and not self.goes_back else (PROPOSE, APPLY)

    def demands_narrowing(self, *, is_protected: bool) -> bool:
        """Every document of an approved plan is covered, also on the way back unless that has to narrow. A plan that
        nobody approved, where the environment was protected since, goes back only as far as nobody is exposed to
        anything by it.
        """
        return is_protected and (self.must_narrow or not self.request_id)

    def check(self, *, is_protected: bool, digest: str) -> None:
        """Raise ConsentMismatch unless the content is the stage's, and ProtectedEnvironment where it needs approval."""
        if digest != self.content_digest:
            raise ConsentMismatch("The content to apply is not that of the plan's stage. Look at the plan again.")
        if not is_protected:
            return
        if not self.request_id and not self.goes_back:
            raise ProtectedEnvironment(
                "This environment is protected, and nobody approved this plan. Propose it for approval instead."
            )
        if not self.goes_back and len(set(self.approver_ids)) < max(self.required_approvals, 1):
            raise ConsentMismatch("The approvals of this plan do not reach the number this environment requires.")

    def evidence(self) -> dict[str, object]:
        """What the audit trail keeps of this authority."""
        return {
            "authority": self.kind,
            "plan_id": self.plan_id,
            "stage": self.stage,
            "attempt": self.attempt,
            "goes_back": self.goes_back,
            "request_id": self.request_id,
            "approved_digest": self.approved_digest,
            "approver_ids": list(self.approver_ids),
            "required_approvals": self.required_approvals,
            **({"rules": list(self.rules)} if self.rules else {}),
            **({"verdict_ids": list(self.verdict_ids)} if self.verdict_ids else {}),
        }


@dataclass(frozen=True, slots=True)
class Milestone:
    """A milestone of a deprecation timeline: what it does was laid down, and where protected approved, before.

    `milestone` 0 is how it was before the timeline. `request_id` is the approved change request, empty for a timeline
    that somebody started in an environment without protection; `content_digest` is that of the change set to write.
    `goes_back`: to a milestone that was reached before, or to the start; open at any time, unless `must_narrow`.
    `restores`: a way back that gives people what was approved, or where nobody approved, exactly what they had before.
    `disrupts`: it changes what people get, which a freeze holds back whichever way it goes; telling services does not.
    """

    timeline_id: str
    milestone: int
    content_digest: str
    request_id: str = ""
    approved_digest: str = ""
    approver_ids: tuple[str, ...] = ()
    required_approvals: int = 0
    rules: tuple[str, ...] = ()
    goes_back: bool = False
    must_narrow: bool = False
    restores: bool = False
    disrupts: bool = True

    kind: ClassVar[str] = "milestone"

    @property
    def permissions(self) -> tuple[str, ...]:
        """Release managers take an approved timeline forward, as any approved change; editors as well on other ways."""
        return (APPLY,) if self.request_id and not self.goes_back else (PROPOSE, APPLY)

    def demands_narrowing(self, *, is_protected: bool) -> bool:
        """Whatever an approved timeline does is covered on the way forward. No way back shows people what somebody
        made of the flag, or of what it refers to, while they were withdrawn.
        """
        is_covered = self.restores if self.goes_back else bool(self.request_id)
        return is_protected and (self.must_narrow or not is_covered)

    def check(self, *, is_protected: bool, digest: str) -> None:
        """Raise ConsentMismatch unless the content is the milestone's, ProtectedEnvironment where it needs approval."""
        if digest != self.content_digest:
            raise ConsentMismatch("The content to apply is not that of the milestone. Look at the timeline again.")
        if not is_protected or self.goes_back:
            return
        if not self.request_id:
            raise ProtectedEnvironment(
                "This environment is protected, and nobody approved this timeline. Propose it for approval instead."
            )
        if len(set(self.approver_ids)) < max(self.required_approvals, 1):
            raise ConsentMismatch("The approvals of this timeline do not reach the number this environment requires.")

    def evidence(self) -> dict[str, object]:
        """What the audit trail keeps of this authority."""
        return {
            "authority": self.kind,
            "timeline_id": self.timeline_id,
            "milestone": self.milestone,
            "goes_back": self.goes_back,
            "request_id": self.request_id,
            "approved_digest": self.approved_digest,
            "approver_ids": list(self.approver_ids),
            "required_approvals": self.required_approvals,
            **({"rules": list(self.rules)} if self.rules else {}),
        }
