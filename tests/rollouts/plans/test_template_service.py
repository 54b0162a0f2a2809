"""Templates of a project: versions, who saves them, what is offered."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from audits.errors import GovernanceError
from audits.models import AuditEvent
from flags.permissions import Role
from flags.services.tickets import governed_write
from rollouts.models import PlanTemplate
from rollouts.plans.codec import from_json
from rollouts.plans.definition import PlanDefinition
from rollouts.plans.templates import AGAINST, BUILT_IN, FLAG, VARIANT, as_template, fill
from rollouts.selectors.plans.templates import first_choice, templates_of
from rollouts.services.plans.templates import retire_template, save_template
from tests.factories import NOW, World, actor_of
from tests.rollouts.plans.support import PlanBench, definition_of

pytestmark = pytest.mark.django_db


def template() -> PlanDefinition:
    """The bench's plan without its flag."""
    return as_template(definition_of(), flag_key="checkout-redesign", variant="on", against="off")


def saved(world: World, *, by: Any = None, **wanted: Any) -> PlanTemplate:
    """Rita saves one."""
    fields = {"key": "careful", "name": "Careful", "definition": template(), "now": NOW, **wanted}
    return save_template(world.project.pk, actor=actor_of(by or world.rita), **fields)


def test_a_version_never_changes_and_the_highest_is_offered(world: World) -> None:
    first = saved(world)
    second = saved(world, name="More careful", seen_version=1)
    assert [(one.name, one.version) for one in templates_of(world.project.pk)] == [("More careful", 2)]
    assert PlanTemplate.objects.get(pk=first.pk).name == "Careful"
    fixed: tuple[dict[str, Any], ...] = ({"definition": {}}, {"version": 7}, {"kinds": ["release"]})
    for fields in fixed:
        with pytest.raises(IntegrityError), transaction.atomic(), governed_write(world.project.pk):
            PlanTemplate.objects.filter(pk=second.pk).update(**fields)
    event = json.loads(AuditEvent.objects.filter(action="plan_template.saved").latest("sequence").data)
    assert (event["key"], event["version"]) == ("careful", 2)


def test_whoever_saw_an_older_version_looks_again(world: World) -> None:
    saved(world)
    with pytest.raises(GovernanceError) as refused:
        saved(world, name="Mine")
    assert refused.value.code == "concurrent_update"


@pytest.mark.parametrize("name", ["vera", "abel", "rolf", "otto", "ada"])
def test_editors_of_any_environment_save_and_retire(world: World, name: str) -> None:
    saved(world)
    person = getattr(world, name)
    for act in (
        lambda: saved(world, by=person, seen_version=1),
        lambda: retire_template(world.project.pk, key="careful", actor=actor_of(person), now=NOW),
    ):
        with pytest.raises(GovernanceError) as refused:
            act()
        assert refused.value.code == "permission_missing"
    world.grant(world.otto, world.development, Role.EDITOR)
    assert saved(world, by=world.otto, seen_version=1).version == 2


def test_retired_it_is_not_offered_until_it_is_saved_again(world: World) -> None:
    saved(world)
    for _ in range(2):
        retire_template(world.project.pk, key="careful", actor=actor_of(world.rita), now=NOW)
    assert templates_of(world.project.pk) == []
    assert AuditEvent.objects.filter(action="plan_template.retired").count() == 1
    saved(world, seen_version=1)
    assert [one.version for one in templates_of(world.project.pk)] == [2]


def test_of_two_first_choices_the_later_counts(world: World) -> None:
    saved(world, key="one", kinds=["release", "experiment"])
    saved(world, key="two", kinds=["release"], now=NOW + timedelta(hours=1))
    offered = templates_of(world.project.pk)
    assert [getattr(first_choice(offered, kind), "key", None) for kind in ("release", "experiment", "permission")] == [
        "two",
        "one",
        None,
    ]


@pytest.mark.parametrize(
    "wanted",
    [
        {"key": "not a key"},
        {"name": " "},
        {"kinds": ["holiday"]},
        {"definition": replace(template(), stages=())},
        {"definition": definition_of("checkout-redesign", "payment-button")},
    ],
)
def test_what_cannot_be_a_template_is_refused(world: World, wanted: dict[str, Any]) -> None:
    with pytest.raises(GovernanceError) as refused:
        saved(world, **wanted)
    assert refused.value.code in {"invalid_input", "invalid_plan"}
    assert not PlanTemplate.objects.exists()


def test_a_plan_made_of_it_keeps_what_it_had(bench: PlanBench) -> None:
    kept = saved(bench.world)
    definition = fill(from_json(kept.definition), flag_key="checkout-redesign", variant="on", against="off")
    plan = bench.plan(definition, template_id=kept.pk)
    saved(bench.world, definition=BUILT_IN[0].definition, seen_version=1)
    assert plan.template == kept
    assert len(plan.definition["stages"]) == 3


def test_placeholders_are_what_they_are_called() -> None:
    patch = template().stages[0].patches[0]
    assert (patch.flag_key, patch.variant, patch.against) == (FLAG, VARIANT, AGAINST)
