"""The consent of a change request that asks for more than one write: a rollout plan, or a deprecation timeline."""

from dataclasses import dataclass
from datetime import datetime

from flags.authority import ConsentMismatch
from flags.changes import change_digest
from rollouts.errors import ApprovalMissing
from rollouts.models import ChangeRequest
from rollouts.policies import judge
from rollouts.selectors.facts import facts_of
from rollouts.selectors.verdicts import live_case_of
from rollouts.services.judging import refuse_by_rule
from rollouts.transitions import RequestState

_CONSENTED = frozenset({RequestState.APPROVED, RequestState.APPLIED})


@dataclass(frozen=True, slots=True)
class Consent:
    """On whose word something is written; all empty for what needed nobody's approval."""

    request_id: str = ""
    approved_digest: str = ""
    approver_ids: tuple[str, ...] = ()
    required: int = 0
    rules: tuple[str, ...] = ()


def consent_by_request(request: ChangeRequest, *, plan_digest: str, name: str, instead: str, now: datetime) -> Consent:
    """The consent that an approved request gives now, roles, policy and rules judged again.

    `plan_digest` is that of what is stored of the plan or timeline, `name` what people call it, `instead` what to do
    where it is not what was approved. Raises ConsentMismatch, ApprovalMissing, PolicyRefused.
    """
    if not is_content_of(request, plan_digest):
        raise ConsentMismatch(f"What is stored of #{request.number} is not what was approved. {instead}")
    if request.current_state not in _CONSENTED:
        raise ConsentMismatch(f"#{request.number} is {request.current_state.label.lower()}, so it approves nothing.")
    facts = facts_of(request, now=now)
    verdict = judge(live_case_of(request, now=now, facts=facts))
    if not verdict.is_satisfied:
        raise ApprovalMissing(
            f"{name} was approved with #{request.number}, but its approvals do not suffice any more. "
            f"{' '.join(verdict.sentences)}",
            required=verdict.required,
            counted=len(verdict.counted),
            missing=verdict.missing,
        )
    refuse_by_rule(request, verdict.findings)
    return Consent(
        request_id=str(request.pk),
        approved_digest=request.digest,
        approver_ids=tuple(person.id for person in verdict.counted),
        required=verdict.required,
        rules=tuple(finding.label for finding in verdict.findings),
    )


def is_content_of(request: ChangeRequest, plan_digest: str) -> bool:
    """Whether what is stored of the request and of its plan is what approvers saw."""
    present = change_digest(
        request.content,
        apply_at=request.apply_at,
        round=request.round,
        relies_on=request.relies_on,
        plan_digest=plan_digest,
    )
    return bool(present == request.digest and request.plan_digest == plan_digest)
