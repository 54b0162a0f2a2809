"""Whose yes counts for leaving the present stage of a plan. Judged anew whenever it is asked."""

from collections.abc import Mapping
from dataclasses import dataclass

from rollouts.models import PlanStep, RolloutPlan, StageApproval
from rollouts.plans.codec import from_json
from rollouts.plans.transitions import PlanAct
from rollouts.policies import Approver
from rollouts.selectors.verdicts import name_of, policy_of, role_holders


@dataclass(frozen=True, slots=True)
class StageConsents:
    """The approvals of the present stage and attempt: who counts, who does not any more and why, who may still say yes.

    `required` 0: the stage asks for nobody's.
    """

    required: int
    counted: tuple[Approver, ...] = ()
    void: tuple[tuple[Approver, str], ...] = ()
    waiting_for: tuple[Approver, ...] = ()

    @property
    def missing(self) -> int:
        """How many more people have to say yes."""
        return max(self.required - len(self.counted), 0)


def stage_consents(plan: RolloutPlan) -> StageConsents:
    """The approvals for leaving the present stage: up to four queries, none where it asks for none."""
    required = required_approvals(plan)
    if not required:
        return StageConsents(0)
    eligible = _eligible(plan)
    rows = StageApproval.objects.filter(plan=plan, attempt=plan.attempt, stage=plan.stage).select_related("approver")
    given = [(row, Approver(str(row.approver_id), name_of(row.approver))) for row in rows.order_by("at")]
    reasons = {row.pk: _why_void(row, plan, eligible) for row, _ in given}
    said = {person.id for row, person in given if not reasons[row.pk]}
    return StageConsents(
        required,
        counted=tuple(person for row, person in given if not reasons[row.pk]),
        void=tuple((person, reasons[row.pk]) for row, person in given if reasons[row.pk]),
        waiting_for=tuple(person for person in eligible.values() if person.id not in said),
    )


def required_approvals(plan: RolloutPlan) -> int:
    """How many people the present stage asks for."""
    stages = from_json(plan.definition).stages
    return stages[plan.stage - 1].gates.approvals if 1 <= plan.stage <= len(stages) else 0


def involved_ids(plan: RolloutPlan) -> frozenset[str]:
    """Everybody who shaped or started the plan or asked for it; none of them approves a stage of it."""
    people = {str(plan.created_by_id), plan.started_by_id, *map(str, plan.contributors)}
    return frozenset(people | (plan.request.contributor_ids if plan.request else frozenset()))


def stage_refusal(plan: RolloutPlan, person_id: str) -> str:
    """Why this person may not approve the present stage; empty where they may."""
    if not required_approvals(plan):
        return "This stage asks for nobody's approval."
    if person_id in involved_ids(plan):
        return "You shaped, asked for or started this plan, so somebody else has to approve its stages."
    if person_id not in _eligible(plan):
        name = plan.environment.name
        return f"You are not among the people who approve in {name}. Ask an administrator of {name}."
    said = StageApproval.objects.filter(plan=plan, attempt=plan.attempt, stage=plan.stage)
    return "You approved this stage already." if said.filter(approver__pk=person_id).exists() else ""


def is_used_up(plan: RolloutPlan) -> bool:
    """Whether what was approved was carried out to its end once. It approves nothing after that: one query."""
    return PlanStep.objects.filter(plan=plan, act=PlanAct.COMPLETE.value).exists()


def used_up_refusal(plan: RolloutPlan) -> str:
    """Why the plan does not go forward any more on the approvals it had; empty where it may."""
    if not plan.environment.is_protected or not is_used_up(plan):
        return ""
    return (
        f"Plan {plan.number} was completed, so what was approved is done. End it, make a new plan of it and propose "
        "that one for approval."
    )


def _eligible(plan: RolloutPlan) -> Mapping[str, Approver]:
    """Who may approve a stage now: the role approver, named where the policy names people, and not involved."""
    named, involved = policy_of(plan.environment).named_approvers, involved_ids(plan)
    return {
        person.id: person
        for person in role_holders(plan.environment)
        if person.id not in involved and (named is None or person.id in named)
    }


def _why_void(row: StageApproval, plan: RolloutPlan, eligible: Mapping[str, Approver]) -> str:
    if row.digest != plan.digest:
        return "It was given for other content."
    if str(row.approver_id) not in eligible:
        return "This person may not approve here any more."
    return ""
