"""The engine at work: what a look at a running plan does, once, and what is kept of why."""

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from audits.models import AuditEvent
from flags.permissions import Role
from flags.services.tickets import governed_write
from rollouts.models import PlanFlag, PlanStep, RolloutPlan
from rollouts.plans.definition import GuardSpec, MetricKind
from rollouts.plans.transitions import PlanState
from rollouts.services.incidents import close_incident, open_incident
from rollouts.services.plans import acting
from rollouts.services.plans.engine import advance_due, advance_if_due
from tests.factories import NOW, actor_of, percent_document
from tests.rollouts.calendars import freeze
from tests.rollouts.plans.support import PlanBench, definition_of, plan_in, reloaded, stages_of

pytestmark = pytest.mark.django_db

ERRORS = GuardSpec("errors", "Errors", MetricKind.ERROR_RATE, "checkout-redesign", "on", "off")
MINUTE = timedelta(minutes=1)


def at(minutes: float) -> Any:
    """That long after the plan began."""
    return NOW + minutes * MINUTE


def _acts(plan: RolloutPlan) -> list[str]:
    return list(PlanStep.objects.filter(plan=plan).order_by("sequence").values_list("act", flat=True))


def _where(plan: RolloutPlan) -> tuple[str, int]:
    found = reloaded(plan)
    return found.state, found.stage


def test_plan__of_stages_with_time__goes_through_all_of_them_in_production(bench: PlanBench) -> None:
    plan = bench.approved_and_started()
    seen = []

    for minutes in (0, 29, 30, 31, 60, 89, 90, 91):
        advance_due(at(minutes))
        seen.append((minutes, *_where(plan), bench.share_of(plan)))

    assert seen == [
        (0, "running", 1, 10_000),
        (29, "running", 1, 10_000),
        (30, "running", 2, 50_000),
        (31, "running", 2, 50_000),
        (60, "running", 3, 100_000),
        (89, "running", 3, 100_000),
        (90, "completed", 3, 100_000),
        (91, "completed", 3, 100_000),
    ]
    assert _acts(plan)[-4:] == ["start", "advance", "advance", "complete"]
    assert not PlanFlag.objects.filter(plan=plan, is_live=True).exists()
    events = AuditEvent.objects.filter(correlation_id=plan.correlation_id)
    told = Counter(events.values_list("action", flat=True))
    assert (told["plan.advanced"], told["plan.completed"], told["flag_config.applied"]) == (2, 1, 3)


@pytest.mark.parametrize(
    ("outage", "stage", "passed_over"),
    [(30, 2, []), (59, 2, []), (60, 3, [2]), (60 * 24, 5, [2, 3, 4]), (60 * 24 * 30, 5, [2, 3, 4])],
)
def test_outage__of_any_length__passes_over_what_time_alone_held_in_one_write(
    outage: int, stage: int, passed_over: list[int], bench: PlanBench
) -> None:
    shares = tuple((10_000 * number, 30) for number in range(1, 6))
    plan = bench.started(stages=stages_of(shares=shares))
    revision = reloaded(plan).environment.revision

    assert advance_due(at(outage)) == 1

    step = PlanStep.objects.filter(plan=plan).latest("sequence")
    assert _where(plan) == ("running", stage)
    assert (step.act, step.evidence["passed_over"], step.revision) == ("advance", passed_over, revision + 1)
    assert reloaded(plan).environment.revision == revision + 1
    assert bench.share_of(plan) == 10_000 * stage
    assert reloaded(plan).stage_entered_at == at(outage)


@pytest.mark.parametrize("gate", [{"approvals": 1}, {"minimum_sample": 10}, {"is_monitored": True}])
def test_outage__of_a_month__never_passes_over_more_than_time(gate: dict[str, Any], bench: PlanBench) -> None:
    shares = tuple((10_000 * number, 30) for number in range(1, 6))
    plan = bench.started(stages=stages_of(shares=shares, gates={3: gate}), guards=(ERRORS,))

    for day in (30, 60):
        advance_due(at(day * 24 * 60))

    assert reloaded(plan).stage == 3
    assert bench.share_of(plan) == 30_000


def test_incident__holds_what_comes_next_and_is_said_once(bench: PlanBench) -> None:
    plan, ada = bench.started(), actor_of(bench.world.ada)
    incident = open_incident(
        bench.world.project.pk, environment_id=None, title="Slow", severity="minor", link="", actor=ada, now=NOW
    )

    for minutes in range(25, 45):
        advance_due(at(minutes))
    held = reloaded(plan)
    close_incident(incident.pk, actor=ada, reason="Over", now=at(45))
    advance_due(at(47))

    assert (held.stage, held.blocked_code) == (1, "incident_open")
    assert "“Slow” is open in the whole project" in held.blocked_detail["message"]
    assert _acts(plan)[1:] == ["hold", "advance"]
    assert _where(plan) == ("running", 2)
    assert not reloaded(plan).is_blocked


def test_incident__that_ends_before_the_time_is_up__is_let_go(bench: PlanBench) -> None:
    plan, ada = bench.started(), actor_of(bench.world.ada)
    told: dict[str, Any] = {"title": "Slow", "severity": "minor", "link": "", "actor": ada, "now": NOW}
    incident = open_incident(bench.world.project.pk, environment_id=bench.staging.pk, **told)

    advance_due(at(1))
    close_incident(incident.pk, actor=ada, reason="Over", now=at(2))
    for minutes in (3, 4, 5):
        advance_due(at(minutes))

    assert _acts(plan)[1:] == ["hold", "clear"]
    assert _where(plan) == ("running", 1)


def test_incident__does_not_hold_a_way_back(bench: PlanBench) -> None:
    plan, ada = bench.started(), actor_of(bench.world.ada)
    told: dict[str, Any] = {"title": "Slow", "severity": "minor", "link": "", "actor": ada, "now": NOW}
    open_incident(bench.world.project.pk, environment_id=bench.staging.pk, **told)
    advance_due(at(1))

    sequence = reloaded(plan).sequence
    acting.roll_back_plan(plan.pk, actor=actor_of(bench.world.rita), now=at(2), sequence=sequence, reason="Errors")

    assert _where(plan) == ("rolled_back", 0)
    assert bench.share_of(plan) == 0


def test_flag__that_somebody_else_changed__holds_the_plan_until_it_is_put_back(bench: PlanBench) -> None:
    plan = bench.started()
    left = bench.served(bench.staging)
    bench.world.serve(bench.flag, bench.staging, percent_document(bench.flag.key, 77))

    advance_due(at(31))
    held = reloaded(plan)
    advance_due(at(33))
    bench.world.serve(bench.flag, bench.staging, left)
    advance_due(at(35))

    assert (held.stage, held.blocked_code) == (1, "plan_moved_ground")
    assert bench.share_of(plan) == 50_000
    assert _acts(plan)[1:] == ["hold", "advance"]


def test_approver__who_lost_the_role__holds_the_plan_until_somebody_else_approved_enough(bench: PlanBench) -> None:
    plan = bench.approved_and_started()
    bench.world.grant(bench.world.abel, bench.production)

    for minutes in (31, 33, 35):
        advance_due(at(minutes))
    held = reloaded(plan)
    bench.world.grant(bench.world.abel, bench.production, Role.APPROVER)
    advance_due(at(37))

    assert (held.stage, held.blocked_code) == (1, "approval_missing")
    assert _acts(plan)[-2:] == ["hold", "advance"]
    assert _where(plan) == ("running", 2)


def test_freeze__holds_the_plan_and_is_not_made_up_for_at_once(bench: PlanBench) -> None:
    plan = bench.approved_and_started(stages=stages_of(shares=((10_000, 30), (50_000, 30), (90_000, 30))))
    freeze(bench.world, at(20), at(200))

    for minutes in (31, 100, 199, 201):
        advance_due(at(minutes))

    held = PlanStep.objects.get(plan=plan, act="hold")
    assert held.evidence["code"] == "frozen"
    assert _acts(plan)[-2:] == ["hold", "advance"]
    assert _where(plan) == ("running", 2)


def test_approval__of_a_stage__is_waited_for_and_counted_anew(bench: PlanBench) -> None:
    plan = bench.approved_and_started(gates={1: {"approvals": 1}})
    anna = bench.world.anna

    advance_due(at(31))
    waiting = _where(plan)
    bench.world.grant(anna, bench.production, Role.APPROVER)
    sequence = reloaded(plan).sequence
    acting.approve_stage(plan.pk, actor=actor_of(anna), now=at(32), digest=plan.digest, sequence=sequence)
    bench.world.grant(anna, bench.production)
    advance_due(at(33))
    without_role = _where(plan)
    bench.world.grant(anna, bench.production, Role.APPROVER)
    advance_due(at(35))

    assert waiting == without_role == ("running", 1)
    assert _where(plan) == ("running", 2)


def test_plans__of_which_one_cannot_be_read__all_others_move(bench: PlanBench) -> None:
    plans = []
    for number in range(4):
        flag = bench.world.flag(f"flag-{number}")
        plans.append(bench.started(definition_of(flag.key, stages=stages_of(flag.key))))
    with governed_write(bench.staging.pk):
        RolloutPlan.objects.filter(pk=plans[1].pk).update(definition={**plans[1].definition, "strategy": "none"})

    assert advance_due(at(31)) == 3

    assert [reloaded(plan).stage for plan in plans] == [2, 1, 2, 2]


def test_plans__that_wait__are_read_with_a_constant_number_of_queries_and_not_looked_at_again_too_soon(
    bench: PlanBench, django_assert_max_num_queries: Any
) -> None:
    for number in range(12):
        flag = bench.world.flag(f"flag-{number}")
        bench.started(definition_of(flag.key, stages=stages_of(flag.key)))

    with django_assert_max_num_queries(20):
        assert advance_due(at(1)) == 0
    with django_assert_max_num_queries(1):
        assert advance_due(at(2)) == 0

    assert set(RolloutPlan.objects.values_list("next_look_at", flat=True)) == {at(30)}
    assert advance_due(at(30)) == 12


def test_look__at_a_plan_that_is_not_due__does_nothing(bench: PlanBench) -> None:
    plan = bench.started()
    advance_due(at(1))

    assert not advance_if_due(plan.pk, now=at(2))
    assert advance_if_due(plan.pk, now=at(30))
    assert not advance_if_due(plan.pk, now=at(30))
    assert reloaded(plan).stage == 2


@pytest.mark.parametrize("state", [state for state in PlanState if state is not PlanState.RUNNING])
def test_plan__that_does_not_run__is_left_alone(state: PlanState, bench: PlanBench) -> None:
    plan = plan_in(bench, state)
    before = _acts(plan)

    assert advance_due(at(60 * 24)) == 0
    assert _acts(plan) == before
