"""Templates: filled for a flag, and made from a plan of one."""

from dataclasses import replace

import pytest

from flags.documents import initial_document
from rollouts.plans.checking import checked_documents
from rollouts.plans.codec import as_json, from_json
from rollouts.plans.definition import Check, CheckKind, GuardSource, Patch, PlanDefinition, Strategy
from rollouts.plans.strategies import exponential
from rollouts.plans.templates import BUILT_IN, as_template, built_in_for, fill, template_problems
from tests.rollouts.plans.shapes import KEY, flag_document, guard, plan, share, stage

QUERIES = {name: 'sum(x{flag="$flag",v="$variant",path=~"/a$"})' for name in ("n_control", "x_control")}
KINDS = ["release", "experiment", "operational", "kill_switch", "permission"]


@pytest.mark.parametrize("template", BUILT_IN, ids=lambda template: template.key)
def test_fill__built_in__is_a_plan_without_problems(template):
    filled = fill(template.definition, flag_key=KEY, variant="on", against="off")

    assert template_problems(template.definition) == []
    assert checked_documents(filled, {KEY: initial_document(KEY, "boolean")})
    assert "$" not in str(as_json(filled))


@pytest.mark.parametrize("kind", KINDS)
def test_built_in_for__flag_kind__is_its_first_choice(kind):
    assert kind in built_in_for(kind).kinds


def test_built_in_for__unknown_kind__is_the_usual_one():
    assert built_in_for("new").key == "step-by-step"


def test_fill__names_within_queries_and_addresses__are_escaped():
    check = Check("Is $flag well", CheckKind.HTTP, url="https://example.org/$flag?v=$variant")
    watched = replace(guard(), source=GuardSource.PROMETHEUS, queries=QUERIES)
    template = plan(stage("$flag", share(1_000), checks=(check,)), guards=(watched,))

    filled = fill(template, flag_key="new-prices", variant='a"} or vector(0)\\', against="&b")

    assert filled.stages[0].name == "new-prices"
    assert filled.stages[0].gates.checks[0].name == "Is new-prices well"
    assert filled.stages[0].gates.checks[0].url == "https://example.org/new-prices?v=a%22%7D%20or%20vector%280%29%5C"
    query = 'sum(x{flag="new-prices",v="a\\"} or vector(0)\\\\",path=~"/a$"})'
    assert filled.guards[0].queries == dict.fromkeys(QUERIES, query)


def test_as_template__plan_of_one_flag__is_filled_back_to_the_same_plan():
    stages = (*exponential(KEY, variant="on", against="off"), stage("new value", Patch(KEY, values={"on": "on"})))
    definition = PlanDefinition((KEY,), Strategy.CUSTOM, stages, (guard(),))

    template = as_template(definition, flag_key=KEY, variant="on", against="off")

    assert template.flags == ("$flag",)
    assert template.guards[0].treatment == "$variant"
    assert template.stages[-1].patches[0].values == {"$variant": "on"}
    assert fill(template, flag_key=KEY, variant="on", against="off") == definition
    assert from_json(as_json(template)) == template


def test_as_template__flag_called_like_a_variant__is_told_apart():
    definition = plan(stage("on", Patch("on", variant="on", against="off", weight=1)), flags=("on",))

    template = as_template(definition, flag_key="on", variant="on", against="off")

    assert (template.stages[0].name, template.stages[0].patches[0].flag_key) == ("on", "$flag")
    assert template.stages[0].patches[0].variant == "$variant"


def test_template_problems__stage_that_changes_nothing__is_found():
    template = as_template(plan(stage("a", share(1)), stage("b", share(1))), flag_key=KEY, variant="on", against="off")

    assert [path for path, _ in template_problems(template)] == ["stages.1.patches"]


def test_as_template__plan_of_a_flag_that_was_on__switches_the_next_one_on():
    template = as_template(plan(stage("a", share(1)), stage("b", share(2))), flag_key=KEY, variant="on", against="off")

    assert [one.patches[0].enabled for one in template.stages] == [True, None]
    assert template_problems(template) == []


def test_fill__another_flag__has_its_documents():
    filled = fill(built_in_for("operational").definition, flag_key="search", variant="on", against="off")

    first, _ = checked_documents(filled, {"search": flag_document("search", enabled=False)})

    assert first["search"]["enabled"] is True
