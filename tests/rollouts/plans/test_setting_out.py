"""Setting out: what holds the start of a plan, what it is a start of, and plans made of what another has left."""

from typing import Any

import pytest

from audits.errors import GovernanceError
from flags.models import LocalKill
from rollouts.models import PlanStep
from rollouts.plans.definition import Gates, Patch, Stage
from rollouts.plans.transitions import PlanAct
from rollouts.services.change_requests import apply_if_due
from rollouts.services.incidents import close_incident, open_incident
from rollouts.services.plans import acting, drafting
from tests.factories import NOW, SOON, actor_of
from tests.rollouts.guard_support import guard
from tests.rollouts.plans.support import PlanBench, definition_of, reloaded
from tests.rollouts.plans.test_acting import perform, refusal_of

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("about", ["incident", "kill list"])
def test_neither_started_nor_left_early_beside_an_incident_or_a_kill_list(bench: PlanBench, about: str) -> None:
    running, rita = bench.started(may_skip=True), actor_of(bench.world.rita)
    other = bench.world.flag("payment-button")
    draft = bench.plan(definition_of(other.key), environment=bench.staging)
    if about == "incident":
        told: dict[str, Any] = {"title": "Payments fail", "severity": "major", "link": ""}
        project = bench.world.project.pk
        open_incident(project, environment_id=bench.staging.pk, actor=actor_of(bench.world.ada), now=NOW, **told)
    else:
        for flag in (bench.flag, other):
            LocalKill.objects.create(
                environment=bench.staging, flag_key=flag.key, variant="off", host="web-1", since=NOW, noticed_at=NOW
            )
    for plan, act, by in ((running, PlanAct.SKIP, bench.world.rolf), (draft, PlanAct.START, bench.world.rita)):
        refused = refusal_of(plan, act, by)
        assert (refused.code, refused.facts["held_by"]) == (
            "plan_held",
            "incident_open" if about == "incident" else "flag_forced",
        )
        is_start = act is PlanAct.START
        assert ("This plan was not started; start it again then." in refused.message) is is_start
        assert ("goes on once" in refused.message) is not is_start
    sequence = reloaded(running).sequence
    back = acting.roll_back_plan(running.pk, actor=rita, now=NOW, sequence=sequence, reason="Errors")
    assert back.state == "rolled_back"


def test_an_approved_plan_waits_for_the_end_of_an_incident_and_starts_then(bench: PlanBench) -> None:
    told: dict[str, Any] = {"title": "Payments fail", "severity": "major", "link": ""}
    world, ada = bench.world, actor_of(bench.world.ada)
    incident = open_incident(world.project.pk, environment_id=bench.production.pk, actor=ada, now=NOW, **told)
    plan = bench.approved_and_started()
    assert plan.request is not None
    assert (plan.state, plan.request.blocked_code) == ("proposed", "plan_held")
    with pytest.raises(GovernanceError) as refused:
        perform(plan, PlanAct.START, world.rolf)
    assert (refused.value.code, reloaded(plan).state) == ("plan_held", "proposed")
    assert "its change request starts it by itself then." in refused.value.message
    close_incident(incident.pk, actor=ada, now=SOON, reason="Over")
    assert apply_if_due(plan.request.pk, now=SOON)
    assert reloaded(plan).state == "running"


def test_the_start_of_a_proposed_plan_is_of_what_was_looked_at_and_keeps_its_reason(bench: PlanBench) -> None:
    plan, rolf = bench.approved_plan(), actor_of(bench.world.rolf)
    with pytest.raises(GovernanceError) as refused:
        acting.start_plan(plan.pk, actor=rolf, now=SOON, digest="0" * 64)
    assert refused.value.code == "plan_moved_on"
    started = acting.start_plan(plan.pk, actor=rolf, now=SOON, digest=plan.digest, reason="The team is ready")
    assert PlanStep.objects.get(plan=started, act="start").reason == "The team is ready"


def test_a_copy_of_a_plan_says_itself_what_its_stages_took_over(bench: PlanBench) -> None:
    key, other = bench.flag.key, bench.world.flag("second").key
    stages = (
        Stage("a", (Patch(key, enabled=True, variant="on", against="off", weight=10_000),), Gates(soak_minutes=1)),
        Stage("b", (Patch(key, weight=50_000),), Gates(soak_minutes=1)),
    )
    last = Stage("c", (Patch(other, enabled=True, variant="on", against="off", weight=10_000),))
    plan = bench.started(definition_of(key, other, stages=(*stages, last), guards=(guard(),)))
    perform(plan, PlanAct.ABORT, bench.world.rita)
    rita = actor_of(bench.world.rita)
    copied = drafting.copy_plan(plan.pk, actor=rita, now=NOW)
    assert copied.documents == plan.documents[1:]
    perform(copied, PlanAct.START, bench.world.rita)
    perform(copied, PlanAct.ABORT, bench.world.rita)
    again = drafting.copy_plan(copied.pk, actor=rita, now=NOW)
    assert (again.definition["flags"], again.definition["guards"]) == ([other], [])
