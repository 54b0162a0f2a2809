"""Plan templates, plans and timelines through manifests: made, changed, left out, and nothing twice."""

from datetime import timedelta
from typing import Any

import pytest

from audits.models import AuditEvent
from flags.models import Flag, FlagConfig
from rollouts.deprecations.codec import as_json as timeline_json
from rollouts.manifest.errors import InvalidManifest
from rollouts.models import ChangeRequest, DeprecationTimeline, PlanTemplate, RolloutPlan
from rollouts.plans.codec import as_json as plan_json
from rollouts.plans.definition import PlanDefinition, Strategy
from rollouts.plans.strategies import custom
from rollouts.plans.templates import AGAINST, FLAG, VARIANT
from rollouts.selectors.manifest_plans import plan_manifest
from rollouts.services.manifest_outcomes import Applied, State
from rollouts.services.plans.templates import retire_template
from rollouts.services.timelines import acting
from tests.factories import NOW, World, actor_of, percent_document
from tests.rollouts.manifest.support import apply, changed, exported, reading_of
from tests.rollouts.timelines.support import TimelineBench, definition_of

pytestmark = pytest.mark.django_db
KEY = "checkout-redesign"


@pytest.fixture
def bench(world: World) -> TimelineBench:
    """A served world."""
    return TimelineBench(world, world.first_flag)


def counts() -> tuple[int, ...]:
    """How much there is of what an apply could leave behind."""
    models = (AuditEvent, ChangeRequest, FlagConfig.history.model, Flag, PlanTemplate, RolloutPlan, DeprecationTimeline)
    return tuple(model._default_manager.count() for model in models)


def told(done: Applied) -> list[tuple[State, str]]:
    return [(outcome.result.state, outcome.result.sentence) for outcome in done.outcomes]


def template(minutes: int, **more: Any) -> dict[str, Any]:
    """A template in two stages, the first of which lasts so long."""
    stages = custom(FLAG, variant=VARIANT, against=AGAINST, shares=[(10_000, minutes), (100_000, 5)])
    definition = plan_json(PlanDefinition((FLAG,), Strategy.CUSTOM, stages))
    return {"name": "Slow", "definition": definition, **more}


def plan(minutes: int, **more: Any) -> dict[str, Any]:
    """A plan in two stages, the first of which lasts so long."""
    stages = custom(KEY, variant="on", against="off", shares=[(10_000, minutes), (100_000, 5)])
    return {"title": "Widen", "definition": plan_json(PlanDefinition((KEY,), Strategy.CUSTOM, stages)), **more}


def timeline(days: int, **more: Any) -> dict[str, Any]:
    """A timeline of six weeks that begins in so many days."""
    return {"definition": timeline_json(definition_of(starts=NOW + timedelta(days=days))), **more}


def with_timeline(world: World, entry: dict[str, Any], place: str = "staging") -> dict[str, Any]:
    served = exported(world)["environments"][place]["flags"]
    return changed(world, place, flags={**served, KEY: {**served[KEY], "timeline": entry}})


def test_template__made_changed_and_left_out__is_kept_version_by_version(bench):
    world = bench.world
    made = apply(world, exported(world, plan_templates={"slow": template(5)}))
    new = apply(world, exported(world, plan_templates={"slow": template(30, kinds=["release"])}))
    before = counts()
    same = apply(world, exported(world, plan_templates={"slow": template(30)}))
    left_out = plan_manifest(reading_of(exported(world, plan_templates={})), actor=actor_of(world.rita))

    assert told(made) == [(State.DONE, "Slow is offered in version 1.")]
    assert told(new) == [(State.DONE, "Slow is offered in version 2.")]
    assert (told(same), counts()) == ([], before)
    assert [step.difference.address for step in left_out.steps] == ["plan_templates.slow"]
    last = PlanTemplate.objects.get(version=2)
    assert (last.kinds, last.definition) == (["release"], template(30)["definition"])


def test_template_that_was_retired__still_in_the_manifest__is_offered_again(bench):
    world, manifest = bench.world, exported(bench.world, plan_templates={"slow": template(5)})
    apply(world, manifest)
    saved = PlanTemplate.objects.get()
    retire_template(saved.project_id, key="slow", actor=actor_of(world.rita), now=NOW)

    again = apply(world, manifest)

    assert told(again) == [(State.DONE, "Slow is offered in version 2.")]
    assert apply(world, manifest).outcomes == ()


def test_plan__that_cannot_be_on_what_is_served__is_refused_and_the_rest_happens(bench):
    world = bench.world
    wrong = plan(5)
    wrong["definition"]["stages"][0]["patches"][0]["variant"] = "maybe"

    done = apply(world, changed(world, "staging", plans=[wrong, plan(5, title="Good")]))

    assert sorted(state for state, _ in told(done)) == [State.DONE, State.REFUSED]
    assert RolloutPlan.objects.get().title == "Good"


def test_plan__made_changed_and_left_out__is_one_draft(bench):
    world = bench.world
    made = apply(world, changed(world, "staging", plans=[plan(5, reason="Carefully")]))
    new = apply(world, changed(world, "staging", plans=[plan(30)]))
    before = counts()
    same = apply(world, changed(world, "staging", plans=[plan(30)]))
    apply(world, changed(world, "staging", plans=[]))

    assert told(made) == [(State.DONE, "Plan 1 is a draft in Staging.")]
    assert told(new) == [(State.DONE, "Plan 1 is a draft that says so now.")]
    assert (told(same), counts()) == ([], before)
    [row] = RolloutPlan.objects.all()
    assert (row.title, row.state, row.definition) == ("Widen", "draft", plan(30)["definition"])


def test_timeline__made_changed_and_left_out__is_one_draft(bench):
    world = bench.world
    made = apply(world, with_timeline(world, timeline(1, reason="Nobody needs it")))
    new = apply(world, with_timeline(world, timeline(3)))
    before = counts()
    same = apply(world, with_timeline(world, timeline(3)))
    served = exported(world)["environments"]["staging"]["flags"]
    left_out = changed(world, "staging", flags={key: {"config": entry["config"]} for key, entry in served.items()})

    assert told(made) == [(State.DONE, "Timeline 1 is a draft in Staging.")]
    assert told(new) == [(State.DONE, "Timeline 1 is a draft that says so now.")]
    assert (told(same), told(apply(world, left_out)), counts()) == ([], [], before)
    [row] = DeprecationTimeline.objects.all()
    assert (row.state, row.definition) == ("draft", timeline(3)["definition"])


def test_timeline__underway_or_ended__is_not_touched(bench):
    world, manifest = bench.world, with_timeline(bench.world, timeline(1))
    apply(world, manifest)
    row = DeprecationTimeline.objects.get()
    row = acting.start_timeline(row.pk, actor=actor_of(world.rita), now=NOW, digest=row.digest)

    another = apply(world, with_timeline(world, timeline(3)))
    same = apply(world, manifest)
    acting.end_timeline(row.pk, actor=actor_of(world.rita), now=NOW, reason="Still needed", sequence=row.sequence)
    ended = apply(world, manifest)

    assert [state for state, _ in told(another)] == [State.REFUSED]
    assert "Timeline 1 is running, so what it says stays." in told(another)[0][1]
    assert (told(same), told(ended), DeprecationTimeline.objects.count()) == ([], [], 1)


def test_drafts_of_a_flag_whose_config_waits__are_made_once_it_is_served(bench):
    world = bench.world
    flags = {KEY: {"config": percent_document(KEY, 5), "timeline": timeline(1)}}
    manifest = changed(world, "production", flags=flags, plans=[plan(5)])

    waiting = apply(world, manifest)
    before = counts()
    again = apply(world, manifest)
    [request] = again.requests
    bench.approve(request)
    done = apply(world, manifest)

    assert [state for state, _ in told(waiting)] == [State.PENDING] * 3
    assert (told(again), before[-2:]) == (told(waiting), (0, 0))
    assert sorted(sentence for _, sentence in told(done)) == [
        "Plan 1 is a draft in Production.",
        "Timeline 1 is a draft in Production.",
    ]
    assert apply(world, manifest).outcomes == ()


BLANKS = {"a flag": "flags", "a template": "plan_templates", "a plan": "plans", "a segment": "segments"}


@pytest.mark.parametrize("name", BLANKS)
def test_name_with_blanks_around_it__applied_twice__is_the_same(name, bench):
    world = bench.world
    flag = {"name": " Banner ", "kind": "release", "value_type": "boolean", "description": " Of the shop\n"}
    segment = {"name": " Gold ", "condition": {"attribute": "plan", "operator": "equals", "value": "gold"}}
    manifest = {
        "flags": lambda: exported(world, flags={**exported(world)["flags"], "banner": flag}),
        "plan_templates": lambda: exported(
            world, plan_templates={"slow": template(5, name=" Slow ", description=" Of three days ")}
        ),
        "plans": lambda: changed(world, "staging", plans=[plan(5, title=" Widen ", reason=" Carefully ")]),
        "segments": lambda: changed(world, "staging", segments={"gold": segment}),
    }[BLANKS[name]]()

    first, second = apply(world, manifest), apply(world, manifest)

    assert {state for state, _ in told(first)} == {State.DONE}
    assert told(second) == []


STORED: dict[str, Any] = {
    "an owner of no letters": lambda world: described(world, owner=""),
    "a team of no letters": lambda world: described(world, team=""),
    "links with blanks": lambda world: described(world, links=[" https://example.org/a "]),
    "kinds in another order": lambda world: exported(
        world, plan_templates={"slow": template(5, kinds=["release", "experiment", "release"])}
    ),
    "an earliest time elsewhere": lambda world: changed(world, "staging", plans=[later_plan()]),
}


def described(world: World, **fields: Any) -> dict[str, Any]:
    """The world with its flag described otherwise."""
    flags = exported(world)["flags"]
    return exported(world, flags={**flags, KEY: {**flags[KEY], **fields}})


def later_plan() -> dict[str, Any]:
    """A plan whose first stage is not left before a time in Berlin."""
    entry = plan(5)
    entry["definition"]["stages"][0]["gates"]["not_before"] = "2026-12-01T09:00:00+01:00"
    return entry


@pytest.mark.parametrize("name", STORED)
def test_what_is_stored_in_another_form__applied__is_the_same_the_second_time(name, bench):
    manifest = STORED[name](bench.world)
    apply(bench.world, manifest)
    before = counts()

    again = apply(bench.world, manifest)

    assert (told(again), counts()) == ([], before)


ABSURD = 10**400
TOO_MUCH: dict[str, Any] = {
    "a template's soak": lambda world: exported(world, plan_templates={"slow": template(ABSURD)}),
    "a plan's soak": lambda world: changed(world, "staging", plans=[plan(ABSURD)]),
    "a policy": lambda world: changed(
        world, policy={"required_approvals": ABSURD, "named_approvers": [], "expires_after_hours": ABSURD}
    ),
    "a brownout": lambda world: with_timeline(world, absurd_timeline()),
}


def absurd_timeline() -> dict[str, Any]:
    entry = timeline(1)
    entry["definition"]["milestones"][2]["minutes"] = ABSURD
    return entry


@pytest.mark.parametrize("name", TOO_MUCH)
def test_number_beyond_all_bounds__applied__is_refused_at_its_line(name, bench):
    world, before = bench.world, counts()

    with pytest.raises(InvalidManifest) as caught:
        apply(world, TOO_MUCH[name](world))

    assert all(problem["line"] > 1 for problem in caught.value.facts["problems"])
    assert counts() == before
