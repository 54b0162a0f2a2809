"""What a button on the page of a plan does: read its fields, call one service, say what came of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from uuid import UUID

from django.urls import reverse

from flags.services.keys import problem
from rollouts.admin.calls import Outcome, Press
from rollouts.models import RolloutPlan
from rollouts.plans.codec import from_json
from rollouts.plans.transitions import PlanAct, PlanState
from rollouts.selectors.plans.consents import stage_consents
from rollouts.services.plans import acting, drafting
from rollouts.services.test_traffic import prepare_test_traffic
from rollouts.tasks import ring_for_test_traffic


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Press):
    """One press of a button, and on which plan."""

    plan_id: UUID


def propose(call: Call) -> Outcome:
    """Ask for the approval of the whole plan."""
    plan = drafting.propose_plan(
        call.plan_id, actor=call.actor, now=call.now, digest=call.text("digest"), reason=call.text("reason")
    )
    number = plan.request.number if plan.request else ""
    return Outcome(f"Plan {plan.number} is proposed as change request #{number}. It starts once that is approved.")


def recall(call: Call) -> Outcome:
    """Make a proposed plan a draft again."""
    plan = drafting.recall_plan(call.plan_id, actor=call.actor, now=call.now, reason=call.text("reason"))
    return Outcome(f"Plan {plan.number} is a draft again. Nothing was changed in {plan.environment.name}.")


def rebase(call: Call) -> Outcome:
    """Prepare a draft anew on how its flags are now."""
    plan = drafting.rebase_plan(
        call.plan_id,
        actor=call.actor,
        now=call.now,
        digest=call.text("digest"),
        is_confirmed=bool(call.text("is_confirmed")),
    )
    return Outcome(f"Plan {plan.number} starts from how its flags are now. Look at its stages again.")


def copy(call: Call) -> Outcome:
    """A new draft with the same stages."""
    plan = drafting.copy_plan(
        call.plan_id, actor=call.actor, now=call.now, is_confirmed=bool(call.text("is_confirmed"))
    )
    address = reverse("admin:rollouts_rolloutplan_change", args=[plan.pk])
    return Outcome(f"Plan {plan.number} is a new draft with the same stages, on how the flags are now.", address)


def start(call: Call) -> Outcome:
    """Begin with the first stage."""
    plan = acting.start_plan(
        call.plan_id, actor=call.actor, now=call.now, reason=call.text("reason"), digest=call.text("digest")
    )
    return Outcome(f"Plan {plan.number} has started. {_served(plan)}")


def approve_stage(call: Call) -> Outcome:
    """Say yes to leaving the present stage."""
    plan = acting.approve_stage(
        call.plan_id,
        actor=call.actor,
        now=call.now,
        reason=call.text("reason"),
        sequence=call.sequence,
        digest=call.text("digest"),
    )
    missing = stage_consents(plan).missing
    more = (
        f"{missing} more approval{' is' if missing == 1 else 's are'} needed."
        if missing
        else "It goes on as soon as its other gates are met."
    )
    return Outcome(f"You approved leaving “{_stage_name(plan)}”. {more}")


def skip(call: Call) -> Outcome:
    """Go on before the time is over."""
    plan = acting.skip_stage(
        call.plan_id, actor=call.actor, now=call.now, reason=call.text("reason"), sequence=call.sequence
    )
    if plan.current_state is PlanState.COMPLETED:
        return Outcome(f"Plan {plan.number} is completed.")
    return Outcome(f"Plan {plan.number} went on early. {_served(plan)}")


def pause(call: Call) -> Outcome:
    """Stay at the present share."""
    plan = acting.pause_plan(
        call.plan_id, actor=call.actor, now=call.now, reason=call.text("reason"), sequence=call.sequence
    )
    return Outcome(f"Plan {plan.number} is paused. {_served(plan)} Nobody loses or gains anything meanwhile.")


def resume(call: Call) -> Outcome:
    """Go on from here."""
    plan = acting.resume_plan(
        call.plan_id, actor=call.actor, now=call.now, reason=call.text("reason"), sequence=call.sequence
    )
    return Outcome(f"Plan {plan.number} goes on. {_served(plan)}")


def jump_back(call: Call) -> Outcome:
    """Go back to an earlier stage and stay in the plan."""
    plan = acting.jump_back(
        call.plan_id,
        actor=call.actor,
        now=call.now,
        reason=call.text("reason"),
        sequence=call.sequence,
        to_stage=_stage(call),
    )
    return Outcome(f"Plan {plan.number} is back. {_served(plan)}")


def roll_back(call: Call) -> Outcome:
    """Go back and stop."""
    plan = acting.roll_back_plan(
        call.plan_id,
        actor=call.actor,
        now=call.now,
        reason=call.text("reason"),
        sequence=call.sequence,
        to_stage=_stage(call),
    )
    return Outcome(f"Plan {plan.number} is rolled back. {_served(plan)} It stays so until somebody resumes or ends it.")


def abort(call: Call) -> Outcome:
    """End the plan and leave what is served."""
    plan = acting.abort_plan(
        call.plan_id, actor=call.actor, now=call.now, reason=call.text("reason"), sequence=call.sequence
    )
    return Outcome(f"Plan {plan.number} is ended. {_served(plan)} That stays served until somebody changes it.")


def test_traffic(call: Call) -> Outcome:
    """Let people who do not exist come, so that guards have something to judge."""
    run = prepare_test_traffic(call.plan_id, scenario=call.text("scenario"), actor=call.actor, now=call.now)
    if not ring_for_test_traffic(run):
        raise problem("scenario", "No worker takes it at the moment. Try again once Celery runs.")
    return Outcome(f"Test traffic is on its way for ten minutes: {run.scenario.sentence} The guards judge it soon.")


ACTS: Mapping[str, Callable[[Call], Outcome]] = {
    PlanAct.PROPOSE: propose,
    PlanAct.RECALL: recall,
    PlanAct.REBASE: rebase,
    PlanAct.START: start,
    PlanAct.APPROVE_STAGE: approve_stage,
    PlanAct.SKIP: skip,
    PlanAct.PAUSE: pause,
    PlanAct.RESUME: resume,
    PlanAct.JUMP_BACK: jump_back,
    PlanAct.ROLL_BACK: roll_back,
    PlanAct.ABORT: abort,
    "copy": copy,
    "test_traffic": test_traffic,
}


def _stage(call: Call) -> int:
    stage = call.number("to_stage")
    if stage is None:
        raise problem("to_stage", "Choose the stage to go back to.")
    return stage


def _stage_name(plan: RolloutPlan) -> str:
    stages = from_json(plan.definition).stages
    return stages[plan.stage - 1].name if 1 <= plan.stage <= len(stages) else "before the rollout"


def _served(plan: RolloutPlan) -> str:
    if plan.stage == 0:
        return f"{plan.environment.name} serves what it served before."
    return f"{plan.environment.name} serves stage {plan.stage}, “{_stage_name(plan)}”."
