"""Shaping a plan: what is stored, what is refused, what its digest covers, and the ground it stands on."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from audits.errors import GovernanceError
from audits.models import AuditEvent
from flags.permissions import Role
from rollouts.models import PlanFlag, RolloutPlan
from rollouts.plans.codec import from_json
from rollouts.plans.definition import Check, CheckKind, Patch, PlanDefinition, Stage
from rollouts.selectors.plans.ground import documents_at
from rollouts.services.plans import drafting
from rollouts.services.plans.consent import digest_of
from rollouts.services.plans.preparing import end_state
from tests.factories import NOW, actor_of, percent_document
from tests.rollouts.plans.support import PlanBench, definition_of, reloaded, stages_of

pytestmark = pytest.mark.django_db

BERLIN = timezone(timedelta(hours=1))


def refused(call: Any, *arguments: Any, **wanted: Any) -> GovernanceError:
    """What a call raises; nothing is written."""
    plans, events = RolloutPlan.objects.count(), AuditEvent.objects.count()
    with pytest.raises(GovernanceError) as found:
        call(*arguments, **wanted)
    assert (RolloutPlan.objects.count(), AuditEvent.objects.count()) == (plans, events)
    return found.value


def test_created_it_holds_whole_documents_of_every_stage_and_serves_nothing(bench: PlanBench) -> None:
    served = bench.served()
    plan = bench.plan()
    assert (plan.state, plan.stage, plan.number, bench.served()) == ("draft", 0, 1, served)
    assert [documents_at(plan, stage)["checkout-redesign"]["enabled"] for stage in range(4)] == [True] * 4
    assert plan.base["checkout-redesign"]["version"] == 1
    assert digest_of(reloaded(plan)) == plan.digest
    assert list(PlanFlag.objects.filter(plan=plan).values_list("flag__key", "is_live")) == [
        ("checkout-redesign", False)
    ]
    assert AuditEvent.objects.get(action="plan.created").target_id == str(plan.pk)


def test_a_flag_that_is_not_set_up_here_starts_off_with_the_variants_it_has_elsewhere(bench: PlanBench) -> None:
    bench.world.flag(
        "greeting", value_type="string", variants=[{"name": "on", "value": "a"}, {"name": "off", "value": "b"}]
    )
    plan = bench.plan(definition_of("greeting"))
    base = plan.base["greeting"]
    assert (base["version"], base["digest"], base["document"]["enabled"]) == (0, "", False)
    assert [one["name"] for one in base["document"]["variants"]] == ["on", "off"]
    [edit] = end_state(plan).edits
    assert edit.base_version == 0


WRONG: dict[str, Any] = {
    "no such flag": definition_of("missing"),
    "twice": replace(definition_of(), flags=("checkout-redesign", "checkout-redesign")),
    "no stage": replace(definition_of(), stages=()),
    "no such variant": definition_of(
        stages=(Stage("1", (Patch("checkout-redesign", variant="blue", against="off", weight=1_000),)),)
    ),
    "no such segment": definition_of(
        stages=(Stage("1", (Patch("checkout-redesign", variant="on", against="off", segment="nobody"),)),)
    ),
    "inside address": definition_of(
        gates={1: {"checks": (Check("Up", CheckKind.HTTP, url="http://169.254.169.254/latest"),)}}
    ),
    "no zone": definition_of(gates={2: {"not_before": datetime(2026, 3, 5, 9, 0)}}),  # noqa: DTZ001
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_carried_out_is_not_stored(bench: PlanBench, name: str) -> None:
    error = refused(bench.plan, WRONG[name])
    assert error.code == "invalid_plan"
    assert error.facts["problems"][0]["path"]


def test_what_takes_something_away_is_confirmed_first(bench: PlanBench) -> None:
    bench.world.serve(bench.flag, bench.production, {**bench.served(), "default_variant": "on"})
    definition = definition_of(stages=stages_of(shares=((50_000, 5),)))
    error = refused(bench.plan, definition)
    assert error.code == "confirmation_missing"
    assert error.facts["narrowings"][0]["flag_key"] == "checkout-redesign"
    assert bench.plan(definition, is_confirmed=True).state == "draft"


@pytest.mark.parametrize("name", ["vera", "abel", "rolf", "otto", "ada"])
def test_only_editors_shape_plans(bench: PlanBench, name: str) -> None:
    assert refused(bench.plan, by=getattr(bench.world, name)).code == "permission_missing"


def test_instants_are_kept_in_utc_so_that_the_digest_is_about_the_instant(bench: PlanBench) -> None:
    nine = datetime(2026, 3, 5, 9, 0, tzinfo=BERLIN)
    first = bench.plan(gates={2: {"not_before": nine}})
    second = bench.plan(gates={2: {"not_before": nine.astimezone(UTC)}})
    assert first.digest == second.digest
    assert from_json(first.definition).stages[1].gates.not_before == nine


@pytest.mark.parametrize(
    "other",
    [
        definition_of(gates={1: {"approvals": 1}}),
        definition_of(gates={1: {"soak_minutes": 31}}),
        definition_of(may_skip=True),
        definition_of(rollback_to="start"),
        definition_of(stages=stages_of(shares=((10_001, 30), (50_000, 30), (100_000, 30)))),
    ],
)
def test_the_digest_covers_everything_that_is_decided_about(bench: PlanBench, other: PlanDefinition) -> None:
    assert bench.plan(other).digest != bench.plan().digest


def test_the_digest_covers_the_ground(bench: PlanBench) -> None:
    first = bench.plan()
    bench.world.serve(bench.flag, bench.production, {**bench.served(), "salt": "other/"})
    assert bench.plan().digest != first.digest


def test_an_edit_is_prepared_on_how_flags_are_now_and_names_who_shaped_it(bench: PlanBench) -> None:
    world, plan = bench.world, bench.plan()
    world.grant(world.otto, world.production, Role.EDITOR)
    world.serve(bench.flag, bench.production, {**bench.served(), "salt": "other/"})
    edited = drafting.edit_plan(
        plan.pk, actor=actor_of(world.otto), now=NOW, digest=plan.digest, definition=definition_of(may_skip=True)
    )
    assert (edited.base["checkout-redesign"]["version"], edited.sequence) == (2, 1)
    assert edited.contributors == [str(world.rita.pk), str(world.otto.pk)]
    stale = refused(drafting.edit_plan, plan.pk, actor=actor_of(world.rita), now=NOW, digest=plan.digest, title="Mine")
    assert stale.code == "plan_moved_on"


def test_an_edited_reason_is_kept_and_told_in_the_trail(bench: PlanBench) -> None:
    plan = bench.plan()
    told: dict[str, Any] = {"actor": actor_of(bench.world.rita), "now": NOW, "digest": plan.digest}

    edited = drafting.edit_plan(plan.pk, reason="Sales asked for it", **told)

    edited.refresh_from_db()
    assert edited.reason == "Sales asked for it"
    assert edited.steps.latest("sequence").reason == "Sales asked for it"


def test_an_edit_that_changes_nothing_leaves_no_trace(bench: PlanBench) -> None:
    plan = bench.plan()
    told: dict[str, Any] = {"actor": actor_of(bench.world.rita), "now": NOW, "digest": plan.digest}
    same = drafting.edit_plan(plan.pk, title=plan.title, definition=definition_of(), **told)
    assert (same.sequence, drafting.rebase_plan(plan.pk, **told).sequence) == (0, 0)


def test_other_flags_take_the_place_of_the_former_ones(bench: PlanBench) -> None:
    bench.world.serve(bench.world.flag("payment-button"), bench.production)
    plan = bench.plan()
    told: dict[str, Any] = {"actor": actor_of(bench.world.rita), "now": NOW, "digest": plan.digest}
    drafting.edit_plan(plan.pk, definition=definition_of("payment-button"), **told)
    assert [one.flag.key for one in PlanFlag.objects.filter(plan=plan)] == ["payment-button"]


def test_proposed_on_ground_that_moved_it_is_refused_until_it_is_put_on_the_new(bench: PlanBench) -> None:
    plan = bench.plan()
    bench.world.serve(bench.flag, bench.production, {**bench.served(), "salt": "other/"})
    told: dict[str, Any] = {"actor": actor_of(bench.world.rita), "now": NOW}
    error = refused(drafting.propose_plan, plan.pk, digest=plan.digest, **told)
    assert (error.code, error.facts["moved"][0]["current_version"]) == ("plan_moved_ground", 2)
    rebased = drafting.rebase_plan(plan.pk, digest=plan.digest, **told)
    assert rebased.digest != plan.digest
    assert drafting.propose_plan(plan.pk, digest=rebased.digest, **told).state == "proposed"


def test_a_percentage_set_by_hand_is_what_the_plan_goes_on_with(bench: PlanBench) -> None:
    by_hand = percent_document(bench.flag.key, 5)
    bench.world.serve(bench.flag, bench.production, by_hand)

    plan = bench.plan()

    served = [next(iter(documents.values()))["rules"] for documents in plan.documents]
    assert [[rule["id"] for rule in rules] for rules in served] == [[by_hand["rules"][0]["id"]]] * len(served)


def test_a_rule_for_everyone_before_the_plans_rule_is_a_problem(bench: PlanBench) -> None:
    by_hand = percent_document(bench.flag.key, 5)
    only, other = by_hand["rules"][0], {**by_hand["rules"][0], "id": "other"}
    bench.world.serve(bench.flag, bench.production, {**by_hand, "rules": [only, other]})
    assert refused(bench.plan).code == "invalid_plan"
