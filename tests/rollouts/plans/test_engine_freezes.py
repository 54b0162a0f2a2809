"""Plans that a freeze holds: asked for all at once instead of tried one by one, and otherwise as if each were tried."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext

from flags.models import Flag
from flags.services.tickets import governed_write
from rollouts.models import CalendarWindow, FreezeException, PlanStep, RolloutPlan
from rollouts.services.plans import engine
from rollouts.services.plans.engine import advance_due
from tests.factories import NOW
from tests.rollouts.calendars import freeze
from tests.rollouts.guard_support import counted, guard, minutes
from tests.rollouts.plans.support import PlanBench, definition_of, reloaded, stages_of

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)
SHARES = ((10_000, 30), (50_000, 30), (90_000, 30))


def at(minute: float) -> Any:
    """That long after the plan began."""
    return NOW + minute * MINUTE


def _held(bench: PlanBench) -> RolloutPlan:
    """A plan in production that the freeze from minute 20 to 200 held at minute 31."""
    plan = bench.approved_and_started(stages=stages_of(shares=SHARES))
    freeze(bench.world, at(20), at(200))
    advance_due(at(31))
    held = reloaded(plan)
    assert (held.stage, held.blocked_code) == (1, "frozen")
    return held


def _steps(plan: RolloutPlan) -> list[tuple[Any, ...]]:
    rows = PlanStep.objects.filter(plan=plan, act__in=["hold", "clear", "advance"]).order_by("sequence")
    return list(rows.values_list("act", "at", "from_stage", "to_stage"))


@pytest.fixture
def tries(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The ids of the plans that the engine tried to move."""
    tried: list[Any] = []
    move = engine._move

    def recorded(seen: Any, *args: Any, **kwargs: Any) -> bool:
        tried.append(seen.plan_id)
        return move(seen, *args, **kwargs)

    monkeypatch.setattr(engine, "_move", recorded)
    return tried


def _several(bench: PlanBench, count: int) -> list[RolloutPlan]:
    known = RolloutPlan.objects.count()
    flags = [bench.world.flag(f"flag-{known + number}") for number in range(count)]
    return [bench.started(definition_of(flag.key, stages=stages_of(flag.key, shares=SHARES))) for flag in flags]


def test_freeze__over_many_plans__costs_as_many_queries_as_over_few(bench: PlanBench, tries: list[Any]) -> None:
    plans = _several(bench, 3)
    freeze(bench.world, at(20), at(200))
    advance_due(at(31))
    advance_due(at(40))
    with CaptureQueriesContext(connection) as few:
        assert advance_due(at(50)) == 0

    plans += _several(bench, 4)
    advance_due(at(60))
    assert {reloaded(plan).blocked_code for plan in plans} == {"frozen"}
    tries.clear()
    with CaptureQueriesContext(connection) as many:
        assert advance_due(at(70)) == 0

    assert len(few) == len(many) <= 30
    assert tries == []
    assert advance_due(at(200)) == 7


@pytest.mark.parametrize("is_asked_at_once", [True, False], ids=["at once", "one by one"])
def test_freeze__that_ends__lets_the_plan_go_at_that_instant_either_way(
    is_asked_at_once: bool, bench: PlanBench, monkeypatch: pytest.MonkeyPatch, tries: list[Any]
) -> None:
    if not is_asked_at_once:
        monkeypatch.setattr(engine, "still_frozen", lambda plans, *, now: frozenset())
    plan = _held(bench)
    tries.clear()
    looks = []

    for minute in (60, 199, 199.99, 200, 229.99, 230):
        with governed_write(plan.environment_id):
            RolloutPlan.objects.filter(pk=plan.pk).update(next_look_at=at(minute))
        advance_due(at(minute))
        found = reloaded(plan)
        looks.append((minute, found.stage, found.blocked_code, found.blocked_detail.get("until", "")))

    until = at(200).isoformat()
    assert looks == [
        (60, 1, "frozen", until),
        (199, 1, "frozen", until),
        (199.99, 1, "frozen", until),
        (200, 2, "", ""),
        (229.99, 2, "", ""),
        (230, 3, "", ""),
    ]
    assert _steps(plan) == [("hold", at(31), 1, 1), ("advance", at(200), 1, 2), ("advance", at(230), 2, 3)]
    assert len(tries) == (2 if is_asked_at_once else 5)


def test_plan__that_a_freeze_holds__is_looked_at_again_a_minute_later(bench: PlanBench) -> None:
    plan = _held(bench)

    advance_due(at(40))

    look = reloaded(plan).next_look_at
    assert look is not None
    assert at(40) < look <= at(42)


def _remove(bench: PlanBench, plan: RolloutPlan) -> None:
    with governed_write(bench.world.project.pk):
        CalendarWindow.objects.update(removed_at=at(40))


def _grant_leave(bench: PlanBench, plan: RolloutPlan) -> None:
    request, world = plan.request, bench.world
    assert request is not None
    with governed_write(plan.environment_id):
        FreezeException.objects.create(
            request=request,
            environment=plan.environment,
            window=CalendarWindow.objects.get(),
            digest=request.digest,
            covers_from=at(40),
            covers_until=at(200),
            reason="Agreed",
            asked_by=world.rita,
            asked_at=at(40),
            is_granted=True,
            decided_by=world.ada,
            decided_at=at(40),
        )


def _add_another(bench: PlanBench, plan: RolloutPlan) -> None:
    freeze(bench.world, at(20), at(400), title="A longer one")


CHANGES: list[tuple[str, Callable[[PlanBench, RolloutPlan], None], int, list[str]]] = [
    ("removed", _remove, 2, ["hold", "advance"]),
    ("leave is granted", _grant_leave, 2, ["hold", "advance"]),
    ("another one comes", _add_another, 1, ["hold", "hold"]),
]


@pytest.mark.parametrize(("name", "happens", "stage", "acts"), CHANGES, ids=[case[0] for case in CHANGES])
def test_freeze__that_is_not_as_it_was__is_met_by_a_try(
    name: str, happens: Callable[[PlanBench, RolloutPlan], None], stage: int, acts: list[str], bench: PlanBench
) -> None:
    plan = _held(bench)

    happens(bench, plan)
    advance_due(at(60))

    assert reloaded(plan).stage == stage
    assert [step[0] for step in _steps(plan)] == acts


def test_flag__that_loses_the_tag_of_a_freeze__goes_on(bench: PlanBench) -> None:
    [plan] = _several(bench, 1)
    [key] = plan.definition["flags"]
    flags = Flag.objects.filter(key=key)
    with governed_write(bench.world.project.pk):
        flags.update(tags=["shop"])
    freeze(bench.world, at(20), at(200), tags=("shop",))
    advance_due(at(31))
    advance_due(at(40))
    assert (reloaded(plan).stage, reloaded(plan).blocked_code) == (1, "frozen")

    with governed_write(bench.world.project.pk):
        flags.update(tags=[])
    advance_due(at(50))

    assert reloaded(plan).stage == 2


def test_breach__while_a_freeze_holds_the_plan__takes_it_back(bench: PlanBench) -> None:
    flag = bench.world.flag("guarded")
    stages = stages_of(flag.key, shares=((50_000, 30), (90_000, 30)))
    plan = bench.started(definition_of(flag.key, stages=stages, guards=(guard("errors", flag_key=flag.key),)))
    freeze(bench.world, at(20), at(200))
    advance_due(at(31.5))
    assert reloaded(plan).blocked_code == "frozen"

    counted(plan.environment, minutes(at(32), 8), on=(400, 80), off=(400, 4), flag_key=flag.key)
    advance_due(at(45))

    assert reloaded(plan).state == "rolled_back"


def test_calendar__that_cannot_be_read_for_many__leaves_each_to_a_try(
    bench: PlanBench, monkeypatch: pytest.MonkeyPatch, tries: list[Any]
) -> None:
    plan = _held(bench)
    tries.clear()

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise DatabaseError("away")

    monkeypatch.setattr(engine, "still_frozen", refuse)
    advance_due(at(60))

    assert tries == [plan.pk]
    assert reloaded(plan).blocked_code == "frozen"
