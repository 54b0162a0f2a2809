"""Plans on the desk and in the calendar."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from rollouts.plans.transitions import PlanState
from rollouts.selectors.calendar import calendar_entries
from rollouts.selectors.plan_calendar import plan_stages
from rollouts.selectors.plan_tasks import plan_tasks
from rollouts.services.incidents import open_incident
from rollouts.services.plans import acting
from rollouts.services.plans.engine import advance_due
from tests.factories import NOW, actor_of
from tests.rollouts.plans.support import PlanBench, plan_in, reloaded

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


def _titles(person: Any) -> list[str]:
    return [task.title for task in plan_tasks(person, NOW)]


def test_stage_that_asks_for_approval__waits_on_the_desk_of_those_who_may_give_it__until_they_did(
    bench: PlanBench,
) -> None:
    plan = bench.approved_and_started(gates={1: {"approvals": 2}})
    abel, rita = bench.world.abel, bench.world.rita

    before = _titles(abel)
    acting.approve_stage(plan.pk, actor=actor_of(abel), now=NOW, digest=plan.digest, sequence=reloaded(plan).sequence)

    assert before == [f"#{plan.number} Checkout for everybody waits for your yes"]
    assert _titles(abel) == []
    assert _titles(rita) == []


@pytest.mark.parametrize(
    ("state", "words", "tone"),
    [(PlanState.PAUSED, "is paused", "wait"), (PlanState.ROLLED_BACK, "was rolled back", "bad")],
)
def test_plan_that_stopped__waits_for_whoever_made_it_and_nobody_else(
    state: PlanState, words: str, tone: str, bench: PlanBench
) -> None:
    plan = plan_in(bench, state)

    [task] = plan_tasks(bench.world.rita, NOW)

    assert (task.title, task.tone) == (f"#{plan.number} Checkout for everybody {words}", tone)
    assert _titles(bench.world.otto) == []
    assert _titles(bench.world.abel) == []


@pytest.mark.parametrize("state", [PlanState.DRAFT, PlanState.RUNNING, PlanState.COMPLETED, PlanState.ABORTED])
def test_plan_that_needs_nobody__is_on_no_desk(state: PlanState, bench: PlanBench) -> None:
    plan_in(bench, state)

    assert [_titles(person) for person in (bench.world.rita, bench.world.abel, bench.world.rolf)] == [[], [], []]


def test_held_plan__says_on_the_desk_what_holds_it(bench: PlanBench) -> None:
    bench.started()
    open_incident(
        bench.world.project.pk,
        environment_id=None,
        title="Slow",
        severity="minor",
        link="",
        actor=actor_of(bench.world.ada),
        now=NOW,
    )
    advance_due(NOW + timedelta(minutes=31))

    [task] = plan_tasks(bench.world.rita, NOW)

    assert "is held" in task.title
    assert "“Slow” is open" in task.text


def test_calendar__shows_stages_that_were_entered_and_those_to_come(bench: PlanBench) -> None:
    plan = bench.started()
    advance_due(NOW + timedelta(minutes=30))

    found = [(entry.kind, entry.title, entry.starts_at - NOW) for entry in _month(bench)]

    name = f"#{plan.number} Checkout for everybody: stage"
    assert found == [
        ("stage", f"{name} 1 “10 %”", timedelta()),
        ("stage", f"{name} 2 “50 %”", timedelta(minutes=30)),
        ("stage_ahead", f"{name} 3 “100 %”", timedelta(minutes=60)),
    ]


def test_calendar__says_what_went_back__and_expects_nothing_more(bench: PlanBench) -> None:
    plan_in(bench, PlanState.ROLLED_BACK)

    assert [entry.title.rpartition(": ")[2] for entry in _month(bench)] == [
        "back to how it was before",
        "stage 1 “10 %”",
    ]


def test_calendar__of_many_plans__takes_two_queries(bench: PlanBench) -> None:
    bench.started()
    bench.approved_and_started()

    with CaptureQueriesContext(connection) as asked:
        found = list(plan_stages([bench.staging, bench.production], NOW - DAY, NOW + DAY))

    assert len(asked) == 2
    assert {entry.environment_ids for entry in found} == {
        frozenset([bench.staging.pk]),
        frozenset([bench.production.pk]),
    }


def _month(bench: PlanBench) -> list[Any]:
    return calendar_entries([bench.staging], NOW - DAY, NOW + DAY)
