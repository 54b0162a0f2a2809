"""A train widens nothing that its plans may not widen alone, and nothing past what holds another plan of it."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flags.models import FlagConfig
from flags.permissions import Role
from rollouts.errors import TrainWaits
from rollouts.models import RolloutPlan
from rollouts.plans.trains import WAITS, Place, TrainState, wait_of
from rollouts.plans.transitions import PlanAct, PlanState
from rollouts.services import trains
from rollouts.services.change_requests import apply_if_due
from rollouts.services.plans import acting
from tests.factories import NOW, actor_of
from tests.rollouts.plans.support import reloaded
from tests.rollouts.plans.test_acting import perform
from tests.rollouts.trains.support import TrainBench, train_again, where

MINUTE = timedelta(minutes=1)

_PLACES = st.builds(
    Place,
    position=st.just(0),
    label=st.just("Plan"),
    state=st.sampled_from(PlanState),
    stage=st.integers(0, 3),
    opens_at=st.sampled_from([None, 1, 2, 3]),
    blocked_code=st.sampled_from(["", WAITS, "approval_missing", "frozen"]),
    troubles=st.sampled_from([(), ("has a guard that says “breach”",)]),
)


def at(minutes: float) -> Any:
    return NOW + minutes * MINUTE


@given(st.lists(_PLACES, min_size=1, max_size=5), st.sampled_from(TrainState), st.data())
def test_plan_that_may_move__has_its_turn_and_nothing_holds_another_one(
    drawn: list[Place], state: TrainState, data: st.DataObject
) -> None:
    places = [replace(one, position=number) for number, one in enumerate(drawn, start=1)]
    own = data.draw(st.sampled_from(places))

    may_move = wait_of("Autumn", state, places, own.position) is None

    if state in {TrainState.COMPLETED, TrainState.ABORTED}:
        assert may_move
        return
    stands_still = {PlanState.PAUSED, PlanState.ROLLED_BACK}
    others_are_well = all(
        one.state not in stands_still
        and (one.state is not PlanState.RUNNING or (one.blocked_code in ("", WAITS) and not one.troubles))
        for one in places
        if one is not own
    )
    has_its_turn = own.stage > 0 or all(
        one.state is PlanState.COMPLETED
        or (one.state is PlanState.RUNNING and one.opens_at is not None and one.stage >= one.opens_at)
        for one in places[: own.position - 1]
    )
    assert may_move == (state is TrainState.RUNNING and others_are_well and has_its_turn)


@pytest.mark.django_db
@pytest.mark.parametrize("trouble", ["other plan paused", "train paused", "train rolled back"])
def test_skip__by_a_release_manager__does_not_pass_the_train(trouble: str, bench: TrainBench) -> None:
    bench.world.grant(bench.world.rita, bench.staging, Role.EDITOR, Role.RELEASE_MANAGER)
    one, other = bench.plan_for("one", may_skip=True), bench.plan_for("other")
    train, rita = bench.started_train(one, other, opens_at={one: 1}), actor_of(bench.world.rita)
    told: dict[str, Any] = {"actor": rita, "now": at(1), "seen": train_again(train).lock_version}
    match trouble:
        case "other plan paused":
            acting.pause_plan(other.pk, actor=rita, now=at(1), sequence=reloaded(other).sequence)
        case "train paused":
            trains.pause_train(train.pk, **told)
        case _:
            trains.roll_back_train(train.pk, reason="Errors", **told)
            resumed = {"now": at(2), "sequence": reloaded(one).sequence, "reason": "Again"}
            acting.resume_plan(one.pk, actor=rita, **resumed)
    before = where(one)

    with pytest.raises(TrainWaits):
        acting.skip_stage(one.pk, actor=rita, now=at(3), sequence=reloaded(one).sequence, reason="Hurry")

    assert where(one) == before


@pytest.mark.django_db
def test_outage__lets_no_plan_of_a_train_pass_over_what_holds_another_one(bench: TrainBench) -> None:
    one, other, third = (bench.plan_for(key) for key in ("one", "other", "third"))
    train, rita = bench.started_train(one, other, third, opens_at={one: 1, other: 2}), actor_of(bench.world.rita)
    acting.pause_plan(other.pk, actor=rita, now=at(1), sequence=reloaded(other).sequence)

    for hours in (10, 11):
        bench.tick(train, at(60 * hours))

    assert where(one, other, third) == [("running", 1), ("paused", 1), ("draft", 0)]


def _in_production(bench: TrainBench, **wanted: Any) -> RolloutPlan:
    """A plan for production that Abel approved, and that may be started."""
    world = bench.world
    for place in (bench.production, bench.staging):
        world.grant(world.rita, place, Role.EDITOR, Role.RELEASE_MANAGER)
    return bench.proposed(apply_at=at(1), **wanted)


def _approved(bench: TrainBench, plan: RolloutPlan) -> Any:
    assert plan.request is not None
    bench.approve(plan.request)
    return plan.request


@pytest.mark.django_db
def test_stage_that_takes_an_approval__is_not_left_by_anything_a_train_does(bench: TrainBench) -> None:
    live = _in_production(bench, gates={1: {"approvals": 1}})
    staged, rita = bench.plan_for("second"), actor_of(bench.world.rita)
    train = bench.train(live, staged, opens_at={live: 2})
    request = _approved(bench, live)
    bench.start(train)
    assert apply_if_due(request.pk, now=at(2))

    bench.tick(train, at(60))
    for do in (trains.pause_train, trains.resume_train):
        do(train.pk, actor=rita, now=at(61), seen=train_again(train).lock_version)
    bench.tick(train, at(600))
    waiting = where(live, staged)
    perform(reloaded(live), PlanAct.APPROVE_STAGE, bench.world.anna, now=at(600))
    bench.tick(train, at(601))

    assert waiting == [("running", 1), ("draft", 0)]
    assert where(live, staged) == [("running", 2), ("running", 1)]


@pytest.mark.django_db
def test_plan_whose_approver_lost_the_role__is_not_started_in_its_turn(bench: TrainBench) -> None:
    live = _in_production(bench)
    staged = bench.plan_for("second")
    train = bench.train(staged, live, opens_at={staged: 1})
    request = _approved(bench, live)
    bench.start(train)
    bench.world.grant(bench.world.abel, bench.production, Role.VIEWER)

    for minutes in (2, 60):
        apply_if_due(request.pk, now=at(minutes))
        bench.tick(train, at(minutes))

    assert where(live) == [("proposed", 0)]
    served = FlagConfig.objects.get(flag=bench.flag, environment=bench.production)
    assert served.version == live.base[bench.flag.key]["version"]


@pytest.mark.django_db
def test_plan_whose_approver_lost_the_role_on_the_way__stays_and_so_do_the_others(bench: TrainBench) -> None:
    live = _in_production(bench)
    staged = bench.plan_for("second", gates={1: {"soak_minutes": 60}})
    train = bench.train(live, staged, opens_at={live: 1})
    request = _approved(bench, live)
    bench.start(train)
    assert apply_if_due(request.pk, now=at(2))
    bench.tick(train, at(3))
    assert where(live, staged) == [("running", 1), ("running", 1)]
    bench.world.grant(bench.world.abel, bench.production, Role.VIEWER)

    for minutes in (40, 70, 200):
        bench.tick(train, at(minutes))

    assert where(live, staged) == [("running", 1), ("running", 1)]
    assert (reloaded(live).blocked_code, reloaded(staged).blocked_code) == ("approval_missing", WAITS)
