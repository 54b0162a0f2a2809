"""What every act on a timeline shares: locks in one order, the conditional write, the step, the audit event.

The environment row is locked before the timeline. That exactly one act wins rests on the conditional UPDATE and on the
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
from rollouts.deprecations.transitions import LIVE_STATES, TimelineAct, TimelineState, next_timeline_state
from rollouts.errors import ConcurrentUpdate, FlagInOtherPlan, FlagIsEnding
from rollouts.models import DeprecationTimeline, PlanFlag, TimelineStep

ENGINE = Actor.system("rollouts.advance_timelines")
ACTIONS = {
    TimelineAct.EDIT: Action.TIMELINE_EDITED,
    TimelineAct.PROPOSE: Action.TIMELINE_PROPOSED,
    TimelineAct.RECALL: Action.TIMELINE_RECALLED,
    TimelineAct.START: Action.TIMELINE_STARTED,
    TimelineAct.REACH: Action.TIMELINE_MILESTONE_REACHED,
    TimelineAct.MISS: Action.TIMELINE_MILESTONE_MISSED,
    TimelineAct.END_BROWNOUT: Action.TIMELINE_BROWNOUT_ENDED,
    TimelineAct.HOLD: Action.TIMELINE_HELD,
    TimelineAct.CLEAR: Action.TIMELINE_CLEARED,
    TimelineAct.POSTPONE: Action.TIMELINE_POSTPONED,
    TimelineAct.PAUSE: Action.TIMELINE_PAUSED,
    TimelineAct.RESUME: Action.TIMELINE_RESUMED,
    TimelineAct.APPROVE: Action.TIMELINE_MILESTONE_APPROVED,
    TimelineAct.UNDO: Action.TIMELINE_UNDONE,
    TimelineAct.END: Action.TIMELINE_ENDED,
    TimelineAct.COMPLETE: Action.TIMELINE_COMPLETED,
}


def lock_timeline(timeline_id: uuid.UUID) -> DeprecationTimeline:
    """The timeline with environment, project and flag; its row and the environment's are locked. Raises NotFound."""
    rows = DeprecationTimeline.objects.filter(pk=timeline_id)
    environment_id = rows.values_list("environment_id", flat=True).first()
    if environment_id is None:
        raise NotFound("This timeline does not exist. It may have been mistyped.", timeline_id=str(timeline_id))
    environment = lock_environment(environment_id)
    timeline = rows.select_for_update(of=("self",), no_key=True).select_related("request", "flag").get()
    timeline.environment, timeline.project = environment, environment.project
    return timeline


def step(
    timeline: DeprecationTimeline,
    act: TimelineAct,
    *,
    actor: Actor,
    now: datetime,
    reason: str = "",
    revision: int | None = None,
    evidence: dict[str, Any] | None = None,
    draft: dict[str, Any] | None = None,
    **fields: Any,
) -> TimelineStep:
    """Write what `act` leads to, provided nobody wrote since `timeline` was read, with its step and its event.

    `fields` are columns of the timeline, and so is what `draft` holds: a draft has a reason of its own. Raises
    InvalidTimelineTransition where the state does not allow the act, FlagIsEnding or FlagInOtherPlan where something
    else is at work on the flag, and ConcurrentUpdate for the loser of a race. To be called with the timeline locked, in
    the transaction that writes the flag.
    """
    target, origin = next_timeline_state(timeline.current_state, act), timeline.current_state
    if target in LIVE_STATES and origin not in LIVE_STATES:
        _refuse_other_work(timeline)
    from_milestone, sequence = timeline.milestone, timeline.sequence + 1
    with governed_write(timeline.environment_id):
        _write(timeline, target, sequence, {**fields, **(draft or {})})
        kept = TimelineStep(
            timeline=timeline,
            environment_id=timeline.environment_id,
            sequence=sequence,
            act=act.value,
            from_milestone=from_milestone,
            to_milestone=timeline.milestone,
            is_automatic=actor.kind is ActorKind.SYSTEM,
            actor_kind=actor.kind.value,
            actor_id=actor.id,
            reason=reason,
            revision=revision,
            evidence=evidence or {},
            correlation_id=current_correlation_id(),
            at=now,
        )
        _insert(kept, timeline)
    facts = {"from_milestone": from_milestone, "to_milestone": timeline.milestone, "revision": revision}
    told = {"from_state": origin.value, "to_state": timeline.state, **facts, **(evidence or {})}
    record(ACTIONS[act], timeline, actor=actor, now=now, reason=reason, **told)
    return kept


def record(
    action: Action, timeline: DeprecationTimeline, *, actor: Actor, now: datetime, reason: str = "", **data: Any
) -> None:
    """Write the audit event of an act on `timeline`."""
    trail.record(
        action,
        actor=actor,
        target=trail.Target("timeline", str(timeline.pk), timeline.label),
        now=now,
        project_id=timeline.project_id,
        project_key=timeline.project.key,
        environment_key=timeline.environment.key,
        flag_key=timeline.flag.key,
        reason=reason,
        data={
            "number": timeline.number,
            "digest": timeline.digest,
            "attempt": timeline.attempt,
            "sequence": timeline.sequence,
            "milestone": timeline.milestone,
            **data,
        },
    )


def refuse_ending(environment_id: uuid.UUID, flag_ids: list[uuid.UUID]) -> None:
    """Raise FlagIsEnding where a live timeline is at work on one of these flags. To be called behind the lock."""
    live = [state.value for state in LIVE_STATES]
    rows = DeprecationTimeline.objects.filter(environment=environment_id, flag__in=flag_ids, state__in=live)
    first = rows.select_related("flag", "environment").order_by("number").first()
    if first is not None:
        raise FlagIsEnding(
            f"{first.label} is {_STATES[first.current_state]} in {first.environment.name}, so {first.flag.key} is on "
            "its way out there. End that timeline first: two would undo each other's work.",
            timeline_id=str(first.pk),
            flag_key=first.flag.key,
        )


_STATES = {
    TimelineState.RUNNING: "running",
    TimelineState.PAUSED: "paused",
    TimelineState.UNDONE: "undone and not ended",
}


def _refuse_other_work(timeline: DeprecationTimeline) -> None:
    refuse_ending(timeline.environment_id, [timeline.flag_id])
    rows = PlanFlag.objects.filter(environment=timeline.environment_id, flag=timeline.flag_id, is_live=True)
    held = rows.select_related("plan").first()
    if held is not None:
        raise FlagInOtherPlan(
            f"{held.plan.label} is {held.plan.current_state.label.lower()} and works on {timeline.flag.key} in "
            f"{timeline.environment.name}. End that plan first: a flag does not go up and out at the same time.",
            plan_id=str(held.plan_id),
            flag_key=timeline.flag.key,
        )


def _write(timeline: DeprecationTimeline, target: TimelineState, sequence: int, fields: dict[str, Any]) -> None:
    """The conditional UPDATE. Raises ConcurrentUpdate for the loser of a race."""
    as_read = DeprecationTimeline.objects.filter(
        pk=timeline.pk, state=timeline.state, lock_version=timeline.lock_version
    )
    try:
        with transaction.atomic():
            changed = {"state": target.value, "sequence": sequence, **fields}
            written = as_read.update(lock_version=F("lock_version") + 1, **changed)
    except IntegrityError as error:
        if "flagsite:" in str(error):
            raise
        raise FlagIsEnding(f"Another timeline took {timeline.flag.key} a moment ago. Reload the page.") from error
    if written != 1:
        raise _too_late(timeline)
    for name, value in changed.items():
        setattr(timeline, name, value)
    timeline.lock_version += 1


def _insert(kept: TimelineStep, timeline: DeprecationTimeline) -> None:
    try:
        with transaction.atomic():
            kept.save(force_insert=True)
    except IntegrityError as error:
        if "flagsite:" in str(error):
            raise
        raise _too_late(timeline) from error


def _too_late(timeline: DeprecationTimeline) -> ConcurrentUpdate:
    return ConcurrentUpdate(f"Somebody else acted on timeline {timeline.number} at the same moment. Reload the page.")
