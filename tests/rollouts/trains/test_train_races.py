"""A train that goes back while everything else moves: each plan goes back once, and none is left behind."""

from datetime import timedelta
from typing import Any

import pytest

from audits.errors import GovernanceError
from audits.models import AuditEvent
from rollouts.models import PlanStep
from rollouts.services import trains
from rollouts.services.plans import acting
from rollouts.services.plans.engine import advance_due
from rollouts.services.train_moves import carry_on
from tests.factories import NOW, actor_of
from tests.rollouts.plans.support import reloaded
from tests.rollouts.plans.test_engine_races import Crowd
from tests.rollouts.trains.support import TrainBench, train_again, where

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]

LATER = NOW + timedelta(minutes=30)


def test_rollback_beside_engines_and_sweeps__takes_every_plan_back_once(bench: TrainBench) -> None:
    plans = [bench.plan_for(f"flag-{number}") for number in range(4)]
    train = bench.started_train(*plans, opens_at={plan: 1 for plan in plans})
    assert where(*plans) == [("running", 1)] * 4
    rita, seen = actor_of(bench.world.rita), train_again(train).lock_version

    def people(plan: Any) -> Any:
        sequence = reloaded(plan).sequence
        return lambda: acting.roll_back_plan(plan.pk, actor=rita, now=LATER, sequence=sequence, reason="Errors")

    crowd = Crowd(8)
    results = crowd.run(
        [
            lambda: trains.roll_back_train(train.pk, actor=rita, now=LATER, seen=seen, reason="Errors"),
            people(plans[1]),
            *[lambda: advance_due(LATER)] * 3,
            *[lambda: carry_on(train.pk, now=LATER)] * 3,
        ]
    )
    # Whoever came last finds nothing to do, or finishes.
    carry_on(train.pk, now=LATER)
    crowd.run([lambda: advance_due(LATER)] * 2)
    crowd.leave()

    assert all(isinstance(one, (int, GovernanceError)) or one.pk for one in results)
    assert train_again(train).state == "rolled_back"
    assert where(*plans) == [("rolled_back", 0)] * 4
    # Rita's own and the train's may both have been there; the share moved once.
    moved = PlanStep.objects.filter(plan__in=plans, act="roll_back", from_stage__gt=0).values_list("plan", flat=True)
    assert sorted(map(str, moved)) == sorted(str(plan.pk) for plan in plans)
    assert AuditEvent.objects.filter(action="train.rolled_back").count() == 1
