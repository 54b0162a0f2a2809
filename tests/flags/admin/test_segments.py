"""Segments through HTTP: the list with its usage, the editor, saving and proposing."""

import json
from html import unescape
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from flags.models import Flag, Segment
from flags.services.attributes import declare_attribute
from flags.services.configs import edit_segment
from tests.factories import NOW, World, actor_of, percent_document
from tests.support.admin import HOSTILE, signed_in, text_of

BETA = {"schema": 1, "condition": {"attribute": "beta", "operator": "is_true", "value": None}}
GOLD = {"schema": 1, "condition": {"attribute": "plan", "operator": "in", "value": ["gold"]}}


def make_segment(world: World, key: str = "beta", name: str = "Beta", document: Any = None) -> Segment:
    """A segment of staging."""
    edit_segment(
        world.staging.pk,
        actor=actor_of(world.rita),
        key=key,
        name=name,
        document=document or BETA,
        base_version=0,
        reason="Test",
        now=NOW,
    )
    return Segment.objects.get(environment=world.staging, key=key)


@pytest.fixture
def segment(world: World) -> Segment:
    return make_segment(world)


def posted(document: Any, *, base_version: int = 0, **fields: Any) -> dict[str, Any]:
    text = document if isinstance(document, str) else json.dumps(document)
    given = {"key": "gold", "name": "Gold", "reason": "Because", **fields}
    return {"document": text, "base_version": str(base_version), **given}


def edit_url(segment: Segment) -> str:
    return reverse("admin:flags_segment_edit", args=[segment.pk])


def add_url(environment: Any) -> str:
    return f"{reverse('admin:flags_segment_add')}?environment={environment.pk}"


def typed_document(response: Any) -> str:
    _, _, rest = text_of(response).partition('name="document"')
    return unescape(rest.partition(">")[2].partition("</textarea>")[0])


@pytest.mark.parametrize(
    ("role", "listing", "editor"),
    [
        ("rita", 200, 200),
        ("vera", 200, 403),
        ("abel", 200, 403),
        ("rolf", 200, 403),
        ("ada", 200, 403),
        ("otto", 404, 404),
    ],
)
def test_pages__every_role__shown_or_refused(
    world: World, segment: Segment, role: str, listing: int, editor: int
) -> None:
    client = signed_in(getattr(world, role))
    list_url = f"{reverse('admin:flags_segment_changelist')}?project={world.project.key}"

    assert client.get(list_url).status_code == listing
    assert client.get(edit_url(segment)).status_code == editor
    assert client.get(add_url(world.staging)).status_code == editor


def test_list__segment_in_use__names_the_flags(world: World, segment: Segment) -> None:
    flag = world.flag("checkout", name="Checkout page")
    rule = {"id": "r1", "description": "", "condition": {"not": {"segment": "beta"}}, "serve": {"variant": "on"}}
    world.serve(flag, world.staging, {**percent_document(flag.key, 5), "rules": [rule]})

    text = text_of(signed_in(world.vera).get(reverse("admin:flags_segment_changelist")))

    assert "Checkout page" in text
    assert "beta is true" in text
    assert "New segment" not in text


def test_list__more_segments_and_flags__same_number_of_queries(world: World, segment: Segment) -> None:
    client, address = signed_in(world.vera), reverse("admin:flags_segment_changelist")
    client.get(address)
    with CaptureQueriesContext(connection) as few:
        client.get(address)

    for number in range(8):
        make_segment(world, f"more-{number}")
        world.flag(f"flag-{number}")
    with CaptureQueriesContext(connection) as many:
        client.get(address)

    assert len(many) == len(few)
    assert len(many) <= 14


def test_list__empty__says_what_to_do(world: World) -> None:
    text = text_of(signed_in(world.rita).get(reverse("admin:flags_segment_changelist")))

    assert "No segment yet" in text
    assert add_url(world.staging) in text


def test_add__open_environment__is_there_at_once(world: World) -> None:
    response = signed_in(world.rita).post(add_url(world.staging), posted(GOLD))

    segment = Segment.objects.get(environment=world.staging, key="gold")
    assert response.status_code == 302
    assert (segment.name, segment.version, segment.document) == ("Gold", 1, GOLD)


def test_edit__open_environment__is_the_next_version(world: World, segment: Segment) -> None:
    fields = posted(GOLD, base_version=1, key="forged", name="Golden")

    response = signed_in(world.rita).post(edit_url(segment), fields)

    segment.refresh_from_db()
    assert response.status_code == 302
    assert (segment.key, segment.name, segment.version, segment.document) == ("beta", "Golden", 2, GOLD)
    assert not Segment.objects.filter(key="forged").exists()


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"reason": ""}, "Say why"),
        ({"name": "  "}, "name"),
        ({"key": "no blanks"}, "key"),
        ({"key": "../x"}, "key"),
        ({"key": ""}, "key"),
        ({"key": "a\x00b"}, "key"),
        ({"name": "a\x00b"}, "name"),
        ({"reason": "a\x00b"}, "reason"),
        ({"document": "{"}, "not valid JSON"),
        ({"document": '{"schema": 1, "condition": null}'}, "at least one condition"),
        ({"document": '{"schema": 1, "condition": {"segment": "nowhere"}}'}, "There is no segment"),
        ({"document": "[" * 5000}, "not valid JSON"),
        (
            {"document": '{"schema": 1, "condition": {"attribute": "\\ud800", "operator": "is_set"}}'},
            "broken character",
        ),
        ({"key": "beta", "base_version": "0"}, "version 0"),
    ],
)
def test_add__something_wrong__is_said_and_nothing_is_lost(
    world: World, segment: Segment, fields: dict[str, str], complaint: str
) -> None:
    sent = {**posted(GOLD), **fields}

    response = signed_in(world.rita).post(add_url(world.staging), sent)

    assert response.status_code in {400, 409}
    assert complaint in text_of(response)
    assert typed_document(response) == sent["document"]
    assert Segment.objects.count() == 1


def test_edit__somebody_was_faster__shows_what_changed_and_keeps_mine(world: World, segment: Segment) -> None:
    client = signed_in(world.rita)
    client.post(edit_url(segment), posted(GOLD, base_version=1))
    mine = {"schema": 1, "condition": {"attribute": "country", "operator": "equals", "value": "DE"}}

    response = client.post(edit_url(segment), posted(mine, base_version=1))

    text = unescape(text_of(response))
    assert response.status_code == 409
    assert json.loads(typed_document(response)) == mine
    assert "Changed meanwhile: Members: beta is true → plan is one of “gold”" in text
    assert 'name="base_version" value="2"' in text


def test_add__protected_environment__is_not_saved(world: World) -> None:
    response = signed_in(world.rita).post(add_url(world.production), posted(GOLD))

    assert response.status_code == 409
    assert not Segment.objects.exists()


def test_pages__hostile_text__is_escaped(world: World) -> None:
    condition = {"attribute": "<b>x</b>", "operator": "equals", "value": HOSTILE}
    segment = make_segment(world, name=HOSTILE[:100], document={"schema": 1, "condition": condition})
    client = signed_in(world.rita)

    listing = text_of(client.get(reverse("admin:flags_segment_changelist")))
    editor = text_of(client.get(edit_url(segment)))
    refused = text_of(client.post(edit_url(segment), posted(HOSTILE, name=HOSTILE, reason=HOSTILE)))

    for text in (listing, editor, refused):
        assert "<script>alert" not in text
        assert "<img src=x" not in text
        assert "<b>x</b>" not in text


@pytest.mark.parametrize("environment", ["", "x", "00000000-0000-0000-0000-000000000000"])
def test_add__no_such_environment__leads_back(world: World, environment: str) -> None:
    response = signed_in(world.rita).get(reverse("admin:flags_segment_add"), {"environment": environment})

    assert response.status_code in {302, 404}


def test_editor__flag_changes_meanwhile__usage_names_it(world: World, segment: Segment, flag: Flag) -> None:
    rule = {"id": "r1", "description": "", "condition": {"segment": "beta"}, "serve": {"variant": "on"}}
    world.serve(flag, world.staging, {**percent_document(flag.key, 5), "rules": [rule]})

    assert "This flag changes with it" in text_of(signed_in(world.rita).get(edit_url(segment)))


def nested(*keys: str) -> dict[str, Any]:
    return {"schema": 1, "condition": {"or": [{"segment": key} for key in keys]}}


def offered(world: World, segment: Segment) -> set[str]:
    """The segments that a segment's editor offers."""
    text = text_of(signed_in(world.rita).get(edit_url(segment)))
    data = json.loads(text.partition('id="segment-editor-data" type="application/json">')[2].partition("</script>")[0])
    return {item["key"] for item in data["segments"]}


def test_editor__segments_that_contain_it__are_not_offered_inside_it(world: World, segment: Segment) -> None:
    middle = make_segment(world, "middle", "Middle", nested("beta"))
    outer = make_segment(world, "outer", "Outer", nested("middle"))
    make_segment(world, "other", "Other")

    assert offered(world, segment) == {"other"}
    assert offered(world, middle) == {"beta", "other"}
    assert offered(world, outer) == {"beta", "middle", "other"}


def test_save__circle_of_segments__is_refused_and_nothing_is_lost(world: World, segment: Segment) -> None:
    make_segment(world, "outer", "Outer", nested("beta"))
    document = nested("outer")

    response = signed_in(world.rita).post(edit_url(segment), posted(document, base_version=1, name="Beta"))

    segment.refresh_from_db()
    assert response.status_code == 400
    assert json.loads(typed_document(response)) == document
    assert "outer" in text_of(response)
    assert segment.version == 1


def test_pages__flag_behind_another_segment__is_named_as_a_user(world: World, segment: Segment) -> None:
    make_segment(world, "outer", "The outer one", nested("beta"))
    flag = world.flag("behind", name="The flag behind it")
    rule = {"id": "r", "description": "", "condition": {"segment": "outer"}, "serve": {"variant": "on"}}
    world.serve(flag, world.staging, {**percent_document(flag.key, 5), "rules": [rule]})
    client = signed_in(world.rita)

    editor = text_of(client.get(edit_url(segment)))
    listing = text_of(client.get(reverse("admin:flags_segment_changelist") + f"?project={world.project.key}"))

    for text in (editor, listing):
        assert "The outer one" in text
    assert editor.count("The flag behind it") == 1
    assert listing.count("The flag behind it") == 2


MISTYPED = {"schema": 1, "condition": {"attribute": "paln", "operator": "in", "value": ["gold"]}}


def _declared(world: World) -> None:
    actor = actor_of(world.ada)
    declare_attribute(world.project.pk, actor=actor, name="plan", value_type="text", now=NOW)


def test_add__slip_in_a_new_segment__is_pointed_out_while_something_else_is_missing(world: World) -> None:
    _declared(world)
    client = signed_in(world.rita)

    page = text_of(client.post(add_url(world.staging), posted(MISTYPED, reason="")))

    assert "Did you mean “plan”?" in page
    assert "Did you mean" not in text_of(client.get(add_url(world.staging)))


@pytest.mark.parametrize("is_new", [True, False])
def test_save__slip_in_a_segment__is_pointed_out_when_it_is_live(world: World, is_new: bool) -> None:
    _declared(world)
    client = signed_in(world.rita)
    segment = None if is_new else make_segment(world)
    url = edit_url(segment) if segment else add_url(world.staging)

    page = text_of(client.post(url, posted(MISTYPED, base_version=0 if is_new else 1), follow=True))

    assert "Worth a second look" in page
    assert "Did you mean “plan”?" in page
