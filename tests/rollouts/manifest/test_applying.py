"""Applying manifests: what is open at once, what is protected by request, nothing twice, and all of it back again."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from audits.actions import Action
from audits.integrity import canonical_json
from audits.models import AuditEvent
from flags.documents import initial_document
from flags.models import Flag, FlagConfig, Segment
from flags.permissions import Role
from flags.snapshots.building import build
from flags.snapshots.encoding import encoded, snapshot_lines
from rollouts.manifest.errors import InvalidManifest
from rollouts.manifest.reading import read_manifest
from rollouts.manifest.writing import write_manifest
from rollouts.models import ChangeRequest, DeprecationTimeline, PolicyRule, RolloutPlan
from rollouts.plans.definition import PlanDefinition, Strategy
from rollouts.plans.strategies import custom
from rollouts.policies import Effect, Rule
from rollouts.policies.requirements import PeopleDemand, Requirement
from rollouts.selectors.manifest_plans import Way, plan_manifest
from rollouts.selectors.manifests import present_state
from rollouts.services.change_requests import approve_change_request
from rollouts.services.manifest_outcomes import State
from rollouts.services.manifests import apply_manifest
from rollouts.services.plans.drafting import create_plan
from rollouts.services.retirement import archive_flag
from rollouts.services.rules import set_rule
from rollouts.services.timelines.acting import start_timeline
from rollouts.services.timelines.drafting import create_timelines
from rollouts.services.timelines.engine import advance_due
from tests.factories import NOW, World, actor_of, make_world, percent_document
from tests.rollouts.manifest.support import CONDITION, apply, changed, exported, reading_of, serving
from tests.rollouts.rule_support import condition
from tests.rollouts.timelines.support import TimelineBench, definition_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def bench(world: World) -> TimelineBench:
    """A served world."""
    return TimelineBench(world, world.first_flag)


def counts() -> tuple[int, ...]:
    """How much there is of what an apply could leave behind."""
    models = (AuditEvent, ChangeRequest, FlagConfig.history.model, Flag)
    return tuple(model._default_manager.count() for model in models)


def test_export__applied_as_it_is__changes_nothing_and_records_nothing(bench):
    before = counts()

    done = apply(bench.world, exported(bench.world))

    assert (done.state, done.outcomes, counts()) == (State.DONE, (), before)


def test_open_environment__applied__serves_it_at_once(bench):
    done = apply(bench.world, serving(bench.world, "staging", 30))

    assert done.state is State.DONE
    config = FlagConfig.objects.get(flag=bench.flag, environment=bench.staging)
    assert config.document["rules"] == percent_document("checkout-redesign", 30)["rules"]
    assert Segment.objects.get(environment=bench.staging).key == "gold"
    assert AuditEvent.objects.filter(action=Action.MANIFEST_APPLIED).count() == 1


def test_protected_environment__applied__is_one_request_that_serves_it_once_approved(bench):
    manifest = serving(bench.world, "production", 30)

    first, again = apply(bench.world, manifest), apply(bench.world, manifest)

    [request] = first.requests
    assert (first.state, again.state, again.requests) == (State.PENDING, State.PENDING, (request,))
    assert (request.state, len(request.content.edits)) == ("in_review", 2)
    assert bench.version() == 1
    assert AuditEvent.objects.filter(action=Action.MANIFEST_APPLIED).count() == 1
    approve_change_request(request.pk, actor=actor_of(bench.world.abel), digest=request.digest, comment="", now=NOW)
    before = counts()
    last = apply(bench.world, manifest)
    assert (bench.version(), last.state, last.outcomes, counts()) == (2, State.DONE, (), before)


def test_request_of_a_manifest__content_moved_meanwhile__is_asked_for_anew(bench):
    manifest = serving(bench.world, "production", 30)
    [first] = apply(bench.world, manifest).requests
    bench.world.serve(bench.flag, bench.production, percent_document("checkout-redesign", 5))

    [second] = apply(bench.world, manifest).requests

    assert first.pk != second.pk


def test_new_flag__applied__exists_and_is_asked_for_where_protected(bench):
    manifest = exported(bench.world)
    entry = {
        "name": "Banner",
        "kind": "release",
        "value_type": "boolean",
        "tags": ["web"],
        "owner": bench.world.rita.username,
    }
    manifest["flags"] = {**manifest["flags"], "banner": entry}
    served = {"banner": {"config": percent_document("banner", 10)}}
    for place in ("staging", "production"):
        manifest["environments"][place]["flags"] |= served

    done = apply(bench.world, manifest)

    flag = Flag.objects.get(key="banner")
    assert (flag.tags, flag.owner_id, done.state) == (["web"], bench.world.rita.pk, State.PENDING)
    assert FlagConfig.objects.get(flag=flag, environment=bench.staging).document["enabled"] is True
    assert not FlagConfig.objects.filter(flag=flag, environment=bench.production).exists()
    assert done.requests[0].content.edits[0].base_version == 0


def test_flag__left_out__is_told_and_stays(bench):
    plan = plan_manifest(reading_of(exported(bench.world, flags={})), actor=actor_of(bench.world.rita))

    done = apply(bench.world, exported(bench.world, flags={}))

    assert [(step.difference.address, step.way) for step in plan.steps] == [
        ("flags.checkout-redesign", Way.NOT_APPLIED)
    ]
    assert (done.outcomes, Flag.objects.count()) == ((), 1)


WAYS: dict[str, tuple[dict[str, Any], str, str, Way]] = {
    "open": ({"segments": {"gold": {"name": "G", "condition": CONDITION}}}, "staging", "rita", Way.AT_ONCE),
    "protected": ({"segments": {"gold": {"name": "G", "condition": CONDITION}}}, "production", "rita", Way.REQUEST),
    "no editor": ({"segments": {"gold": {"name": "G", "condition": CONDITION}}}, "staging", "vera", Way.NOT_POSSIBLE),
    "protection": ({"is_protected": False}, "production", "ada", Way.NOT_APPLIED),
    "a stricter policy": (
        {"policy": {"required_approvals": 2, "named_approvers": [], "expires_after_hours": 336}},
        "production",
        "ada",
        Way.AT_ONCE,
    ),
    "a looser policy": (
        {"policy": {"required_approvals": 1, "named_approvers": [], "expires_after_hours": 999}},
        "production",
        "ada",
        Way.SECOND,
    ),
    "a plan": (
        {
            "plans": [
                {
                    "title": "Widen",
                    "definition": {
                        "flags": ["checkout-redesign"],
                        "strategy": "custom",
                        "stages": [{"name": "All", "patches": [{"flag_key": "checkout-redesign", "enabled": True}]}],
                    },
                }
            ]
        },
        "production",
        "rita",
        Way.DRAFT,
    ),
}


@pytest.mark.parametrize("name", WAYS)
def test_difference__planned__says_which_way_it_goes(name, bench):
    entries, place, who, way = WAYS[name]

    plan = plan_manifest(reading_of(changed(bench.world, place, **entries)), actor=actor_of(getattr(bench.world, who)))

    assert [step.way for step in plan.steps] == [way]
    assert plan.steps[0].sentence


def test_looser_policy__applied_twice__waits_for_a_second_administrator_once(bench):
    bench.world.grant(bench.world.anna, bench.production, Role.ADMINISTRATOR)
    policy = {"required_approvals": 1, "named_approvers": [], "expires_after_hours": 999}
    manifest = changed(bench.world, policy=policy)

    states = [apply(bench.world, manifest, by=bench.world.ada).state for _ in range(2)]

    assert states == [State.PENDING, State.PENDING]
    assert present_state(bench.world.project).manifest["environments"]["production"]["policy"] != policy


def test_part_that_is_refused__does_not_keep_others_from_happening(bench):
    manifest = serving(bench.world, "staging", 30)
    manifest["environments"]["production"]["policy"] = {
        "required_approvals": 2,
        "named_approvers": [],
        "expires_after_hours": 336,
    }

    done = apply(bench.world, manifest)

    assert done.state is State.REFUSED
    assert {outcome.result.state for outcome in done.outcomes} == {State.DONE, State.REFUSED}


def test_unknown_person__planned__is_refused_with_a_line(bench):
    manifest = exported(bench.world)
    manifest["flags"]["checkout-redesign"]["owner"] = "nobody-here"

    with pytest.raises(InvalidManifest) as caught:
        plan_manifest(reading_of(manifest), actor=actor_of(bench.world.rita))

    [problem] = caught.value.facts["problems"]
    assert (problem["path"], problem["line"] > 1) == ("flags.checkout-redesign.owner", True)


def test_flag_that_a_timeline_ends__another_config__is_left_to_the_timeline(bench):
    bench.started()

    done = apply(bench.world, serving(bench.world, "staging", 30))

    waiting = [one for one in done.outcomes if one.result.state is State.PENDING]
    assert "Timeline 1 ends it" in waiting[0].result.sentence
    assert {one.result.state for one in done.outcomes} == {State.PENDING, State.DONE}


def everything(bench: TimelineBench) -> None:
    """A segment, a flag that needs another one, an archived one, a plan and timelines, one of them running."""
    world = bench.world
    for place in ("staging", "production"):
        done = apply(world, serving(world, place, 40))
        for request in done.requests:
            bench.approve(request)
    needs = {
        **percent_document("banner", 50),
        "prerequisites": [{"flag": "checkout-redesign", "variants": ["on"]}],
        "rules": [{**percent_document("banner", 50)["rules"][0], "condition": {"segment": "gold"}}],
    }
    banner, old, ending = (world.flag(key) for key in ("banner", "old-basket", "ending"))
    for environment in (bench.staging, bench.production):
        world.serve(banner, environment, needs)
        world.serve(old, environment, initial_document("old-basket", "boolean"))
    for request in archive_flag(old.pk, actor=actor_of(world.rita), reason="Unused", now=NOW).requests:
        bench.approve(request)
    stages = custom("checkout-redesign", variant="on", against="off", shares=[(50_000, 5), (100_000, 5)])
    plan = PlanDefinition(("checkout-redesign",), Strategy.CUSTOM, stages)
    create_plan(bench.staging.pk, actor=actor_of(world.rita), now=NOW, title="Widen", definition=plan)
    bench.draft_in(bench.staging, starts=NOW + timedelta(days=1))
    definition = replace(definition_of(), flag_key="ending")
    [timeline] = create_timelines(ending.pk, [bench.staging.pk], definition, actor=actor_of(world.rita), now=NOW)
    start_timeline(timeline.pk, actor=actor_of(world.rita), now=NOW, digest=timeline.digest)
    for days in (0, 7):
        advance_due(NOW + timedelta(days=days))


def test_export_of_everything__into_a_new_project__brings_it_back(bench):
    everything(bench)
    manifest, other = exported(bench.world), make_world("other-shop")
    text = write_manifest(manifest).replace(f"key: {bench.world.project.key}", f"key: {other.project.key}", 1)
    before = {place.key: snapshot_digest(place) for place in bench.world.environments}

    done = apply_manifest(read_manifest(text), actor=actor_of(other.rita), reason="Moved", now=NOW)
    for request in done.requests:
        approve_change_request(request.pk, actor=actor_of(other.abel), digest=request.digest, comment="", now=NOW)

    assert len(done.requests) == 3
    assert {place.key: snapshot_digest(place) for place in other.environments} == before
    made = present_state(other.project).manifest
    assert {**made, "project": {}} == {**manifest, "project": {}}
    assert RolloutPlan.objects.filter(project=other.project).count() == 1
    assert DeprecationTimeline.objects.filter(project=other.project).count() == 2
    assert Flag.objects.get(project=other.project, archived_at__isnull=False).key == "old-basket"
    again = apply_manifest(read_manifest(text), actor=actor_of(other.rita), reason="Moved", now=NOW)
    assert again.outcomes == ()


def test_config_that_archives__in_an_open_environment__is_asked_for_and_the_rest_happens(bench):
    world = bench.world
    old = world.flag("old-basket")
    manifest = serving(world, "staging", 40)
    served = manifest["environments"]["staging"]["flags"]
    document = initial_document(old.key, "boolean")
    ended = {"deprecated_at": NOW.isoformat(), "is_archived": True}
    served[old.key] = {"config": {**document, "deprecation": ended}}

    plan = plan_manifest(reading_of(manifest), actor=actor_of(world.rita))
    done, again = apply(world, manifest), apply(world, manifest)

    ways = {step.difference.key: step for step in plan.steps if step.difference.environment == "staging"}
    assert {key: step.way for key, step in ways.items()} == {
        "gold": Way.AT_ONCE,
        "checkout-redesign": Way.AT_ONCE,
        "old-basket": Way.REQUEST,
    }
    assert ways["old-basket"].sentence == "Asked for by a change request: archiving takes 1 approval here too."
    [request] = done.requests
    assert (done.state, again.requests, bench.served()["enabled"]) == (State.PENDING, (request,), True)
    bench.approve(request)
    assert apply(world, manifest).outcomes == ()


def snapshot_digest(place: Any) -> str:
    """The digest of what an environment serves, without how often it was written; keys sorted: SQLite keeps them."""
    lines = [json.loads(line) for line in list(snapshot_lines(build(place.pk)))[1:]]
    told = [[part for number, part in enumerate(line) if (line[0], number) != ("flag", 3)] for line in lines]
    return encoded("environment", [canonical_json(line) for line in told])[0].digest


def test_present_state__of_many_flags__takes_as_many_queries_as_of_one(bench, django_assert_num_queries):
    with django_assert_num_queries(12):
        present_state(bench.world.project)
    for number in range(5):
        bench.world.flag(f"flag-{number}")
    with django_assert_num_queries(12):
        present_state(bench.world.project)


def test_rule__exported_into_a_new_project__name_the_same_people(bench):
    world, other = bench.world, make_world("other-shop")
    for person in (world.abel, world.anna):
        other.grant(person, other.production, Role.APPROVER)
    demand = Requirement(people=(PeopleDemand((str(world.abel.pk), str(world.anna.pk)), 1),))
    about = condition("environment_kind", kinds=["production"])
    document = Rule("x", 1, "Abel or Anna", "They know the checkout", Effect.REQUIRE, (about,), demand, True).as_json()
    set_rule(world.project.pk, key="either", document=document, actor=actor_of(world.ada), reason="Care", now=NOW)
    manifest = exported(world)
    rules = {"policy_rules": manifest["policy_rules"]}
    text = write_manifest({"version": 1, "project": {"key": other.project.key}, **rules})

    done = apply_manifest(read_manifest(text), actor=actor_of(other.ada), reason="Moved", now=NOW)

    names = sorted([world.abel.username, world.anna.username])
    assert manifest["policy_rules"]["either"]["requirement"]["people"] == [{"ids": names, "count": 1}]
    assert done.state is State.DONE
    assert (
        PolicyRule.objects.get(project=other.project).document == PolicyRule.objects.get(project=world.project).document
    )
