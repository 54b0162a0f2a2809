"""What a plan says to people who lack a role, parts apart from each other, and the people a manifest may name."""

from typing import Any

import pytest

from flags.models import Flag
from flags.permissions import Role
from flags.services.teams import create_team
from rollouts.manifest.errors import InvalidManifest
from rollouts.policies import Effect, Rule
from rollouts.policies.requirements import PeopleDemand, Requirement
from rollouts.selectors.manifest_plans import Way, plan_manifest
from rollouts.services.manifest_outcomes import State
from rollouts.services.rules import set_rule
from tests.factories import NOW, World, actor_of, make_person
from tests.rollouts.manifest.support import apply, changed, exported, reading_of
from tests.rollouts.rule_support import condition
from tests.rollouts.timelines.support import TimelineBench

pytestmark = pytest.mark.django_db
KEY = "checkout-redesign"
STRICTER = {"required_approvals": 2, "named_approvers": [], "expires_after_hours": 336}


@pytest.fixture
def bench(world: World) -> TimelineBench:
    """A served world with a team."""
    create_team(world.project.pk, actor=actor_of(world.ada), key="web", name="Web", now=NOW)
    return TimelineBench(world, world.first_flag)


def described(world: World, **fields: Any) -> dict[str, Any]:
    """The world as a manifest that describes its flag otherwise."""
    flags = exported(world)["flags"]
    return exported(world, flags={**flags, KEY: {**flags[KEY], **fields}})


def ways(world: World, manifest: dict[str, Any], who: str) -> dict[str, Way]:
    steps = plan_manifest(reading_of(manifest), actor=actor_of(getattr(world, who))).steps
    return {step.difference.address: step.way for step in steps}


def states(world: World, manifest: dict[str, Any], who: str) -> dict[str, State]:
    done = apply(world, manifest, by=getattr(world, who))
    return {address: one.result.state for one in done.outcomes for address in one.addresses}


FIELDS = {"rita": ("at_once", "at_once", "not_possible"), "ada": ("not_possible", "at_once", "at_once")}


@pytest.mark.parametrize("who", FIELDS)
def test_fields_of_a_flag__planned_and_applied__go_each_by_the_role_it_takes(who, bench):
    manifest = described(bench.world, description="Anew", tags=["web"], team="web")

    planned = ways(bench.world, manifest, who)
    applied = states(bench.world, manifest, who)

    addresses = [f"flags.{KEY}.{name}" for name in ("description", "tags", "team")]
    assert [planned[address].value for address in addresses] == list(FIELDS[who])
    refused = [address for address in addresses if applied[address] is State.REFUSED]
    assert refused == [one for one, way in zip(addresses, FIELDS[who], strict=True) if way == "not_possible"]
    flag = Flag.objects.get()
    assert (flag.tags, flag.description == "Anew", flag.owner_team is not None) == (
        ["web"],
        who == "rita",
        who == "ada",
    )


def test_new_flag_with_a_team__applied_by_an_editor__exists_without_it(bench):
    flag = {"name": "Banner", "kind": "release", "value_type": "boolean", "team": "web"}
    manifest = exported(bench.world, flags={**exported(bench.world)["flags"], "banner": flag})

    [step] = plan_manifest(reading_of(manifest), actor=actor_of(bench.world.rita)).steps
    applied = states(bench.world, manifest, "rita")

    assert "without its team" in step.sentence
    assert applied == {"flags.banner": State.DONE, "flags.banner.team": State.REFUSED}
    assert Flag.objects.get(key="banner").owner_team is None


def rule(*people: Any, **fields: Any) -> dict[str, Any]:
    """The document of a rule that demands one of these people, as it is stored."""
    demand = Requirement(people=(PeopleDemand(tuple(sorted(str(one.pk) for one in people)), 1),))
    about = condition("environment_kind", kinds=["production"])
    made = Rule("x", 1, "One of us", "They know the checkout", Effect.REQUIRE, (about,), demand, True)
    return {**made.as_json(), **fields}


@pytest.mark.parametrize(("who", "way"), [("rita", Way.NOT_POSSIBLE), ("ada", Way.AT_ONCE)])
def test_policy_and_rule__planned__take_an_administrator(who, way, bench):
    world = bench.world
    set_rule(world.project.pk, key="us", document=rule(world.abel), actor=actor_of(world.ada), reason="Care", now=NOW)
    manifest = changed(world, policy=STRICTER)
    rules = manifest["policy_rules"]

    planned = ways(world, {**manifest, "policy_rules": {"us": {**rules["us"], "rationale": "Anew"}}}, who)

    assert planned == {"environments.production.policy": way, "policy_rules.us": way}


def test_rule_with_somebody_who_left__changed__is_told_so_and_can_do_without(bench):
    world = bench.world
    document = rule(world.abel, world.anna)
    set_rule(world.project.pk, key="us", document=document, actor=actor_of(world.ada), reason="Care", now=NOW)
    world.anna.is_active = False
    world.anna.save()
    manifest = exported(world)
    before = manifest["policy_rules"]["us"]
    demand = {**before["requirement"], "people": [{"ids": [world.abel.username], "count": 1}]}

    kept = apply(world, {**manifest, "policy_rules": {"us": {**before, "rationale": "Anew"}}}, by=world.ada)
    fewer = {**before, "requirement": demand, "rationale": "Anew"}
    apply(world, {**manifest, "policy_rules": {"us": fewer}}, by=world.ada)

    assert kept.outcomes[0].result.sentence == "One of these people has no active account. Name somebody else."
    assert exported(world)["policy_rules"]["us"] == fewer


NAMES: dict[str, Any] = {
    "flags.checkout-redesign.owner": lambda world, name: described(world, owner=name),
    "environments.production.policy.named_approvers[0]": lambda world, name: changed(
        world, policy={**STRICTER, "required_approvals": 1, "named_approvers": [name]}
    ),
    "policy_rules.us.requirement.people[0].ids[0]": lambda world, name: exported(
        world, policy_rules={"us": {**rule(world.abel), "requirement": people(name)}}
    ),
    "policy_rules.us.requirement.teams[0].team": lambda world, name: exported(
        world, policy_rules={"us": {**rule(world.abel), "requirement": teams(name)}}
    ),
}


def people(name: str) -> dict[str, Any]:
    return {**Requirement().as_json(), "people": [{"ids": [name], "count": 1}]}


def teams(name: str) -> dict[str, Any]:
    return {**Requirement().as_json(), "teams": [{"team": name, "count": 1}]}


@pytest.mark.parametrize("path", NAMES)
def test_name_of_nobody_or_of_somebody_elsewhere__planned__gets_the_same_words_at_its_line(path, bench):
    elsewhere, words = make_person("elsewhere"), []

    for name in (elsewhere.username, "nobody-here"):
        with pytest.raises(InvalidManifest) as caught:
            plan_manifest(reading_of(NAMES[path](bench.world, name)), actor=actor_of(bench.world.vera))
        words.append([(one["path"], one["line"] > 1, one["message"]) for one in caught.value.facts["problems"]])

    assert words[0] == words[1]
    assert [one[:2] for one in words[0]] == [(path, True)]


def test_owner_with_a_role_in_the_project__planned__is_taken(bench):
    bench.world.grant(bench.world.otto, bench.staging, Role.VIEWER)

    assert ways(bench.world, described(bench.world, owner=bench.world.otto.username), "rita") == {
        f"flags.{KEY}.owner": Way.AT_ONCE
    }
