"""Clocks that jump and clocks that are put forward and back: no stage comes early by more than the jump, or twice."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from rollouts.models import PlanStep
from rollouts.plans.codec import from_json
from rollouts.plans.deciding import Move, StageFacts, decide
from rollouts.plans.definition import TOTAL_WEIGHT
from rollouts.services.plans.engine import advance_due
from tests.factories import NOW
from tests.rollouts.guard_support import guard
from tests.rollouts.plans.support import PlanBench, definition_of, reloaded, stages_of

MINUTE, HOUR, YEAR = timedelta(minutes=1), timedelta(hours=1), timedelta(days=365)
ZONES = (
    "Europe/Berlin",
    "Europe/London",
    "America/New_York",
    "America/Santiago",
    "Asia/Jerusalem",
    "Australia/Lord_Howe",
    "Pacific/Chatham",
    "Antarctica/Troll",
)
JUMPS = (-2 * HOUR, timedelta(0), YEAR)


def _edges(zone: ZoneInfo) -> list[datetime]:
    """The two instants of 2027 at which the zone's clocks are changed."""
    hours = [datetime(2027, 1, 1, tzinfo=UTC) + number * HOUR / 2 for number in range(365 * 48)]
    offsets = [hour.astimezone(zone).utcoffset() for hour in hours]
    return [hours[number] for number in range(1, len(hours)) if offsets[number] != offsets[number - 1]]


def _local_times() -> list[tuple[str, datetime, datetime]]:
    """A wall time in each gap, and one in each time that comes twice, with the edge."""
    found = []
    for name in ZONES:
        zone = ZoneInfo(name)
        before, after = _edges(zone)
        for edge in (before, after):
            shown = (edge - MINUTE).astimezone(zone).replace(tzinfo=None)
            is_gap = edge.astimezone(zone).replace(tzinfo=None) > shown + 2 * MINUTE
            shown += 16 * MINUTE if is_gap else -14 * MINUTE
            found.append((name, shown.replace(tzinfo=zone), edge))
    return found


TIMES = _local_times()


@pytest.mark.parametrize("jump", JUMPS, ids=str)
@pytest.mark.parametrize(("name", "wall", "edge"), TIMES, ids=[f"{name}-{edge:%b}" for name, _, edge in TIMES])
def test_stage__not_before_a_wall_time__is_left_then_whatever_the_clock_does(
    name: str, wall: datetime, edge: datetime, jump: timedelta
) -> None:
    not_before, entered = wall.astimezone(UTC), edge - 3 * HOUR
    plan = definition_of(gates={1: {"not_before": not_before, "soak_minutes": 60}})
    left: list[datetime] = []

    for minute in range(8 * 60):
        true = entered + minute * MINUTE
        shown = true + (jump if true >= edge - HOUR else timedelta(0))
        if not left and decide(plan, 1, StageFacts(now=shown, entered_at=entered)).move is Move.ADVANCE:
            left.append(true)

    due = max(not_before, entered + HOUR)
    expected = due - jump if jump <= timedelta(0) else max(edge - HOUR, due - jump)
    assert left == [expected]


@pytest.mark.django_db
def test_wall_times__are_stored_as_instants(bench: PlanBench) -> None:
    shares = tuple((number * TOTAL_WEIGHT // 20, 1) for number in range(1, len(TIMES) + 1))
    gates = {number: {"not_before": wall} for number, (_, wall, _) in enumerate(TIMES, start=1)}

    plan = bench.plan(stages=stages_of(shares=shares, gates=gates))

    stored = [stage.gates.not_before for stage in from_json(reloaded(plan).definition).stages]
    assert stored == [wall.astimezone(UTC) for _, wall, _ in TIMES]
    assert {instant.utcoffset() for instant in stored if instant} == {timedelta(0)}


@pytest.mark.django_db
def test_clock__that_goes_back_two_hours__makes_no_stage_come_early_or_twice(bench: PlanBench) -> None:
    plan = bench.started()

    for minutes in (20, 29, -100, -60, 0, 29, 30, 31, -90, 30, 59, 60):
        advance_due(NOW + minutes * MINUTE)

    steps = PlanStep.objects.filter(plan=plan, act="advance").order_by("sequence")
    assert list(steps.values_list("to_stage", "at")) == [(2, NOW + 30 * MINUTE), (3, NOW + 60 * MINUTE)]


@pytest.mark.django_db
@pytest.mark.parametrize("gate", [{"approvals": 1}, {"is_monitored": True}, {"minimum_sample": 5}])
def test_clock__that_goes_forward_a_year__meets_nothing_that_takes_more_than_time(
    gate: dict[str, Any], bench: PlanBench
) -> None:
    plan = bench.started(gates={1: gate}, guards=(guard(on_missing="hold"),))

    advance_due(NOW + YEAR)
    advance_due(NOW + 31 * MINUTE)

    assert (reloaded(plan).state, reloaded(plan).stage) == ("running", 1)


@pytest.mark.django_db
def test_clock__that_was_a_year_ahead__does_not_leave_a_plan_waiting_for_a_year(bench: PlanBench) -> None:
    plan = bench.started()

    advance_due(NOW + YEAR)
    ahead = reloaded(plan)
    for minutes in (5, 6, 34, 35, 36):
        advance_due(NOW + minutes * MINUTE)

    steps = PlanStep.objects.filter(plan=plan).order_by("sequence")
    assert (ahead.stage, ahead.stage_entered_at) == (3, NOW + YEAR)
    assert list(steps.values_list("act", flat=True))[-2:] == ["extend", "complete"]
    assert steps.get(act="extend").at == NOW + 5 * MINUTE
    assert steps.get(act="complete").at == NOW + 35 * MINUTE
