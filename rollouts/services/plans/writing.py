"""What every act on a plan shares: locks in one order, the conditional write, the step, the audit event.

The environment row is locked before the plan. That exactly one act wins rests on the conditional UPDATE and on the
unique sequence of steps, which hold where row locks are ignored.
"""

import uuid
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F

from audits import trail
from audits.actions import Action
from audits.context import Actor, ActorKind, current_correlation_id
from flags.errors import NotFound
from flags.services.locks import lock_environment
from flags.services.tickets import governed_write
from rollouts.errors import ConcurrentUpdate, FlagInOtherPlan
from rollouts.models import PlanFlag, PlanStep, RolloutPlan
from rollouts.plans.transitions import LIVE_STATES, PlanAct, PlanState, next_plan_state
from rollouts.services.timelines.writing import refuse_ending

ENGINE = Actor.system("rollouts.advance_plans")
ACTIONS = {
    PlanAct.EDIT: Action.PLAN_EDITED,
    PlanAct.PROPOSE: Action.PLAN_PROPOSED,
    PlanAct.RECALL: Action.PLAN_RECALLED,
    PlanAct.START: Action.PLAN_STARTED,
    PlanAct.ADVANCE: Action.PLAN_ADVANCED,
    PlanAct.APPROVE_STAGE: Action.PLAN_STAGE_APPROVED,
    PlanAct.EXTEND: Action.PLAN_EXTENDED,
    PlanAct.SKIP: Action.PLAN_SKIPPED,
    PlanAct.PAUSE: Action.PLAN_PAUSED,
    PlanAct.RESUME: Action.PLAN_RESUMED,
    PlanAct.JUMP_BACK: Action.PLAN_JUMPED_BACK,
    PlanAct.ROLL_BACK: Action.PLAN_ROLLED_BACK,
    PlanAct.HOLD: Action.PLAN_HELD,
    PlanAct.CLEAR: Action.PLAN_CLEARED,
    PlanAct.REBASE: Action.PLAN_REBASED,
    PlanAct.ABORT: Action.PLAN_ABORTED,
    PlanAct.COMPLETE: Action.PLAN_COMPLETED,
}


def lock_plan(plan_id: uuid.UUID) -> RolloutPlan:
    """The plan with its environment and project, both rows locked until the transaction ends. Raises NotFound."""
    rows = RolloutPlan.objects.filter(pk=plan_id)
    environment_id = rows.values_list("environment_id", flat=True).first()
    if environment_id is None:
        raise NotFound("This plan does not exist. It may have been mistyped.", plan_id=str(plan_id))
    environment = lock_environment(environment_id)
    plan = rows.select_for_update(of=("self",), no_key=True).select_related("request").get()
    plan.environment, plan.project = environment, environment.project
    return plan


def step(
    plan: RolloutPlan,
    act: PlanAct,
    *,
    actor: Actor,
    now: datetime,
    reason: str = "",
    revision: int | None = None,
    evidence: dict[str, Any] | None = None,
    draft: dict[str, Any] | None = None,
    **fields: Any,
) -> PlanStep:
    """Write what `act` leads to, provided nobody wrote since `plan` was read, with its step and its event.

    `fields` are columns of the plan, and so is what `draft` holds: a draft has a reason of its own. A plan holds its
    flags while it is live. Raises InvalidPlanTransition where the state does not allow the act, FlagInOtherPlan where
    another plan holds a flag, FlagIsEnding where a timeline ends one, and ConcurrentUpdate for the loser of a race. To
    be called with the plan locked, in the transaction that writes flags.
    """
    target, origin, from_stage = next_plan_state(plan.current_state, act), plan.state, plan.stage
    as_read = RolloutPlan.objects.filter(pk=plan.pk, state=plan.state, lock_version=plan.lock_version)
    sequence = plan.sequence + 1
    fields |= draft or {}
    with governed_write(plan.environment_id):
        written = as_read.update(state=target.value, sequence=sequence, lock_version=F("lock_version") + 1, **fields)
        if written != 1:
            raise ConcurrentUpdate(f"Somebody else acted on plan {plan.number} at the same moment. Reload the page.")
        plan.state, plan.sequence, plan.lock_version = target.value, sequence, plan.lock_version + 1
        for name, value in fields.items():
            setattr(plan, name, value)
        _hold_flags(plan, was_live=PlanState(origin) in LIVE_STATES)
        kept = PlanStep(
            plan=plan,
            environment_id=plan.environment_id,
            sequence=sequence,
            attempt=plan.attempt,
            act=act.value,
            from_stage=from_stage,
            to_stage=plan.stage,
            is_automatic=actor.kind is ActorKind.SYSTEM,
            actor_kind=actor.kind.value,
            actor_id=actor.id,
            reason=reason,
            revision=revision,
            evidence=evidence or {},
            correlation_id=current_correlation_id(),
            at=now,
        )
        _insert(kept, plan)
    facts = {"from_stage": from_stage, "to_stage": plan.stage, "revision": revision, **(evidence or {})}
    record(ACTIONS[act], plan, actor=actor, now=now, reason=reason, from_state=origin, to_state=plan.state, **facts)
    return kept


def record(action: Action, plan: RolloutPlan, *, actor: Actor, now: datetime, reason: str = "", **data: Any) -> None:
    """Write the audit event of an act on `plan`."""
    keys = list(plan.definition["flags"])
    trail.record(
        action,
        actor=actor,
        target=trail.Target("plan", str(plan.pk), plan.label),
        now=now,
        project_id=plan.project_id,
        project_key=plan.project.key,
        environment_key=plan.environment.key,
        flag_key=keys[0] if len(keys) == 1 else "",
        reason=reason,
        data={
            "number": plan.number,
            "digest": plan.digest,
            "attempt": plan.attempt,
            "sequence": plan.sequence,
            "stage": plan.stage,
            "flag_keys": keys,
            **data,
        },
    )


def _hold_flags(plan: RolloutPlan, *, was_live: bool) -> None:
    """Claim the flags of a plan that becomes live, let them go when it ends. Raises FlagInOtherPlan, FlagIsEnding."""
    is_live = plan.current_state in LIVE_STATES
    if is_live == was_live:
        return
    if is_live:
        refuse_ending(plan.environment_id, list(plan.flags.values_list("flag_id", flat=True)))
    try:
        with transaction.atomic():
            PlanFlag.objects.filter(plan=plan).update(is_live=is_live)
    except IntegrityError as error:
        if "flagsite:" in str(error):
            raise
        raise _other_plan(plan) from error


def _other_plan(plan: RolloutPlan) -> FlagInOtherPlan:
    held = PlanFlag.objects.filter(environment=plan.environment_id, flag__plans__plan=plan, is_live=True)
    first = held.exclude(plan=plan).select_related("plan", "flag").order_by("flag__key").first()
    if first is None:
        return FlagInOtherPlan("Another plan took one of these flags a moment ago. Try again.")
    return FlagInOtherPlan(
        f"{first.plan.label} is {first.plan.current_state.label.lower()} and works on {first.flag.key} in "
        f"{plan.environment.name}. End it first: two plans would undo each other's stages.",
        plan_id=str(first.plan_id),
        flag_key=first.flag.key,
    )


def _insert(kept: PlanStep, plan: RolloutPlan) -> None:
    try:
        with transaction.atomic():
            kept.save(force_insert=True)
    except IntegrityError as error:
        if "flagsite:" in str(error):
            raise
        raise ConcurrentUpdate(f"Somebody else acted on plan {plan.number} at the same moment. Reload it.") from error
