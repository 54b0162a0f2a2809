"""Whether a timeline may go forward: what was approved is what is stored, and the approvals still suffice, now."""

from datetime import datetime

from audits.context import Actor
from flags.authority import ConsentMismatch, ProtectedEnvironment
from flags.changes import document_digest
from rollouts.deprecations.codec import from_json, timeline_digest
from rollouts.errors import ApprovalMissing
from rollouts.models import DeprecationTimeline
from rollouts.selectors.timelines.consents import milestone_consents
from rollouts.selectors.timelines.ground import base_document, definition_of, successor_id_of
from rollouts.services.plans.consent import refuse_own_opening
from rollouts.services.request_consent import Consent, consent_by_request, is_content_of


def require_milestone_consent(timeline: DeprecationTimeline, *, actor: Actor, now: datetime) -> Consent:
    """The consent under which the timeline may go forward now; `actor` is whoever moves it, the engine or a person.

    Raises ConsentMismatch (stored content differs from what was approved), ProtectedEnvironment (nobody approved),
    ApprovalMissing, PolicyRefused.
    """
    refuse_other_content(timeline)
    if timeline.request is None:
        if timeline.environment.is_protected:
            raise ProtectedEnvironment(
                f"{timeline.environment.name} is protected, and nobody approved timeline {timeline.number}. Propose it "
                "for approval; one that runs already is undone or ended by a release manager, and a new one proposed."
            )
        refuse_own_opening(timeline.environment, timeline.started_by_id, actor.id)
        return Consent()
    request = timeline.request
    request.environment, request.project = timeline.environment, timeline.project
    return consent_by_request(
        request,
        plan_digest=timeline.digest,
        name=f"Timeline {timeline.number}",
        instead=f"End timeline {timeline.number} and make a new one.",
        now=now,
    )


def require_milestone_approvals(timeline: DeprecationTimeline, number: int) -> None:
    """Raise ApprovalMissing where the next milestone has not got the approvals that it asks for."""
    wanted = definition_of(timeline).milestones[number - 1].gates.approvals
    counted = len(milestone_consents(timeline).counted) if wanted else 0
    if counted < wanted:
        raise ApprovalMissing(
            f"Milestone {number} of timeline {timeline.number} takes {wanted} "
            f"{'approval' if wanted == 1 else 'approvals'}; {counted} count now.",
            required=wanted,
            counted=counted,
            missing=wanted - counted,
        )


def consent_back(timeline: DeprecationTimeline) -> Consent:
    """A way back was part of what was approved, so nothing is judged again."""
    if timeline.request is None:
        return Consent()
    return Consent(request_id=str(timeline.request.pk), approved_digest=timeline.request.digest)


def refuse_other_content(timeline: DeprecationTimeline) -> None:
    """Raise ConsentMismatch where what is stored of a timeline is not what its digest says."""
    if digest_of(timeline) != timeline.digest:
        raise ConsentMismatch(
            f"What is stored of timeline {timeline.number} is not what was looked at when it was prepared. End it and "
            "make a new one."
        )


def is_as_approved(timeline: DeprecationTimeline) -> bool:
    """Whether what is stored of a timeline is what was looked at when it was prepared, and approved where it was."""
    if digest_of(timeline) != timeline.digest:
        return False
    return timeline.request is None or is_content_of(timeline.request, timeline.digest)


def digest_of(timeline: DeprecationTimeline) -> str:
    """The digest of what is stored of the timeline now. Dates that were put off are no part of it."""
    return timeline_digest(
        from_json(timeline.definition), document_digest(base_document(timeline)), successor_id=successor_id_of(timeline)
    )
