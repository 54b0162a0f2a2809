"""Writing a stage of a plan: forward with consent judged anew, back at any time. The only place that constructs
`PlanStage`.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from audits.context import Actor, ActorKind, correlation
from flags import permissions
from flags.authority import NotNarrowing, PlanStage
from flags.changes import ChangeSet, ConfigEdit, change_digest, document_digest
from flags.services.configs import AppliedChange, apply_change_set
from rollouts.errors import PlanHeld, PlanMovedGround
from rollouts.models import ChangeRequest, PlanStep, RolloutPlan
from rollouts.plans.transitions import PlanAct, next_plan_state
from rollouts.selectors.plans.consents import is_used_up
from rollouts.selectors.plans.ground import Ground, documents_at, ground_of, left_as
from rollouts.selectors.plans.signals import outside_signal_of
from rollouts.services.plans.consent import require_stage_approvals, require_stage_consent
from rollouts.services.plans.hooks import pass_move_gates
from rollouts.services.plans.trust import altered_keys
from rollouts.services.plans.writing import lock_plan, step
from rollouts.services.request_consent import Consent

WAYS_BACK = frozenset({PlanAct.JUMP_BACK, PlanAct.ROLL_BACK})
# Who wants these looks at the plan, not at what happens around it; the engine has looked when it advances.
_ASKED_BY_PEOPLE = frozenset({PlanAct.START, PlanAct.SKIP})


def apply_stage(
    plan: RolloutPlan,
    stage_number: int,
    *,
    actor: Actor,
    now: datetime,
    reason: str,
    goes_back: bool,
    verdict_ids: Collection[str] = (),
) -> AppliedChange:
    """Write what the stage serves; the plan itself is left to the caller, see `reach_stage`. To be called locked.

    Forward all is judged again, and a flag that somebody else changed refuses the stage. On the way back such flags are
    left alone, as are those for which something is stored that was neither approved nor served, and the others go back.
    No versions: everything serves that already, or nothing could go back.

    Raises PlanMovedGround, what `require_stage_consent` raises, what move gates and the write path raise.
    """
    ground = ground_of(plan)
    if goes_back:
        consent = _consent_back(plan)
    else:
        _refuse_moved(plan, ground)
        consent = require_stage_consent(plan, actor=actor, now=now)
        require_stage_approvals(plan, to_stage=stage_number)
        pass_move_gates(plan, to_stage=stage_number, now=now)
    left_alone = ground.moved_keys | altered_keys(plan, stage_number, ground) if goes_back else frozenset()
    content = _content(plan, stage_number, ground, left_alone, is_reversed=goes_back)
    if not content.edits:
        return AppliedChange(plan.environment.revision, {})
    authority = PlanStage(
        plan_id=str(plan.pk),
        stage=stage_number,
        attempt=plan.attempt,
        content_digest=change_digest(content, apply_at=None),
        request_id=consent.request_id,
        approved_digest=consent.approved_digest,
        approver_ids=consent.approver_ids,
        required_approvals=consent.required,
        rules=consent.rules,
        verdict_ids=tuple(verdict_ids),
        goes_back=goes_back,
        must_narrow=goes_back and _must_narrow(plan, actor),
    )
    why = f"{plan.label}: {_stage_words(plan, stage_number)}{f'. {reason}' if reason else ''}"
    try:
        return apply_change_set(content, actor=actor, authority=authority, now=now, reason=why)
    except NotNarrowing as error:
        raise _who_widens(plan, error) from error


def reach_stage(
    plan: RolloutPlan,
    act: PlanAct,
    stage_number: int,
    *,
    actor: Actor,
    now: datetime,
    reason: str = "",
    verdict_ids: Collection[str] = (),
    evidence: Mapping[str, Any] | None = None,
    **fields: Any,
) -> PlanStep:
    """Carry out `act`, which brings a locked plan to a stage: flags, plan, step and event in this transaction.

    `fields` are further columns of the plan. The step's evidence names the flags that were left alone on the way back.
    """
    next_plan_state(plan.current_state, act)
    goes_back = act in WAYS_BACK
    if act in _ASKED_BY_PEOPLE:
        _refuse_held(plan, act, now=now)
    told = _told_of_way_back(plan, stage_number) if goes_back else {}
    with correlation(plan.correlation_id):
        applied = apply_stage(
            plan, stage_number, actor=actor, now=now, reason=reason, goes_back=goes_back, verdict_ids=verdict_ids
        )
        return step(
            plan,
            act,
            actor=actor,
            now=now,
            reason=reason,
            revision=applied.revision if applied.versions else None,
            evidence={"versions": dict(applied.versions), **told, **(evidence or {})},
            **_reached(plan, stage_number, applied, goes_back=goes_back, now=now),
            **fields,
        )


def start_approved_plan(request: ChangeRequest, *, actor: Actor, now: datetime, reason: str = "") -> AppliedChange:
    """Begin the plan that an approved request asks for, instead of writing the request's content.

    To be called with the request locked and judged, in the transaction that says it was applied.
    """
    plan = lock_plan(request.plan.pk)
    why = reason or request.reason
    begun = reach_stage(plan, PlanAct.START, 1, actor=actor, now=now, reason=why, **begun_by(actor, now))
    return AppliedChange(begun.revision or plan.environment.revision, begun.evidence["versions"])


def begun_by(actor: Actor, now: datetime) -> dict[str, Any]:
    """The columns that say who started a plan, and when."""
    return {"started_by_id": actor.id, "started_at": now}


def _consent_back(plan: RolloutPlan) -> Consent:
    """A way back was part of what was approved, so nothing is judged again."""
    if plan.request is None:
        return Consent()
    return Consent(request_id=str(plan.request.pk), approved_digest=plan.request.digest)


def _must_narrow(plan: RolloutPlan, actor: Actor) -> bool:
    """Whether a person takes back only what exposes nobody: one who is no release manager, or once it was completed."""
    if actor.kind is not ActorKind.PERSON:
        return False
    return is_used_up(plan) or not permissions.holds(actor, permissions.APPLY, plan.environment)


def _who_widens(plan: RolloutPlan, error: NotNarrowing) -> NotNarrowing:
    """The refusal of a way back that shows something to people, with who may go it."""
    if plan.request is None or is_used_up(plan):
        return error
    name = plan.environment.name
    return NotNarrowing(f"{error.message} Or ask a release manager of {name}: the plan is at work.", **error.facts)


def _refuse_held(plan: RolloutPlan, act: PlanAct, *, now: datetime) -> None:
    signal = outside_signal_of(plan, now=now)
    if signal is None:
        return
    said = signal.message
    if act is PlanAct.START:
        then = "start it again then" if plan.request is None else "its change request starts it by itself then"
        said = f"{signal.at_start} This plan was not started; {then}."
    raise PlanHeld(said, held_by=signal.code, **signal.facts)


def _told_of_way_back(plan: RolloutPlan, stage_number: int) -> dict[str, Any]:
    """What the step says of flags that stay as they are, and of the attempt that ends."""
    ground = ground_of(plan)
    altered = altered_keys(plan, stage_number, ground)
    told = {"left_alone": sorted(ground.moved_keys | altered), "ended_attempt": plan.attempt}
    return {**told, "altered": sorted(altered)} if altered else told


def _refuse_moved(plan: RolloutPlan, ground: Ground) -> None:
    if not ground.moved:
        return
    names = ", ".join(
        f"{item['key']} (version {item['base_version']} → {item['current_version']})" for item in ground.moved
    )
    raise PlanMovedGround(
        f"Somebody else changed flags of plan {plan.number} in {plan.environment.name}: {names}. Nothing is "
        "overwritten. Put them back as the plan left them, or end this plan and make a new one on how they are now.",
        moved=list(ground.moved),
    )


def _content(
    plan: RolloutPlan, stage_number: int, ground: Ground, left_alone: Collection[str], *, is_reversed: bool
) -> ChangeSet:
    """The edits that bring every flag but those left alone to what the stage serves; back in reverse order."""
    edits = [
        ConfigEdit(key, ground.version(key), document)
        for key, document in documents_at(plan, stage_number).items()
        if key not in left_alone
        and document_digest(document) != ground.digest(key)
        and not (stage_number == 0 and ground.version(key) == 0)
    ]
    return ChangeSet(str(plan.environment_id), tuple(reversed(edits) if is_reversed else edits))


def _reached(
    plan: RolloutPlan, stage_number: int, applied: AppliedChange, *, goes_back: bool, now: datetime
) -> dict[str, Any]:
    """The columns of a plan that has just come to a stage."""
    documents = documents_at(plan, stage_number)
    written = {
        key: {"version": applied.versions[key], "digest": document_digest(documents[key])}
        if key in applied.versions
        else {"version": known["version"], "digest": known["digest"]}
        for key in documents
        if (known := left_as(plan, key))
    }
    fields: dict[str, Any] = {
        "stage": stage_number,
        "stage_entered_at": now,
        "extra_soak_minutes": 0,
        "written": written,
        "blocked_code": "",
        "blocked_detail": {},
        "next_look_at": now,
    }
    if goes_back:
        fields |= {"attempt": plan.attempt + 1, "good_stage": min(plan.good_stage, stage_number)}
    return fields


def _stage_words(plan: RolloutPlan, stage_number: int) -> str:
    if stage_number == 0:
        return "back to how it was before"
    stages = plan.definition["stages"]
    return f"stage {stage_number} of {len(stages)}, {stages[stage_number - 1]['name']}"
