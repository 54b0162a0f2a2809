"""New values behind variants in the editor of plans: typed, checked at their fields, shown before and after."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse

from flags.documents import initial_document
from rollouts.admin.plans.posted import definition_from, fields_of_definition
from rollouts.admin.plans.shapes import usual_fields
from rollouts.admin.plans.typed import Typed
from rollouts.admin.plans.values import FlagValues, read_text, value_fields, value_text
from rollouts.models import RolloutPlan
from rollouts.plans.codec import from_json
from rollouts.plans.definition import Strategy
from rollouts.plans.value_changes import ValueChange, value_changes
from tests.factories import World
from tests.rollouts.plans.support import PlanBench
from tests.support.admin import HOSTILE, signed_in, text_of

ADD = "admin:rollouts_rolloutplan_add"
LIMIT = "upload-limit"
SCHEMA = {"type": "object", "properties": {"limit": {"type": "integer", "maximum": 9}}, "required": ["limit"]}
VALUES: dict[str, tuple[Any, Any]] = {
    "boolean": (True, False),
    "string": ("old text", ""),
    "integer": (10, 20),
    "float": (0.5, 1.5),
    "object": ({"limit": 1}, {"limit": 2}),
}


@pytest.fixture
def bench(world: World) -> PlanBench:
    return PlanBench(world, world.first_flag)


def known_of(kind: str, schema: dict[str, Any] | None = None) -> dict[str, FlagValues]:
    on, off = VALUES[kind]
    return {LIMIT: FlagValues(LIMIT, kind, schema, {"on": on, "off": off})}


def name_of(variant: str, prefix: str = "blue_green") -> str:
    return f"{prefix}-new/{LIMIT}/{variant}"


def form(**fields: str) -> dict[str, str]:
    """A switch of the flag to new values; `fields` are those of its variants."""
    typed = {name_of(variant): text for variant, text in fields.items()}
    chosen = {"flags": "1", "flag-0": LIMIT, "variant-0": "on", "against-0": "off", "strategy": "blue_green"}
    return {**usual_fields(), **chosen, "title": "New limits", "blue_green-switch": "values", "do": "save", **typed}


def rows(*stages: dict[str, str]) -> dict[str, str]:
    """Stages of one's own, each with new values."""
    found = {**form(), "strategy": "custom", "rows": str(len(stages))}
    for number, fields in enumerate(stages):
        found |= {f"row-{number}-kind": "values", f"row-{number}-soak": "30"}
        found |= {name_of(variant, f"row-{number}"): text for variant, text in fields.items()}
    return found


def limited(bench: PlanBench, kind: str = "integer", schema: dict[str, Any] | None = None) -> Any:
    """A flag of a type, served in staging with the values of the table."""
    on, off = ({"limit": 1}, {"limit": 2}) if schema else VALUES[kind]
    variants = [{"name": "on", "value": on}, {"name": "off", "value": off}]
    flag = bench.world.flag(LIMIT, value_type=kind, value_schema=schema, variants=variants)
    document = initial_document(LIMIT, kind, variants)
    bench.world.serve(flag, bench.staging, {**document, "enabled": True, "default_variant": "on"})
    return flag


def post(bench: PlanBench, fields: dict[str, str]) -> Any:
    return signed_in(bench.world.rita).post(f"{reverse(ADD)}?environment={bench.staging.pk}", fields, follow=True)


# Pure


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (True, "boolean"),
        (False, "boolean"),
        ("plain", "string"),
        ("", "string"),
        (" blanks ", "string"),
        ('"quoted"', "string"),
        ("two\nlines", "string"),
        ("12", "string"),
        ("ÄÖ ☃", "string"),
        (0, "integer"),
        (-7, "integer"),
        (0.1, "float"),
        (2.0, "float"),
        ({}, "object"),
        ({"a": [1, None, "ü"]}, "object"),
    ],
)
def test_value__shown_and_read_again__is_the_same(value: Any, kind: str) -> None:
    again = read_text(value_text(value).strip(), kind)

    assert again == value
    assert type(again) is type(value)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("yes", "boolean"),
        ("1", "boolean"),
        ('"open', "string"),
        ("1.5", "integer"),
        ("many", "integer"),
        ("NaN", "float"),
        ("1e999", "float"),
        ("[1]", "object"),
        ("{", "object"),
        ('{"a": NaN}', "object"),
    ],
)
def test_value__of_another_type__is_refused_with_a_sentence(text: str, kind: str) -> None:
    with pytest.raises(ValidationError) as refused:
        read_text(text, kind)

    assert str(refused.value.messages[0]).endswith(".")


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [("boolean", "false", False), ("string", '""', ""), ("integer", " 12 ", 12), ("float", "3", 3.0)],
)
def test_switch__to_new_values__is_one_stage(kind: str, text: str, value: Any) -> None:
    definition = definition_from(Typed(form(on=text)), [], known=known_of(kind))

    assert definition is not None
    assert definition.strategy is Strategy.BLUE_GREEN
    (patch,) = definition.stages[0].patches
    assert (patch.values, patch.variant, patch.weight, patch.enabled) == ({"on": value}, None, None, True)


@pytest.mark.parametrize(
    ("kind", "schema", "typed", "words"),
    [
        ("integer", None, {"on": "many"}, "whole number"),
        ("integer", None, {}, "at least one variant"),
        ("object", SCHEMA, {"on": '{"limit": 10}'}, "The schema of this flag refuses this"),
        ("object", SCHEMA, {"on": "{}"}, "required"),
        ("string", None, {"on": '"open'}, "Close the quotes"),
    ],
)
@pytest.mark.parametrize("is_shaped", [True, False])
def test_values__that_cannot_be__are_named_at_their_field(
    kind: str, schema: Any, typed: dict[str, str], words: str, is_shaped: bool
) -> None:
    fields = Typed(form(**typed) if is_shaped else rows(typed))

    assert definition_from(fields, [], known=known_of(kind, schema)) is None
    prefix = "blue_green" if is_shaped else "row-0"
    where = name_of("on", prefix) if typed or is_shaped else f"{prefix}-values"
    assert words in fields.problems[where]
    assert next(one.typed for one in value_fields(fields, prefix, known_of(kind))) == typed.get("on", "")


def test_values__shown_as_rows_and_read_again__are_the_same() -> None:
    known = known_of("object")
    definition = definition_from(
        Typed(rows({"on": '{"limit": 5}'}, {"on": '{"limit": 6}', "off": "{}"})), [], known=known
    )
    assert definition is not None

    fields = {**fields_of_definition(definition), "variant-0": "on", "against-0": "off"}
    again = definition_from(Typed(fields), [], definition, known)

    assert again == definition
    assert fields["row-1-kind"] == "values"


def test_value_changes__stage_by_stage__say_before_and_after() -> None:
    def document(on: int) -> dict[str, Any]:
        return {"variants": [{"name": "on", "value": on}, {"name": "off", "value": 0}]}

    found = value_changes({LIMIT: document(1)}, [{LIMIT: document(2)}, {}, {LIMIT: document(2)}, {LIMIT: document(1)}])

    assert found == ((ValueChange(LIMIT, "on", 1, 2),), (), (), (ValueChange(LIMIT, "on", 2, 1),))


# The pages


@pytest.mark.parametrize(("kind", "text"), [("integer", "25"), ("string", '" new"'), ("object", '{"limit": 3}')])
def test_add__new_values__are_saved_and_shown_before_and_after(bench: PlanBench, kind: str, text: str) -> None:
    limited(bench, kind, SCHEMA if kind == "object" else None)

    shown = text_of(post(bench, {**form(off=text, on=text), "do": "preview"}))
    page = text_of(post(bench, form(on=text)))

    plan = RolloutPlan.objects.get()
    assert from_json(plan.definition).stages[0].patches[0].values == {"on": read_text(text, kind)}
    assert "<del>" in shown
    assert "New values" in page
    assert "<ins>" in page


def test_add__wrong_value__is_said_at_the_field_and_nothing_is_lost(bench: PlanBench) -> None:
    limited(bench, "object", SCHEMA)

    response = post(bench, form(on='{"limit": 99}', off=HOSTILE))

    text = text_of(response)
    assert response.status_code == 400
    assert "The schema of this flag refuses this" in text
    assert "{&quot;limit&quot;: 99}" in text
    assert "Write a JSON object" in text
    assert HOSTILE not in text
    assert not RolloutPlan.objects.exists()


def test_edit__stored_values__come_back_into_their_fields(bench: PlanBench) -> None:
    limited(bench)
    post(bench, form(on="25"))
    plan = RolloutPlan.objects.get()

    text = text_of(signed_in(bench.world.rita).get(reverse("admin:rollouts_rolloutplan_edit", args=[plan.pk])))

    assert f'name="row-0-new/{LIMIT}/on" value="25"' in text
    assert "Now <code>10</code>" in text


def test_spell_out__a_switch_to_new_values__becomes_a_row(bench: PlanBench) -> None:
    limited(bench)

    text = text_of(post(bench, {**form(on="25"), "do": "spell_out"}))

    assert f'name="row-0-new/{LIMIT}/on" value="25"' in text
    assert 'id="strategy-custom" value="custom" checked' in text
