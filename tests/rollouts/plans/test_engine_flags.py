"""Plans with guards on several flags, and stages that were paused: each guard decides where its own flag is split."""

from datetime import datetime, timedelta

import pytest

from rollouts.models import PlanStep, RolloutPlan
from rollouts.plans.definition import Gates, Patch, Stage
from rollouts.services.plans import acting
from rollouts.services.plans.engine import advance_due
from tests.factories import NOW, actor_of
from tests.rollouts.guard_support import MINUTE, counted, guard, minutes
from tests.rollouts.plans.support import PlanBench, definition_of, reloaded, stages_of

pytestmark = pytest.mark.django_db

# Shortly after a minute is closed.
CLOSED = timedelta(seconds=80)


def two_flags(bench: PlanBench, **guards: str) -> RolloutPlan:
    """A plan that first splits one flag and then another, each with a guard."""
    bench.world.flag("second")
    gates = Gates(soak_minutes=5, is_monitored=True)
    stages = tuple(
        Stage(key, (Patch(key, enabled=True, variant="on", against="off", weight=weight),), gates)
        for key, weight in ((bench.flag.key, 10_000), ("second", 50_000))
    )
    watched = (guard(**guards), guard("late", flag_key="second", **guards))
    return bench.started(definition_of(bench.flag.key, "second", stages=stages, guards=watched))


def acts(plan: RolloutPlan) -> list[tuple[str, int, int]]:
    steps = PlanStep.objects.filter(plan=plan).order_by("sequence")
    return list(steps.values_list("act", "from_stage", "to_stage"))


def test_a_breach_takes_the_plan_back_though_another_flag_is_not_split_yet(bench: PlanBench) -> None:
    plan = two_flags(bench)
    for minute in minutes(NOW, 10):
        counted(plan.environment, [minute], on=(500, 60), off=(4_500, 45))
        advance_due(minute + CLOSED)
    assert acts(plan)[-1] == ("roll_back", 1, 0)


def test_a_stage_waits_for_the_guard_of_its_own_flag_and_not_for_the_other(bench: PlanBench) -> None:
    plan = two_flags(bench)
    for minute in minutes(NOW, 6):
        counted(plan.environment, [minute], on=(5, 0), off=(45, 1))
        advance_due(minute + CLOSED)
    assert acts(plan)[1:] == [("extend", 1, 1)]


def monitored(bench: PlanBench, soak: int) -> RolloutPlan:
    stages = stages_of(shares=((10_000, soak), (50_000, 5)), gates={1: {"is_monitored": True}})
    return bench.started(stages=stages, guards=(guard(on_missing="hold", on_stale="hold"),))


def fed(plan: RolloutPlan, since: datetime, count: int, *, on: tuple[int, int], off: tuple[int, int]) -> None:
    for minute in minutes(since, count):
        counted(plan.environment, [minute], on=on, off=off)
        advance_due(minute + CLOSED)


@pytest.mark.parametrize("reports", [True, False], ids=["data in the pause", "no data in the pause"])
def test_time_in_a_pause_is_neither_soak_nor_owed_in_data(bench: PlanBench, reports: bool) -> None:
    """After half a day in a pause a stage of ten minutes lasts ten minutes with data more: not less, not half a day."""
    plan, rita = monitored(bench, 10), actor_of(bench.world.rita)
    fed(plan, NOW, 4, on=(500, 5), off=(4_500, 45))
    acting.pause_plan(plan.pk, actor=rita, now=NOW + 8 * MINUTE, sequence=reloaded(plan).sequence)
    again = NOW + timedelta(hours=12)
    if reports:
        counted(plan.environment, minutes(NOW + 4 * MINUTE, 716), on=(500, 5), off=(4_500, 45))
    acting.resume_plan(plan.pk, actor=rita, now=again, sequence=reloaded(plan).sequence)
    fed(plan, again, 8, on=(5_000, 50), off=(45_000, 450))
    assert acts(plan)[-1][0] == "resume"
    fed(plan, again + 8 * MINUTE, 4, on=(5_000, 50), off=(45_000, 450))
    assert acts(plan)[3][0] in {"extend", "advance"}


def test_a_pause_by_hand_leaves_the_one_extension(bench: PlanBench) -> None:
    plan, rita = monitored(bench, 4), actor_of(bench.world.rita)
    acting.pause_plan(plan.pk, actor=rita, now=NOW + MINUTE, sequence=plan.sequence)
    acting.resume_plan(plan.pk, actor=rita, now=NOW + 3 * MINUTE, sequence=reloaded(plan).sequence)
    fed(plan, NOW + 3 * MINUTE, 20, on=(5, 0), off=(45, 0))
    assert [act for act, *_ in acts(plan)] == ["start", "pause", "resume", "extend", "pause"]
    found = reloaded(plan)
    acting.resume_plan(plan.pk, actor=rita, now=NOW + 30 * MINUTE, sequence=found.sequence)
    fed(plan, NOW + 30 * MINUTE, 12, on=(5, 0), off=(45, 0))
    assert [act for act, *_ in acts(plan)][-2:] == ["resume", "pause"]
