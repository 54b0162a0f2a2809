"""What people do with a plan: start, pause, resume, approve a stage, leave one early, go back, end it.

Every act says what was looked at: `digest` for what the plan holds, `sequence` for where it stood.
"""

import uuid
from datetime import datetime, timedelta

from django.db import IntegrityError

from audits.context import Actor, correlation
from flags.authority import ProtectedEnvironment
from flags.services.attempts import attempt
from flags.services.keys import problem
from flags.services.tickets import governed_write
from rollouts.errors import ApprovalRefused, PlanMovedGround, PlanMovedOn, SkipRefused
from rollouts.guarding.outcomes import TROUBLES
from rollouts.models import GuardWatch, PlanStep, RolloutPlan, StageApproval, StageCheck
from rollouts.plans.codec import from_json
from rollouts.plans.deciding import last_good
from rollouts.plans.transitions import PlanAct, PlanState, next_plan_state
from rollouts.selectors.plans.consents import stage_refusal
from rollouts.selectors.plans.ground import ground_of
from rollouts.selectors.plans.rights import needs_reason, require_right, skip_refusal
from rollouts.services.applying import apply_change_request
from rollouts.services.checks import checked_prose
from rollouts.services.guarding import refresh_guards
from rollouts.services.plans.consent import refuse_own_opening, refuse_used_up
from rollouts.services.plans.drafting import refuse_other_plan_digest
from rollouts.services.plans.rollback import go_back
from rollouts.services.plans.stages import begun_by, reach_stage
from rollouts.services.plans.writing import lock_plan, step
from rollouts.services.proposing import end_request
from rollouts.services.writing import require_person

# What may have happened since the page was opened without making it another question.
_HARMLESS = frozenset({PlanAct.HOLD, PlanAct.CLEAR, PlanAct.EXTEND, PlanAct.APPROVE_STAGE})
_HARMLESS_TO_STOPS = _HARMLESS | {PlanAct.ADVANCE, PlanAct.SKIP}
_STOPS = frozenset({PlanAct.PAUSE, PlanAct.ROLL_BACK})


def start_plan(plan_id: uuid.UUID, *, actor: Actor, now: datetime, digest: str, reason: str = "") -> RolloutPlan:
    """Begin the first stage: of a draft where the environment is not protected, else with the approved request.

    Raises PermissionMissing, ProtectedEnvironment, PlanMovedGround, FlagInOtherPlan, PlanMovedOn, and what applying a
    request or the write path raises.
    """
    found = RolloutPlan.objects.filter(pk=plan_id).first()
    if found is not None and found.current_state is PlanState.PROPOSED and found.request_id is not None:
        # The request binds this content: another one would have another request.
        refuse_other_plan_digest(found, digest)
        why = checked_prose(reason, field="reason")
        apply_change_request(found.request_id, actor=actor, now=now, plan_reason=why)
        return RolloutPlan.objects.select_related("environment", "project", "request").get(pk=plan_id)

    def act() -> RolloutPlan:
        plan, why = _opened(plan_id, PlanAct.START, actor, reason)
        refuse_other_plan_digest(plan, digest)
        if plan.environment.is_protected:
            raise ProtectedEnvironment(
                f"{plan.environment.name} is protected, so nothing in it changes without approval. Propose the plan."
            )
        reach_stage(plan, PlanAct.START, 1, actor=actor, now=now, reason=why, **begun_by(actor, now))
        return plan

    return attempt(act)


def pause_plan(plan_id: uuid.UUID, *, actor: Actor, now: datetime, sequence: int, reason: str = "") -> RolloutPlan:
    """Stop where the plan is: everybody keeps what they get, and nothing moves until somebody resumes it."""

    def act() -> RolloutPlan:
        plan, why = _opened(plan_id, PlanAct.PAUSE, actor, reason, sequence=sequence)
        _step(plan, PlanAct.PAUSE, actor=actor, now=now, reason=why, next_look_at=None)
        return plan

    return attempt(act)


def resume_plan(plan_id: uuid.UUID, *, actor: Actor, now: datetime, sequence: int, reason: str = "") -> RolloutPlan:
    """Let a paused or rolled back plan go on from its stage; the latter takes a release manager and a reason.

    Time in a pause is no soak. Where the system paused, the plan went back or the stage is monitored, its soak begins
    anew. Raises PlanMovedGround where somebody else changed a flag meanwhile.
    """

    def act() -> RolloutPlan:
        plan, why = _opened(plan_id, PlanAct.RESUME, actor, reason, sequence=sequence)
        if plan.request_id is None:
            refuse_own_opening(plan.environment, actor.id)
        else:
            refuse_used_up(plan)
        ground = ground_of(plan)
        if ground.moved:
            raise PlanMovedGround(
                f"{', '.join(sorted(ground.moved_keys))} changed in {plan.environment.name} while plan {plan.number} "
                "stood still. Put that back as the plan left it, or end the plan and make a new one of it.",
                moved=list(ground.moved),
            )
        fields = _soak_after_pause(plan, now)
        _step(plan, PlanAct.RESUME, actor=actor, now=now, reason=why, next_look_at=now, **fields)
        return plan

    return attempt(act)


def skip_stage(plan_id: uuid.UUID, *, actor: Actor, now: datetime, sequence: int, reason: str) -> RolloutPlan:
    """Leave the present stage before its time, its sample or its guards said so. Never without an approval it asks
    for, never beside a breach or a check that did not pass. Raises SkipRefused, ApprovalMissing, and as a stage does.
    """

    def act() -> RolloutPlan:
        plan, why = _opened(plan_id, PlanAct.SKIP, actor, reason, sequence=sequence)
        refusal = skip_refusal(plan) or _guard_refusal(plan) or _check_refusal(plan)
        if refusal:
            raise SkipRefused(refusal)
        if plan.request_id is None:
            refuse_own_opening(plan.environment, actor.id)
        reach_stage(plan, PlanAct.SKIP, plan.stage + 1, actor=actor, now=now, reason=why)
        return plan

    # What was reported since the engine last looked counts too.
    refresh_guards([plan_id], now=now)
    return attempt(act)


def jump_back(
    plan_id: uuid.UUID, *, to_stage: int, actor: Actor, now: datetime, sequence: int, reason: str
) -> RolloutPlan:
    """Go back to an earlier stage and on from there: its gates are asked anew. Freezes do not hold it.

    To how it was before (0) only while the plan is paused: else it would set out again at once.
    """

    def act() -> RolloutPlan:
        plan, why = _opened(plan_id, PlanAct.JUMP_BACK, actor, reason, sequence=sequence)
        if not 0 <= to_stage < plan.stage:
            raise problem("to_stage", f"Choose a stage before the present one, which is stage {plan.stage}.")
        if to_stage == 0 and plan.current_state is PlanState.RUNNING:
            raise problem("to_stage", "The plan would set out again at once. Pause it first, or roll it back.")
        reach_stage(plan, PlanAct.JUMP_BACK, to_stage, actor=actor, now=now, reason=why)
        return plan

    return attempt(act)


def roll_back_plan(
    plan_id: uuid.UUID, *, actor: Actor, now: datetime, sequence: int, reason: str, to_stage: int | None = None
) -> RolloutPlan:
    """Take the plan back and stop it there: to `to_stage`, or where the plan says. Freezes do not hold it.

    Flags that somebody else changed meanwhile stay as they are, and the step names them. What is served is looked at
    once that is committed.
    """

    def act() -> RolloutPlan:
        plan, why = _opened(plan_id, PlanAct.ROLL_BACK, actor, reason, sequence=sequence)
        target = _rollback_target(plan) if to_stage is None else to_stage
        if not 0 <= target < max(plan.stage, 1):
            raise problem("to_stage", f"Choose a stage before the present one, which is stage {plan.stage}.")
        go_back(plan, to_stage=target, actor=actor, reason=why, now=now)
        return plan

    return attempt(act)


def abort_plan(plan_id: uuid.UUID, *, actor: Actor, now: datetime, sequence: int, reason: str) -> RolloutPlan:
    """End a plan for good. What is served stays as it is; an open request for it is withdrawn."""

    def act() -> RolloutPlan:
        plan, why = _opened(plan_id, PlanAct.ABORT, actor, reason, sequence=sequence)
        if plan.current_state is PlanState.PROPOSED:
            with correlation(plan.correlation_id):
                end_request(plan, actor=actor, now=now, reason=why)
        fields: dict[str, object] = {"ended_at": now, "next_look_at": None, "blocked_code": "", "blocked_detail": {}}
        _step(plan, PlanAct.ABORT, actor=actor, now=now, reason=why, evidence={"stays_served": plan.stage}, **fields)
        return plan

    return attempt(act)


def approve_stage(
    plan_id: uuid.UUID, *, actor: Actor, now: datetime, digest: str, sequence: int, reason: str = ""
) -> RolloutPlan:
    """Say yes to leaving the present stage: for what the plan holds now, and for this attempt only.

    Raises PermissionMissing (role approver), ApprovalRefused (shaped, asked for or started it; said yes before).
    """

    def act() -> RolloutPlan:
        plan, why = _opened(plan_id, PlanAct.APPROVE_STAGE, actor, reason, sequence=sequence)
        refuse_other_plan_digest(plan, digest)
        approver = require_person(actor)
        if refusal := stage_refusal(plan, str(approver)):
            raise ApprovalRefused(refusal)
        _insert_approval(plan, approver, reason=why, now=now)
        look = {"next_look_at": now} if plan.current_state is PlanState.RUNNING else {}
        told = {"approver_id": str(approver), "approved_stage": plan.stage}
        _step(plan, PlanAct.APPROVE_STAGE, actor=actor, now=now, reason=why, evidence=told, **look)
        return plan

    return attempt(act)


def _opened(
    plan_id: uuid.UUID, act: PlanAct, actor: Actor, reason: str, *, sequence: int | None = None
) -> tuple[RolloutPlan, str]:
    """The plan, locked, and the reason, checked; for a person who may do this to a plan in such a state."""
    plan = lock_plan(plan_id)
    require_person(actor)
    require_right(plan, act, actor)
    if sequence is not None:
        _refuse_stale_page(plan, act, sequence)
    next_plan_state(plan.current_state, act)
    return plan, checked_prose(reason, field="reason", required=needs_reason(plan, act))


def _refuse_stale_page(plan: RolloutPlan, act: PlanAct, sequence: int) -> None:
    harmless = _HARMLESS_TO_STOPS if act in _STOPS else _HARMLESS
    since = PlanStep.objects.filter(plan=plan, sequence__gt=sequence).order_by("-sequence")
    last = since.exclude(act__in=[one.value for one in harmless]).first()
    if last is not None or sequence > plan.sequence:
        raise PlanMovedOn(
            f"Plan {plan.number} has moved on since the page was opened: it is at stage {plan.stage} and "
            f"{plan.current_state.label.lower()} now. Nothing was done. Reload the page and decide again.",
            seen_sequence=sequence,
            current_sequence=plan.sequence,
        )


def _step(plan: RolloutPlan, act: PlanAct, **told: object) -> None:
    with correlation(plan.correlation_id):
        step(plan, act, **told)  # type: ignore[arg-type]


def _soak_after_pause(plan: RolloutPlan, now: datetime) -> dict[str, object]:
    """When the stage counts as entered, and what is added to its soak, once the plan goes on."""
    anew: dict[str, object] = {"stage_entered_at": now, "extra_soak_minutes": 0}
    if plan.current_state is PlanState.ROLLED_BACK or plan.stage_entered_at is None or _is_monitored(plan):
        return anew
    last = PlanStep.objects.filter(plan=plan, act=PlanAct.PAUSE.value).order_by("-sequence").first()
    if last is None or last.is_automatic:
        return anew
    lost = -(-max(now - max(last.at, plan.stage_entered_at), timedelta()) // timedelta(minutes=1))
    return {"extra_soak_minutes": plan.extra_soak_minutes + lost}


def _is_monitored(plan: RolloutPlan) -> bool:
    """Whether the present stage waits for data: guards count its minutes from when the plan was resumed."""
    return plan.stage > 0 and from_json(plan.definition).stages[plan.stage - 1].gates.is_monitored


def _rollback_target(plan: RolloutPlan) -> int:
    return min(last_good(from_json(plan.definition), plan.good_stage), max(plan.stage - 1, 0))


def _guard_refusal(plan: RolloutPlan) -> str:
    watches = GuardWatch.objects.filter(plan=plan, attempt=plan.attempt, outcome__in=[one.value for one in TROUBLES])
    first = watches.order_by("metric").first()
    if first is None:
        return ""
    return (
        f"The guard “{first.metric}” says “{first.outcome.replace('_', ' ')}”. A stage is left early only while no "
        "guard speaks against it."
    )


def _check_refusal(plan: RolloutPlan) -> str:
    stages = from_json(plan.definition).stages
    wanted = {check.name for check in stages[plan.stage - 1].gates.checks} if plan.stage else set()
    rows = StageCheck.objects.filter(plan=plan, attempt=plan.attempt, stage=plan.stage, outcome="passed")
    missing = sorted(wanted - set(rows.values_list("name", flat=True)))
    return f"The check “{missing[0]}” has not passed. Checks are never skipped." if missing else ""


def _insert_approval(plan: RolloutPlan, approver: uuid.UUID, *, reason: str, now: datetime) -> None:
    try:
        with governed_write(plan.environment_id):
            StageApproval.objects.create(
                plan=plan,
                environment=plan.environment,
                attempt=plan.attempt,
                stage=plan.stage,
                digest=plan.digest,
                approver_id=approver,
                reason=reason,
                at=now,
            )
    except IntegrityError as error:
        if "flagsite:" in str(error):
            raise
        raise ApprovalRefused("You approved this stage already.") from error
