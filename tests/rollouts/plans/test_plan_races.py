"""Many people at once: one wins, nothing happens twice, and nobody sees a database error. On both databases."""

from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from audits.errors import GovernanceError
from audits.models import AuditEvent
from flags.models import FlagConfig
from flags.services.configs import edit_config
from rollouts.models import ChangeRequest, PlanFlag, PlanStep, RolloutPlan, StageApproval
from rollouts.plans.transitions import PlanAct
from rollouts.services.plans import acting, drafting
from tests.factories import NOW, SOON, actor_of
from tests.rollouts.plans.support import PlanBench, definition_of, reloaded, stages_of
from tests.rollouts.plans.test_acting import moved_to
from tests.rollouts.test_races import Crowd

pytestmark = pytest.mark.django_db(transaction=True)

SIZE, ROUNDS = 8, 5


@pytest.fixture
def crowd() -> Iterator[Crowd]:
    """Some people at the start line."""
    crowd = Crowd(SIZE)
    yield crowd
    crowd.leave()


def acts_of(plan: RolloutPlan) -> Counter[str]:
    """The steps of a plan by act; their numbers have no gap, and each has its event."""
    steps = list(PlanStep.objects.filter(plan=plan).order_by("sequence"))
    assert [one.sequence for one in steps] == list(range(1, len(steps) + 1))
    events = AuditEvent.objects.filter(target_id=str(plan.pk)).exclude(action__startswith="rollback.")
    assert events.count() == len(steps) + 1
    return Counter(one.act for one in steps)


def codes(results: list[Any]) -> set[str]:
    """What the losers were told."""
    return {one.code for one in results if isinstance(one, GovernanceError)}


def test_a_plan_starts_once(bench: PlanBench, crowd: Crowd) -> None:
    for _ in range(ROUNDS):
        plan = bench.plan(environment=bench.staging)
        version = FlagConfig.objects.get(flag=bench.flag, environment=bench.staging).version
        start = partial(acting.start_plan, plan.pk, actor=actor_of(bench.world.rita), now=NOW, digest=plan.digest)
        results = crowd.run([start] * SIZE)
        assert sum(isinstance(one, RolloutPlan) for one in results) == 1
        assert codes(results) <= {"invalid_plan_transition", "concurrent_update"}
        assert acts_of(plan) == {"start": 1}
        assert FlagConfig.objects.get(flag=bench.flag, environment=bench.staging).version == version + 1
        stop = reloaded(plan)
        told: dict[str, Any] = {"actor": actor_of(bench.world.rita), "now": NOW, "reason": "Next round"}
        acting.roll_back_plan(plan.pk, sequence=stop.sequence, **told)
        acting.abort_plan(plan.pk, sequence=reloaded(plan).sequence, **told)


def test_an_approved_plan_starts_once_with_its_request(bench: PlanBench, crowd: Crowd) -> None:
    plan = bench.approved_plan()
    start = partial(acting.start_plan, plan.pk, actor=actor_of(bench.world.rolf), now=SOON, digest=plan.digest)
    results = crowd.run([start] * SIZE)
    assert sum(isinstance(one, RolloutPlan) for one in results) == 1
    assert acts_of(plan) == {"propose": 1, "start": 1}
    assert ChangeRequest.objects.get(plan=plan).state == "applied"
    assert bench.version() == 2


def test_of_many_plans_for_a_flag_one_is_at_work(bench: PlanBench, crowd: Crowd) -> None:
    rita = actor_of(bench.world.rita)
    plans = [
        bench.plan(definition_of(stages=stages_of(shares=((1_000 * number, 5),))), environment=bench.staging)
        for number in range(1, SIZE + 1)
    ]
    results = crowd.run(
        [partial(acting.start_plan, plan.pk, actor=rita, now=NOW, digest=plan.digest) for plan in plans]
    )
    [winner] = [one for one in results if isinstance(one, RolloutPlan)]
    assert codes(results) <= {"flag_in_other_plan", "plan_moved_ground", "stale_change", "concurrent_update"}
    assert PlanFlag.objects.get(is_live=True).plan_id == winner.pk
    assert bench.share_of(winner) == winner.documents[0]["checkout-redesign"]["rules"][0]["serve"]["split"][0]["weight"]


def test_a_pause_and_a_move_at_the_same_moment(bench: PlanBench, crowd: Crowd) -> None:
    """Whoever comes second sees what the first did: paused where it was, or paused one stage on. Never in between."""
    plan = bench.started(definition_of(stages=stages_of(shares=tuple((1_000 * n, 5) for n in range(1, 20)))))
    told: dict[str, Any] = {"actor": actor_of(bench.world.rita), "now": NOW}
    for _ in range(ROUNDS):
        seen = reloaded(plan)
        pause = partial(acting.pause_plan, plan.pk, sequence=seen.sequence, **told)
        results = crowd.run([partial(moved_to, plan, seen.stage + 1), pause])
        found = reloaded(plan)
        assert found.state == "paused"
        assert isinstance(results[1], RolloutPlan)
        has_moved = isinstance(results[0], RolloutPlan)
        assert found.stage == seen.stage + has_moved
        assert has_moved or codes(results) == {"invalid_plan_transition"}
        assert bench.share_of(plan) == 1_000 * found.stage
        acting.resume_plan(plan.pk, sequence=found.sequence, **told)
    acts_of(plan)


def test_the_way_back_and_a_move_at_the_same_moment(bench: PlanBench, crowd: Crowd) -> None:
    told: dict[str, Any] = {"actor": actor_of(bench.world.rita), "now": NOW, "reason": "Errors"}
    for _ in range(ROUNDS):
        plan = bench.started()
        back = partial(acting.roll_back_plan, plan.pk, sequence=plan.sequence, to_stage=0, **told)
        results = crowd.run([partial(moved_to, plan, 2), back])
        found = reloaded(plan)
        assert (found.state, found.stage, bench.share_of(plan)) == ("rolled_back", 0, 0)
        assert codes(results) <= {"invalid_plan_transition"}
        acting.abort_plan(plan.pk, sequence=found.sequence, **told)
        acts_of(plan)


def test_an_edit_by_hand_and_a_move_at_the_same_moment(bench: PlanBench, crowd: Crowd) -> None:
    """Nothing is overwritten: either the edit is stale, or the plan finds that its ground moved."""
    plan = bench.started()
    config = FlagConfig.objects.get(flag=bench.flag, environment=bench.staging)
    edit = partial(
        edit_config,
        bench.flag.pk,
        bench.staging.pk,
        actor=actor_of(bench.world.rita),
        document={**config.document, "salt": "mine/"},
        base_version=config.version,
        reason="By hand",
        now=NOW,
    )
    results = crowd.run([partial(moved_to, plan, 2), edit])
    assert len([one for one in results if isinstance(one, GovernanceError)]) == 1
    assert codes(results) <= {"stale_change", "plan_moved_ground"}
    assert FlagConfig.objects.get(pk=config.pk).version == config.version + 1


def test_a_yes_counts_once(bench: PlanBench, crowd: Crowd) -> None:
    plan = bench.approved_and_started(gates={1: {"approvals": 2}})
    yes = partial(acting.approve_stage, plan.pk, now=NOW, digest=plan.digest, sequence=plan.sequence)
    people = [actor_of(bench.world.abel), actor_of(bench.world.anna)] * (SIZE // 2)
    results = crowd.run([partial(yes, actor=person) for person in people])
    assert codes(results) == {"approval_refused"}
    assert StageApproval.objects.filter(plan=plan).count() == 2
    assert acts_of(plan)[PlanAct.APPROVE_STAGE.value] == 2


def test_numbers_are_given_once(bench: PlanBench, crowd: Crowd) -> None:
    made = crowd.run([partial(bench.plan, environment=bench.staging)] * SIZE)
    assert sorted(plan.number for plan in made) == list(range(1, SIZE + 1))


def test_two_edits_of_one_draft(bench: PlanBench, crowd: Crowd) -> None:
    plan = bench.plan()
    edit = partial(drafting.edit_plan, plan.pk, actor=actor_of(bench.world.rita), now=NOW, digest=plan.digest)
    definitions = [definition_of(stages=stages_of(shares=((1_000 * n, 5),))) for n in range(1, SIZE + 1)]
    results = crowd.run([partial(edit, definition=definition) for definition in definitions])
    assert sum(isinstance(one, RolloutPlan) for one in results) == 1
    assert codes(results) == {"plan_moved_on"}
