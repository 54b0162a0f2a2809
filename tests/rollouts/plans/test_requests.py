"""The change request that asks for a plan: applied it starts the plan, and nothing else makes its content real."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.urls import reverse

from audits.actions import Action
from audits.errors import GovernanceError
from audits.models import AuditEvent
from flags.permissions import Role
from rollouts.models import ChangeRequest, RolloutPlan
from rollouts.selectors import request_page
from rollouts.services import change_requests as acts
from rollouts.services import merging, narrowing, versions
from rollouts.services.applying import apply_if_due
from rollouts.services.incidents import close_incident, open_incident
from rollouts.services.plans import acting, drafting
from rollouts.transitions import RequestState
from tests.factories import NOW, SOON, actor_of
from tests.rollouts.plans.support import PlanBench, definition_of, reloaded, stages_of

pytestmark = pytest.mark.django_db


def request_of(plan: RolloutPlan) -> ChangeRequest:
    """The request as the database has it."""
    assert plan.request_id is not None
    return ChangeRequest.objects.get(pk=plan.request_id)


def test_it_shows_the_end_state_and_its_digest_binds_the_plan(bench: PlanBench) -> None:
    plan = bench.proposed()
    request = request_of(plan)
    assert (plan.state, request.state) == ("proposed", "in_review")
    assert request.plan_digest == plan.digest
    [edit] = request.content.edits
    assert edit.document == plan.documents[-1]["checkout-redesign"]
    assert request.source == {"kind": "plan", "plan_id": str(plan.pk), "number": 1}
    assert request.correlation_id == plan.correlation_id


def test_applying_it_writes_the_first_stage_only(bench: PlanBench) -> None:
    plan = bench.approved_and_started()
    request = request_of(plan)
    assert (plan.state, plan.stage, request.state) == ("running", 1, "applied")
    assert bench.share_of(plan) == 10_000
    assert request.applied_revision == plan.environment.revision
    event = AuditEvent.objects.get(action=Action.FLAG_CONFIG_APPLIED, correlation_id=plan.correlation_id)
    applied = json.loads(event.data)
    assert applied["authority"] == "plan_stage"
    assert applied["approver_ids"] == [str(bench.world.abel.pk)]
    assert applied["request_id"] == str(request.pk)


def test_a_release_manager_starts_it_when_its_time_has_come(bench: PlanBench) -> None:
    plan = bench.approved_plan()
    rolf = actor_of(bench.world.rolf)
    with pytest.raises(GovernanceError) as early:
        acting.start_plan(plan.pk, actor=rolf, now=NOW, digest=plan.digest)
    assert early.value.code == "not_due_yet"
    started = acting.start_plan(plan.pk, actor=rolf, now=SOON, digest=plan.digest)
    assert (started.state, started.started_by_id) == ("running", str(bench.world.rolf.pk))


def test_the_sweep_starts_it_when_its_time_has_come(bench: PlanBench) -> None:
    plan = bench.approved_plan()
    assert plan.request_id is not None
    assert not apply_if_due(plan.request_id, now=NOW)
    assert apply_if_due(plan.request_id, now=SOON)
    assert (reloaded(plan).stage, bench.share_of(plan)) == (1, 10_000)


def _at_once(bench: PlanBench, request: ChangeRequest) -> Any:
    actor = actor_of(bench.world.rolf)
    return narrowing.apply_request_at_once(request.pk, actor=actor, digest=request.digest, reason="Now", now=NOW)


def _up_to_date(bench: PlanBench, request: ChangeRequest) -> Any:
    actor = actor_of(bench.world.rita)
    return merging.bring_up_to_date(request.pk, actor=actor, digest=request.digest, decisions={}, now=NOW)


def _merge_in(bench: PlanBench, request: ChangeRequest) -> Any:
    other, actor = bench.draft(), actor_of(bench.world.rita)
    return merging.merge_request_into(
        request.pk, other_id=other.pk, actor=actor, digest=request.digest, decisions={}, now=NOW
    )


def _merge_out(bench: PlanBench, request: ChangeRequest) -> Any:
    other, actor = bench.draft(), actor_of(bench.world.rita)
    return merging.merge_request_into(
        other.pk, other_id=request.pk, actor=actor, digest=other.digest, decisions={}, now=NOW
    )


def _edit(bench: PlanBench, request: ChangeRequest) -> Any:
    return bench.edit(request)


@pytest.mark.parametrize(
    ("way", "code"),
    [
        (_at_once, "part_of_plan"),
        (_up_to_date, "part_of_plan"),
        (_merge_in, "part_of_plan"),
        (_merge_out, "part_of_plan"),
        (_edit, "invalid_input"),
    ],
)
def test_nothing_else_makes_its_content_real(
    bench: PlanBench, way: Callable[[PlanBench, ChangeRequest], Any], code: str
) -> None:
    plan, served = bench.proposed(), bench.served()
    with pytest.raises(GovernanceError) as refused:
        way(bench, request_of(plan))
    assert refused.value.code == code
    assert bench.served() == served
    assert request_of(plan).current_state is RequestState.IN_REVIEW


def test_a_narrowing_plan_is_not_applied_at_once_either(bench: PlanBench) -> None:
    everybody = {**bench.served(), "default_variant": "on"}
    bench.world.serve(bench.flag, bench.production, everybody)
    stages = stages_of(shares=((50_000, 10),))
    plan = bench.proposed(definition_of(stages=stages), is_confirmed=True)
    with pytest.raises(GovernanceError) as refused:
        _at_once(bench, request_of(plan))
    assert refused.value.code == "part_of_plan"


def test_the_request_is_not_rolled_back_beside_the_plan(bench: PlanBench) -> None:
    plan = bench.approved_and_started()
    with pytest.raises(GovernanceError) as refused:
        versions.roll_back_request(plan.request_id, actor=actor_of(bench.world.rita), reason="Errors", now=NOW)  # type: ignore[arg-type]
    assert refused.value.code == "part_of_plan"
    page = request_page(plan.request_id, bench.world.rita, now=NOW)  # type: ignore[arg-type]
    assert page.refusals["roll_back"] == "It started a rollout plan. Roll back the plan instead."


def test_whoever_shaped_the_plan_does_not_approve_it(bench: PlanBench) -> None:
    world = bench.world
    world.grant(world.abel, world.production, *_both())
    plan = bench.plan()
    drafting.edit_plan(plan.pk, actor=actor_of(world.abel), now=NOW, digest=plan.digest, title="Better words")
    plan = reloaded(plan)
    plan = drafting.propose_plan(plan.pk, actor=actor_of(world.rita), now=NOW, digest=plan.digest)
    with pytest.raises(GovernanceError) as refused:
        bench.approve(request_of(plan))
    assert refused.value.code == "approval_refused"
    bench.approve(request_of(plan), by=world.anna)
    assert reloaded(plan).state == "running"


def _both() -> tuple[Any, ...]:
    return Role.EDITOR, Role.APPROVER


def test_recalled_it_is_a_draft_again_and_its_request_is_withdrawn(bench: PlanBench) -> None:
    plan = bench.proposed()
    request = request_of(plan)
    with pytest.raises(GovernanceError) as refused:
        drafting.edit_plan(plan.pk, actor=actor_of(bench.world.rita), now=NOW, digest=plan.digest, title="More")
    assert refused.value.code == "invalid_plan_transition"
    plan = drafting.recall_plan(plan.pk, actor=actor_of(bench.world.rita), now=NOW)
    request.refresh_from_db()
    assert (plan.state, plan.request_id, request.state) == ("draft", None, "withdrawn")


def test_only_who_may_withdraw_the_request_recalls_the_plan(bench: PlanBench) -> None:
    world, plan = bench.world, bench.proposed()
    world.grant(world.otto, world.production, _both()[0])
    with pytest.raises(GovernanceError) as refused:
        drafting.recall_plan(plan.pk, actor=actor_of(world.otto), now=NOW)
    assert refused.value.code == "permission_missing"
    acts.reject_change_request(request_of(plan).pk, actor=actor_of(world.abel), reason="Too wide", now=NOW)
    assert drafting.recall_plan(plan.pk, actor=actor_of(world.otto), now=NOW).state == "draft"
    assert request_of_any(bench).state == "rejected"


def request_of_any(bench: PlanBench) -> ChangeRequest:
    """The only request there is."""
    return ChangeRequest.objects.get(environment=bench.production)


def test_ended_while_proposed_it_takes_its_request_along(bench: PlanBench) -> None:
    plan = bench.proposed()
    told: dict[str, Any] = {"actor": actor_of(bench.world.rita), "now": NOW, "sequence": plan.sequence}
    ended = acting.abort_plan(plan.pk, reason="Not wanted", **told)
    assert (ended.state, request_of(plan).state) == ("aborted", "withdrawn")


def test_what_moved_since_it_was_prepared_holds_the_start(bench: PlanBench) -> None:
    plan = bench.approved_plan()
    bench.move_on()
    with pytest.raises(GovernanceError) as refused:
        acting.start_plan(plan.pk, actor=actor_of(bench.world.rolf), now=SOON, digest=plan.digest)
    assert refused.value.code in {"plan_moved_ground", "stale_change"}
    assert (reloaded(plan).state, request_of(plan).blocked_code) == ("proposed", refused.value.code)


def test_another_plan_at_work_holds_the_start_until_it_ends(bench: PlanBench) -> None:
    first = bench.approved_and_started(gates={1: {"approvals": 1}})
    told: dict[str, Any] = {"actor": actor_of(bench.world.rita), "now": NOW}
    stages = stages_of(shares=((20_000, 10), (30_000, 10)))
    second = bench.proposed(definition_of(stages=stages))
    request = request_of(second)
    bench.approve(request)
    with pytest.raises(GovernanceError) as refused:
        acting.start_plan(second.pk, actor=actor_of(bench.world.rolf), now=SOON, digest=second.digest)
    assert refused.value.code == "flag_in_other_plan"
    assert "Plan 1 Checkout for everybody is running" in refused.value.message
    acting.abort_plan(first.pk, reason="The other one goes further", sequence=reloaded(first).sequence, **told)
    assert apply_if_due(request.pk, now=SOON + timedelta(minutes=1))
    assert (reloaded(second).stage, bench.share_of(second)) == (1, 20_000)


def test_an_incident_holds_the_start_and_the_request_says_so_until_it_is_over(bench: PlanBench) -> None:
    ada = actor_of(bench.world.ada)
    plan = bench.proposed(apply_at=None)
    request = request_of(plan)
    told: dict[str, Any] = {"environment_id": bench.production.pk, "title": "Slow", "severity": "minor", "link": ""}
    incident = open_incident(bench.world.project.pk, actor=ada, now=NOW, **told)

    bench.approve(request)
    held = request_of(reloaded(plan))
    close_incident(incident.pk, actor=ada, reason="Over", now=SOON)

    assert (reloaded(plan).state, held.blocked_code) == ("proposed", "plan_held")
    assert "Slow" in held.blocked_detail["message"]
    assert apply_if_due(request.pk, now=SOON)
    assert (reloaded(plan).state, request_of(reloaded(plan)).blocked_code) == ("running", "")


def test_its_page_says_that_a_rollout_starts(bench: PlanBench) -> None:
    plan = bench.approved_plan()
    client = Client()
    client.force_login(bench.world.rolf, backend="django.contrib.auth.backends.ModelBackend")
    with time_machine.travel(SOON, tick=False):
        page = client.get(reverse("admin:rollouts_changerequest_change", args=[plan.request_id])).content.decode()
    assert "Start the rollout…" in page
    assert "Apply now" not in page
    assert "Asks for rollout plan 1, which gets there stage by stage." in page


def test_its_page_says_what_approval_does_before_where_it_ends(bench: PlanBench) -> None:
    plan = bench.proposed()
    client = Client()
    client.force_login(bench.world.abel, backend="django.contrib.auth.backends.ModelBackend")
    with time_machine.travel(SOON, tick=False):
        page = client.get(reverse("admin:rollouts_changerequest_change", args=[plan.request_id])).content.decode()
    started = page.replace("\u00a0", " ")
    assert "Starts a plan: 10 % now, up to 100 % in 3 stages by" in started
    assert "Where the plan ends" in page
    assert "At its end" in page
    assert "the plan begins in Production with its first stage at once" in page
    assert "After approval</" not in page
    assert "it goes live in" not in page
