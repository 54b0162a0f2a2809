"""What people do with a plan: every act in every state, who may do it, and what it leaves."""

from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest

from audits.errors import GovernanceError
from audits.models import AuditEvent
from flags.permissions import Role
from flags.services.attempts import attempt
from rollouts.models import GuardWatch, PlanFlag, PlanStep, RolloutPlan
from rollouts.plans.definition import Check, CheckKind
from rollouts.plans.transitions import LIVE_STATES, TRANSITIONS, PlanAct, PlanState
from rollouts.selectors.plans.reading import live_plan_of, possible_acts
from rollouts.selectors.plans.rights import PERMISSIONS
from rollouts.services.plans import acting, drafting
from rollouts.services.plans.stages import reach_stage
from rollouts.services.plans.writing import ENGINE, lock_plan, step
from tests.factories import NOW, SOON, actor_of
from tests.rollouts.guard_support import guard
from tests.rollouts.plans.support import PlanBench, definition_of, plan_in, reloaded, stages_of

pytestmark = pytest.mark.django_db

PEOPLES_ACTS = tuple(PERMISSIONS)
EVERY_ROLE = (Role.EDITOR, Role.APPROVER, Role.RELEASE_MANAGER)
OPTIONS: dict[str, Any] = {"may_skip": True, "gates": {1: {"approvals": 1}}}


def perform(  # noqa: C901 - a table of acts
    plan: RolloutPlan, act: PlanAct, by: Any, *, now: datetime = NOW, **wanted: Any
) -> RolloutPlan:
    """One act of a person, with input that is right in itself."""
    plan = reloaded(plan)
    told: dict[str, Any] = {"actor": actor_of(by), "now": now}
    seen: dict[str, Any] = {"sequence": plan.sequence, "reason": "A reason"}
    match act:
        case PlanAct.EDIT:
            return drafting.edit_plan(plan.pk, digest=plan.digest, title="Other words", **told)
        case PlanAct.REBASE:
            return drafting.rebase_plan(plan.pk, digest=plan.digest, **told)
        case PlanAct.PROPOSE:
            return drafting.propose_plan(plan.pk, digest=plan.digest, **told)
        case PlanAct.RECALL:
            return drafting.recall_plan(plan.pk, **told)
        case PlanAct.START:
            return acting.start_plan(plan.pk, digest=plan.digest, **told)
        case PlanAct.APPROVE_STAGE:
            return acting.approve_stage(plan.pk, digest=plan.digest, **told, **seen)
        case PlanAct.SKIP:
            return acting.skip_stage(plan.pk, **told, **seen)
        case PlanAct.PAUSE:
            return acting.pause_plan(plan.pk, **told, **seen)
        case PlanAct.RESUME:
            return acting.resume_plan(plan.pk, **told, **seen)
        case PlanAct.JUMP_BACK:
            return acting.jump_back(plan.pk, to_stage=wanted.get("to_stage", plan.stage - 1), **told, **seen)
        case PlanAct.ROLL_BACK:
            return acting.roll_back_plan(plan.pk, **told, **seen, **wanted)
        case PlanAct.ABORT:
            return acting.abort_plan(plan.pk, **told, **seen)
    raise AssertionError(act)


def refusal_of(plan: RolloutPlan, act: PlanAct, by: Any, **wanted: Any) -> GovernanceError:
    """What an act raises; the plan stays as it was, and no event says otherwise."""
    before, events = reloaded(plan), AuditEvent.objects.count()
    with pytest.raises(GovernanceError) as refused:
        perform(plan, act, by, **wanted)
    after = reloaded(plan)
    assert (after.state, after.stage, after.sequence) == (before.state, before.stage, before.sequence)
    assert AuditEvent.objects.count() == events
    return refused.value


def moved_to(plan: RolloutPlan, stage: int, *, now: datetime = NOW) -> RolloutPlan:
    """What the engine does when the gates are met."""

    def act() -> RolloutPlan:
        found = lock_plan(plan.pk)
        reach_stage(found, PlanAct.ADVANCE, stage, actor=ENGINE, now=now)
        return found

    return attempt(act)


@pytest.mark.parametrize("state", PlanState)
def test_every_act_in_every_state(bench: PlanBench, state: PlanState) -> None:
    """What the table refuses every service refuses; what it allows leads where it says, unless the case forbids it."""
    plan = plan_in(bench, state, **OPTIONS)
    everything = bench.world.otto
    bench.world.grant(everything, plan.environment, *EVERY_ROLE)
    allowed = {view.act for view in possible_acts(plan, everything) if view.is_allowed}
    for act in PEOPLES_ACTS:
        if (state, act) not in TRANSITIONS:
            assert act not in allowed
            assert refusal_of(plan, act, everything).code == "invalid_plan_transition"
        elif act not in allowed:
            assert refusal_of(plan, act, everything).code != "invalid_plan_transition"


@pytest.mark.parametrize(
    ("state", "act"),
    [pair for pair in TRANSITIONS if pair[1] in PERMISSIONS and pair != (PlanState.PROPOSED, PlanAct.START)],
)
def test_every_move_leads_where_the_table_says(bench: PlanBench, state: PlanState, act: PlanAct) -> None:
    world = bench.world
    options: dict[str, Any] = {"may_skip": True}
    if act is PlanAct.APPROVE_STAGE:
        options |= {"gates": {1: {"approvals": 1}}}
    plan = plan_in(bench, state, **options)
    if act is PlanAct.JUMP_BACK and state is PlanState.RUNNING:
        plan = moved_to(plan, 2)
    if act is PlanAct.REBASE:
        world.serve(bench.flag, plan.environment, {**bench.served(plan.environment), "salt": "other/"})
    by = {PlanAct.APPROVE_STAGE: world.abel, PlanAct.SKIP: world.rolf, PlanAct.RESUME: world.rolf}.get(act, world.rita)
    done = perform(plan, act, by)
    kept = PlanStep.objects.get(plan=plan, sequence=done.sequence)
    assert reloaded(plan).current_state is TRANSITIONS[state, act]
    assert (kept.act, kept.actor_id) == (act.value, str(by.pk))
    assert (
        AuditEvent.objects.filter(target_id=str(plan.pk), correlation_id=plan.correlation_id).count() >= kept.sequence
    )
    is_live = TRANSITIONS[state, act] in LIVE_STATES
    assert set(PlanFlag.objects.filter(plan=plan).values_list("is_live", flat=True)) == {is_live}


ROLE_OF = {
    PlanAct.EDIT: {"rita"},
    PlanAct.REBASE: {"rita"},
    PlanAct.PROPOSE: {"rita"},
    PlanAct.RECALL: {"rita", "rolf"},
    PlanAct.START: {"rita", "rolf"},
    PlanAct.APPROVE_STAGE: {"abel"},
    PlanAct.SKIP: {"rolf"},
    PlanAct.PAUSE: {"rita", "rolf"},
    PlanAct.RESUME: {"rita", "rolf"},
    PlanAct.JUMP_BACK: {"rita", "rolf"},
    PlanAct.ROLL_BACK: {"rita", "rolf"},
    PlanAct.ABORT: {"rita", "rolf"},
}
STATE_OF = {
    PlanAct.EDIT: PlanState.DRAFT,
    PlanAct.REBASE: PlanState.DRAFT,
    PlanAct.PROPOSE: PlanState.DRAFT,
    PlanAct.RECALL: PlanState.PROPOSED,
    PlanAct.START: PlanState.DRAFT,
    PlanAct.RESUME: PlanState.PAUSED,
    PlanAct.JUMP_BACK: PlanState.PAUSED,
}


@pytest.mark.parametrize("act", PEOPLES_ACTS)
def test_who_may_do_what(bench: PlanBench, act: PlanAct) -> None:
    plan = plan_in(bench, STATE_OF.get(act, PlanState.RUNNING), **OPTIONS)
    for name in ("vera", "otto", "ada", "rita", "abel", "rolf"):
        person = getattr(bench.world, name)
        view = next(one for one in possible_acts(plan, person) if one.act is act)
        if name in ROLE_OF[act]:
            assert "takes the role" not in view.why_not
            continue
        assert not view.is_allowed
        assert "takes the role" in view.why_not
        assert refusal_of(plan, act, person).code == "permission_missing"


def test_what_went_back_is_resumed_by_a_release_manager_with_a_reason(bench: PlanBench) -> None:
    plan = plan_in(bench, PlanState.ROLLED_BACK)
    assert refusal_of(plan, PlanAct.RESUME, bench.world.rita).code == "permission_missing"
    told: dict[str, Any] = {"actor": actor_of(bench.world.rolf), "now": SOON, "sequence": plan.sequence}
    with pytest.raises(GovernanceError):
        acting.resume_plan(plan.pk, reason=" ", **told)
    resumed = acting.resume_plan(plan.pk, reason="The fix is out", **told)
    assert (resumed.state, resumed.stage_entered_at, resumed.next_look_at) == ("running", SOON, SOON)


@pytest.mark.parametrize("act", [PlanAct.SKIP, PlanAct.JUMP_BACK, PlanAct.ROLL_BACK, PlanAct.ABORT])
def test_these_take_a_reason(bench: PlanBench, act: PlanAct) -> None:
    plan = moved_to(bench.started(may_skip=True), 2)
    told: dict[str, Any] = {"actor": actor_of(bench.world.rolf), "now": NOW, "sequence": plan.sequence, "reason": ""}
    doors: dict[PlanAct, Any] = {
        PlanAct.SKIP: acting.skip_stage,
        PlanAct.JUMP_BACK: partial(acting.jump_back, to_stage=1),
        PlanAct.ROLL_BACK: acting.roll_back_plan,
        PlanAct.ABORT: acting.abort_plan,
    }
    with pytest.raises(GovernanceError) as refused:
        doors[act](plan.pk, **told)
    assert refused.value.code == "invalid_input"


def test_a_protected_environment_starts_nothing_without_approval(bench: PlanBench) -> None:
    plan = bench.plan()
    assert refusal_of(plan, PlanAct.START, bench.world.rita).code == "protected_environment"


def test_a_page_from_before_is_refused_but_a_stop_is_not(bench: PlanBench) -> None:
    seen = bench.started(may_skip=True)
    told: dict[str, Any] = {"actor": actor_of(bench.world.rolf), "now": NOW, "sequence": seen.sequence, "reason": "So"}
    moved_to(seen, 2)
    for act in (acting.skip_stage, acting.abort_plan):
        with pytest.raises(GovernanceError) as refused:
            act(seen.pk, **told)
        assert refused.value.code == "plan_moved_on"
    assert acting.pause_plan(seen.pk, **told).state == "paused"
    with pytest.raises(GovernanceError) as again:
        acting.roll_back_plan(seen.pk, **told)
    assert again.value.code == "plan_moved_on"


def test_a_hold_does_not_make_a_page_old(bench: PlanBench) -> None:
    seen = bench.started(may_skip=True)
    found = lock_plan(seen.pk)
    step(found, PlanAct.HOLD, actor=ENGINE, now=NOW, blocked_code="incident_open", blocked_detail={})
    told: dict[str, Any] = {"actor": actor_of(bench.world.rolf), "now": NOW, "sequence": seen.sequence}
    assert acting.skip_stage(seen.pk, reason="Enough", **told).stage == 2


def test_skipping_leaves_a_stage_and_what_held_it(bench: PlanBench) -> None:
    plan = bench.started(may_skip=True)
    done = perform(plan, PlanAct.SKIP, bench.world.rolf, now=SOON)
    assert (done.stage, done.stage_entered_at, bench.share_of(done)) == (2, SOON, 50_000)


SKIPS: dict[str, tuple[dict[str, Any], str]] = {
    "not allowed": ({}, "skip_refused"),
    "approval": ({"may_skip": True, "gates": {1: {"approvals": 1}}}, "approval_missing"),
    "check": (
        {"may_skip": True, "gates": {1: {"checks": (Check("Up", CheckKind.HTTP, url="https://up.example"),)}}},
        "skip_refused",
    ),
    "last stage": ({"may_skip": True, "stages": stages_of(shares=((50_000, 30),))}, "skip_refused"),
}


@pytest.mark.parametrize("name", SKIPS)
def test_what_is_not_skipped(bench: PlanBench, name: str) -> None:
    wanted, code = SKIPS[name]
    assert refusal_of(bench.started(**wanted), PlanAct.SKIP, bench.world.rolf).code == code


@pytest.mark.parametrize("outcome", ["breach", "hard_break", "sample_ratio", "shared_incident", "stale", "missing"])
def test_nothing_is_skipped_beside_a_guard_that_speaks_against_it(bench: PlanBench, outcome: str) -> None:
    plan = bench.started(may_skip=True)
    GuardWatch.objects.create(plan=plan, attempt=plan.attempt, metric="errors", outcome=outcome)
    assert refusal_of(plan, PlanAct.SKIP, bench.world.rolf).code == "skip_refused"


def test_going_back_asks_the_gates_anew(bench: PlanBench) -> None:
    plan = moved_to(moved_to(bench.started(), 2), 3, now=SOON)
    back = perform(plan, PlanAct.JUMP_BACK, bench.world.rita, to_stage=1, now=SOON)
    assert (back.state, back.stage, back.attempt, bench.share_of(back)) == ("running", 1, 2, 10_000)
    assert (back.stage_entered_at, back.good_stage) == (SOON, 0)


@pytest.mark.parametrize("to_stage", [-1, 0, 2, 3, 9])
def test_back_is_an_earlier_stage_that_was_served(bench: PlanBench, to_stage: int) -> None:
    plan = moved_to(bench.started(), 2)
    assert refusal_of(plan, PlanAct.JUMP_BACK, bench.world.rita, to_stage=to_stage).code == "invalid_input"


def test_a_paused_plan_goes_back_to_how_it_was_before(bench: PlanBench) -> None:
    before = bench.served(bench.staging)
    plan = perform(bench.started(), PlanAct.PAUSE, bench.world.rita)
    back = perform(plan, PlanAct.JUMP_BACK, bench.world.rita, to_stage=0)
    assert (back.state, back.stage) == ("paused", 0)
    assert bench.served(bench.staging) == before


@pytest.mark.parametrize(("rollback_to", "good", "stage"), [("last_good", 2, 2), ("last_good", 0, 0), ("start", 2, 0)])
def test_rolled_back_to_where_the_plan_says(bench: PlanBench, rollback_to: str, good: int, stage: int) -> None:
    before = bench.served(bench.staging)
    plan = moved_to(moved_to(bench.started(rollback_to=rollback_to), 2), 3)
    found = lock_plan(plan.pk)
    step(found, PlanAct.EXTEND, actor=ENGINE, now=NOW, good_stage=good)
    back = perform(plan, PlanAct.ROLL_BACK, bench.world.rita)
    assert (back.state, back.stage, back.attempt) == ("rolled_back", stage, 2)
    assert bench.share_of(back) == (50_000 if stage else 0)
    assert stage or bench.served(bench.staging) == before
    assert live_plan_of(bench.flag, bench.staging) == plan


def test_a_completed_plan_is_rolled_back_and_at_work_again(bench: PlanBench) -> None:
    plan = plan_in(bench, PlanState.COMPLETED)
    assert live_plan_of(bench.flag, bench.staging) is None
    back = perform(plan, PlanAct.ROLL_BACK, bench.world.rita)
    assert (back.state, back.ended_at, live_plan_of(bench.flag, bench.staging)) == ("rolled_back", None, plan)
    assert bench.share_of(back) == 0


def test_a_plan_that_was_found_good_to_the_end_goes_back_one_stage(bench: PlanBench) -> None:
    plan = moved_to(moved_to(bench.started(), 2), 3)
    found = lock_plan(plan.pk)
    step(found, PlanAct.COMPLETE, actor=ENGINE, now=NOW, good_stage=3, ended_at=NOW)
    assert bench.share_of(perform(plan, PlanAct.ROLL_BACK, bench.world.rita)) == 50_000


def test_an_ended_plan_leaves_what_is_served(bench: PlanBench) -> None:
    plan = moved_to(bench.started(), 2)
    ended = perform(plan, PlanAct.ABORT, bench.world.rita)
    assert (ended.state, bench.share_of(ended), ended.next_look_at) == ("aborted", 50_000, None)
    assert PlanStep.objects.get(plan=plan, act="abort").evidence == {"stays_served": 2}


def test_a_flag_has_one_plan_at_work(bench: PlanBench) -> None:
    first = bench.started()
    stages = stages_of(shares=((20_000, 5), (30_000, 5)))
    second = bench.plan(definition_of(stages=stages), environment=bench.staging)
    refused = refusal_of(second, PlanAct.START, bench.world.rita)
    assert refused.code == "flag_in_other_plan"
    assert (refused.facts["plan_id"], refused.facts["flag_key"]) == (str(first.pk), "checkout-redesign")
    elsewhere = bench.plan(environment=bench.world.development)
    assert perform(elsewhere, PlanAct.START, bench.world.rita).state == "running"


def test_time_in_a_pause_is_no_soak(bench: PlanBench) -> None:
    plan = bench.started()
    paused = perform(plan, PlanAct.PAUSE, bench.world.rita, now=NOW + timedelta(minutes=10))
    resumed = perform(paused, PlanAct.RESUME, bench.world.rita, now=NOW + timedelta(minutes=50))
    assert (resumed.stage_entered_at, resumed.extra_soak_minutes) == (NOW, 40)
    paused = perform(plan, PlanAct.PAUSE, bench.world.rita, now=NOW + timedelta(minutes=60))
    resumed = perform(paused, PlanAct.RESUME, bench.world.rita, now=NOW + timedelta(minutes=60, seconds=30))
    assert resumed.extra_soak_minutes == 41


def test_after_a_pause_by_the_system_the_soak_begins_anew(bench: PlanBench) -> None:
    plan = bench.started()
    found = lock_plan(plan.pk)
    step(found, PlanAct.PAUSE, actor=ENGINE, now=NOW + timedelta(minutes=30), next_look_at=None)
    resumed = perform(plan, PlanAct.RESUME, bench.world.rita, now=NOW + timedelta(minutes=50))
    assert (resumed.stage_entered_at, resumed.extra_soak_minutes) == (NOW + timedelta(minutes=50), 0)


def test_the_soak_of_a_monitored_stage_begins_anew_after_every_pause(bench: PlanBench) -> None:
    plan = bench.started(gates={1: {"is_monitored": True}}, guards=(guard(),))
    paused = perform(plan, PlanAct.PAUSE, bench.world.rita, now=NOW + timedelta(minutes=10))
    resumed = perform(paused, PlanAct.RESUME, bench.world.rita, now=NOW + timedelta(minutes=50))
    assert (resumed.stage_entered_at, resumed.extra_soak_minutes) == (NOW + timedelta(minutes=50), 0)


def test_a_plan_whose_ground_moved_is_not_resumed(bench: PlanBench) -> None:
    plan = perform(bench.started(), PlanAct.PAUSE, bench.world.rita)
    bench.world.serve(bench.flag, bench.staging, {**bench.served(bench.staging), "salt": "other/"})
    refused = refusal_of(plan, PlanAct.RESUME, bench.world.rita)
    assert refused.code == "plan_moved_ground"
    assert [item["key"] for item in refused.facts["moved"]] == ["checkout-redesign"]
    copied = drafting.copy_plan(plan.pk, actor=actor_of(bench.world.rita), now=NOW)
    assert copied.base["checkout-redesign"]["document"]["salt"] == "other/"
    assert [stage["name"] for stage in copied.definition["stages"]] == ["50 %", "100 %"]
