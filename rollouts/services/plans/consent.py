"""Whether a plan may go forward: what was approved is what is stored, and the approvals still suffice, now."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from audits.context import Actor
from flags.authority import ConsentMismatch, ProtectedEnvironment
from flags.changes import ChangeSet, ConfigEdit
from flags.models import Environment
from rollouts.errors import ApprovalMissing
from rollouts.models import ChangeRequest, RolloutPlan
from rollouts.plans.codec import from_json, plan_digest
from rollouts.selectors.plans.consents import stage_consents, used_up_refusal
from rollouts.selectors.plans.ground import Documents
from rollouts.services.checks import refuse_moved_ground
from rollouts.services.request_consent import Consent, consent_by_request, is_content_of


def require_stage_consent(plan: RolloutPlan, *, actor: Actor, now: datetime) -> Consent:
    """The consent under which the plan may go forward now; `actor` is whoever moves it, the engine or a person.

    Raises ConsentMismatch (stored content differs from what was approved), ProtectedEnvironment (nobody approved),
    ApprovalMissing, PolicyRefused, StaleChange (segments that were relied on moved).
    """
    refuse_other_plan_content(plan)
    if plan.request is None:
        _refuse_without_request(plan, actor)
        return Consent()
    refuse_used_up(plan)
    return _consent_of(plan, plan.request, now=now)


def refuse_other_plan_content(plan: RolloutPlan) -> None:
    """Raise ConsentMismatch where what is stored of a plan is not what its digest says."""
    if digest_of(plan) != plan.digest:
        raise ConsentMismatch(
            f"What is stored of plan {plan.number} is not what was looked at when it was prepared. End it and make a "
            "new one."
        )


def refuse_used_up(plan: RolloutPlan) -> None:
    """Raise ApprovalMissing where what was approved was carried out to its end before."""
    if refusal := used_up_refusal(plan):
        raise ApprovalMissing(refusal)


def is_as_approved(plan: RolloutPlan) -> bool:
    """Whether what is stored of a plan is what was looked at when it was prepared, and approved where it was."""
    if digest_of(plan) != plan.digest:
        return False
    return plan.request is None or is_content_of(plan.request, plan.digest)


def require_stage_approvals(plan: RolloutPlan, *, to_stage: int) -> None:
    """Raise ApprovalMissing where a stage that would be left has not got the approvals that it asks for."""
    stages = from_json(plan.definition).stages
    for number in range(max(plan.stage, 1), to_stage):
        wanted = stages[number - 1].gates.approvals
        counted = len(stage_consents(plan).counted) if number == plan.stage and wanted else 0
        if counted < wanted:
            raise ApprovalMissing(
                f"Stage {number} “{stages[number - 1].name}” of plan {plan.number} is left with {wanted} "
                f"{'approval' if wanted == 1 else 'approvals'}; {counted} count now.",
                required=wanted,
                counted=counted,
                missing=wanted - counted,
            )


def refuse_own_opening(environment: Environment, *person_ids: str) -> None:
    """Raise ProtectedEnvironment where one of these people took the protection off this environment."""
    opener = environment.unprotected_by_id
    if not environment.is_protected and opener is not None and str(opener) in person_ids:
        raise ProtectedEnvironment(
            f"Whoever took the protection off {environment.name} may not roll out there. Protect it again and propose "
            "the plan, or ask another editor to make one."
        )


def digest_of(plan: RolloutPlan) -> str:
    """The digest of what is stored of the plan now."""
    base = base_digests(plan.base, plan.relies_on)
    return plan_digest(from_json(plan.definition), base_digests=base, documents=plan.documents)


def base_digests(base: Mapping[str, Mapping[str, Any]], relies_on: Mapping[str, int]) -> dict[str, str]:
    """The ground a digest covers: what each flag was, and the versions of segments that the stages refer to."""
    flags = {f"flag:{key}": str(known["digest"]) for key, known in base.items()}
    return {**flags, **{f"segment:{key}": str(version) for key, version in relies_on.items()}}


def every_document(environment: Environment, documents: Sequence[Documents]) -> ChangeSet:
    """Every document of every stage, to ask what they refer to; nothing to be applied."""
    edits = tuple(ConfigEdit(key, 0, document) for changed in documents for key, document in changed.items())
    return ChangeSet(str(environment.pk), edits)


def _refuse_without_request(plan: RolloutPlan, actor: Actor) -> None:
    environment = plan.environment
    if environment.is_protected:
        raise ProtectedEnvironment(
            f"{environment.name} is protected, and nobody approved plan {plan.number}. Propose it for approval; one "
            "that runs already is rolled back or ended, and a new one proposed."
        )
    refuse_own_opening(environment, plan.started_by_id, actor.id)


def _consent_of(plan: RolloutPlan, request: ChangeRequest, *, now: datetime) -> Consent:
    request.environment, request.project = plan.environment, plan.project
    consent = consent_by_request(
        request,
        plan_digest=plan.digest,
        name=f"Plan {plan.number}",
        instead=f"End plan {plan.number} and make a new one.",
        now=now,
    )
    documents = every_document(plan.environment, plan.documents)
    refuse_moved_ground(documents, plan.environment, relies_on=plan.relies_on)
    return consent
