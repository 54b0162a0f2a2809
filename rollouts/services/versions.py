"""Going back: to a version, by one change, by one request, or a whole environment to an instant.

Nothing is ever rewritten: old content becomes a new version. What exposes nobody to anything new happens at once, with
a reason; anything else in a protected environment becomes a draft that asks for approval like every other change.
"""

import time
import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from audits.context import Actor, correlation, open_correlation_id
from flags import permissions
from flags.authority import Reversal
from flags.errors import InvalidInput, NotFound, StaleChange
from flags.models import Environment, FlagConfig, Segment
from flags.services.attempts import attempt
from flags.services.configs import AppliedChange, apply_change_set
from flags.services.locks import lock_environment
from rollouts.errors import NothingToRestore, RestoreConflict
from rollouts.models import ChangeRequest
from rollouts.selectors.versions import Fate, Plan, plan_restore, plan_roll_back, plan_undo, plan_undo_request
from rollouts.services.checks import LONGEST_TITLE, checked_prose, refuse_planned
from rollouts.services.drafting import create_change_request
from rollouts.services.reversals import mark_rolled_back
from rollouts.services.rollback_checks import check_served, record_check
from rollouts.services.verifying import Verification
from rollouts.services.writing import lock_request, require_person
from rollouts.transitions import Act, next_state

Clock = Callable[[], float]
_NAMED = 5


@dataclass(frozen=True, slots=True)
class Restoration:
    """What came of it: applied at once and verified, or a draft that waits to be submitted.

    Neither: what a request changed was taken back before, so only the request is marked.
    """

    plan: Plan
    applied: AppliedChange | None = None
    request: ChangeRequest | None = None
    verification: Verification | None = None


@dataclass(frozen=True, slots=True)
class _Order:
    """Who goes back, why and when; `seen` is the digest of the plan that was looked at, None where nobody looked."""

    actor: Actor
    reason: str
    now: datetime
    seen: str | None
    clock: Clock


def roll_back_flag(
    environment_id: uuid.UUID,
    flag_id: uuid.UUID,
    *,
    version: int,
    actor: Actor,
    reason: str,
    now: datetime,
    seen: str | None = None,
    clock: Clock = time.monotonic,
) -> Restoration:
    """Serve again what a version of a flag served.

    Raises as `apply_change_set`, NothingToRestore, StaleChange (the plan that was `seen` is another now), InvalidInput
    (no reason).
    """
    order = _Order(actor, reason, now, seen, clock)
    return _carry_out(environment_id, lambda: plan_roll_back(_config(environment_id, flag_id), version), order)


def roll_back_segment(
    segment_id: uuid.UUID,
    *,
    version: int,
    actor: Actor,
    reason: str,
    now: datetime,
    seen: str | None = None,
    clock: Clock = time.monotonic,
) -> Restoration:
    """Give a segment the people of one of its versions again. Raises as `roll_back_flag`."""
    order = _Order(actor, reason, now, seen, clock)
    environment_id = _segment(segment_id).environment_id
    return _carry_out(environment_id, lambda: plan_roll_back(_segment(segment_id), version), order)


def undo_version(
    environment_id: uuid.UUID,
    flag_id: uuid.UUID,
    *,
    version: int,
    actor: Actor,
    reason: str,
    now: datetime,
    seen: str | None = None,
    clock: Clock = time.monotonic,
) -> Restoration:
    """Take back what one version of a flag changed and keep what came later.

    Raises as `roll_back_flag`, and RestoreConflict where something later changed the same thing.
    """
    order = _Order(actor, reason, now, seen, clock)
    return _carry_out(environment_id, lambda: plan_undo(_config(environment_id, flag_id), version), order)


def restore_environment(
    environment_id: uuid.UUID,
    *,
    instant: datetime,
    actor: Actor,
    reason: str,
    now: datetime,
    leave: Collection[str] = (),
    switch_off: Collection[str] = (),
    seen: str | None = None,
    clock: Clock = time.monotonic,
) -> Restoration:
    """Serve again what the whole environment served at an instant, in one transaction; see `plan_restore`.

    Raises as `roll_back_flag`, and InvalidInput for an instant that has not come.
    """
    if instant.utcoffset() is None or instant >= now:
        raise InvalidInput("Choose a time in the past to go back to.", problems=[])
    order = _Order(actor, reason, now, seen, clock)

    def build() -> Plan:
        environment = Environment.objects.select_related("project").get(pk=environment_id)
        return plan_restore(environment, instant, leave=leave, switch_off=switch_off)

    return _carry_out(environment_id, build, order)


def roll_back_request(
    request_id: uuid.UUID,
    *,
    actor: Actor,
    reason: str,
    now: datetime,
    leave: Collection[str] = (),
    seen: str | None = None,
    clock: Clock = time.monotonic,
) -> Restoration:
    """Undo what an applied request changed and keep what came later; the request is rolled back when all of it is.

    Where somebody took it all back by hand, nothing is written but that.

    Raises as `roll_back_flag`, RestoreConflict, InvalidTransition for a request that is not live.
    """
    order = _Order(actor, reason, now, seen, clock)
    request = ChangeRequest.objects.filter(pk=request_id).first()
    if request is None:
        raise NotFound("This change request does not exist. It may have been mistyped.", request_id=str(request_id))

    def build() -> Plan:
        locked = lock_request(request_id)
        next_state(locked.current_state, Act.ROLL_BACK)
        refuse_planned(locked, "Go back on its page instead: it knows what it wrote.")
        return plan_undo_request(locked, leave=leave)

    def conclude(plan: Plan) -> None:
        if plan.source["is_whole"]:
            mark_rolled_back(request_id, actor=order.actor, now=order.now, reason=order.reason)

    return _carry_out(request.environment_id, build, order, conclude=conclude)


def _carry_out(
    environment_id: uuid.UUID,
    build: Callable[[], Plan],
    order: _Order,
    *,
    conclude: Callable[[Plan], None] | None = None,
) -> Restoration:
    """Make the plan under the environment's lock, apply or propose it, and look at what is served then."""
    began = order.clock()
    with correlation(open_correlation_id()):
        done = attempt(partial(_act, environment_id, build, order, conclude))
        if done.applied is None:
            return done
        plan, change_set = done.plan, done.plan.change_set
        verification = check_served(change_set, plan.environment, since=began, clock=order.clock)
        attempt(
            lambda: record_check(
                verification,
                change_set,
                plan.environment,
                title=plan.title,
                target=plan.target,
                actor=order.actor,
                now=order.now,
            )
        )
    return replace(done, verification=verification)


def _act(
    environment_id: uuid.UUID, build: Callable[[], Plan], order: _Order, conclude: Callable[[Plan], None] | None
) -> Restoration:
    environment = lock_environment(environment_id)
    require_person(order.actor)
    permissions.require_any(order.actor, (permissions.PROPOSE, permissions.APPLY), environment)
    reason = checked_prose(order.reason, field="reason", required=True)
    plan = build()
    if conclude is not None and plan.is_back:
        conclude(plan)
        return Restoration(plan)
    _refuse(plan, order, environment)
    if not plan.is_at_once:
        return Restoration(plan, request=_draft(plan, order, reason))
    authority = Reversal(plan.title, plan.target)
    applied = apply_change_set(
        plan.change_set, actor=order.actor, authority=authority, now=order.now, reason=f"{plan.title}: {reason}"
    )
    if conclude is not None:
        conclude(plan)
    return Restoration(plan, applied=applied)


def _refuse(plan: Plan, order: _Order, environment: Environment) -> None:
    if plan.conflicts:
        named = [f"{line.key} ({', '.join(one.words for one in line.conflicts)})" for line in plan.conflicts]
        raise RestoreConflict(
            f"Changed again since, so it cannot be undone without losing that: {'; '.join(named[:_NAMED])}. "
            "Leave these out, or edit them by hand.",
            conflicts=[{"key": line.key, "paths": [one.path for one in line.conflicts]} for line in plan.conflicts],
        )
    if plan.is_before_everything:
        raise NothingToRestore("Nothing existed then. Tick what is to be switched off; everything else stays.")
    notes = dict.fromkeys(f"{line.key}: {line.note}" for line in plan.lines if line.fate is Fate.KEPT and line.note)
    if not plan.change_set.edits and notes:
        raise NothingToRestore(f"Nothing was changed. {' '.join(list(notes)[:_NAMED])}")
    if not plan.change_set.edits:
        raise NothingToRestore(f"{environment.name} serves exactly this already. Nothing was changed.")
    if order.seen is not None and order.seen != plan.digest:
        raise StaleChange(
            f"Something changed in {environment.name} while you looked at this. Nothing was done: look at what would "
            "change now and decide again.",
            moved=[],
        )


def _draft(plan: Plan, order: _Order, reason: str) -> ChangeRequest:
    return create_change_request(
        plan.environment.pk,
        actor=order.actor,
        title=plan.title[:LONGEST_TITLE],
        reason=reason,
        change_set=plan.change_set,
        apply_at=None,
        now=order.now,
        source={**plan.source, "target": plan.target, "digest": plan.digest},
    )


def _config(environment_id: uuid.UUID, flag_id: uuid.UUID) -> FlagConfig:
    rows = FlagConfig.objects.select_related("flag", "environment__project")
    config = rows.filter(environment_id=environment_id, flag_id=flag_id).first()
    if config is None:
        raise NotFound("This flag was never set up here, so there is no version to go back to.", flag_id=str(flag_id))
    return config


def _segment(segment_id: uuid.UUID) -> Segment:
    segment = Segment.objects.select_related("environment__project").filter(pk=segment_id).first()
    if segment is None:
        raise NotFound("This segment does not exist. It may have been mistyped.", segment_id=str(segment_id))
    return segment
