"""What flags need from each other, shown where people look: the flag's page, the matrix, the editor."""

import json
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from flags.models import Environment, Flag, FlagConfig
from flags.services.tickets import governed_write
from tests.factories import World, percent_document
from tests.support.admin import HOSTILE, signed_in, text_of

NEEDS = {"prerequisites": [{"flag": "parent", "variants": ["on"]}]}
WINDOW = {"starts_at": "2020-01-01T00:00:00Z", "ends_at": "2999-01-01T00:00:00Z"}
EVERYBODY = {"id": "all", "description": "", "condition": None, "serve": {"variant": "on"}}
SOME = {**EVERYBODY, "condition": {"attribute": "plan", "operator": "is_set", "value": None}}


@pytest.fixture
def parent(world: World) -> Flag:
    """A flag that staging serves to a quarter, and production to nobody."""
    parent = world.flag("parent", name="The parent")
    world.serve(parent, world.staging, percent_document(parent.key, 25))
    world.serve(parent, world.production, percent_document(parent.key, 25, enabled=False))
    return parent


@pytest.fixture
def child(world: World, parent: Flag) -> Flag:
    """A flag that needs the other one."""
    child = world.flag("child")
    for environment in (world.staging, world.production):
        world.serve(child, environment, {**percent_document(child.key, 50), **NEEDS})
    return child


def page_of(world: World, flag: Flag) -> str:
    text = text_of(signed_in(world.vera).get(reverse("admin:flags_flag_change", args=[flag.pk])))
    return text.replace("\u00a0", " ")


def card(text: str, environment: Environment) -> str:
    """The part of a flag's page that is about one environment."""
    return text.partition(f'id="{environment.key}"')[2].partition("</section>")[0]


def editor_data(world: World, flag: Flag, environment: Environment) -> dict[str, Any]:
    text = text_of(signed_in(world.rita).get(reverse("admin:flags_config_edit", args=[flag.pk, environment.pk])))
    data = text.partition('id="config-editor-data" type="application/json">')[2].partition("</script>")[0]
    return dict(json.loads(data))


def test_flag_page__parent_serves_it__is_needed_with_its_present_state(world: World, child: Flag) -> None:
    staging = card(page_of(world, child), world.staging)

    assert "needs <a" in staging
    assert "25 % on there now" in staging
    assert "fs-relation-unmet" not in staging


def test_flag_page__parent_is_off__is_waited_for(world: World, child: Flag, parent: Flag) -> None:
    production = card(page_of(world, child), world.production)

    assert "waits for" in production
    assert "off there now" in production
    assert f"{reverse('admin:flags_flag_change', args=[parent.pk])}#production" in production


def test_flag_page__others_need_it__are_named_where_they_do(world: World, parent: Flag, child: Flag) -> None:
    text = page_of(world, parent)

    assert "1 flag depends on this" in card(text, world.staging)
    assert "depend" not in card(text, world.development)


def test_flag_page__targets_windows_and_clients__are_said(world: World, parent: Flag) -> None:
    targets = [{"variant": "on", "keys": [f"user-{number}" for number in range(5)]}]
    rules = [{**SOME, **WINDOW}]
    document = {**percent_document(parent.key, 5), "rules": rules, "targets": targets, "client_visible": True}
    world.serve(parent, world.staging, document)

    staging = card(page_of(world, parent), world.staging)

    assert "“user-0”, “user-1”, “user-2” and 2 more" in staging
    assert "browsers and apps can see it" in staging
    assert "running" in staging
    assert "ends <time" in staging


def test_flag_page__rule_for_everyone_with_an_end__still_says_what_comes_after(world: World, parent: Flag) -> None:
    document = {**percent_document(parent.key, 5), "rules": [{**EVERYBODY, **WINDOW}]}
    world.serve(parent, world.staging, document)

    assert "Everyone else: “off”" in card(page_of(world, parent), world.staging)


def test_flag_page__hostile_keys__are_escaped(world: World, parent: Flag) -> None:
    targets = [{"variant": "on", "keys": [HOSTILE]}]
    world.serve(parent, world.staging, {**percent_document(parent.key, 5), "targets": targets})

    assert "<script>alert" not in page_of(world, parent)


def test_matrix__flags_that_need_each_other__are_marked(world: World, child: Flag) -> None:
    text = text_of(signed_in(world.vera).get(reverse("admin:flags_flag_changelist")))

    assert text.count("waits for parent") == 1
    assert text.count("flags depend on this") >= 2


def test_matrix__more_flags_with_prerequisites__same_number_of_queries(world: World, child: Flag) -> None:
    client, address = signed_in(world.vera), reverse("admin:flags_flag_changelist")
    client.get(address)
    with CaptureQueriesContext(connection) as few:
        client.get(address)

    for number in range(10):
        flag = world.flag(f"more-{number}")
        world.serve(flag, world.staging, {**percent_document(flag.key, 50), **NEEDS})
    with CaptureQueriesContext(connection) as many:
        client.get(address)

    assert len(many) == len(few) <= 14


def test_editor__parents__are_offered_with_what_they_serve_here(world: World, child: Flag, parent: Flag) -> None:
    here = {place: editor_data(world, child, place) for place in (world.staging, world.production)}

    offered = {place: data["flags"][0] for place, data in here.items()}
    assert [offered[place]["serves"] for place in here] == [["off", "on"], ["off"]]
    assert [offered[place]["state"].replace("\u00a0", " ") for place in here] == ["25 % on", "off"]
    assert offered[world.staging]["name"] == "The parent"
    assert here[world.staging]["zone"] == "UTC"


def test_editor__of_a_parent__names_the_flags_that_depend_on_it(world: World, parent: Flag, child: Flag) -> None:
    assert [item["name"] for item in editor_data(world, parent, world.staging)["children"]] == [child.name]
    assert editor_data(world, parent, world.development)["children"] == []


def serve_with(world: World, flag: Flag, **changes: Any) -> None:
    world.serve(flag, world.staging, {**percent_document(flag.key, 25), **changes})


def test_flag_page__parent_that_needs_what_is_off__serves_what_it_does_when_switched_off(world: World) -> None:
    grandparent, parent, child = (world.flag(key) for key in ("grandparent", "parent", "child"))
    serve_with(world, grandparent, enabled=False)
    needs = [{"flag": "grandparent", "variants": ["on"]}]
    serve_with(world, parent, default_variant="on", rules=[EVERYBODY], prerequisites=needs)
    serve_with(world, child, prerequisites=[{"flag": "parent", "variants": ["off"]}])
    matrix = f"{reverse('admin:flags_flag_changelist')}?project={world.project.key}"

    assert "waits for" not in card(page_of(world, child), world.staging)
    assert "waits for grandparent" in text_of(signed_in(world.vera).get(matrix))
    assert "waits for parent" not in text_of(signed_in(world.vera).get(matrix))
    serve_with(world, child, prerequisites=[{"flag": "parent", "variants": ["on"]}])
    assert "waits for" in card(page_of(world, child), world.staging)
    facts = {item["key"]: item["serves"] for item in editor_data(world, child, world.staging)["flags"]}
    assert facts == {"grandparent": ["off"], "parent": ["off"]}


def test_flag_page__parent_whose_rule_is_over__is_waited_for(world: World) -> None:
    parent, child = world.flag("parent"), world.flag("child")
    serve_with(world, parent, rules=[{**EVERYBODY, "ends_at": "2020-01-01T00:00:00Z"}])
    serve_with(world, child, **NEEDS)

    assert "waits for" in card(page_of(world, child), world.staging)


def test_pages__parent_that_does_not_exist__is_named_without_a_link(world: World, child: Flag) -> None:
    stored = FlagConfig.objects.get(flag=child, environment=world.staging)
    with governed_write(world.staging.pk):
        gone = {**stored.document, "prerequisites": [{"flag": "gone", "variants": ["on"]}]}
        FlagConfig.objects.filter(pk=stored.pk).update(document=gone)
    matrix = text_of(signed_in(world.vera).get(f"{reverse('admin:flags_flag_changelist')}?project={world.project.key}"))
    page = card(page_of(world, child), world.staging)

    assert "waits for <b>gone</b>" in page
    assert "there is no such flag" in page
    assert "waits for gone" in matrix
    assert "00000000-" not in page + matrix
