"""Reads about release trains: where their plans stand, what they wait for, and what a person may do."""

import uuid
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import AbstractUser, AnonymousUser
from django.db.models import Exists, F, OuterRef, Q, QuerySet

from flags import permissions
from flags.errors import NotFound
from flags.models import FlagConfig, Project
from rollouts.guarding.outcomes import TROUBLES, GuardOutcome, action_of
from rollouts.models import GuardWatch, ReleaseTrain, RolloutPlan, TrainMember
from rollouts.plans.codec import from_json
from rollouts.plans.definition import GuardAction
from rollouts.plans.trains import (
    TRANSITIONS,
    UNDER_WAY,
    Place,
    TrainAct,
    TrainState,
    Wagon,
    Wait,
    all_needs,
    refusal,
    train_digest,
    wait_of,
)
from rollouts.plans.transitions import PlanAct, PlanState
from rollouts.selectors.plans.rights import permissions_for
from rollouts.transitions import RequestState

_SILENCE = frozenset({GuardOutcome.MISSING, GuardOutcome.STALE, GuardOutcome.PROBE_ERROR})
JOINABLE = (PlanState.DRAFT, PlanState.PROPOSED)


@dataclass(frozen=True, slots=True)
class TrainView:
    """A train with its members in order and where each stands."""

    train: ReleaseTrain
    members: tuple[TrainMember, ...]
    places: tuple[Place, ...]

    @property
    def digest(self) -> str:
        """Of what somebody who starts the train lets go: its plans as they are now, and their order."""
        return train_digest([(str(one.plan_id), one.plan.digest, one.opens_at) for one in self.members])

    def wait_of(self, position: int) -> Wait | None:
        """What the plan at `position` waits for in the train."""
        return wait_of(self.train.title, self.train.current_state, self.places, position)


@dataclass(frozen=True, slots=True)
class PossibleTrainAct:
    """One act on a train; `why_not` says why this person may not do it now."""

    act: TrainAct
    is_allowed: bool
    why_not: str


def visible_trains(user: AbstractUser | AnonymousUser) -> QuerySet[ReleaseTrain]:
    """Trains whose plans are all in environments that the person may look at, newest first."""
    hidden = TrainMember.objects.filter(train=OuterRef("pk")).exclude(
        plan__environment__in=permissions.visible_environments(user)
    )
    seen = Project.objects.filter(environments__in=permissions.visible_environments(user))
    rows = ReleaseTrain.objects.filter(~Exists(hidden), project__in=seen)
    return rows.select_related("project", "created_by").order_by("-created_at")


def train_of(train_id: uuid.UUID, user: AbstractUser | AnonymousUser) -> ReleaseTrain:
    """The train where this person may look at all of it. Raises NotFound."""
    train = visible_trains(user).filter(pk=train_id).first()
    if train is None:
        raise NotFound("There is no such train, or you have no role where it goes.", train_id=str(train_id))
    return train


def view_of(train: ReleaseTrain) -> TrainView:
    """The train as it stands: two queries."""
    return views_of([train])[0]


def views_of(trains: Sequence[ReleaseTrain]) -> list[TrainView]:
    """Several trains as they stand: two queries."""
    rows = TrainMember.objects.filter(train__in=trains).order_by("train", "position")
    related = rows.select_related("plan__environment__project", "plan__project", "plan__request", "plan__created_by")
    members: dict[uuid.UUID, list[TrainMember]] = defaultdict(list)
    for member in related:
        members[member.train_id].append(member)
    troubles = _troubles([member.plan for found in members.values() for member in found])
    return [
        TrainView(
            train,
            tuple(members[train.pk]),
            tuple(_place(member, troubles.get(member.plan_id, ())) for member in members[train.pk]),
        )
        for train in trains
    ]


def joinable_plans(project_id: uuid.UUID, user: AbstractUser) -> QuerySet[RolloutPlan]:
    """Plans that have not begun and are in no train, in environments where the person proposes."""
    rows = RolloutPlan.objects.filter(
        project=project_id,
        environment__in=permissions.environments_with(user, permissions.PROPOSE),
        state__in=[state.value for state in JOINABLE],
        train_member=None,
    )
    return rows.select_related("environment", "project", "created_by", "request").order_by("number")


def wagons_of(plans: Sequence[RolloutPlan]) -> list[Wagon]:
    """The plans as they are put in order, by the prerequisites of now and of every stage: one query."""
    parents = _parents(plans)
    found = []
    for plan in plans:
        place = str(plan.environment_id)
        flags = frozenset(plan.definition["flags"])
        needs = all_needs(flags, parents[place])
        found.append(Wagon(str(plan.pk), f"{plan.label} in {plan.environment.name}", place, flags, needs))
    return found


def moving_trains(now: datetime) -> QuerySet[ReleaseTrain]:
    """Trains that are under way, and rolled back ones of which something is still served."""
    serves = TrainMember.objects.filter(train=OuterRef("pk"), plan__stage__gt=0, plan__started_at__lte=now).exclude(
        plan__state=PlanState.ABORTED.value
    )
    under_way = Q(state__in=[state.value for state in UNDER_WAY])
    return ReleaseTrain.objects.filter(under_way | (Q(state=TrainState.ROLLED_BACK.value) & Exists(serves)))


def possible_train_acts(view: TrainView, user: AbstractUser) -> list[PossibleTrainAct]:
    """Every act of people on a train in the order in which a page shows them, with why this person may not now.

    Two queries.
    """
    held = {one: permissions.environments_with(user, one) for one in (permissions.PROPOSE, permissions.APPLY)}
    acts = [act for act in TrainAct if act is not TrainAct.COMPLETE]
    found = [(act, _why_not(view, act, held)) for act in acts]
    return [PossibleTrainAct(act, not why_not, why_not) for act, why_not in found]


def start_refusal(plan: RolloutPlan) -> str:
    """Why a train with this plan cannot start yet; empty where it can."""
    where = plan.environment.name
    match plan.current_state:
        case PlanState.DRAFT:
            return (
                f"{plan.label} is a draft, and {where} is protected: propose it."
                if plan.environment.is_protected
                else ""
            )
        case PlanState.PROPOSED:
            is_approved = plan.request is not None and plan.request.current_state is RequestState.APPROVED
            return "" if is_approved else f"{plan.label} is not approved for {where} yet."
        case state:
            return f"{plan.label} is {state.label.lower()} already."


def concerned(view: TrainView, act: TrainAct) -> list[RolloutPlan]:
    """The plans whose rights an act takes: those that serve something for going back, else all."""
    plans = [member.plan for member in view.members]
    if act is TrainAct.ROLL_BACK:
        return [plan for plan in plans if plan.stage]
    return plans


def takes_one_role(view: TrainView, act: TrainAct) -> bool:
    """Whether a role where one of the plans goes suffices: to stop all, and to give up what never started."""
    return act is TrainAct.PAUSE or (view.train.current_state, act) == (TrainState.DRAFT, TrainAct.ABORT)


def permissions_of(plan: RolloutPlan, act: TrainAct) -> tuple[str, ...]:
    """What a person must hold in the plan's environment for an act on its train; one of these will do."""
    return permissions_for(plan, _PLAN_ACTS[act])


_PLAN_ACTS: Mapping[TrainAct, PlanAct] = {
    TrainAct.EDIT: PlanAct.EDIT,
    TrainAct.START: PlanAct.START,
    TrainAct.PAUSE: PlanAct.PAUSE,
    TrainAct.RESUME: PlanAct.RESUME,
    TrainAct.ROLL_BACK: PlanAct.ROLL_BACK,
    TrainAct.ABORT: PlanAct.ABORT,
}


def _why_not(view: TrainView, act: TrainAct, held: Mapping[str, Collection[uuid.UUID]]) -> str:
    state = view.train.current_state
    if (state, act) not in TRANSITIONS:
        return refusal(state, act)
    lacking = [
        plan.environment.name
        for plan in concerned(view, act)
        if not any(plan.environment_id in held[one] for one in permissions_of(plan, act))
    ]
    if lacking and (not takes_one_role(view, act) or len(lacking) == len(view.members)):
        return f"This takes a role in {', '.join(sorted(set(lacking)))}. Ask an administrator there for it."
    if act is TrainAct.START:
        return next(filter(None, (start_refusal(member.plan) for member in view.members)), "")
    return ""


def _place(member: TrainMember, troubles: Sequence[str]) -> Place:
    plan = member.plan
    return Place(
        position=member.position,
        label=f"{plan.label} in {plan.environment.name}",
        state=plan.current_state,
        stage=plan.stage,
        opens_at=member.opens_at,
        blocked_code=plan.blocked_code,
        troubles=tuple(troubles),
    )


def _troubles(plans: Collection[RolloutPlan]) -> dict[uuid.UUID, list[str]]:
    """What guards say against the present stage of these plans, where the engine acts on it: one query."""
    by_id = {plan.pk: plan for plan in plans if plan.current_state is PlanState.RUNNING and plan.definition["guards"]}
    found: dict[uuid.UUID, list[str]] = defaultdict(list)
    if not by_id:
        return found
    rows = GuardWatch.objects.filter(
        plan__in=by_id, attempt=F("plan__attempt"), outcome__in=[outcome.value for outcome in TROUBLES]
    )
    for watch in rows.order_by("metric"):
        plan, outcome = by_id[watch.plan_id], GuardOutcome(watch.outcome)
        definition = from_json(plan.definition)
        spec = next((one for one in definition.guards if one.metric == watch.metric), None)
        is_monitored = plan.stage > 0 and definition.stages[plan.stage - 1].gates.is_monitored
        if spec is None or action_of(outcome, spec) in (None, GuardAction.WARN):
            continue
        if outcome not in _SILENCE or is_monitored:
            found[plan.pk].append(f"has a guard that says “{outcome.label.lower()}” ({spec.name})")
    return found


def _parents(plans: Sequence[RolloutPlan]) -> dict[str, dict[str, set[str]]]:
    """The prerequisites by environment and flag: of what is served now, and of every stage of these plans."""
    parents: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    environments = {plan.environment_id for plan in plans}
    configs = FlagConfig.objects.filter(environment__in=environments, document__has_key="prerequisites")
    for environment_id, key, items in configs.values_list("environment_id", "flag__key", "document__prerequisites"):
        parents[str(environment_id)][key] |= {item["flag"] for item in items}
    for plan in plans:
        for changed in plan.documents:
            for key, document in changed.items():
                needed = {item["flag"] for item in document.get("prerequisites", ())}
                parents[str(plan.environment_id)][key] |= needed
    return parents
