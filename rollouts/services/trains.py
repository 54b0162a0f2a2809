"""What people do with a release train: put plans together, start it, pause it, take it back, end it."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction

from audits.actions import Action
from audits.context import Actor, correlation, current_correlation_id
from flags import permissions
from flags.errors import NotFound
from flags.models import Project
from flags.services.attempts import attempt
from flags.services.keys import problem
from flags.services.tickets import governed_write
from rollouts.errors import TrainMovedOn, TrainRefused
from rollouts.models import ReleaseTrain, RolloutPlan, TrainMember
from rollouts.plans.trains import TrainAct, TrainState, Wagon, in_order, misplaced, next_train_state, twice
from rollouts.selectors.plans.due import plans_with_all
from rollouts.selectors.trains import (
    JOINABLE,
    TrainView,
    concerned,
    permissions_of,
    start_refusal,
    takes_one_role,
    view_of,
    wagons_of,
)
from rollouts.services.checks import checked_prose, checked_title
from rollouts.services.train_moves import carry_on, send_back
from rollouts.services.train_writing import lock_train, record, write
from rollouts.services.writing import require_person

MOST_PLANS = 20
_NEEDS_REASON = frozenset({TrainAct.ROLL_BACK, TrainAct.ABORT})


@dataclass(frozen=True, slots=True)
class Seat:
    """A plan's place as people ask for it. `opens_at`: see `TrainMember`."""

    plan_id: uuid.UUID
    opens_at: int | None = None


def create_train(
    project_id: uuid.UUID, seats: Sequence[Seat], *, actor: Actor, now: datetime, title: str, reason: str = ""
) -> ReleaseTrain:
    """Put plans that have not begun together, in this order except that each comes after those whose flags it needs.

    Needs the role editor where each of them goes. Raises PermissionMissing, InvalidInput, NotFound, CircularTrain, and
    TrainRefused for plans that are in another train, have begun, or change the same flag.
    """

    def act() -> ReleaseTrain:
        project = Project.objects.select_for_update(no_key=True).filter(pk=project_id).first()
        if project is None:
            raise NotFound("This project does not exist. It may have been mistyped.", project_id=str(project_id))
        train = ReleaseTrain(
            project=project,
            title=checked_title(title),
            reason=checked_prose(reason, field="reason"),
            state=TrainState.DRAFT.value,
            created_by_id=require_person(actor),
            created_at=now,
            correlation_id=current_correlation_id(),
        )
        ordered = _ordered(project, seats, actor)
        with governed_write(project.pk):
            train.save(force_insert=True)
            _seat(train, ordered)
        _record(train, Action.TRAIN_CREATED, actor, now, ordered, reason=train.reason)
        return train

    return attempt(act)


def edit_train(
    train_id: uuid.UUID,
    seats: Sequence[Seat],
    *,
    actor: Actor,
    now: datetime,
    seen: int,
    title: str,
    reason: str = "",
) -> ReleaseTrain:
    """Put a train that has not started together anew; an order against prerequisites is refused.

    Raises as `create_train`, TrainMovedOn, InvalidTrainTransition.
    """

    def act() -> ReleaseTrain:
        train = lock_train(train_id, seen=seen)
        next_train_state(train.current_state, TrainAct.EDIT)
        present = view_of(train)
        _require(present, TrainAct.EDIT, actor)
        mine = frozenset(member.plan_id for member in present.members)
        ordered = _ordered(train.project, seats, actor, mine=mine, is_by_hand=True)
        with governed_write(train.project_id):
            TrainMember.objects.filter(train=train).delete()
            _seat(train, ordered)
        write(train, TrainAct.EDIT, title=checked_title(title), reason=checked_prose(reason, field="reason"))
        _record(train, Action.TRAIN_EDITED, actor, now, ordered)
        return train

    return attempt(act)


def start_train(
    train_id: uuid.UUID, *, actor: Actor, now: datetime, seen: int, digest: str, reason: str = ""
) -> ReleaseTrain:
    """Let the first plan set out. Each plan has to be approved, or be for an environment that is not protected.

    `digest` is that of the plans that were looked at. A draft that is changed afterwards is not started by the train.
    Needs the role that starting each plan takes. Raises PermissionMissing, TrainRefused, TrainMovedOn.
    """

    def act() -> ReleaseTrain:
        train, view = _opened(train_id, TrainAct.START, actor, seen)
        if digest != view.digest:
            raise TrainMovedOn(
                f"A plan of the train “{train.title}” was changed since the page was opened. Nothing has started. "
                "Reload the page, look at the stages of its plans again, and decide again."
            )
        refused = [why for member in view.members if (why := start_refusal(member.plan))]
        if refused:
            raise TrainRefused(f"The train cannot start: {' '.join(refused)}")
        _refuse_order(wagons_of([member.plan for member in view.members]))
        agreed = {str(member.plan_id): member.plan.digest for member in view.members}
        return _acted(train, TrainAct.START, actor, now, reason, started_by_id=actor.id, started_at=now, agreed=agreed)

    train = attempt(act)
    carry_on(train.pk, now=now)
    return train


def pause_train(train_id: uuid.UUID, *, actor: Actor, now: datetime, seen: int, reason: str = "") -> ReleaseTrain:
    """No plan of the train goes forward until somebody resumes it; everybody keeps what they get.

    A role where one of the plans goes suffices.
    """
    return _simply(train_id, TrainAct.PAUSE, actor=actor, now=now, seen=seen, reason=reason)


def resume_train(train_id: uuid.UUID, *, actor: Actor, now: datetime, seen: int, reason: str = "") -> ReleaseTrain:
    """Let the plans of a paused train go on."""
    return _simply(train_id, TrainAct.RESUME, actor=actor, now=now, seen=seen, reason=reason)


def abort_train(train_id: uuid.UUID, *, actor: Actor, now: datetime, seen: int, reason: str) -> ReleaseTrain:
    """End the train for good. What is served stays, and its plans go their own ways.

    The plans of a train that never started may join another one; ending it takes a role where one of them goes.
    """

    def act() -> ReleaseTrain:
        train, view = _opened(train_id, TrainAct.ABORT, actor, seen)
        was_draft = train.current_state is TrainState.DRAFT
        _acted(train, TrainAct.ABORT, actor, now, reason, ended_at=now, members=view)
        if was_draft:
            with governed_write(train.project_id):
                TrainMember.objects.filter(train=train).delete()
        return train

    return attempt(act)


def roll_back_train(train_id: uuid.UUID, *, actor: Actor, now: datetime, seen: int, reason: str) -> ReleaseTrain:
    """Take every plan of the train back to how it was before, the last one first. Freezes do not hold it.

    That it is rolled back is said first; each plan goes back in a transaction of its own, and the sweep takes over
    where this process ends in between, in the same person's name.
    """

    def act() -> ReleaseTrain:
        train, _ = _opened(train_id, TrainAct.ROLL_BACK, actor, seen)
        why = checked_prose(reason, field="reason", required=True)
        fields: dict[str, Any] = {"rollback_reason": why, "rolled_back_by_id": actor.id, "ended_at": None}
        return _acted(train, TrainAct.ROLL_BACK, actor, now, why, **fields)

    train = attempt(act)
    send_back(train.pk, actor=actor, now=now)
    return train


def _simply(
    train_id: uuid.UUID, what: TrainAct, *, actor: Actor, now: datetime, seen: int, reason: str
) -> ReleaseTrain:
    def act() -> ReleaseTrain:
        train, _ = _opened(train_id, what, actor, seen)
        return _acted(train, what, actor, now, reason)

    return attempt(act)


def _opened(train_id: uuid.UUID, act: TrainAct, actor: Actor, seen: int) -> tuple[ReleaseTrain, TrainView]:
    """The train, locked, for a person who may do this to it."""
    train = lock_train(train_id, seen=seen)
    require_person(actor)
    next_train_state(train.current_state, act)
    view = view_of(train)
    _require(view, act, actor)
    return train, view


def _acted(
    train: ReleaseTrain,
    act: TrainAct,
    actor: Actor,
    now: datetime,
    reason: str,
    *,
    members: TrainView | None = None,
    **fields: object,
) -> ReleaseTrain:
    why = checked_prose(reason, field="reason", required=act in _NEEDS_REASON)
    origin = train.state
    write(train, act, **fields)
    with correlation(train.correlation_id):
        told = {"plans": [member.plan.number for member in members.members]} if members else {}
        record(train, ACTIONS[act], actor=actor, now=now, reason=why, from_state=origin, to_state=train.state, **told)
    return train


ACTIONS: Mapping[TrainAct, Action] = {
    TrainAct.EDIT: Action.TRAIN_EDITED,
    TrainAct.START: Action.TRAIN_STARTED,
    TrainAct.PAUSE: Action.TRAIN_PAUSED,
    TrainAct.RESUME: Action.TRAIN_RESUMED,
    TrainAct.ROLL_BACK: Action.TRAIN_ROLLED_BACK,
    TrainAct.ABORT: Action.TRAIN_ABORTED,
}


def _require(view: TrainView, act: TrainAct, actor: Actor) -> None:
    """Raise PermissionMissing unless the actor may do this where each plan concerned goes, or one where that does."""
    plans = concerned(view, act)
    if takes_one_role(view, act):
        plans = [
            plan
            for plan in plans
            if any(permissions.holds(actor, one, plan.environment) for one in permissions_of(plan, act))
        ][:1] or plans
    for plan in plans:
        permissions.require_any(actor, permissions_of(plan, act), plan.environment)


def _ordered(
    project: Project,
    seats: Sequence[Seat],
    actor: Actor,
    *,
    mine: frozenset[uuid.UUID] = frozenset(),
    is_by_hand: bool = False,
) -> list[tuple[RolloutPlan, int | None]]:
    """The plans in the order in which they go, each one checked."""
    plans = {plan.pk: plan for plan in plans_with_all([seat.plan_id for seat in seats])}
    found = [(plans[seat.plan_id], seat.opens_at) for seat in seats if seat.plan_id in plans]
    if len(found) != len(seats) or len(plans) != len(seats):
        raise problem("plans", "Choose each plan once, from those that are there.")
    if not 2 <= len(found) <= MOST_PLANS:
        raise problem("plans", f"A train has two plans at least and {MOST_PLANS} at most.")
    for plan, opens_at in found:
        _refuse_plan(plan, opens_at, project, actor, mine)
    wagons = wagons_of([plan for plan, _ in found])
    order = {wagon.key: number for number, wagon in enumerate(in_order(wagons))}
    if is_by_hand:
        _refuse_order(wagons)
    else:
        _refuse_twice(wagons)
    return sorted(found, key=lambda pair: order[str(pair[0].pk)])


def _refuse_order(wagons: Sequence[Wagon]) -> None:
    """Raise TrainRefused where a plan stands before one whose flags it needs: plans that are drafts still change."""
    _refuse_twice(wagons)
    if wrong := misplaced(wagons):
        early, late = wrong[0]
        raise TrainRefused(f"{early.label} needs a flag of {late.label}, so it goes after it. Change the order.")


def _refuse_twice(wagons: Sequence[Wagon]) -> None:
    if same := twice(wagons):
        one, other, flag = same[0]
        raise TrainRefused(f"{one.label} and {other.label} both change “{flag}”. Put that into one plan.")


def _refuse_plan(
    plan: RolloutPlan, opens_at: int | None, project: Project, actor: Actor, mine: frozenset[uuid.UUID]
) -> None:
    if plan.project_id != project.pk:
        raise problem("plans", f"{plan.label} belongs to another project.")
    permissions.require(actor, permissions.PROPOSE, plan.environment)
    if plan.current_state not in JOINABLE:
        raise TrainRefused(f"{plan.label} is {plan.current_state.label.lower()}. Only plans that have not begun join.")
    if plan.pk not in mine and TrainMember.objects.filter(plan=plan).exists():
        raise TrainRefused(f"{plan.label} is in another train. End that train first, or leave the plan out.")
    stages = len(plan.definition["stages"])
    if opens_at is not None and not 1 <= opens_at <= stages:
        raise problem("opens_at", f"{plan.label} has the stages 1 to {stages}.")


def _seat(train: ReleaseTrain, ordered: Sequence[tuple[RolloutPlan, int | None]]) -> None:
    rows = [
        TrainMember(train=train, project_id=train.project_id, plan=plan, position=number, opens_at=opens_at)
        for number, (plan, opens_at) in enumerate(ordered, start=1)
    ]
    try:
        with transaction.atomic():
            TrainMember.objects.bulk_create(rows)
    except IntegrityError as error:
        if "flagsite:" in str(error):
            raise
        raise TrainRefused("One of these plans joined another train a moment ago. Reload the page.") from error


def _record(
    train: ReleaseTrain,
    action: Action,
    actor: Actor,
    now: datetime,
    ordered: Sequence[tuple[RolloutPlan, int | None]],
    reason: str = "",
) -> None:
    with correlation(train.correlation_id):
        plans = [{"number": plan.number, "opens_at": opens_at} for plan, opens_at in ordered]
        record(train, action, actor=actor, now=now, reason=reason, plans=plans)
