"""Every field of a config through the editor: shown, posted, saved or refused, and what the linter says about it."""

import json
from typing import Any

import pytest
from django.urls import reverse
from hypothesis import given

from audits.integrity import canonical_json
from flags.admin.places import as_text
from flags.admin.posted import read_draft
from flags.documents import normalise_config
from flags.models import Flag
from rollouts.models import ChangeRequest
from tests.factories import World, percent_document
from tests.flags.admin.test_configs import config_of, edit_url, editor_data, posted, typed_document
from tests.flags.strategies import config_documents
from tests.support.admin import signed_in, text_of


@given(document=config_documents(endings=True))
def test_draft__any_document_as_the_form_shows_it__is_read_as_the_same(document: dict[str, Any]) -> None:
    stored = normalise_config(document)

    draft = read_draft({"document": as_text(stored), "base_version": "3", "reason": "R"})

    assert canonical_json(normalise_config(draft.document)) == canonical_json(stored)
    assert (draft.base_version, draft.reason, draft.problems) == (3, "R", [])


EVERY_FIELD: dict[str, Any] = {
    "prerequisites": [{"flag": "parent", "variants": ["on"]}],
    "targets": [{"variant": "on", "keys": ["user-1", "user-2"]}, {"variant": "off", "keys": ["user-3"]}],
    "client_visible": True,
    "deprecation": {
        "deprecated_at": "2027-03-03T09:00:00Z",
        "sunset_at": "2027-06-01T00:00:00Z",
        "successor": "parent",
        "withdrawal": {"weight": 25_000, "serves": "off"},
    },
}
RULE_FIELDS = {
    "salt": "of its own",
    "bucket_by": "company",
    "starts_at": "2026-12-01T08:00:00Z",
    "ends_at": "2026-12-24T12:00:00Z",
}


def every_field(key: str) -> dict[str, Any]:
    document = {**percent_document(key, 40), **EVERY_FIELD}
    return {**document, "rules": [{**document["rules"][0], **RULE_FIELDS}]}


def test_save__every_field__is_stored_and_shown_as_it_was_posted(world: World, flag: Flag) -> None:
    world.flag("parent")
    client, document = signed_in(world.rita), every_field(flag.key)

    response = client.post(edit_url(flag, world.staging), posted(document))

    assert response.status_code == 302
    assert config_of(flag, world.staging).document == document
    assert json.loads(typed_document(client.get(edit_url(flag, world.staging)))) == document


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"targets": [{"variant": "on", "keys": ["a"]}, {"variant": "off", "keys": ["a"]}]}, "targets[1].keys[0]"),
        ({"targets": [{"variant": "nobody", "keys": ["a"]}]}, "targets[0].variant"),
        ({"prerequisites": [{"flag": "parent", "variants": []}]}, "prerequisites[0].variants"),
        ({"client_visible": "yes"}, "client_visible"),
    ],
)
def test_save__new_field_that_cannot_be__is_named_by_path_and_kept(
    world: World, flag: Flag, change: dict[str, Any], path: str
) -> None:
    document = {**percent_document(flag.key, 40), **change}

    response = signed_in(world.rita).post(edit_url(flag, world.staging), posted(document))

    assert response.status_code == 400
    assert path in {problem["path"] for problem in editor_data(response)["problems"]}
    assert json.loads(typed_document(response)) == document


def test_save__circle_of_prerequisites__is_refused_by_name_and_kept(world: World, flag: Flag) -> None:
    parent = world.flag("parent")
    needs = {"prerequisites": [{"flag": flag.key, "variants": ["on"]}]}
    world.serve(parent, world.staging, {**percent_document(parent.key, 5), **needs})

    response = signed_in(world.rita).post(edit_url(flag, world.staging), posted(every_field(flag.key)))

    assert response.status_code == 400
    assert json.loads(typed_document(response)) == every_field(flag.key)
    assert f"{flag.key} → parent → {flag.key}" in text_of(response).replace("-&gt;", "→").replace("->", "→")


def test_editor__flag_that_ends__says_how_in_words(world: World, flag: Flag) -> None:
    world.flag("parent")
    client, address = signed_in(world.rita), edit_url(flag, world.staging)
    assert "How it ends" not in text_of(client.get(address))
    world.serve(flag, world.staging, every_field(flag.key))

    text = text_of(client.get(address))

    assert "How it ends" in text
    assert "deprecated since 2027-03-03 09:00 UTC; sunset 2027-06-01 00:00 UTC; successor parent." in text
    assert "25 % of people get “off”." in text.replace("\u00a0", " ")


def never_reached(key: str) -> dict[str, Any]:
    """A document that is valid and not meant: its second rule never gets a turn."""
    document = percent_document(key, 40)
    second = {"id": "r2", "description": "Gold", "condition": None, "serve": {"variant": "on"}}
    return {**document, "rules": [*document["rules"], second]}


def test_validate__valid_and_not_meant__is_worth_a_second_look(world: World, flag: Flag) -> None:
    client, address = signed_in(world.rita), edit_url(flag, world.staging, "validate")

    found = client.post(address, posted(never_reached(flag.key))).json()
    fine = client.post(address, posted(percent_document(flag.key, 40))).json()
    wrong = client.post(address, posted({**never_reached(flag.key), "enabled": 7})).json()

    assert [(item["severity"], item["path"]) for item in found["findings"]] == [("warning", "rules[1]")]
    assert "never reached" in found["findings"][0]["message"]
    assert found["findings"][0]["advice"]
    assert (found["problems"], fine["findings"], wrong["findings"]) == ([], [], [])


def test_save__valid_and_not_meant__is_saved_and_said_afterwards(world: World, flag: Flag) -> None:
    client = signed_in(world.rita)

    response = client.post(edit_url(flag, world.staging), posted(never_reached(flag.key)), follow=True)
    editor = client.get(edit_url(flag, world.staging))

    assert config_of(flag, world.staging).document == never_reached(flag.key)
    assert "Worth a second look: Rule 2" in text_of(response)
    assert [item["path"] for item in editor_data(editor)["findings"]] == ["rules[1]"]


def test_propose__valid_and_not_meant__is_shown_to_requester_and_approver(world: World, flag: Flag) -> None:
    propose = reverse("admin:rollouts_changerequest_propose", args=[flag.pk, world.production.pk])
    signed_in(world.rita).post(propose, posted(never_reached(flag.key), title="Gold for all"))

    request = ChangeRequest.objects.get()
    address = reverse("admin:rollouts_changerequest_change", args=[request.pk])
    requester, approver = (text_of(signed_in(person).get(address)) for person in (world.rita, world.abel))

    for text in (requester, approver):
        assert "Worth a second look" in text
        assert "Look again" in text
        assert "is never reached" in text
    assert "#at=rules%5B1%5D" in requester
    assert "#at=" not in approver
