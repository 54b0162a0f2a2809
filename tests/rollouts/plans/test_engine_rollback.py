"""Going back in one change set, leaving alone what others changed, and looking at what is served afterwards."""

from datetime import timedelta
from typing import Any

import pytest

from audits.models import AuditEvent
from flags import snapshots
from flags.documents import initial_document
from rollouts.models import PlanStep, RolloutPlan
from rollouts.plans.transitions import PlanAct
from rollouts.selectors.plans.rollbacks import unverified_rollbacks, verification_of
from rollouts.services.plans import acting
from rollouts.services.plans.rollback import verify_if_left
from tests.factories import NOW, actor_of, percent_document
from tests.rollouts.plans.support import PlanBench, definition_of, reloaded, stages_of

pytestmark = pytest.mark.django_db

PAIR = ("checkout-redesign", "basket")
LATER = NOW + timedelta(hours=2)


def _started(bench: PlanBench, *keys: str) -> RolloutPlan:
    bench.world.flag("basket")
    for environment in (bench.staging, bench.production):
        for key in PAIR:
            flag = bench.world.flags[key]
            bench.world.serve(flag, environment, {**initial_document(key, "boolean"), "enabled": True})
    return bench.started(definition_of(*(keys or PAIR)))


def _back(bench: PlanBench, plan: RolloutPlan, **fields: Any) -> PlanStep:
    actor = actor_of(bench.world.rita)
    acting.roll_back_plan(plan.pk, actor=actor, now=LATER, sequence=plan.sequence, reason="Errors went up", **fields)
    return PlanStep.objects.get(plan=plan, act=PlanAct.ROLL_BACK.value)


def _looks(plan: RolloutPlan) -> list[AuditEvent]:
    return list(AuditEvent.objects.filter(target_id=str(plan.pk), action__startswith="rollback."))


def test_rollback__of_two_flags__is_one_write_and_is_looked_at(
    bench: PlanBench, django_capture_on_commit_callbacks: Any
) -> None:
    plan = _started(bench)
    before = reloaded(plan).environment.revision

    with django_capture_on_commit_callbacks(execute=True):
        step = _back(bench, plan)

    [look] = _looks(plan)
    assert [bench.share_of(plan, bench.world.flags[key]) for key in PAIR] == [0, 0]
    assert reloaded(plan).environment.revision == before + 1 == step.revision
    assert (look.action, look.correlation_id) == ("rollback.verified", plan.correlation_id)
    assert look.details["checked"] == 2
    assert verification_of(step) == look
    assert list(step.evidence["versions"]) == ["basket", "checkout-redesign"]


def test_rollback__of_a_flag_that_somebody_else_changed__puts_the_others_back_and_says_so(
    bench: PlanBench, django_capture_on_commit_callbacks: Any
) -> None:
    plan = _started(bench)
    bench.world.serve(bench.world.flags["basket"], bench.staging, percent_document("basket", 77))

    with django_capture_on_commit_callbacks(execute=True):
        step = _back(bench, plan)

    [look] = _looks(plan)
    assert step.evidence["left_alone"] == ["basket"]
    assert list(step.evidence["versions"]) == ["checkout-redesign"]
    assert bench.share_of(plan) == 0
    assert bench.served(bench.staging, bench.world.flags["basket"]) == percent_document("basket", 77)
    assert (look.action, look.details["checked"]) == ("rollback.verified", 1)


def test_rollback__that_something_else_is_served_after__is_a_mismatch(
    bench: PlanBench, django_capture_on_commit_callbacks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = _started(bench)
    stale = snapshots.build(bench.staging.pk)
    monkeypatch.setattr(snapshots, "build", lambda environment_id: stale)

    with django_capture_on_commit_callbacks(execute=True):
        _back(bench, plan)

    [look] = _looks(plan)
    assert look.action == "rollback.mismatch"
    assert look.details["mismatches"] == ["flag basket", "flag checkout-redesign"]


def test_rollback__to_a_flag_that_was_not_set_up__switches_it_off(
    bench: PlanBench, django_capture_on_commit_callbacks: Any
) -> None:
    new = bench.world.flag("new-basket")
    plan = bench.approved_and_started(definition_of("new-basket", stages=stages_of("new-basket")))

    with django_capture_on_commit_callbacks(execute=True):
        acting.roll_back_plan(
            plan.pk, actor=actor_of(bench.world.rolf), now=LATER, sequence=plan.sequence, reason="Errors", to_stage=0
        )

    [look] = _looks(plan)
    assert not bench.served(flag=new)["enabled"]
    assert look.action == "rollback.verified"


def test_rollback__whose_process_ended_before_it_looked__is_looked_at_by_a_later_sweep(
    bench: PlanBench, django_capture_on_commit_callbacks: Any
) -> None:
    plan = _started(bench)
    with django_capture_on_commit_callbacks():
        step = _back(bench, plan)

    assert not unverified_rollbacks(LATER + timedelta(seconds=30))
    soon = LATER + timedelta(minutes=2)
    assert [one.pk for one in unverified_rollbacks(soon)] == [step.pk]
    verify_if_left(step.pk, now=soon)

    assert not unverified_rollbacks(soon)
    assert [look.action for look in _looks(plan)] == ["rollback.verified"]
    assert not unverified_rollbacks(LATER + timedelta(days=2))
