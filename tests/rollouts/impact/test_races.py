"""Two workers at once, on a database that lets both go: a run is carried out by one of them."""

import threading

import pytest
from django.db import connection

from audits.actions import Action
from audits.models import AuditEvent
from rollouts.models import ImpactRun, ImpactState
from rollouts.services.impact import carry_out_impact
from tests.factories import NOW, make_served_world
from tests.rollouts.impact.support import asked
from tests.rollouts.support import Bench


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_carry_out__four_workers_at_once__one_ends_it() -> None:
    world = make_served_world()
    bench = Bench(world, world.first_flag)
    run = asked(bench, bench.submitted(change_set=bench.content(40)))
    start, outcomes = threading.Barrier(4), []

    def work() -> None:
        start.wait()
        try:
            outcomes.append(carry_out_impact(run.pk, clock=lambda: NOW))
        finally:
            connection.close()

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert sorted(outcomes) == [False, False, False, True]
    assert ImpactRun.objects.get().current_state is ImpactState.DONE
    assert ImpactRun.objects.get().attempts == 1
    assert AuditEvent.objects.filter(action=Action.CHANGE_REQUEST_IMPACT_COUNTED).count() == 1
