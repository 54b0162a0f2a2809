"""The list of plans: what rolls now, what waits, what is over; one line and one small picture per plan."""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth.models import AbstractUser
from django.core.paginator import Page, Paginator
from django.db.models import Count, Q, QuerySet

from flags import permissions
from flags.models import Environment
from rollouts.admin.plans.bars import Column, columns_of
from rollouts.admin.plans.words import Chip, gravest, next_in_short, state_of
from rollouts.models import GuardWatch, PlanStep, RolloutPlan
from rollouts.plans.codec import from_json
from rollouts.plans.transitions import LIVE_STATES, PlanAct, PlanState

PAGE_SIZE = 20


@dataclass(frozen=True, slots=True)
class Tab:
    """One part of the list, and what to say when it is empty."""

    key: str
    name: str
    states: frozenset[PlanState]
    empty_title: str
    empty_text: str
    count: int = 0


TABS = (
    Tab(
        "live",
        "Rolling out",
        LIVE_STATES,
        "Nothing is rolling out",
        "A plan brings a flag to everybody stage by stage, and goes back by itself when its guards say so.",
    ),
    Tab(
        "waiting",
        "Drafts and proposed",
        frozenset({PlanState.DRAFT, PlanState.PROPOSED}),
        "Nothing is being prepared",
        "Drafts, and plans that wait for their approvals, show up here.",
    ),
    Tab(
        "over",
        "Over",
        frozenset({PlanState.COMPLETED, PlanState.ABORTED}),
        "No plan has come to its end yet",
        "Completed plans and those that were ended early stay here for good.",
    ),
)


@dataclass(frozen=True, slots=True)
class PlanLine:
    """One plan in the list."""

    plan: RolloutPlan
    flag_keys: Sequence[str]
    columns: Sequence[Column]
    state: Chip
    health: Chip | None
    next_words: str
    next_at: datetime | None


@dataclass(frozen=True, slots=True)
class PlanList:
    """One page of one tab, and what it is filtered by."""

    tabs: Sequence[Tab]
    chosen: Tab
    lines: Sequence[PlanLine]
    page: Page[Any]
    environments: Sequence[Environment]
    environment_id: str
    search: str


def visible_plans(user: AbstractUser) -> QuerySet[RolloutPlan]:
    """The plans of environments that the person may look at."""
    return RolloutPlan.objects.filter(environment__in=permissions.visible_environments(user))


def list_page(user: AbstractUser, *, tab: str, environment: str, search: str, number: str) -> PlanList:
    """A page of the list: a constant number of queries."""
    environments = list(
        permissions.visible_environments(user).select_related("project").order_by("project__name", "-position")
    )
    rows = _filtered(visible_plans(user), environment, search)
    counts = {state: 0 for state in PlanState} | _counts(rows)
    tabs = [
        Tab(one.key, one.name, one.states, one.empty_title, one.empty_text, sum(counts[s] for s in one.states))
        for one in TABS
    ]
    chosen = next((one for one in tabs if one.key == tab), None) or next((one for one in tabs if one.count), tabs[0])
    wanted = rows.filter(state__in=[state.value for state in chosen.states])
    found = wanted.select_related("environment__project", "project", "created_by", "request").defer("documents", "base")
    page = Paginator(found, PAGE_SIZE).get_page(number)
    return PlanList(tabs, chosen, lines_of(list(page.object_list)), page, environments, environment, search)


def lines_of(plans: Iterable[RolloutPlan]) -> list[PlanLine]:
    """The lines of these plans: two queries for all of them."""
    rows = list(plans)
    outcomes = _outcomes(rows)
    steps: dict[uuid.UUID, list[PlanStep]] = {}
    for step in PlanStep.objects.filter(plan__in=rows, act=PlanAct.ROLL_BACK.value):
        steps.setdefault(step.plan_id, []).append(step)
    return [_line(plan, outcomes.get(plan.pk, []), steps.get(plan.pk, [])) for plan in rows]


def _line(plan: RolloutPlan, outcomes: list[str], steps: Sequence[PlanStep]) -> PlanLine:
    definition = from_json(plan.definition)
    words, at = next_in_short(plan, definition)
    is_watched = plan.current_state in LIVE_STATES
    return PlanLine(
        plan=plan,
        flag_keys=definition.flags,
        columns=columns_of(plan, definition, steps=steps),
        state=state_of(plan),
        health=gravest(outcomes) if is_watched else None,
        next_words=words,
        next_at=at,
    )


def _outcomes(plans: Sequence[RolloutPlan]) -> dict[uuid.UUID, list[str]]:
    attempts = {plan.pk: plan.attempt for plan in plans}
    found: dict[uuid.UUID, list[str]] = {}
    for plan_id, attempt, outcome in GuardWatch.objects.filter(plan__in=plans).values_list(
        "plan_id", "attempt", "outcome"
    ):
        if attempt == attempts[plan_id]:
            found.setdefault(plan_id, []).append(outcome or "collecting")
    return found


def _filtered(rows: QuerySet[RolloutPlan], environment: str, search: str) -> QuerySet[RolloutPlan]:
    if environment:
        wanted_id = _id(environment)
        rows = rows.filter(environment_id=wanted_id) if wanted_id else rows.none()
    if search:
        wanted = Q(title__icontains=search) | Q(flags__flag__key__icontains=search)
        if search.removeprefix("#").isdecimal():
            wanted |= Q(number=int(search.removeprefix("#")[:9]))
        rows = rows.filter(pk__in=RolloutPlan.objects.filter(wanted).values("pk"))
    return rows


def _id(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def _counts(rows: QuerySet[RolloutPlan]) -> dict[PlanState, int]:
    found = rows.order_by().values_list("state").annotate(count=Count("pk"))
    return {PlanState(state): count for state, count in found}
