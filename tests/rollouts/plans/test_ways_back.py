"""Ways back: how far they are covered by what was approved, and that they write nothing but what was."""

from datetime import timedelta
from typing import Any

import pytest

from audits.errors import GovernanceError
from flags.models import FlagConfig
from flags.permissions import Role
from rollouts.models import PlanStep, RolloutPlan
from rollouts.plans.definition import Gates, Patch, Stage
from rollouts.plans.transitions import PlanAct
from rollouts.selectors.plans.reading import possible_acts
from rollouts.services.plans import drafting
from rollouts.services.plans.consent import digest_of
from rollouts.services.plans.engine import advance_due
from tests.factories import NOW, actor_of, percent_document
from tests.rollouts.plans.support import PlanBench, complete, definition_of, reloaded
from tests.rollouts.plans.test_acting import moved_to, perform, refusal_of
from tests.rollouts.plans.test_consent import write

pytestmark = pytest.mark.django_db

LATER = NOW + timedelta(days=300)
MINUTE = timedelta(minutes=1)
KEY = "checkout-redesign"


def removal(bench: PlanBench, *, stages: int = 2) -> RolloutPlan:
    """An approved plan in production that takes “on” away from everybody, at one of its two stages."""
    document = {**bench.served(), "enabled": True, "rules": [], "default_variant": "on"}
    bench.world.serve(bench.flag, bench.production, document)
    half = Stage("Half", (Patch(KEY, variant="on", against="off", weight=50_000),), Gates(soak_minutes=1))
    gone = Stage("Gone", (Patch(KEY, enabled=False),), Gates(soak_minutes=1))
    draft = bench.plan(stages=(half, gone), is_confirmed=True)
    rita = actor_of(bench.world.rita)
    plan = drafting.propose_plan(draft.pk, actor=rita, now=NOW, digest=draft.digest)
    assert plan.request is not None
    bench.approve(plan.request)
    return moved_to(plan, 2) if stages == 2 else reloaded(plan)


def test_a_plan_at_work_widens_on_its_way_back_with_a_release_manager_only(bench: PlanBench) -> None:
    plan = removal(bench)
    for act in (PlanAct.ROLL_BACK, PlanAct.JUMP_BACK):
        refused = refusal_of(plan, act, bench.world.rita, to_stage=1)
        assert refused.code == "not_narrowing"
        assert "ask a release manager of Production" in refused.message
    back = perform(plan, PlanAct.ROLL_BACK, bench.world.rolf, to_stage=0)
    assert (back.state, bench.share_of(back)) == ("rolled_back", 100_000)


def test_where_nothing_is_protected_an_editor_goes_back_either_way(bench: PlanBench) -> None:
    document = {**bench.served(bench.staging), "enabled": True, "rules": [], "default_variant": "on"}
    bench.world.serve(bench.flag, bench.staging, document)
    gone = Stage("Gone", (Patch(KEY, enabled=False),))
    plan = bench.plan(stages=(gone,), is_confirmed=True, environment=bench.staging)
    perform(plan, PlanAct.START, bench.world.rita)
    assert bench.share_of(perform(plan, PlanAct.ROLL_BACK, bench.world.rita)) == 100_000


@pytest.mark.parametrize("name", ["rita", "rolf"])
def test_a_completed_plan_widens_for_nobody_on_what_was_approved_long_ago(bench: PlanBench, name: str) -> None:
    plan = complete(removal(bench))
    refused = refusal_of(plan, PlanAct.ROLL_BACK, getattr(bench.world, name), to_stage=0, now=LATER)
    assert refused.code == "not_narrowing"
    assert not bench.served()["enabled"]


def test_a_completed_plan_narrows_but_sets_out_again_only_as_a_new_one(bench: PlanBench) -> None:
    plan = complete(moved_to(bench.approved_and_started(), 3))
    back = perform(plan, PlanAct.ROLL_BACK, bench.world.rita, to_stage=1, now=LATER)
    assert (back.state, bench.share_of(back)) == ("rolled_back", 10_000)
    assert refusal_of(plan, PlanAct.RESUME, bench.world.rolf, now=LATER).code == "approval_missing"
    view = next(one for one in possible_acts(reloaded(plan), bench.world.rolf) if one.act is PlanAct.RESUME)
    assert (view.is_allowed, "make a new plan of it" in view.why_not) == (False, True)
    write(plan, RolloutPlan, plan.pk, state="running", next_look_at=LATER)
    with pytest.raises(GovernanceError) as refused:
        moved_to(plan, 2, now=LATER)
    assert refused.value.code == "approval_missing"


def _base_document(plan: RolloutPlan) -> None:
    known = {**plan.base[KEY], "document": percent_document(KEY, 100)}
    write(plan, RolloutPlan, plan.pk, base={KEY: known})


def _base_with_its_digest(plan: RolloutPlan) -> None:
    known = {**plan.base[KEY], "document": plan.documents[2][KEY], "digest": "0" * 64}
    write(plan, RolloutPlan, plan.pk, base={KEY: known})
    write(plan, RolloutPlan, plan.pk, digest=digest_of(reloaded(plan)))


def _first_stage(plan: RolloutPlan) -> None:
    write(plan, RolloutPlan, plan.pk, documents=[plan.documents[2], *plan.documents[1:]])


def _first_stage_with_its_digest(plan: RolloutPlan) -> None:
    _first_stage(plan)
    write(plan, RolloutPlan, plan.pk, digest=digest_of(reloaded(plan)))


ALTERED: dict[str, tuple[Any, int]] = {
    "base document": (_base_document, 0),
    "base with its digest": (_base_with_its_digest, 0),
    "first stage": (_first_stage, 1),
    "first stage with its digest": (_first_stage_with_its_digest, 1),
}


@pytest.mark.parametrize("name", ALTERED)
@pytest.mark.parametrize("act", [PlanAct.ROLL_BACK, PlanAct.JUMP_BACK])
def test_what_was_neither_approved_nor_served_is_not_written_on_the_way_back(
    bench: PlanBench, name: str, act: PlanAct
) -> None:
    alter, to_stage = ALTERED[name]
    plan = moved_to(bench.approved_and_started(), 2)
    if act is PlanAct.JUMP_BACK:
        perform(plan, PlanAct.PAUSE, bench.world.rolf)
    alter(reloaded(plan))
    served, version = bench.served(), FlagConfig.objects.get(flag=bench.flag, environment=bench.production).version
    back = perform(plan, act, bench.world.rolf, to_stage=to_stage)
    kept = PlanStep.objects.get(plan=plan, sequence=back.sequence)
    assert (kept.evidence["left_alone"], kept.evidence["altered"], kept.revision) == ([KEY], [KEY], None)
    assert bench.served() == served
    assert FlagConfig.objects.get(flag=bench.flag, environment=bench.production).version == version


def test_what_was_served_is_gone_back_to_whatever_else_is_stored(bench: PlanBench) -> None:
    """Somebody who alters the gates of a plan does not take the way back from it."""
    plan = moved_to(moved_to(bench.approved_and_started(), 2), 3)
    stages = [{**stage, "gates": {**stage["gates"], "soak_minutes": 0}} for stage in plan.definition["stages"]]
    write(plan, RolloutPlan, plan.pk, definition={**plan.definition, "stages": stages})
    assert bench.share_of(perform(plan, PlanAct.JUMP_BACK, bench.world.rolf, to_stage=2)) == 50_000
    assert bench.share_of(perform(plan, PlanAct.ROLL_BACK, bench.world.rolf, to_stage=0)) == 0


def test_of_two_flags_the_one_that_is_stored_otherwise_is_left_alone(bench: PlanBench) -> None:
    other = bench.world.flag("payment-button")
    bench.world.serve(other, bench.production)
    plan = bench.approved_and_started(definition_of(KEY, "payment-button"))
    base = {**plan.base, "payment-button": {**plan.base["payment-button"], "document": percent_document("x", 100)}}
    write(plan, RolloutPlan, plan.pk, base=base)
    back = perform(plan, PlanAct.ROLL_BACK, bench.world.rita)
    kept = PlanStep.objects.get(plan=plan, sequence=back.sequence)
    assert kept.evidence["altered"] == ["payment-button"]
    assert (bench.share_of(back), bench.share_of(back, other)) == (0, 10_000)


def test_a_plan_that_is_stored_otherwise_is_not_completed(bench: PlanBench) -> None:
    plan = moved_to(moved_to(bench.approved_and_started(), 2), 3)
    write(plan, RolloutPlan, plan.pk, documents=[*plan.documents[:2], plan.documents[0]])
    advance_due(NOW + timedelta(hours=2))
    found = reloaded(plan)
    assert (found.state, found.blocked_code) == ("running", "consent_mismatch")


def test_who_asked_for_a_plan_and_took_it_back_does_not_approve_it(bench: PlanBench) -> None:
    kim, rita = bench.world.otto, actor_of(bench.world.rita)
    bench.world.grant(kim, bench.production, Role.EDITOR, Role.APPROVER)
    draft = bench.plan(gates={1: {"approvals": 1}})
    drafting.propose_plan(draft.pk, actor=actor_of(kim), now=NOW, digest=draft.digest)
    drafting.recall_plan(draft.pk, actor=actor_of(kim), now=NOW)
    plan = drafting.propose_plan(draft.pk, actor=rita, now=NOW, digest=draft.digest)
    assert plan.request is not None
    with pytest.raises(GovernanceError) as refused:
        bench.approve(plan.request, by=kim)
    assert refused.value.code == "approval_refused"
    bench.approve(plan.request)
    assert refusal_of(plan, PlanAct.APPROVE_STAGE, kim).code == "approval_refused"
