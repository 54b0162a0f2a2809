"""Why a change of a setting is allowed. Pure: values that are checked against facts, as in `flags.authority`.

Making a protected environment stricter is one administrator's act. What could make it less strict takes two: one
proposes, another one confirms exactly that content.
"""

import hashlib
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Protocol

from audits.errors import GovernanceError
from audits.integrity import canonical_json

from .authority import ConsentMismatch


class SecondPersonNeeded(GovernanceError):
    """One person alone tried to make a protected environment less strict."""

    code = "second_person_needed"
    status = 409
    title = "This takes a second administrator"


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingChange:
    """One setting before and after. `environment_id` "" concerns the whole project; `subject` names one of several."""

    kind: str
    project_id: str
    environment_id: str = ""
    subject: str = ""
    before: Any
    after: Any

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of everything above: what somebody who confirms consents to."""
        facts = {
            "kind": self.kind,
            "project_id": self.project_id,
            "environment_id": self.environment_id,
            "subject": self.subject,
            "before": self.before,
            "after": self.after,
        }
        return hashlib.sha256(canonical_json(facts)).hexdigest()


class SettingsAuthority(Protocol):
    """What every authority over settings can say."""

    def check(self, change: SettingChange, *, is_looser: bool) -> None:
        """Raise a GovernanceError unless this covers the change. `is_looser`: it loosens something protected."""

    def initiator(self, actor_id: str) -> str:
        """The id of the person whose idea it was, given who acts now."""

    def evidence(self) -> dict[str, object]:
        """What the audit trail keeps of this authority."""


@dataclass(frozen=True, slots=True)
class SoleAct:
    """One administrator acts alone."""

    kind: ClassVar[str] = "sole_act"

    def check(self, change: SettingChange, *, is_looser: bool) -> None:
        """Raise SecondPersonNeeded for what loosens something protected."""
        if is_looser:
            raise SecondPersonNeeded(
                "This would make a protected environment less strict, so one administrator proposes it and another one "
                "confirms. Nothing was changed: propose it instead.",
                kind=change.kind,
            )

    def initiator(self, actor_id: str) -> str:
        """Whoever acts."""
        return actor_id

    def evidence(self) -> dict[str, object]:
        """What the audit trail keeps of this authority."""
        return {"authority": self.kind}


ALONE: Final = SoleAct()


@dataclass(frozen=True, slots=True)
class JointAct:
    """Two people: one proposed the content with that digest, another one confirmed it."""

    proposal_id: str
    digest: str
    proposed_by: str
    confirmed_by: str

    kind: ClassVar[str] = "joint_act"

    def check(self, change: SettingChange, *, is_looser: bool) -> None:
        """Raise ConsentMismatch unless two different people agreed on exactly this change."""
        if not self.proposed_by or not self.confirmed_by or self.proposed_by == self.confirmed_by:
            raise ConsentMismatch("Two different people have to agree on this. Ask another administrator to confirm.")
        if change.digest != self.digest:
            raise ConsentMismatch("The setting to write is not the one that was confirmed. Propose it again.")

    def initiator(self, actor_id: str) -> str:
        """Whoever proposed it."""
        return self.proposed_by

    def evidence(self) -> dict[str, object]:
        """What the audit trail keeps of this authority."""
        return {
            "authority": self.kind,
            "proposal_id": self.proposal_id,
            "confirmed_digest": self.digest,
            "proposed_by": self.proposed_by,
            "confirmed_by": self.confirmed_by,
        }
