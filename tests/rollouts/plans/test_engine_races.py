"""Many engines at once, and people beside them: each move happens once, and nobody sees a database error."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from audits.errors import GovernanceError
from audits.models import AuditEvent
from rollouts.models import PlanStep
from rollouts.services.plans import acting
from rollouts.services.plans.engine import advance_due
from tests.factories import NOW, actor_of
from tests.rollouts.plans.support import PlanBench, definition_of, reloaded, stages_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]

BEATS, WORKERS, PLANS, STAGES = 3, 4, 20, 6
MINUTE = timedelta(minutes=1)


class Crowd:
    """Threads that begin together, each with a connection of its own."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._pool = ThreadPoolExecutor(size)

    def run(self, deeds: Sequence[Callable[[], Any]]) -> list[Any]:
        """Do all deeds at the same moment; a GovernanceError is a result, anything else breaks the test."""
        line = threading.Barrier(len(deeds))

        def start(deed: Callable[[], Any]) -> Any:
            line.wait(timeout=60)
            try:
                return deed()
            except GovernanceError as refused:
                return refused

        return list(self._pool.map(start, deeds))

    def leave(self) -> None:
        """Close every thread's connection."""
        self.run([lambda: connection.close()] * self._size)
        self._pool.shutdown()


@pytest.fixture
def crowd() -> Iterator[Crowd]:
    """As many engines as three beats and four workers come to."""
    made = Crowd(BEATS * WORKERS)
    yield made
    made.leave()


def test_stages__of_plans_that_many_engines_look_at__are_applied_once_each(bench: PlanBench, crowd: Crowd) -> None:
    plans = []
    for number in range(PLANS):
        flag = bench.world.flag(f"flag-{number}")
        shares = tuple((1_000 * stage, 1) for stage in range(1, STAGES + 1))
        plans.append(bench.started(definition_of(flag.key, stages=stages_of(flag.key, shares=shares))))

    moves = 0
    for minute in range(1, STAGES):
        now = NOW + minute * MINUTE
        moves += sum(crowd.run([lambda now=now: advance_due(now)] * (BEATS * WORKERS)))  # type: ignore[misc]

    advances = PlanStep.objects.filter(act="advance")
    assert moves == advances.count() == PLANS * (STAGES - 1) == 100
    assert set(Counter(advances.values_list("plan_id", "to_stage")).values()) == {1}
    assert AuditEvent.objects.filter(action="plan.advanced").count() == 100
    for plan in plans:
        assert reloaded(plan).stage == STAGES
        flag = plan.flags.get().flag
        config = flag.configs.get(environment=bench.staging)
        assert config.version == plan.base[flag.key]["version"] + STAGES == config.history.count()


def test_pause__while_engines_move_the_plan__comes_before_or_after(bench: PlanBench, crowd: Crowd) -> None:
    shares = tuple((1_000 * stage, 1) for stage in range(1, 14))
    plan, rita = bench.started(stages=stages_of(shares=shares)), actor_of(bench.world.rita)
    orders: Counter[tuple[str, ...]] = Counter()

    for minute in range(1, 13):
        now = NOW + 2 * minute * MINUTE
        sequence = reloaded(plan).sequence

        def pause(now: Any = now, sequence: int = sequence) -> Any:
            return acting.pause_plan(plan.pk, actor=rita, now=now, sequence=sequence)

        results = crowd.run([pause, *[lambda now=now: advance_due(now)] * 3])
        steps = PlanStep.objects.filter(plan=plan, sequence__gt=sequence).order_by("sequence")
        orders[tuple(steps.values_list("act", flat=True))] += 1
        assert not [one for one in results if isinstance(one, GovernanceError)]
        assert reloaded(plan).state == "paused"
        acting.resume_plan(plan.pk, actor=rita, now=now, sequence=reloaded(plan).sequence)

    assert set(orders) <= {("pause",), ("advance", "pause")}
