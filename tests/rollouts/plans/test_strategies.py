"""What the strategies make of their parameters."""

from typing import Any

import pytest

from flags.documents import initial_document
from rollouts.plans.checking import checked_documents
from rollouts.plans.definition import Options, PlanDefinition, Strategy
from rollouts.plans.patches import documents_at, share_of
from rollouts.plans.strategies import STRATEGIES, Care, blue_green, canary, custom, exponential, linear, ring
from tests.rollouts.plans.shapes import KEY, flag_document, guard

ARMS: dict[str, Any] = {"variant": "on", "against": "off"}
WATCHED = Care(is_monitored=True, minimum_sample=100, approvals=2, hold_back=5_000)

SHARES = [
    (linear(KEY, **ARMS, steps=4), [25_000, 50_000, 75_000, 100_000]),
    (linear(KEY, **ARMS, steps=3), [33_333, 66_666, 100_000]),
    (linear(KEY, **ARMS, steps=2, start=10_000, to=50_000), [30_000, 50_000]),
    (linear(KEY, **ARMS, steps=1), [100_000]),
    (exponential(KEY, **ARMS), [1_000, 5_000, 10_000, 25_000, 50_000, 100_000]),
    (exponential(KEY, **ARMS, care=WATCHED), [1_000, 5_000, 10_000, 25_000, 50_000, 95_000]),
    (linear(KEY, **ARMS, steps=10, care=Care(hold_back=20_000)), [n * 10_000 for n in range(1, 9)]),
    (canary(KEY, **ARMS), [5_000, 100_000]),
    (canary(KEY, **ARMS, weight=2_000), [2_000, 100_000]),
    (custom(KEY, **ARMS, shares=[(3_000, 5), (70_000, 10)]), [3_000, 70_000]),
]


@pytest.mark.parametrize(("stages", "expected"), SHARES)
def test_strategies__shares__are_those_of_the_stages(stages, expected):
    definition = PlanDefinition((KEY,), Strategy.CUSTOM, stages)
    base = {KEY: initial_document(KEY, "boolean")}

    documents = checked_documents(PlanDefinition((KEY,), Strategy.CUSTOM, stages, (guard(),)), base)

    served = [documents_at(number, base=base, documents=documents)[KEY] for number in range(1, len(stages) + 1)]
    assert [share_of(document, "on") for document in served] == expected
    assert all(document["enabled"] for document in served)
    assert definition.stages[0].patches[0].enabled is True


def test_strategies__monitored__until_nobody_is_left_to_compare_with():
    stages = exponential(KEY, **ARMS, care=Care(is_monitored=True, minimum_sample=100, approvals=2))

    assert [stage.gates.is_monitored for stage in stages] == [True] * 5 + [False]
    assert [stage.gates.minimum_sample for stage in stages] == [100] * 5 + [0]
    assert [stage.gates.approvals for stage in stages] == [0, 0, 0, 0, 2, 0]


def test_strategies__hold_back__keeps_the_last_stage_monitored():
    stages = exponential(KEY, **ARMS, care=WATCHED)
    definition = PlanDefinition((KEY,), Strategy.EXPONENTIAL, stages, (guard(),), Options(hold_back=5_000))

    checked_documents(definition, {KEY: flag_document()})

    assert all(stage.gates.is_monitored for stage in stages)


def test_custom__share_above_everybody__is_left_to_be_refused():
    stages = custom(KEY, **ARMS, shares=[(150_000, 5)], care=Care(hold_back=5_000))

    assert stages[0].patches[0].weight == 150_000


def test_ring__segments__come_in_order_and_stay_in():
    stages = ring(KEY, **ARMS, segments=["internal", "beta", "norway"], minutes=30)
    definition = PlanDefinition((KEY,), Strategy.RING, stages)

    documents = checked_documents(definition, {KEY: flag_document(enabled=False)})

    assert [stage.name for stage in stages] == ["internal", "beta", "norway", "Everyone"]
    assert [item["id"] for item in documents[2][KEY]["rules"]] == [
        "rollout-internal",
        "rollout-beta",
        "rollout-norway",
    ]
    assert share_of(documents[3][KEY], "on") == 100_000


def test_canary__long_watch__is_followed_by_a_short_one():
    small, everybody = canary(KEY, **ARMS, minutes=1_440)

    assert (small.gates.soak_minutes, everybody.gates.soak_minutes) == (1_440, 60)


def test_blue_green__values__are_switched_at_once():
    (switch,) = blue_green(KEY, values_after={"on": False}, minutes=15)

    (documents,) = checked_documents(PlanDefinition((KEY,), Strategy.BLUE_GREEN, (switch,)), {KEY: flag_document()})

    assert {item["name"]: item["value"] for item in documents[KEY]["variants"]} == {"on": False, "off": False}
    assert switch.gates.soak_minutes == 15


def test_blue_green__variant__is_served_to_everybody():
    (switch,) = blue_green(KEY, variant="on")

    (documents,) = checked_documents(PlanDefinition((KEY,), Strategy.BLUE_GREEN, (switch,)), {KEY: flag_document()})

    assert share_of(documents[KEY], "on") == 100_000


@pytest.mark.parametrize("strategy", Strategy)
def test_strategies__each__can_be_made_from_its_parameters(strategy):
    shape = STRATEGIES[strategy]
    values = {item.name: item.default for item in shape.parameters}

    stages = shape.stages(KEY, variant="on", **values)

    assert checked_documents(PlanDefinition((KEY,), strategy, stages), {KEY: flag_document()})
    assert shape.strategy is strategy
    assert shape.sentence.endswith(".")
