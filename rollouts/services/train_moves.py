"""What a release train does by itself: holds its plans until their turn, starts them, takes all of them back.

Everything that is left to do shows in rows, so a sweep goes on wherever a process ended.
"""

import logging
import uuid
from collections.abc import Mapping
from datetime import datetime
from functools import partial

from django.contrib.auth import get_user_model

from audits.actions import Action
from audits.context import Actor, correlation
from audits.errors import GovernanceError
from flags import permissions
from flags.services.attempts import attempt
from rollouts.errors import TrainWaits
from rollouts.models import PlanStep, ReleaseTrain, RolloutPlan, TrainMember
from rollouts.plans.trains import UNDER_WAY, TrainAct, TrainState, back_order
from rollouts.plans.transitions import PlanAct, PlanState
from rollouts.selectors.plans.rights import require_right
from rollouts.selectors.trains import TrainView, concerned, permissions_of, view_of
from rollouts.services.plans.consent import refuse_own_opening
from rollouts.services.plans.hooks import register_move_gate
from rollouts.services.plans.rollback import go_back
from rollouts.services.plans.stages import begun_by, reach_stage
from rollouts.services.plans.writing import ENGINE, lock_plan
from rollouts.services.train_writing import lock_train, note, record, write

logger = logging.getLogger(__name__)

_CHANGED = (
    "It was changed after the train was started, so the train does not start it. Somebody who has looked at it "
    "starts it from its own page; the train goes on from there."
)
_STAYS = (
    "Whoever rolled it back may not do that everywhere the train goes, so the other plans stay as they are and wait. "
    "Roll the train back, or resume this plan, or end the train."
)


def register_train_gate() -> None:
    """Ask the train of a plan before every move forward from now on."""
    register_move_gate("trains", refuse_out_of_turn)


def refuse_out_of_turn(plan: RolloutPlan, *, to_stage: int, now: datetime) -> None:
    """Raise TrainWaits where the plan is in a train and it is not its turn.

    The train is locked: whoever takes it back comes before this move or finds it made.
    """
    member = TrainMember.objects.filter(plan=plan).first()
    if member is None:
        return
    view = view_of(lock_train(member.train_id))
    wait = view.wait_of(member.position)
    if wait is not None:
        raise TrainWaits(wait.sentence, train_id=str(member.train_id), waits_for=wait.position)


def carry_on(train_id: uuid.UUID, *, now: datetime) -> bool:
    """Do what is due in one train; whether anything was done."""
    found = ReleaseTrain.objects.select_related("project").filter(pk=train_id).first()
    if found is None:
        return False
    view = view_of(found)
    if found.current_state in UNDER_WAY:
        states = {place.state for place in view.places}
        if PlanState.ROLLED_BACK in states:
            return _follow(view, now=now)
        if states == {PlanState.COMPLETED}:
            return attempt(partial(_complete, train_id, now=now))
    if found.current_state is TrainState.RUNNING:
        return _start_next(view, now=now) > 0
    if found.current_state is TrainState.ROLLED_BACK:
        return send_back(train_id, actor=_in_whose_name(found.rolled_back_by_id), now=now) > 0
    return False


def send_back(train_id: uuid.UUID, *, actor: Actor, now: datetime) -> int:
    """Take what a rolled back train still serves back to how it was before, the last plan first; how many went.

    Each goes in a transaction of its own. One that cannot is named on the train and does not stop the others.
    """
    view = view_of(ReleaseTrain.objects.select_related("project").get(pk=train_id))
    members = {member.position: member for member in view.members}
    refused: dict[str, str] = {}
    gone = 0
    for place in back_order(view.places):
        plan_id = members[place.position].plan_id
        try:
            gone += attempt(partial(_send_one_back, plan_id, train_id, actor=actor, now=now))
        except GovernanceError as error:
            refused[str(plan_id)] = _said_again(error)
        except Exception:
            logger.exception(
                "Plan %s of train %s could not be taken back; the next sweep tries again", plan_id, train_id
            )
    _note(view.train, refused)
    return gone


def _send_one_back(plan_id: uuid.UUID, train_id: uuid.UUID, *, actor: Actor, now: datetime) -> bool:
    plan = lock_plan(plan_id)
    train = ReleaseTrain.objects.get(pk=train_id)
    if train.current_state is not TrainState.ROLLED_BACK or not plan.stage or plan.state == PlanState.ABORTED.value:
        return False
    reason = f"With the release train “{train.title}”: {train.rollback_reason}"
    with correlation(plan.correlation_id):
        go_back(plan, to_stage=0, actor=actor, reason=reason, now=now, evidence={"train_id": str(train_id)})
    return True


def _follow(view: TrainView, *, now: datetime) -> bool:
    """Take the other plans back after one that was, or say on the train why they stay; whether any went."""
    gone = [
        (member, place)
        for member, place in zip(view.members, view.places, strict=True)
        if place.state is PlanState.ROLLED_BACK
    ]
    for member, place in gone:
        back = PlanStep.objects.filter(plan=member.plan_id, act=PlanAct.ROLL_BACK.value).latest("sequence")
        actor = ENGINE if back.is_automatic else _in_whose_name(back.actor_id)
        if back.is_automatic or _may_take_all_back(view, actor):
            _say_rolled_back(view.train.pk, place.label, actor=actor, now=now)
            return send_back(view.train.pk, actor=actor, now=now) > 0
    _note(view.train, {str(member.plan_id): _STAYS for member, _ in gone})
    return False


def _may_take_all_back(view: TrainView, actor: Actor) -> bool:
    """Whether a person who took one plan back may take back each one that has begun."""
    return all(
        any(permissions.holds(actor, one, plan.environment) for one in permissions_of(plan, TrainAct.ROLL_BACK))
        for plan in concerned(view, TrainAct.ROLL_BACK)
    )


def _in_whose_name(person_id: str) -> Actor:
    """The person with this id as somebody in whose name a sweep acts; the engine for nobody."""
    return Actor.person(get_user_model().objects.get(pk=person_id), via="task") if person_id else ENGINE


def _said_again(error: GovernanceError) -> str:
    return f"{error.message} It is tried again with every look."


def _say_rolled_back(train_id: uuid.UUID, label: str, *, actor: Actor, now: datetime) -> None:
    """Make it known that the whole train goes back, because one of its plans did."""
    reason = f"{label} was rolled back."

    def act() -> None:
        train = lock_train(train_id)
        if train.current_state not in UNDER_WAY:
            return
        origin, person_id = train.state, "" if actor == ENGINE else actor.id
        write(train, TrainAct.ROLL_BACK, rollback_reason=reason, rolled_back_by_id=person_id)
        with correlation(train.correlation_id):
            record(
                train,
                Action.TRAIN_ROLLED_BACK,
                actor=actor,
                now=now,
                reason=reason,
                from_state=origin,
                to_state=train.state,
            )

    attempt(act)


def _complete(train_id: uuid.UUID, *, now: datetime) -> bool:
    train = lock_train(train_id)
    if train.current_state not in UNDER_WAY or {p.state for p in view_of(train).places} != {PlanState.COMPLETED}:
        return False
    origin = train.state
    write(train, TrainAct.COMPLETE, ended_at=now, refused={})
    with correlation(train.correlation_id):
        record(train, Action.TRAIN_COMPLETED, actor=ENGINE, now=now, from_state=origin, to_state=train.state)
    return True


def _start_next(view: TrainView, *, now: datetime) -> int:
    """Start the drafts whose turn has come, in the name of whoever started the train; how many. One that was changed
    since is left to somebody who looks at it, and approved plans are started by their requests.
    """
    train, refused, begun = view.train, dict[str, str](), 0
    for member in view.members:
        if member.plan.current_state is not PlanState.DRAFT or view.wait_of(member.position):
            continue
        if train.agreed.get(str(member.plan_id)) != member.plan.digest:
            refused[str(member.plan_id)] = _CHANGED
            continue
        try:
            begun += attempt(partial(_start_one, member.plan_id, train, now=now))
        except TrainWaits:
            continue
        except GovernanceError as error:
            refused[str(member.plan_id)] = _said_again(error)
        view = view_of(train)
    _note(train, refused)
    return begun


def _start_one(plan_id: uuid.UUID, train: ReleaseTrain, *, now: datetime) -> bool:
    plan = lock_plan(plan_id)
    if plan.current_state is not PlanState.DRAFT or train.agreed.get(str(plan_id)) != plan.digest:
        return False
    starter = _in_whose_name(train.started_by_id)
    require_right(plan, PlanAct.START, starter)
    refuse_own_opening(plan.environment, starter.id, *plan.contributors)
    reason = f"Its turn in the release train “{train.title}”"
    begun = begun_by(starter, now)
    reach_stage(plan, PlanAct.START, 1, actor=ENGINE, now=now, reason=reason, **begun)
    return True


def _note(train: ReleaseTrain, refused: Mapping[str, str]) -> None:
    def act() -> None:
        note(lock_train(train.pk), dict(refused))

    if train.refused != refused:
        attempt(act)
