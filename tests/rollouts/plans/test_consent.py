"""Every stage forward is judged again: what was approved is what is stored, and the approvals still suffice."""

import json
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

import pytest

from audits.actions import Action
from audits.errors import GovernanceError
from audits.models import AuditEvent
from flags.models import Environment, Segment
from flags.permissions import Role
from flags.services.projects import set_protection
from flags.services.tickets import governed_write
from rollouts.errors import PlanMovedOn
from rollouts.models import ChangeRequest, PlanStep, RolloutPlan
from rollouts.plans.strategies import ring
from rollouts.plans.transitions import PlanAct
from rollouts.policies import Effect, Requirement
from rollouts.selectors.plans.consents import stage_consents
from rollouts.services.plans import hooks
from rollouts.services.plans.consent import digest_of
from tests.factories import NOW, actor_of
from tests.rollouts.calendars import freeze
from tests.rollouts.plans.support import PlanBench, definition_of, reloaded, stages_of
from tests.rollouts.plans.test_acting import moved_to, perform
from tests.rollouts.rule_support import condition, rule
from tests.rollouts.test_rule_service import put

pytestmark = pytest.mark.django_db


def write(plan: RolloutPlan, model: Any, pk: Any, **fields: Any) -> None:
    """What somebody with the database at hand could write past the services."""
    with governed_write(plan.environment_id):
        assert model.objects.filter(pk=pk).update(**fields) == 1


def _policy_raised(bench: PlanBench, plan: RolloutPlan) -> None:
    bench.require(2)


def _approver_demoted(bench: PlanBench, plan: RolloutPlan) -> None:
    bench.world.grant(bench.world.abel, bench.production, Role.VIEWER)


def _rule_asks_for_two(bench: PlanBench, plan: RolloutPlan) -> None:
    put(
        bench.world,
        rule(conditions=(condition("environment_kind", kinds=["production"]),), requirement=Requirement(approvals=2)),
    )


def _rule_refuses(bench: PlanBench, plan: RolloutPlan) -> None:
    at_nine = condition("time_of_day", starts="08:00", ends="11:00")
    put(bench.world, rule("mornings", effect=Effect.REFUSE, conditions=(at_nine,)))


def _documents_changed(bench: PlanBench, plan: RolloutPlan) -> None:
    documents = [*plan.documents[:1], plan.documents[2], plan.documents[2]]
    write(plan, RolloutPlan, plan.pk, documents=documents)


def _gates_taken_out(bench: PlanBench, plan: RolloutPlan) -> None:
    stages = [{**stage, "gates": {**stage["gates"], "soak_minutes": 0}} for stage in plan.definition["stages"]]
    write(plan, RolloutPlan, plan.pk, definition={**plan.definition, "stages": stages})


def _base_changed(bench: PlanBench, plan: RolloutPlan) -> None:
    base = {key: {**known, "digest": "0" * 64} for key, known in plan.base.items()}
    write(plan, RolloutPlan, plan.pk, base=base)


def _changed_with_its_digest(bench: PlanBench, plan: RolloutPlan) -> None:
    _documents_changed(bench, plan)
    write(plan, RolloutPlan, plan.pk, digest=digest_of(reloaded(plan)))


def _request_names_the_other_digest(bench: PlanBench, plan: RolloutPlan) -> None:
    _changed_with_its_digest(bench, plan)
    write(plan, ChangeRequest, plan.request_id, plan_digest=reloaded(plan).digest)


def _request_content_changed(bench: PlanBench, plan: RolloutPlan) -> None:
    request = ChangeRequest.objects.get(plan=plan)
    edit = {**request.change_set["edits"][0], "document": plan.documents[0]["checkout-redesign"]}
    write(plan, ChangeRequest, request.pk, change_set={**request.change_set, "edits": [edit]})


def _flag_changed(bench: PlanBench, plan: RolloutPlan) -> None:
    bench.world.serve(bench.flag, bench.production, {**bench.served(), "salt": "other/"})


def _strict_mode(bench: PlanBench, plan: RolloutPlan) -> None:
    write(plan, Environment, plan.environment_id, requires_targeting_key=True)


def _frozen(bench: PlanBench, plan: RolloutPlan) -> None:
    freeze(bench.world)


SPOILERS: list[tuple[Callable[[PlanBench, RolloutPlan], None], str]] = [
    (_policy_raised, "approval_missing"),
    (_approver_demoted, "approval_missing"),
    (_rule_asks_for_two, "approval_missing"),
    (_rule_refuses, "policy_refused"),
    (_documents_changed, "consent_mismatch"),
    (_gates_taken_out, "consent_mismatch"),
    (_base_changed, "consent_mismatch"),
    (_changed_with_its_digest, "consent_mismatch"),
    (_request_names_the_other_digest, "consent_mismatch"),
    (_request_content_changed, "consent_mismatch"),
    (_flag_changed, "plan_moved_ground"),
    (_strict_mode, "stale_change"),
    (_frozen, "frozen"),
]


@pytest.mark.parametrize(("spoil", "code"), SPOILERS, ids=lambda value: getattr(value, "__name__", ""))
def test_what_fails_between_stages_holds_the_next_one_and_never_the_way_back(
    bench: PlanBench, spoil: Callable[[PlanBench, RolloutPlan], None], code: str
) -> None:
    before = bench.served()
    plan = bench.approved_and_started(may_skip=True)
    spoil(bench, plan)
    served, stood = bench.served(), reloaded(plan)
    for by in (partial(moved_to, plan, 2), partial(perform, plan, PlanAct.SKIP, bench.world.rolf)):
        with pytest.raises(GovernanceError) as refused:
            by()
        assert refused.value.code == code
    assert (bench.served(), reloaded(plan).sequence) == (served, stood.sequence)
    back = perform(plan, PlanAct.ROLL_BACK, bench.world.rita)
    assert (back.state, back.stage) == ("rolled_back", 0)
    kept = PlanStep.objects.get(plan=plan, sequence=back.sequence)
    if spoil is _flag_changed:
        assert (bench.served(), kept.evidence["left_alone"], kept.revision) == (served, ["checkout-redesign"], None)
    elif spoil is not _base_changed:
        assert (bench.served(), kept.evidence["left_alone"]) == (before, [])


def test_the_stage_names_the_approvals_it_rests_on_now(bench: PlanBench) -> None:
    plan = bench.approved_and_started()
    moved_to(plan, 2)
    event = AuditEvent.objects.filter(action=Action.FLAG_CONFIG_APPLIED).latest("sequence")
    told = json.loads(event.data)
    assert (told["stage"], told["approved_digest"]) == (2, plan.request.digest)  # type: ignore[union-attr]
    assert (told["approver_ids"], told["required_approvals"]) == ([str(bench.world.abel.pk)], 1)


def test_a_segment_that_a_middle_stage_relies_on_holds_the_plan(bench: PlanBench) -> None:
    production = bench.production
    within = {"attribute": "plan", "operator": "equals", "value": "beta"}
    document = {"schema": 1, "condition": within}
    beta = Segment(environment=production, key="beta", name="Beta", version=1, document=document, updated_at=NOW)
    with governed_write(production.pk):
        Segment.objects.bulk_create([beta])
    stages = ring("checkout-redesign", variant="on", against="off", segments=["beta"], minutes=5)
    plan = bench.approved_and_started(definition_of(stages=stages))
    assert plan.relies_on == {"beta": 1}
    write(plan, Segment, beta.pk, version=2)
    with pytest.raises(GovernanceError) as refused:
        moved_to(plan, 2)
    assert refused.value.code == "stale_change"


def test_one_environment_becomes_protected_and_its_plan_holds(bench: PlanBench) -> None:
    plan = bench.started()
    staging, ada = plan.environment, actor_of(bench.world.ada)
    set_protection(staging.pk, actor=ada, is_protected=True, now=NOW, reason="Customers look at it")
    with pytest.raises(GovernanceError) as refused:
        moved_to(plan, 2)
    assert refused.value.code == "protected_environment"
    back = perform(plan, PlanAct.ROLL_BACK, bench.world.rita)
    assert (back.state, bench.share_of(back)) == ("rolled_back", 0)


def test_without_approval_nobody_is_exposed_on_the_way_back_either(bench: PlanBench) -> None:
    everybody = {**bench.served(bench.staging), "default_variant": "on"}
    bench.world.serve(bench.flag, bench.staging, everybody)
    plan = bench.plan(environment=bench.staging, is_confirmed=True, stages=stages_of(shares=((50_000, 10),)))
    plan = perform(plan, PlanAct.START, bench.world.rita)
    ada = actor_of(bench.world.ada)
    set_protection(bench.staging.pk, actor=ada, is_protected=True, now=NOW, reason="Customers look at it")
    with pytest.raises(GovernanceError) as refused:
        perform(plan, PlanAct.ROLL_BACK, bench.world.rita)
    assert refused.value.code == "not_narrowing"


@pytest.mark.parametrize("opener", ["rita", "otto"])
def test_whoever_took_the_protection_off_does_not_roll_out_there(bench: PlanBench, opener: str) -> None:
    """Neither directly nor through the engine that goes on for a plan of theirs."""
    world = bench.world
    plan = bench.plan(environment=bench.staging)
    person = getattr(world, opener)
    world.grant(person, bench.staging, Role.EDITOR, Role.RELEASE_MANAGER)
    write(plan, Environment, bench.staging.pk, unprotected_by=person)
    if opener == "rita":
        with pytest.raises(GovernanceError) as refused:
            perform(plan, PlanAct.START, world.rita)
        assert refused.value.code == "protected_environment"
        return
    started = perform(plan, PlanAct.START, world.rita)
    assert moved_to(started, 2).stage == 2
    paused = perform(started, PlanAct.PAUSE, person)
    with pytest.raises(GovernanceError) as resumed:
        perform(paused, PlanAct.RESUME, person)
    assert resumed.value.code == "protected_environment"


def test_the_engine_does_not_go_on_for_whoever_opened_the_environment_meanwhile(bench: PlanBench) -> None:
    plan = bench.started()
    write(plan, Environment, bench.staging.pk, unprotected_by=bench.world.rita)
    with pytest.raises(GovernanceError) as refused:
        moved_to(plan, 2)
    assert refused.value.code == "protected_environment"


GATED: dict[str, Any] = {"gates": {1: {"approvals": 2}}}


def test_a_stage_is_left_with_its_approvals_and_they_are_counted_again_then(bench: PlanBench) -> None:
    world = bench.world
    plan = bench.approved_and_started(**GATED)
    perform(plan, PlanAct.APPROVE_STAGE, world.abel)
    assert stage_consents(reloaded(plan)).missing == 1
    perform(plan, PlanAct.APPROVE_STAGE, world.anna)
    assert stage_consents(reloaded(plan)).missing == 0
    world.grant(world.anna, bench.production, Role.VIEWER)
    with pytest.raises(GovernanceError) as refused:
        moved_to(plan, 2)
    assert (refused.value.code, refused.value.facts["counted"]) == ("approval_missing", 1)
    [void] = stage_consents(reloaded(plan)).void
    assert void[0].id == str(world.anna.pk)
    world.grant(world.anna, bench.production, Role.APPROVER)
    assert moved_to(plan, 2).stage == 2


def test_nobody_approves_a_stage_of_what_they_shaped_asked_for_or_started(bench: PlanBench) -> None:
    world = bench.world
    plan = bench.approved_and_started(**GATED)
    world.grant(world.rita, bench.production, Role.EDITOR, Role.APPROVER)
    world.grant(world.rolf, bench.production, Role.RELEASE_MANAGER, Role.APPROVER)
    write(plan, RolloutPlan, plan.pk, started_by_id=str(world.rolf.pk))
    for person in (world.rita, world.rolf):
        with pytest.raises(GovernanceError) as refused:
            perform(plan, PlanAct.APPROVE_STAGE, person)
        assert refused.value.code == "approval_refused"
    waiting = {person.id for person in stage_consents(reloaded(plan)).waiting_for}
    assert waiting == {str(world.abel.pk), str(world.anna.pk)}


def test_a_yes_is_said_once_and_for_this_attempt_only(bench: PlanBench) -> None:
    world = bench.world
    plan = bench.approved_and_started(**GATED)
    perform(plan, PlanAct.APPROVE_STAGE, world.abel)
    with pytest.raises(GovernanceError) as twice:
        perform(plan, PlanAct.APPROVE_STAGE, world.abel)
    assert twice.value.code == "approval_refused"
    perform(plan, PlanAct.APPROVE_STAGE, world.anna)
    perform(moved_to(plan, 2), PlanAct.JUMP_BACK, world.rita, to_stage=1)
    assert stage_consents(reloaded(plan)).counted == ()
    with pytest.raises(GovernanceError) as refused:
        moved_to(plan, 2)
    assert refused.value.code == "approval_missing"


def test_where_the_policy_names_people_only_they_approve_stages(bench: PlanBench) -> None:
    world = bench.world
    plan = bench.approved_and_started(gates={1: {"approvals": 1}})
    bench.require(1, world.abel)
    with pytest.raises(GovernanceError) as refused:
        perform(plan, PlanAct.APPROVE_STAGE, world.anna)
    assert refused.value.code == "approval_refused"


def test_a_stage_with_an_approval_is_never_passed_over(bench: PlanBench) -> None:
    plan = bench.approved_and_started(gates={2: {"approvals": 1}})
    with pytest.raises(GovernanceError) as refused:
        moved_to(plan, 3)
    assert refused.value.code == "approval_missing"


def test_rules_of_others_hold_the_way_forward_only(bench: PlanBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "_gates", dict(hooks._gates))

    def gate(plan: RolloutPlan, *, to_stage: int, now: datetime) -> None:
        if to_stage > 1:
            raise PlanMovedOn("Not its turn.")

    hooks.register_move_gate("test", gate)
    plan = bench.started()
    with pytest.raises(PlanMovedOn):
        moved_to(plan, 2)
    assert perform(plan, PlanAct.ROLL_BACK, bench.world.rita).state == "rolled_back"


def test_of_two_flags_the_one_that_somebody_else_changed_is_left_alone(bench: PlanBench) -> None:
    world = bench.world
    other = world.flag("payment-button")
    world.serve(other, bench.production)
    before = bench.served()
    plan = bench.approved_and_started(definition_of("checkout-redesign", "payment-button"))
    theirs = {**bench.served(flag=other), "salt": "other/"}
    world.serve(other, bench.production, theirs)
    back = perform(plan, PlanAct.ROLL_BACK, world.rita)
    assert (bench.served(), bench.served(flag=other)) == (before, theirs)
    kept = PlanStep.objects.get(plan=plan, sequence=back.sequence)
    assert kept.evidence["left_alone"] == ["payment-button"]
    assert list(kept.evidence["versions"]) == ["checkout-redesign"]


def test_freezes_hold_no_way_back(bench: PlanBench) -> None:
    plan = moved_to(bench.approved_and_started(), 2)
    freeze(bench.world)
    assert perform(plan, PlanAct.JUMP_BACK, bench.world.rolf, to_stage=1).stage == 1
