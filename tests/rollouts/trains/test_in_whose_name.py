"""In whose name a release train acts by itself: what its starter saw, and whom a rollback may take along."""

from datetime import timedelta
from typing import Any

import pytest

from audits.models import AuditEvent
from flags.permissions import Role
from rollouts.models import PlanStep, ReleaseTrain, RolloutPlan
from rollouts.plans.trains import TrainAct
from rollouts.plans.transitions import PlanAct
from rollouts.selectors.trains import possible_train_acts, view_of
from rollouts.services import train_moves, trains
from rollouts.services.plans import acting, drafting
from rollouts.services.plans.consent import refuse_own_opening
from rollouts.services.plans.rollback import go_back
from rollouts.services.plans.writing import ENGINE, lock_plan
from rollouts.services.train_moves import carry_on
from tests.factories import NOW, actor_of, make_person
from tests.rollouts.plans.support import definition_of, reloaded, stages_of
from tests.rollouts.trains.support import TrainBench, train_again, where

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)


def at(minutes: float) -> Any:
    return NOW + minutes * MINUTE


# What the starter saw


def test_draft_that_was_changed_since__is_not_started_by_the_train__but_by_whoever_looked_at_it(
    bench: TrainBench,
) -> None:
    one, other = bench.plan_for("one"), bench.plan_for("other")
    train = bench.started_train(one, other)
    sam = make_person("sam")
    bench.world.grant(sam, bench.staging, Role.EDITOR)
    wider = definition_of("other", stages=stages_of("other", shares=((100_000, 30),)))
    other = drafting.edit_plan(other.pk, actor=actor_of(sam), now=at(1), digest=other.digest, definition=wider)

    for minutes in (30, 60, 90, 91):
        bench.tick(train, at(minutes))

    assert where(one, other) == [("completed", 3), ("draft", 0)]
    assert "changed after the train was started" in train_again(train).refused[str(other.pk)]
    acting.start_plan(other.pk, actor=actor_of(sam), now=at(92), digest=other.digest)
    for minutes in (93, 130):
        bench.tick(train, at(minutes))
    assert where(other) == [("completed", 1)]
    assert (train_again(train).state, train_again(train).refused) == ("completed", {})


def test_draft__is_not_started_where_one_of_its_people_took_the_protection_off(
    bench: TrainBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, ...]] = []

    def looked(environment: Any, *people: str) -> None:
        asked.append(people)
        refuse_own_opening(environment, *people)

    one, other = bench.plan_for("one"), bench.plan_for("other")
    sam = make_person("sam")
    bench.world.grant(sam, bench.staging, Role.EDITOR)
    wider = definition_of("one", stages=stages_of("one", shares=((100_000, 30),)))
    drafting.edit_plan(one.pk, actor=actor_of(sam), now=NOW, digest=one.digest, definition=wider)
    monkeypatch.setattr(train_moves, "refuse_own_opening", looked)

    bench.started_train(one, other)

    assert [set(people) for people in asked] == [{str(bench.world.rita.pk), str(sam.pk)}]


# Whom a rollback takes along


def _both_places(bench: TrainBench) -> tuple[ReleaseTrain, RolloutPlan, RolloutPlan]:
    """A train with a plan at work in production and one in staging, and the person who may act everywhere."""
    world = bench.world
    for place in (bench.production, bench.staging):
        world.grant(world.rita, place, Role.EDITOR, Role.RELEASE_MANAGER)
    live = bench.proposed(apply_at=at(1))
    staged = bench.plan_for("second")
    train = bench.train(live, staged, opens_at={live: 1})
    assert live.request is not None
    bench.approve(live.request)
    rita = actor_of(world.rita)
    bench.start(train)
    acting.start_plan(live.pk, actor=rita, now=at(2), digest=live.digest)
    bench.tick(train, at(3))
    assert where(live, staged) == [("running", 1), ("running", 1)]
    return train, live, staged


@pytest.mark.parametrize(
    ("who", "is_followed"), [("somebody of staging", False), ("somebody of both", True), ("the system", True)]
)
def test_plan_that_is_rolled_back__takes_the_others_along_where_that_may_be_decided(
    who: str, is_followed: bool, bench: TrainBench
) -> None:
    train, live, staged = _both_places(bench)
    sam = make_person("sam")
    bench.world.grant(sam, bench.staging, Role.EDITOR)
    told: dict[str, Any] = {"now": at(4), "reason": "Errors", "to_stage": 0}
    if who == "the system":
        go_back(lock_plan(staged.pk), actor=ENGINE, **told)
    else:
        actor = actor_of(sam if who == "somebody of staging" else bench.world.rita)
        acting.roll_back_plan(staged.pk, actor=actor, sequence=reloaded(staged).sequence, **told)

    bench.tick(train, at(5))
    bench.tick(train, at(40))

    found = train_again(train)
    if is_followed:
        assert (where(live), found.state) == ([("rolled_back", 0)], "rolled_back")
        assert PlanStep.objects.get(plan=live, act="roll_back").is_automatic == (who == "the system")
    else:
        assert (where(live), found.state) == ([("running", 1)], "running")
        assert reloaded(live).blocked_code == "train_waits"
        assert "stay as they are and wait" in found.refused[str(staged.pk)]
        assert not AuditEvent.objects.filter(action="train.rolled_back").exists()


def test_sweep__finishes_a_rollback_in_the_name_of_whoever_began_it(
    bench: TrainBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = bench.plan_for("one"), bench.plan_for("other")
    train, rita = bench.started_train(one, other, opens_at={one: 1}), actor_of(bench.world.rita)
    monkeypatch.setattr(trains, "send_back", lambda *_, **__: 0)
    trains.roll_back_train(train.pk, actor=rita, now=at(1), seen=train_again(train).lock_version, reason="Errors")

    carry_on(train.pk, now=at(2))

    assert where(one, other) == [("rolled_back", 0), ("rolled_back", 0)]
    backs = PlanStep.objects.filter(act=PlanAct.ROLL_BACK.value)
    assert {(step.actor_id, step.is_automatic) for step in backs} == {(rita.id, False)}


# Out of a train that never started


def test_train_that_never_started__is_ended_by_an_editor_of_one_of_its_places(bench: TrainBench) -> None:
    train = bench.train(bench.plan_for("one"), bench.plan_for("other", environment=bench.production))
    sam, vera = make_person("sam"), bench.world.vera
    bench.world.grant(sam, bench.staging, Role.EDITOR)
    allowed = {
        person: {one.act for one in possible_train_acts(view_of(train), person) if one.is_allowed}
        for person in (sam, vera)
    }

    trains.abort_train(train.pk, actor=actor_of(sam), now=NOW, seen=train.lock_version, reason="Mine goes alone")

    assert allowed == {sam: {TrainAct.ABORT}, vera: set()}
    assert train_again(train).state == "aborted"
