"""What is left of a plan means the same as the stages that were not reached."""

from dataclasses import replace

import pytest

from rollouts.plans.copying import rest_of
from rollouts.plans.definition import Patch, PlanDefinition
from rollouts.plans.patches import documents_of, share_of
from tests.rollouts.plans.shapes import KEY, flag_document, guard, plan, share, stage

GROWS = plan(
    stage("10 %", Patch(KEY, enabled=True, variant="on", against="off", weight=10_000)),
    stage("50 %", Patch(KEY, weight=50_000)),
    stage("100 %", Patch(KEY, weight=100_000)),
)
TURNS = plan(
    stage("10 % get on", Patch(KEY, variant="on", against="off", weight=10_000)),
    stage("10 % get off", Patch(KEY, variant="off", against="on")),
)
SEGMENTS = plan(
    stage("Beta", Patch(KEY, variant="on", segment="beta")),
    stage("Staff", Patch(KEY, segment="staff")),
    stage("Half", Patch(KEY, weight=50_000)),
)
OFF = plan(stage("10 %", share(10_000)), stage("Off", Patch(KEY, enabled=False)), stage("On", Patch(KEY, enabled=True)))


@pytest.mark.parametrize("definition", [GROWS, SEGMENTS, OFF], ids=["grows", "segments", "off"])
def test_the_rest_leads_through_the_same_documents(definition: PlanDefinition) -> None:
    base = {KEY: flag_document()}
    whole = documents_of(definition, base)
    for reached in range(1, len(definition.stages)):
        rest = rest_of(definition, base, reached=reached)
        assert [item.name for item in rest.stages] == [item.name for item in definition.stages[reached:]]
        assert documents_of(rest, whole[reached - 1]) == whole[reached:]


def test_variants_that_change_places_keep_the_weight_that_was_reached() -> None:
    base = {KEY: flag_document()}
    whole = documents_of(TURNS, base)
    [last] = documents_of(rest_of(TURNS, base, reached=1), whole[0])
    assert share_of(last[KEY], "off") == share_of(whole[1][KEY], "off") == 10_000


@pytest.mark.parametrize("reached", [0, 3])
def test_one_that_reached_nothing_or_everything_is_copied_whole(reached: int) -> None:
    assert rest_of(GROWS, {KEY: flag_document()}, reached=reached) == GROWS


def test_flags_that_are_not_touched_any_more_are_left_out_with_their_guards() -> None:
    other = replace(guard("late"), flag_key="other")
    stages = (
        stage("One", share(10_000), is_monitored=True, soak_minutes=5),
        stage("Other", share(50_000, key="other"), is_monitored=True, minimum_sample=10, soak_minutes=5),
    )
    base = {KEY: flag_document(), "other": flag_document("other")}
    both = rest_of(plan(*stages, flags=(KEY, "other"), guards=(guard(), other)), base, reached=1)
    assert (both.flags, both.guards, both.stages) == (("other",), (other,), stages[1:])
    alone = rest_of(plan(*stages, flags=(KEY, "other"), guards=(guard(),)), base, reached=1)
    [gates] = [item.gates for item in alone.stages]
    assert (alone.guards, gates.is_monitored, gates.minimum_sample, gates.soak_minutes) == ((), False, 0, 5)
