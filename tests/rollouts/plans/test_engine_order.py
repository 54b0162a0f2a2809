"""In which order a look deals with many plans: bad news first, the outside last, what failed does not stop the rest."""

from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.db import DatabaseError

from flags.services.tickets import governed_write
from rollouts.models import PlanStep, RolloutPlan, StageCheck
from rollouts.plans.definition import Check, CheckKind
from rollouts.plans.transitions import PlanState
from rollouts.services import probes
from rollouts.services.outside import Outside
from rollouts.services.plans import engine
from rollouts.services.plans.engine import advance_due
from rollouts.services.plans.moves import carry_out
from rollouts.services.stage_checks import refresh_checks
from tests.factories import NOW
from tests.rollouts.calendars import freeze
from tests.rollouts.guard_support import counted, guard, minutes
from tests.rollouts.plans.support import PlanBench, definition_of, reloaded, stages_of

pytestmark = pytest.mark.django_db

READY = Check("Ready", CheckKind.HTTP, url="https://checks.example.org/ready")
MINUTE = timedelta(minutes=1)
AFTER = NOW + timedelta(minutes=31, seconds=20)


def _plan(bench: PlanBench, key: str, **wanted: Any) -> RolloutPlan:
    bench.world.flag(key)
    stages = stages_of(key, shares=((50_000, 30), (90_000, 30)), gates=wanted.pop("gates", None))
    return bench.started(definition_of(key, stages=stages, **wanted))


def _acts(plan: RolloutPlan) -> list[str]:
    return list(PlanStep.objects.filter(plan=plan).order_by("sequence").values_list("act", flat=True))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was asked of the outside, which says that all is well."""
    urls: list[str] = []

    def get(url: str) -> int:
        urls.append(url)
        return 200

    monkeypatch.setattr(probes, "get", get)
    return urls


@pytest.mark.parametrize("has_check", [False, True])
def test_way_back__that_telemetry_demands__comes_before_all_moves_and_questions(
    has_check: bool, bench: PlanBench, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asking = _plan(bench, "asking", gates={1: {"checks": (READY,)}})
    timed = _plan(bench, "timed")
    gates = {1: {"checks": (READY,)}} if has_check else {}
    broken = _plan(bench, "broken", guards=(guard(flag_key="broken"),), gates=gates)
    counted(broken.environment, minutes(NOW, 8), on=(500, 60), flag_key="broken")
    order: list[Any] = []

    def moving(reading: Any, **told: Any) -> bool:
        order.append((reading.plan.pk, reading.decision.move.value))
        return carry_out(reading, **told)

    def asking_now(*plans: Any, **told: Any) -> Any:
        order.append("outside")
        return refresh_checks(*plans, **told)

    monkeypatch.setattr(engine, "BATCH", 1)
    monkeypatch.setattr(engine, "carry_out", moving)
    monkeypatch.setattr(engine, "refresh_checks", asking_now)
    assert advance_due(AFTER) == 3

    assert order == [(broken.pk, "roll_back"), (timed.pk, "advance"), "outside", (asking.pk, "advance")]
    assert asked == [READY.url]


def test_check__that_there_was_no_time_for__does_not_let_the_plan_go_on(
    bench: PlanBench, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = _plan(bench, "asking", gates={1: {"checks": (READY,)}})
    advance_due(NOW + MINUTE)
    assert StageCheck.objects.get().outcome == "passed"

    with monkeypatch.context() as short:
        short.setattr(Outside, "ask", lambda self, questions: None)
        assert advance_due(AFTER) == 0
    assert (reloaded(plan).stage, _acts(plan)) == (1, ["start"])

    assert advance_due(AFTER) == 1
    assert reloaded(plan).stage == 2


def test_guard__that_wants_the_plan_back__does_not_wait_for_a_check_without_time(
    bench: PlanBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "refresh_checks", lambda plans, outside, **_: {plan.pk for plan in plans})
    plan = _plan(bench, "broken", guards=(guard(flag_key="broken"),), gates={1: {"checks": (READY,)}})
    counted(plan.environment, minutes(NOW, 8), on=(500, 60), flag_key="broken")

    assert advance_due(NOW + 9 * MINUTE) == 1
    assert reloaded(plan).current_state is PlanState.ROLLED_BACK


def test_next_looks__that_cannot_be_written__stop_nobody(bench: PlanBench, monkeypatch: pytest.MonkeyPatch) -> None:
    _plan(bench, "waiting", gates={1: {"soak_minutes": 60}})
    timed = _plan(bench, "timed")

    def failing(*_: Any, **__: Any) -> None:
        raise DatabaseError

    monkeypatch.setattr(engine, "_write_looks", failing)

    assert advance_due(AFTER) == 1
    assert reloaded(timed).stage == 2


def test_plans__that_were_refused_before__come_last_and_not_longer_than_there_is_time(
    bench: PlanBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, timed = _plan(bench, "held"), _plan(bench, "timed")
    with governed_write(bench.staging.pk):
        RolloutPlan.objects.filter(pk=held.pk).update(blocked_code="frozen", blocked_detail={"message": "Frozen."})
    monkeypatch.setattr(engine, "RETRY_SECONDS", 0)

    assert advance_due(AFTER) == 1
    assert (reloaded(timed).stage, reloaded(held).stage) == (2, 1)
    look = reloaded(held).next_look_at
    assert look is not None
    assert AFTER < look <= AFTER + 2 * MINUTE

    monkeypatch.setattr(engine, "RETRY_SECONDS", 10)
    assert advance_due(look) == 1
    assert (reloaded(held).stage, reloaded(held).is_blocked) == (2, False)


def test_hold__that_a_move_met__is_not_taken_back_while_the_plan_waits(bench: PlanBench) -> None:
    plan = bench.approved_and_started()
    freeze(bench.world, NOW + 20 * MINUTE, NOW + 600 * MINUTE)
    advance_due(NOW + 31 * MINUTE)
    assert _acts(plan)[-1] == "hold"

    with governed_write(plan.environment_id):
        RolloutPlan.objects.filter(pk=plan.pk).update(extra_soak_minutes=60)
    for number in range(33, 45):
        advance_due(NOW + number * MINUTE)

    assert _acts(plan)[-1] == "hold"


def test_plan__that_cannot_be_read__is_held_people_are_told_once_and_it_goes_on_when_it_can(
    bench: PlanBench, django_capture_on_commit_callbacks: Any
) -> None:
    plan, timed = _plan(bench, "odd"), _plan(bench, "timed")
    with governed_write(bench.staging.pk):
        RolloutPlan.objects.filter(pk=plan.pk).update(definition={**plan.definition, "strategy": "none"})

    with django_capture_on_commit_callbacks(execute=True):
        for number in range(5):
            advance_due(AFTER + number * MINUTE)

    found = reloaded(plan)
    assert (found.blocked_code, found.stage, reloaded(timed).stage) == ("plan_unreadable", 1, 2)
    assert "cannot be read" in found.blocked_detail["message"]
    assert found.next_look_at is not None
    assert found.next_look_at > AFTER + 4 * MINUTE
    assert _acts(plan) == ["start", "hold"]
    assert {message.subject for message in mail.outbox} == {f"{found.label}: held, it cannot be read"}
    assert len(mail.outbox) == 2

    with governed_write(bench.staging.pk):
        RolloutPlan.objects.filter(pk=plan.pk).update(definition=plan.definition)
    for number in range(6, 9):
        advance_due(AFTER + number * MINUTE)
    assert (reloaded(plan).stage, reloaded(plan).is_blocked) == (2, False)
