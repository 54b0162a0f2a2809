"""Release trains at work: put together, started in order, held together, taken back together."""

from datetime import timedelta
from typing import Any

import pytest

from audits.errors import GovernanceError
from audits.models import AuditEvent
from flags.errors import InvalidInput, PermissionMissing
from flags.permissions import Role
from flags.services.tickets import governed_write
from rollouts.errors import TrainMovedOn, TrainRefused, TrainWaits
from rollouts.models import GuardWatch, PlanStep, ReleaseTrain, RolloutPlan, TrainMember
from rollouts.plans.definition import GuardAction, GuardSpec, MetricKind
from rollouts.plans.trains import TRANSITIONS, CircularTrain, InvalidTrainTransition, TrainAct, TrainState
from rollouts.selectors.trains import possible_train_acts, view_of, views_of, visible_trains
from rollouts.services import train_moves, trains
from rollouts.services.change_requests import apply_if_due
from rollouts.services.plans import acting
from rollouts.services.plans.engine import advance_due, advance_if_due
from rollouts.services.plans.rollback import go_back
from rollouts.services.train_moves import carry_on, refuse_out_of_turn
from rollouts.services.trains import Seat
from tests.factories import NOW, actor_of
from tests.rollouts.plans.support import definition_of, reloaded
from tests.rollouts.trains.support import TrainBench, train_again, where

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)


def at(minutes: float) -> Any:
    return NOW + minutes * MINUTE


def _order(train: ReleaseTrain) -> list[int]:
    return [member.plan.number for member in TrainMember.objects.filter(train=train).order_by("position")]


# Putting together


def test_train__puts_what_is_needed_first(bench: TrainBench) -> None:
    bench.needing("banner", "prices")
    banner, prices, other = (bench.plan_for(key) for key in ("banner", "prices", "other"))

    train = bench.train(banner, other, prices)

    assert _order(train) == [other.number, prices.number, banner.number]
    assert AuditEvent.objects.filter(action="train.created", correlation_id=train.correlation_id).count() == 1


def test_train__of_plans_that_need_each_other__is_refused(bench: TrainBench) -> None:
    bench.needing("banner", "prices")
    bench.needing("stock", "other")
    one = bench.plan_for("banner", stages=None)
    both = bench.plan(_two("other", "prices", bench), environment=bench.staging)
    bench.needing("other", "banner")

    with pytest.raises(CircularTrain):
        bench.train(one, both)

    assert not ReleaseTrain.objects.exists()


def _two(one: str, other: str, bench: TrainBench) -> Any:
    for key in (one, other):
        if key not in bench.world.flags:
            bench.world.flag(key)
    return definition_of(one, other)


def test_order_by_hand__against_prerequisites__is_refused(bench: TrainBench) -> None:
    bench.needing("banner", "prices")
    banner, prices, other = (bench.plan_for(key) for key in ("banner", "prices", "other"))
    train, rita = bench.train(prices, banner, other), actor_of(bench.world.rita)
    told: dict[str, Any] = {"actor": rita, "now": NOW, "seen": train.lock_version, "title": "Autumn"}

    with pytest.raises(TrainRefused) as refused:
        trains.edit_train(train.pk, [Seat(banner.pk), Seat(prices.pk)], **told)
    trains.edit_train(train.pk, [Seat(other.pk, 2), Seat(prices.pk), Seat(banner.pk)], **told)
    with pytest.raises(TrainMovedOn):
        trains.edit_train(train.pk, [Seat(prices.pk), Seat(banner.pk)], **told)

    assert "needs a flag of" in refused.value.message
    assert _order(train) == [other.number, prices.number, banner.number]
    assert TrainMember.objects.get(plan=other).opens_at == 2


def test_start__finds_an_order_that_prerequisites_have_turned_round_since(bench: TrainBench) -> None:
    first, second = bench.plan_for("banner"), bench.plan_for("prices")
    train = bench.train(first, second)
    bench.needing("banner", "prices")

    with pytest.raises(TrainRefused, match="needs a flag of"):
        bench.start(train)

    assert where(first, second) == [("draft", 0), ("draft", 0)]


@pytest.mark.parametrize("case", ["one plan", "twice", "unknown stage", "same flag", "running", "in another train"])
def test_train__of_plans_that_do_not_fit__is_refused_and_leaves_nothing(case: str, bench: TrainBench) -> None:
    one, other = bench.plan_for("one"), bench.plan_for("other")
    seats = [Seat(one.pk), Seat(other.pk)]
    match case:
        case "one plan":
            seats = seats[:1]
        case "twice":
            seats = [seats[0], seats[0]]
        case "unknown stage":
            seats = [Seat(one.pk, 9), seats[1]]
        case "same flag":
            seats = [seats[0], Seat(bench.plan_for("one").pk)]
        case "running":
            acting.start_plan(one.pk, actor=actor_of(bench.world.rita), now=NOW, digest=one.digest)
        case "in another train":
            bench.train(one, bench.plan_for("third"))
    before = ReleaseTrain.objects.count()

    with pytest.raises((TrainRefused, InvalidInput)):
        trains.create_train(bench.world.project.pk, seats, actor=actor_of(bench.world.rita), now=NOW, title="Autumn")

    assert ReleaseTrain.objects.count() == before


def test_train__takes_the_role_where_each_plan_goes(bench: TrainBench) -> None:
    plans = [bench.plan_for("one"), bench.plan_for("other", environment=bench.production)]
    bench.world.grant(bench.world.vera, bench.staging, Role.EDITOR)

    with pytest.raises(PermissionMissing):
        bench.train(*plans, by=bench.world.vera)


# Going


def test_plans__start_one_after_another__and_the_train_is_completed_with_the_last(bench: TrainBench) -> None:
    one, other = bench.plan_for("one"), bench.plan_for("other")
    train = bench.started_train(one, other)
    seen = []

    for minutes in (0, 30, 60, 89, 90, 120, 150, 180):
        bench.tick(train, at(minutes))
        seen.append((minutes, *where(one, other)))

    assert seen == [
        (0, ("running", 1), ("draft", 0)),
        (30, ("running", 2), ("draft", 0)),
        (60, ("running", 3), ("draft", 0)),
        (89, ("running", 3), ("draft", 0)),
        (90, ("completed", 3), ("running", 1)),
        (120, ("completed", 3), ("running", 2)),
        (150, ("completed", 3), ("running", 3)),
        (180, ("completed", 3), ("completed", 3)),
    ]
    assert train_again(train).state == "completed"
    start = PlanStep.objects.get(plan=other, act="start")
    assert start.is_automatic
    assert "release train “Autumn”" in start.reason
    assert reloaded(other).started_by_id == str(bench.world.rita.pk)


def test_named_stage__lets_the_next_plan_start_beside(bench: TrainBench) -> None:
    one, other = bench.plan_for("one"), bench.plan_for("other")
    train = bench.started_train(one, other, opens_at={one: 2})

    bench.tick(train, at(29))
    early = where(other)
    bench.tick(train, at(30))

    assert early == [("draft", 0)]
    assert where(one, other) == [("running", 2), ("running", 1)]


def test_plan__of_a_train_that_has_not_started__does_not_start(bench: TrainBench) -> None:
    one, other = bench.plan_for("one"), bench.plan_for("other")
    bench.train(one, other)

    with pytest.raises(TrainWaits, match="has not been started"):
        acting.start_plan(one.pk, actor=actor_of(bench.world.rita), now=NOW, digest=one.digest)

    assert where(one) == [("draft", 0)]


def test_approved_plan__is_started_by_its_request_once_it_is_its_turn(bench: TrainBench) -> None:
    world = bench.world
    world.grant(world.rita, bench.production, Role.EDITOR, Role.RELEASE_MANAGER)
    first = bench.plan_for("one")
    second = bench.proposed(apply_at=None)
    train = bench.train(first, second)
    assert second.request is not None
    unapproved = possible_train_acts(view_of(train), world.rita)
    bench.approve(second.request)
    bench.start(train)
    early = where(first, second)
    for minutes in (30, 60, 90):
        bench.tick(train, at(minutes))

    assert apply_if_due(second.request.pk, now=at(91))

    assert "is not approved for Production yet" in next(one.why_not for one in unapproved if one.act == "start")
    assert early == [("running", 1), ("proposed", 0)]
    assert where(first, second) == [("completed", 3), ("running", 1)]


def test_start__of_a_train_with_a_draft_for_a_protected_environment__is_refused(bench: TrainBench) -> None:
    bench.world.grant(bench.world.rita, bench.production, Role.EDITOR, Role.RELEASE_MANAGER)
    plans = [bench.plan_for("one"), bench.plan_for("other", environment=bench.production)]

    with pytest.raises(TrainRefused, match="is protected: propose it"):
        bench.started_train(*plans)

    assert where(*plans) == [("draft", 0), ("draft", 0)]


def test_starter__who_lost_the_role__starts_nothing_more_and_the_train_says_so(bench: TrainBench) -> None:
    one, other = bench.plan_for("one"), bench.plan_for("other")
    train = bench.started_train(one, other, opens_at={one: 1})
    assert where(other) == [("running", 1)]
    third, fourth = bench.plan_for("third"), bench.plan_for("fourth")
    second_train = bench.started_train(third, fourth, opens_at={third: 2})
    bench.world.grant(bench.world.rita, bench.staging, Role.VIEWER)

    bench.tick(second_train, at(30))

    assert where(third, fourth) == [("running", 2), ("draft", 0)]
    assert "does not have the role" in train_again(second_train).refused[str(fourth.pk)]
    assert train_again(train).refused == {}


# Held together


@pytest.mark.parametrize("trouble", ["pause", "hold", "no data", "breach that only warns", "train paused"])
def test_trouble_in_one_plan__holds_the_others__until_it_is_over(trouble: str, bench: TrainBench) -> None:
    action = GuardAction.WARN if trouble == "breach that only warns" else GuardAction.HOLD
    guard = GuardSpec("errors", "Errors", MetricKind.ERROR_RATE, "other", "on", "off", on_breach=action)
    one = bench.plan_for("one")
    other = bench.plan_for("other", guards=(guard,), gates={1: {"is_monitored": True, "soak_minutes": 600}})
    train, rita = bench.started_train(one, other, opens_at={one: 1}), actor_of(bench.world.rita)
    match trouble:
        case "pause":
            acting.pause_plan(other.pk, actor=rita, now=NOW, sequence=reloaded(other).sequence)
        case "hold":
            _blocked(other, "incident_open")
        case "train paused":
            trains.pause_train(train.pk, actor=rita, now=NOW, seen=train_again(train).lock_version)
        case _:
            _watched(other, "missing" if trouble == "no data" else "breach")

    advance_if_due(one.pk, now=at(30))

    held = reloaded(one)
    is_held = trouble != "breach that only warns"
    assert (held.stage, held.blocked_code) == ((1, "train_waits") if is_held else (2, ""))
    if is_held:
        assert "“Autumn”" in held.blocked_detail["message"]
        advance_if_due(one.pk, now=at(31))
        assert PlanStep.objects.filter(plan=one, act="hold").count() == 1


def test_held_plan__goes_on_once_the_other_does(bench: TrainBench) -> None:
    one, other = bench.plan_for("one"), bench.plan_for("other", gates={1: {"soak_minutes": 600}})
    train, rita = bench.started_train(one, other, opens_at={one: 1}), actor_of(bench.world.rita)
    paused = acting.pause_plan(other.pk, actor=rita, now=NOW, sequence=reloaded(other).sequence)
    bench.tick(train, at(30))
    held = where(one)

    acting.resume_plan(other.pk, actor=rita, now=at(31), sequence=paused.sequence)
    bench.tick(train, at(40))

    assert held == [("running", 1)]
    assert where(one) == [("running", 2)]
    assert not reloaded(one).is_blocked


def _blocked(plan: Any, code: str) -> None:
    with governed_write(plan.environment_id):
        RolloutPlan.objects.filter(pk=plan.pk).update(blocked_code=code)


def _watched(plan: Any, outcome: str) -> None:
    found = reloaded(plan)
    GuardWatch.objects.update_or_create(
        plan=found,
        attempt=found.attempt,
        metric="errors",
        defaults={"outcome": outcome},
    )


# Back together


def test_member_that_is_rolled_back__takes_all_of_them_back__the_last_first(bench: TrainBench) -> None:
    plans = [bench.plan_for(key) for key in ("one", "other", "third", "fourth")]
    train, rita = bench.started_train(*plans, opens_at={plans[1]: 1, plans[2]: 2}), actor_of(bench.world.rita)
    for minutes in (0, 30, 60, 90, 120):
        bench.tick(train, at(minutes))
    assert where(*plans) == [("completed", 3), ("running", 2), ("running", 2), ("running", 1)]

    acting.roll_back_plan(plans[2].pk, actor=rita, now=at(121), sequence=reloaded(plans[2]).sequence, reason="Errors")
    bench.tick(train, at(122))
    bench.tick(train, at(123))

    assert where(*plans) == [("rolled_back", 0)] * 4
    backs = PlanStep.objects.filter(act="roll_back", plan__in=plans, at__gte=at(122)).order_by("at", "plan__number")
    assert backs.count() == 3
    events = AuditEvent.objects.filter(action="plan.rolled_back", actor_id=rita.id).order_by("sequence")
    expected = [str(plan.pk) for plan in (plans[2], plans[3], plans[1], plans[0])]
    assert list(events.values_list("target_id", flat=True)) == expected
    found = train_again(train)
    assert (found.state, found.rollback_reason) == (
        "rolled_back",
        f"{plans[2].label} in Staging was rolled back.",
    )


def test_people__take_the_whole_train_back__and_end_it(bench: TrainBench) -> None:
    one, other = bench.plan_for("one"), bench.plan_for("other")
    train, rita = bench.started_train(one, other, opens_at={one: 1}), actor_of(bench.world.rita)
    seen = train_again(train).lock_version

    with pytest.raises(InvalidInput):
        trains.roll_back_train(train.pk, actor=rita, now=at(1), seen=seen, reason=" ")
    trains.roll_back_train(train.pk, actor=rita, now=at(1), seen=seen, reason="Wrong prices")

    assert where(one, other) == [("rolled_back", 0), ("rolled_back", 0)]
    step = PlanStep.objects.get(plan=one, act="roll_back")
    assert step.actor_id == rita.id
    assert step.reason == "With the release train “Autumn”: Wrong prices"
    acting.resume_plan(one.pk, actor=_releasing(bench), now=at(2), sequence=step.sequence, reason="Again")
    bench.tick(train, at(3))
    assert reloaded(one).blocked_code == "train_waits"
    trains.abort_train(train.pk, actor=rita, now=at(4), seen=train_again(train).lock_version, reason="Over")
    bench.tick(train, at(20))
    assert where(one, other) == [("running", 1), ("rolled_back", 0)]


def _releasing(bench: TrainBench) -> Any:
    bench.world.grant(bench.world.rita, bench.staging, Role.EDITOR, Role.RELEASE_MANAGER)
    return actor_of(bench.world.rita)


def test_rollback__that_ended_in_between__is_finished_by_the_next_sweep(
    bench: TrainBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process is gone after the second of three plans."""
    plans = [bench.plan_for(key) for key in ("one", "other", "third")]
    train, rita = bench.started_train(*plans, opens_at={plans[0]: 1, plans[1]: 1}), actor_of(bench.world.rita)
    gone: list[int] = []

    def killed(plan: Any, **told: Any) -> Any:
        if len(gone) == 2:
            raise KeyboardInterrupt
        gone.append(plan.number)
        return go_back(plan, **told)

    monkeypatch.setattr(train_moves, "go_back", killed)
    with pytest.raises(KeyboardInterrupt):
        trains.roll_back_train(
            train.pk, actor=rita, now=at(1), seen=train_again(train).lock_version, reason="Wrong prices"
        )
    half = where(*plans)
    monkeypatch.setattr(train_moves, "go_back", go_back)

    assert carry_on(train.pk, now=at(2))

    assert half == [("running", 1), ("rolled_back", 0), ("rolled_back", 0)]
    assert where(*plans) == [("rolled_back", 0)] * 3
    assert not carry_on(train.pk, now=at(3))
    assert PlanStep.objects.filter(plan__in=plans, act="roll_back").count() == 3


def test_plan_that_cannot_go_back__is_named_and_stops_nobody(bench: TrainBench) -> None:
    one, other = bench.plan_for("one"), bench.plan_for("other")
    train, rita = bench.started_train(one, other), actor_of(bench.world.rita)
    for minutes in (30, 60, 90):
        bench.tick(train, at(minutes))
    blocker = bench.plan(definition_of("one"), environment=bench.staging, is_confirmed=True)
    acting.start_plan(blocker.pk, actor=rita, now=at(91), digest=blocker.digest)

    trains.roll_back_train(train.pk, actor=rita, now=at(92), seen=train_again(train).lock_version, reason="Errors")

    assert where(one, other) == [("completed", 3), ("rolled_back", 0)]
    assert blocker.label in train_again(train).refused[str(one.pk)]
    acting.abort_plan(blocker.pk, actor=rita, now=at(93), sequence=reloaded(blocker).sequence, reason="In the way")
    carry_on(train.pk, now=at(94))
    assert where(one) == [("rolled_back", 0)]
    assert train_again(train).refused == {}


# Acts in every state


@pytest.mark.parametrize("state", TrainState)
def test_acts__in_every_state__are_refused_unless_the_table_has_them(state: TrainState, bench: TrainBench) -> None:
    train = _train_in(bench, state)
    told: dict[str, Any] = {
        "actor": actor_of(bench.world.rita),
        "now": NOW,
        "seen": train.lock_version,
        "reason": "Test",
    }
    acts = {one.act: one.is_allowed for one in possible_train_acts(view_of(train), bench.world.rita)}

    for act, is_offered in acts.items():
        assert is_offered == ((state, act) in TRANSITIONS)
        if not is_offered and act is not TrainAct.EDIT:
            shown = {"digest": view_of(train).digest} if act is TrainAct.START else {}
            with pytest.raises(InvalidTrainTransition):
                getattr(trains, f"{act.value}_train")(train.pk, **told, **shown)

    assert (train_again(train).state, train_again(train).lock_version) == (train.state, train.lock_version)


def _train_in(bench: TrainBench, state: TrainState) -> ReleaseTrain:
    plans = bench.plan_for("one"), bench.plan_for("other")
    if state is TrainState.DRAFT:
        return bench.train(*plans)
    train, rita = bench.started_train(*plans), actor_of(bench.world.rita)
    told: dict[str, Any] = {"actor": rita, "now": NOW, "seen": train_again(train).lock_version}
    match state:
        case TrainState.PAUSED:
            trains.pause_train(train.pk, **told)
        case TrainState.ROLLED_BACK:
            trains.roll_back_train(train.pk, reason="Errors", **told)
        case TrainState.ABORTED:
            trains.abort_train(train.pk, reason="Over", **told)
        case TrainState.COMPLETED:
            for minutes in range(0, 200, 30):
                bench.tick(train, at(minutes))
    return train_again(train)


def test_acts__of_somebody_who_only_looks__are_refused(bench: TrainBench) -> None:
    train = _train_in(bench, TrainState.RUNNING)
    told: dict[str, Any] = {
        "actor": actor_of(bench.world.vera),
        "now": NOW,
        "seen": train.lock_version,
        "reason": "Test",
    }

    for do in (trains.pause_train, trains.roll_back_train, trains.abort_train):
        with pytest.raises(PermissionMissing):
            do(train.pk, **told)

    assert train_again(train).state == train.state
    assert not any(one.is_allowed for one in possible_train_acts(view_of(train), bench.world.vera))


def test_draft_train_that_is_ended__lets_its_plans_join_another(bench: TrainBench) -> None:
    plans = bench.plan_for("one"), bench.plan_for("other")
    train = bench.train(*plans)

    trains.abort_train(
        train.pk, actor=actor_of(bench.world.rita), now=NOW, seen=train.lock_version, reason="Another order"
    )

    assert bench.train(*plans).state == "draft"


# Reading


def test_train__is_hidden_from_whoever_may_not_look_at_all_of_it(bench: TrainBench) -> None:
    train = bench.train(bench.plan_for("one"), bench.plan_for("other", environment=bench.production))
    vera = bench.world.vera
    bench.world.grant(vera, bench.staging, Role.VIEWER)
    bench.world.grant(vera, bench.production)

    assert not visible_trains(vera).exists()
    assert visible_trains(bench.world.rita).get() == train


def test_views__of_many_trains__take_two_queries(bench: TrainBench, django_assert_num_queries: Any) -> None:
    found = [bench.train(bench.plan_for(f"a{n}"), bench.plan_for(f"b{n}")) for n in range(3)]

    with django_assert_num_queries(1):
        views = views_of(found)
        assert [len(view.members) for view in views] == [2, 2, 2]


def test_gate__costs_plans_without_a_train_one_query(bench: TrainBench, django_assert_num_queries: Any) -> None:
    plan = bench.plan_for("one")

    with django_assert_num_queries(1):
        refuse_out_of_turn(plan, to_stage=1, now=NOW)


def test_engine__never_raises_over_trains(bench: TrainBench) -> None:
    one, other = bench.plan_for("one"), bench.plan_for("other")
    bench.started_train(one, other)

    assert advance_due(at(30)) == 1
    with pytest.raises(GovernanceError):
        acting.start_plan(other.pk, actor=actor_of(bench.world.rita), now=at(31), digest=other.digest)
