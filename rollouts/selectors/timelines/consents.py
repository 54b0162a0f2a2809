"""Whose yes counts for going on to the next milestone of a timeline. Judged anew whenever it is asked."""

from collections.abc import Mapping
from dataclasses import dataclass

from django.db.models import QuerySet

from rollouts.deprecations.transitions import TimelineAct
from rollouts.models import DeprecationTimeline, MilestoneApproval, TimelineStep
from rollouts.policies import Approver
from rollouts.selectors.timelines.ground import definition_of
from rollouts.selectors.verdicts import name_of, policy_of, role_holders

# What decides when a milestone comes; whoever did it does not say yes to it as well.
_SHAPING = (TimelineAct.POSTPONE, TimelineAct.RESUME)


@dataclass(frozen=True, slots=True)
class MilestoneConsents:
    """The approvals of the next milestone: who counts, who does not any more and why, who may still say yes.

    `required` 0: the milestone asks for nobody's, or only where there are no figures.
    """

    required: int
    counted: tuple[Approver, ...] = ()
    void: tuple[tuple[Approver, str], ...] = ()
    waiting_for: tuple[Approver, ...] = ()


def milestone_consents(timeline: DeprecationTimeline) -> MilestoneConsents:
    """The approvals for going on to the next milestone: up to five queries, none where it can ask for none."""
    if not can_be_approved(timeline):
        return MilestoneConsents(0)
    eligible = _eligible(timeline)
    rows = _given(timeline).select_related("approver").order_by("at")
    given = [(row, Approver(str(row.approver_id), name_of(row.approver))) for row in rows]
    reasons = {row.pk: _why_void(row, timeline, eligible) for row, _ in given}
    said = {person.id for row, person in given if not reasons[row.pk]}
    return MilestoneConsents(
        required_approvals(timeline),
        counted=tuple(person for row, person in given if not reasons[row.pk]),
        void=tuple((person, reasons[row.pk]) for row, person in given if reasons[row.pk]),
        waiting_for=tuple(person for person in eligible.values() if person.id not in said),
    )


def required_approvals(timeline: DeprecationTimeline) -> int:
    """How many people the next milestone asks for."""
    milestones = definition_of(timeline).milestones
    return milestones[timeline.milestone].gates.approvals if timeline.milestone < len(milestones) else 0


def can_be_approved(timeline: DeprecationTimeline) -> bool:
    """Whether somebody's yes can count: the next milestone asks for approvals, or for figures that may be missing."""
    milestones = definition_of(timeline).milestones
    if timeline.milestone >= len(milestones):
        return False
    return milestones[timeline.milestone].gates.approvals > 0 or asks_about_figures(timeline)


def asks_about_figures(timeline: DeprecationTimeline) -> bool:
    """Whether the next milestone asks how much the flag is evaluated still, so that a yes may stand for figures."""
    milestones = definition_of(timeline).milestones
    return timeline.milestone < len(milestones) and milestones[timeline.milestone].gates.residual_at_most is not None


def waivers_of(timeline: DeprecationTimeline) -> list[dict[str, str]]:
    """Who says yes to the next milestone where figures are missing, and why, as ids and words: up to five queries."""
    counted = {person.id for person in milestone_consents(timeline).counted}
    given = _given(timeline).order_by("at").values_list("approver_id", "reason")
    return [{"approver_id": str(who), "reason": why} for who, why in given if str(who) in counted]


def involved_ids(timeline: DeprecationTimeline) -> frozenset[str]:
    """Everybody who shaped, started, postponed or resumed the timeline or asked for it: one query.

    None of them approves a milestone of it.
    """
    moved = TimelineStep.objects.filter(timeline=timeline, act__in=[act.value for act in _SHAPING])
    people = {str(timeline.created_by_id), timeline.started_by_id, *map(str, timeline.contributors)}
    people |= set(moved.values_list("actor_id", flat=True))
    return frozenset(people | (timeline.request.contributor_ids if timeline.request else frozenset()))


def milestone_refusal(timeline: DeprecationTimeline, person_id: str) -> str:
    """Why this person may not approve the next milestone; empty where they may."""
    if not can_be_approved(timeline):
        return "The next milestone asks for nobody's approval."
    if person_id in involved_ids(timeline):
        return (
            "You shaped, asked for, started, postponed or resumed this timeline, so somebody else has to approve its "
            "milestones."
        )
    if person_id not in _eligible(timeline):
        name = timeline.environment.name
        return f"You are not among the people who approve in {name}. Ask an administrator of {name}."
    is_given = _given(timeline).filter(approver__pk=person_id).exists()
    return "You approved this milestone already." if is_given else ""


def is_approved_by_anybody(timeline: DeprecationTimeline) -> bool:
    """Whether somebody said yes to the next milestone in this attempt, whether or not it counts still."""
    return _given(timeline).exists()


def _given(timeline: DeprecationTimeline) -> QuerySet[MilestoneApproval]:
    return MilestoneApproval.objects.filter(
        timeline=timeline, attempt=timeline.attempt, milestone=timeline.milestone + 1
    )


def _eligible(timeline: DeprecationTimeline) -> Mapping[str, Approver]:
    """Who may approve a milestone now: the role approver, named where the policy names people, and not involved."""
    named, involved = policy_of(timeline.environment).named_approvers, involved_ids(timeline)
    return {
        person.id: person
        for person in role_holders(timeline.environment)
        if person.id not in involved and (named is None or person.id in named)
    }


def _why_void(row: MilestoneApproval, timeline: DeprecationTimeline, eligible: Mapping[str, Approver]) -> str:
    if row.digest != timeline.digest:
        return "It was given for other content."
    if str(row.approver_id) not in eligible:
        return "This person may not approve here any more."
    return ""
