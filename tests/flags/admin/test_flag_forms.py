"""Creating flags and describing them."""

from typing import Any

import pytest
from django.urls import reverse

from audits.models import AuditEvent
from flags.models import Flag, FlagConfig
from tests.factories import World
from tests.support.admin import signed_in, text_of


def form(**fields: Any) -> dict[str, Any]:
    """A form that creates a flag."""
    return {
        "name": "Fast search", "key": "fast-search", "kind": "release", "value_type": "boolean", "description": "Quick",
        "tags": "search, q1", "links": "https://example.test/ticket/1", "owner": "", "value_schema": "",
        "variants-TOTAL_FORMS": "2", "variants-INITIAL_FORMS": "0", **fields,
    }  # fmt: skip


PARTS = ("name", "value")


def test_new_flag__editor__is_created_switched_off_where_nothing_is_protected(world: World) -> None:
    response = signed_in(world.rita).post(reverse("admin:flags_flag_add") + f"?project={world.project.key}", form())

    flag = Flag.objects.get(key="fast-search")
    assert response["Location"] == reverse("admin:flags_flag_change", args=[flag.pk])
    assert flag.tags == ["q1", "search"]
    configs = FlagConfig.objects.filter(flag=flag)
    assert {config.environment.key for config in configs} == {"development", "staging"}
    assert not any(config.document["enabled"] for config in configs)


@pytest.mark.parametrize(
    ("value_type", "typed", "stored"),
    [("string", "30 days", "30 days"), ("integer", "30", 30), ("float", "2.5", 2.5), ("object", '{"a": 1}', {"a": 1})],
)
def test_new_flag__typed_values__are_read_as_their_type(world: World, value_type: str, typed: str, stored: Any) -> None:
    fields = {"value_type": value_type, "variants-0-name": "default", "variants-0-value": typed}

    signed_in(world.rita).post(reverse("admin:flags_flag_add"), form(**fields))

    config = FlagConfig.objects.filter(flag__key="fast-search").first()
    assert config is not None
    assert [(item["name"], item["value"]) for item in config.document["variants"]] == [("default", stored)]


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"key": "not a key"}, "The key of a flag starts with a letter or digit"),
        ({"name": ""}, "Fill this in."),
        ({"kind": ""}, "Choose one."),
        ({"links": "javascript:alert(1)"}, "A link starts with https://"),
        ({"value_type": "integer", "variants-0-name": "a", "variants-0-value": "many"}, "Write a whole number"),
        ({"value_type": "object", "variants-0-name": "a", "variants-0-value": "[1]"}, "Write a JSON object"),
        ({"value_type": "float", "variants-0-name": "a", "variants-0-value": "nan"}, "Write a number"),
        ({"value_type": "float", "variants-0-name": "a", "variants-0-value": "1e999"}, "Write a number"),
        ({"value_type": "object", "variants-0-name": "a", "variants-0-value": '{"a": NaN}'}, "Write a JSON"),
        ({"value_type": "object", "variants-0-name": "a", "variants-0-value": r'{"a": "\ud800"}'}, "Write a JSON"),
        ({"value_type": "integer", "variants-0-name": "a", "variants-0-value": "9" * 400}, ""),
        ({"value_type": "object", "variants-0-name": "a", "variants-0-value": "[" * 5000}, "Write a JSON object"),
        ({"value_type": "string"}, "Give at least one variant"),
        ({"value_type": "string", "variants-TOTAL_FORMS": "x"}, ""),
        ({"value_type": "soup"}, "Select a valid choice"),
        ({"owner": "not-a-person"}, "is not a valid UUID"),
    ],
)
def test_new_flag__something_wrong__says_what_and_keeps_what_was_typed(
    world: World, fields: dict[str, str], sentence: str
) -> None:
    response = signed_in(world.rita).post(
        reverse("admin:flags_flag_add"), form(description="Typed with care", **fields)
    )

    assert response.status_code == 200
    assert "Typed with care" in text_of(response)
    assert sentence in text_of(response)
    assert not Flag.objects.exists()


@pytest.mark.parametrize(
    ("schema", "sentence"),
    [
        ("[" * 100_000, "This is not valid JSON"),
        ("[" * 900 + "]" * 900, "JSON"),
        ("[[1]]", "Give the schema as a JSON object"),
        ('{"a": ' * 60 + "1" + "}" * 60, "levels deep"),
        ('{"minimum": ' + "9" * 5000 + "}", "This is not valid JSON"),
        ('{"minimum": 1e400}', "This is not valid JSON"),
        ('{"minimum": NaN}', "NaN is no JSON number"),
        (r'{"title": "\ud800"}', "Remove the broken character"),
        (r'{"title": "\u0000"}', "Remove the NUL character"),
        ('{"title": "a", "title": "b"}', "is there twice"),
        ('{"$ref": "#/title/x", "title": "x"}', "cannot be followed"),
        ('{"$schema": "http://json-schema.org/draft-03/schema#"}', "draft/2020-12"),
        ('{"type": 5}', "This is not valid JSON Schema"),
        ("true", "Give the schema as a JSON object"),
    ],
)
def test_new_flag__hostile_schema__is_an_error_of_the_form(world: World, schema: str, sentence: str) -> None:
    fields = {"value_type": "object", "variants-0-name": "a", "variants-0-value": '{"a": 1}', "value_schema": schema}

    response = signed_in(world.rita).post(reverse("admin:flags_flag_add"), form(**fields))

    assert response.status_code == 200
    assert sentence in text_of(response)
    assert not Flag.objects.exists()


def test_new_flag__many_things_wrong__are_all_said_at_their_fields(world: World) -> None:
    rows = [("a", "9" * 26), ("a", "2"), ("", "3"), ("b", "many")]
    typed = {f"variants-{n}-{part}": text for n, row in enumerate(rows) for part, text in zip(PARTS, row, strict=True)}
    fields = {"key": "My Flag!!", "links": "notalink\njavascript:", "tags": "x" * 41, "value_type": "integer", **typed}

    response = signed_in(world.rita).post(
        reverse("admin:flags_flag_add"), form(**{"variants-TOTAL_FORMS": "4", **fields})
    )

    text = text_of(response)
    said = {name: " ".join(response.context["form"].errors.get(name, [])) for name in ("key", "links", "tags")}
    assert said["key"].startswith("The key of a flag starts with")
    assert said["links"].startswith("A link starts with")
    assert said["tags"] == "It has 41 characters; 40 are the most."
    assert [sorted(row.errors) for row in response.context["variants"]] == [["value"], ["name"], ["name"], ["value"]]
    assert "There are two variants named “a”. Rename one." in text
    assert 'aria-describedby="id_key_helptext id_key_error"' in text
    assert 'id="id_key_error"' in text
    assert "Nothing was saved yet. Put right what is marked below" in text
    for kept in ("My Flag!!", "notalink", "9" * 26, "many"):
        assert kept in text
    assert not Flag.objects.exists()


def test_new_flag__values_that_do_not_fit_the_schema__are_marked(world: World) -> None:
    fields = {"value_type": "object", "variants-0-name": "a", "variants-0-value": '{"a": 1}', "key": "My Flag!!"}

    response = signed_in(world.rita).post(
        reverse("admin:flags_flag_add"), form(**fields, value_schema='{"required": ["b"]}')
    )

    assert sorted(response.context["variants"].forms[0].errors) == ["value"]
    assert "key" in response.context["form"].errors


def test_new_flag__switched_off__says_plainly_what_everyone_would_get(world: World) -> None:
    response = signed_in(world.rita).post(reverse("admin:flags_flag_add"), form(), follow=True)

    assert "When switched on, everyone would get “off”." in text_of(response)


def test_new_flag__protected_environment_out_of_sight__is_not_named(world: World) -> None:
    world.grant(world.rita, world.production)
    client, address = signed_in(world.rita), reverse("admin:flags_flag_add")

    assert "Production" not in text_of(client.get(address))
    assert "Production" not in text_of(client.post(address, form(), follow=True))


def test_new_flag__key_taken__says_so(world: World) -> None:
    world.flag("fast-search")

    response = signed_in(world.rita).post(reverse("admin:flags_flag_add"), form())

    assert "has a flag with the key fast-search already" in text_of(response)


@pytest.mark.parametrize("role", ["ada", "abel", "vera", "otto"])
def test_new_flag__not_an_editor__is_refused(world: World, role: str) -> None:
    response = signed_in(getattr(world, role)).post(
        reverse("admin:flags_flag_add") + f"?project={world.project.key}", form()
    )

    assert response.status_code in {403, 404}
    assert not Flag.objects.exists()


def test_details__editor__are_saved_and_recorded(world: World, flag: Flag) -> None:
    fields = {
        "name": "One page checkout",
        "kind": "experiment",
        "description": "",
        "tags": "",
        "links": "",
        "owner": "",
    }

    response = signed_in(world.rita).post(reverse("admin:flags_flag_edit", args=[flag.pk]), fields)

    flag.refresh_from_db()
    assert response.status_code == 302
    assert (flag.name, flag.kind) == ("One page checkout", "experiment")
    assert AuditEvent.objects.filter(action="flag.updated", flag_key=flag.key, via="admin").count() == 1


def test_details__key_and_type_sent_along__stay(world: World, flag: Flag) -> None:
    fields = {"name": "New", "kind": "release", "key": "other", "value_type": "string", "project": "x"}

    signed_in(world.rita).post(reverse("admin:flags_flag_edit", args=[flag.pk]), fields)

    flag.refresh_from_db()
    assert (flag.key, flag.value_type) == ("checkout-redesign", "boolean")
