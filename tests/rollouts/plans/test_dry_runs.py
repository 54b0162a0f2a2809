"""A plan carried out on paper: whom its stages reach, what stands around it, and the command that prints it."""

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from rollouts.models import RolloutPlan
from rollouts.plans.codec import from_json
from rollouts.plans.definition import Gates, Patch, Stage
from rollouts.selectors.plans.dry_runs import MOST_TARGETS, DryRun, StageReach, TargetReach, dry_run
from rollouts.services.rules import set_rule
from tests.factories import NOW, World, actor_of, percent_document
from tests.rollouts.calendars import freeze
from tests.rollouts.plans.support import PlanBench, definition_of, stages_of
from tests.rollouts.rule_support import condition, rule


@pytest.fixture
def bench(world: World) -> PlanBench:
    return PlanBench(world, world.first_flag)


def dry(plan: RolloutPlan) -> DryRun:
    definition = from_json(plan.definition)
    return dry_run(definition, plan.environment, base=plan.base, documents=plan.documents, now=NOW)


def behind(bench: PlanBench, key: str, parent: str, **changed: Any) -> Any:
    """A flag in staging that needs another one."""
    flag = bench.world.flag(key)
    needs = [{"flag": parent, "variants": ["on"]}]
    bench.world.serve(flag, bench.staging, {**percent_document(key, 0), "rules": [], "prerequisites": needs, **changed})
    return flag


@pytest.mark.parametrize(
    ("reach", "words"),
    [
        (StageReach(2_000, 0, 0, 0, 0), "Of 2,000 made-up people nobody gets anything else."),
        (StageReach(2_000, 0, 0, 0, None), "Of 2,000 made-up people nobody gets anything else."),
        (StageReach(2_000, 964, 0, 0, 2_000), "Of 2,000 made-up people 2,000 have it, 964 of them new."),
        (StageReach(2_000, 0, 480, 0, 517), "Of 2,000 made-up people 517 have it; 480 lose it."),
        (StageReach(2_000, 0, 1, 0, 0), "Of 2,000 made-up people 0 have it; 1 loses it."),
        (StageReach(2_000, 0, 0, 600, 2_000), "Of 2,000 made-up people 600 get something else."),
        (
            StageReach(100, 1, 2, 3, 1),
            "Of 100 made-up people 1 has it, 1 of them new; 2 lose it; 3 get something else.",
        ),
        (StageReach(100, 20, 0, 3, None), "Of 100 made-up people 20 new ones get it; 3 get something else."),
        (StageReach(100, 1, 0, 0, None), "Of 100 made-up people 1 new one gets it."),
        (
            StageReach(100, 0, 0, 0, 0, TargetReach(1, 1, 0, 0, 0)),
            "Of 100 made-up people nobody gets anything else. Of 1 individual target nobody gets anything else.",
        ),
        (
            StageReach(100, 9, 0, 0, 12, TargetReach(8_000, 500, 1, 0, 2, 40)),
            "Of 100 made-up people 12 have it, 9 of them new. Of the first 500 of 8,000 individual targets 40 have it, "
            "1 of them new; 2 get something else.",
        ),
    ],
)
def test_reach__in_words(reach: StageReach, words: str) -> None:
    assert reach.sentence == words


def test_reach__of_each_stage__is_about_its_share_and_takes_nothing_away(bench: PlanBench) -> None:
    found = dry(bench.plan(environment=bench.staging))

    exposed = [(reach.exposed or 0) / reach.people for reach in found.reach]
    assert all(abs(part - share) < 0.03 for part, share in zip(exposed, (0.1, 0.5, 1.0), strict=True))
    assert [reach.lost for reach in found.reach] == [0, 0, 0]
    assert sum(reach.gained for reach in found.reach) == found.reach[0].people
    assert f"people 2,000 have it, {found.reach[-1].gained:,} of them new" in found.reach[-1].sentence


def test_reach__stage_that_narrows__says_who_still_has_it(bench: PlanBench) -> None:
    stages = stages_of(shares=((50_000, 5), (10_000, 5)))

    first, second = dry(bench.plan(environment=bench.staging, stages=stages, is_confirmed=True)).reach

    assert first.exposed is not None
    assert second.exposed == first.exposed - second.lost
    assert f"{second.exposed:,} have it; {second.lost:,} lose it" in second.sentence


def test_reach__several_flags_in_step__says_how_many_are_new_and_claims_no_total(bench: PlanBench) -> None:
    other = bench.world.flag("search")
    bench.world.serve(other, bench.staging, percent_document(other.key, 0))

    reach = dry(bench.plan(definition_of(bench.flag.key, other.key), environment=bench.staging)).reach[0]

    assert reach.exposed is None
    assert f"{reach.gained:,} new ones get it" in reach.sentence


def test_reach__individual_targets__are_counted_beside_the_made_up_people(bench: PlanBench) -> None:
    targets = [{"variant": "on", "keys": ["ana", "bo"]}, {"variant": "off", "keys": ["cy"]}]
    off = {**bench.served(bench.staging), "enabled": False, "targets": targets}
    bench.world.serve(bench.flag, bench.staging, off)
    on = Stage("On", (Patch("checkout-redesign", enabled=True),), Gates(soak_minutes=5))
    share = stages_of(shares=((50_000, 5),))

    first, second = dry(bench.plan(environment=bench.staging, stages=(on, *share))).reach

    assert (first.targets, second.targets) == (TargetReach(3, 3, 2, 0, 0, 2), TargetReach(3, 3, 0, 0, 0))
    assert "Of 3 individual targets 2 have it, 2 of them new." in first.sentence


def test_reach__very_many_individual_targets__are_asked_in_part(bench: PlanBench) -> None:
    targets = [{"variant": "on", "keys": [f"key-{number}" for number in range(MOST_TARGETS + 1)]}]
    bench.world.serve(bench.flag, bench.staging, {**bench.served(bench.staging), "targets": targets})

    reach = dry(bench.plan(environment=bench.staging)).reach[0]

    assert reach.targets == TargetReach(MOST_TARGETS + 1, MOST_TARGETS, MOST_TARGETS, 0, 0, MOST_TARGETS)


def test_reach__asked_twice__is_the_same_and_writes_nothing(bench: PlanBench) -> None:
    plan = bench.plan(environment=bench.staging)
    bench.staging.refresh_from_db()
    revision = bench.staging.revision

    assert dry(plan) == dry(plan)
    bench.staging.refresh_from_db()
    assert bench.staging.revision == revision


def test_depends__parent_off_and_child__are_named(bench: PlanBench) -> None:
    parent = bench.world.flag("payments")
    bench.world.serve(parent, bench.staging, percent_document(parent.key, 0, enabled=False))
    needs = [{"flag": parent.key, "variants": ["on"]}]
    document = {**percent_document(bench.flag.key, 0), "rules": [], "prerequisites": needs}
    bench.world.serve(bench.flag, bench.staging, document)
    behind(bench, "express-checkout", bench.flag.key)

    said = dry(bench.plan(environment=bench.staging)).depends

    assert "payments" in said[0]
    assert "switched off now" in said[0]
    assert said[1].startswith("express-checkout needs checkout-redesign")


def test_protected__approvals_are_told(bench: PlanBench) -> None:
    bench.require(2)

    assert dry(bench.plan()).approvals == 2
    assert dry(bench.plan(environment=bench.staging)).approvals == 0


@pytest.mark.parametrize("kind", ["direction", "flips_share"])
def test_protected__rules_that_would_apply__are_told(bench: PlanBench, kind: str) -> None:
    subject = rule(conditions=(condition(kind),))
    document = subject.as_json()
    told: dict[str, Any] = {"actor": actor_of(bench.world.ada), "reason": "Test", "now": NOW}
    set_rule(bench.world.project.pk, key=subject.key, document=document, **told)

    (finding,) = dry(bench.plan()).findings

    assert finding.rule_key == subject.key
    assert not finding.unknown
    assert dry(bench.plan(environment=bench.staging)).findings == ()


def test_command__prints_dates_shares_waits_and_people(bench: PlanBench) -> None:
    plan = bench.plan(environment=bench.staging)
    today = timezone.now()
    window = freeze(bench.world, today, today + timedelta(days=1), environments=[bench.staging])
    out = StringIO()

    call_command("dry_run_plan", plan.number, project=plan.project.key, stdout=out)

    text = out.getvalue()
    assert "UTC  1. 10 %\n" in text
    assert "After 30 minutes." in text
    assert "made-up people" in text
    assert window.title in text
    assert "done at the earliest" in text


@pytest.mark.parametrize(("number", "project"), [(999, "shop"), (1, "nowhere")])
def test_command__unknown_plan__says_so(bench: PlanBench, number: int, project: str) -> None:
    with pytest.raises(CommandError, match="no plan with this number") as ended:
        call_command("dry_run_plan", number, project=project)
    assert ended.value.returncode == 2
