"""The pages that take a flagd definition over."""

import json
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from flags.interop.flagd_reading import MAX_BYTES
from flags.models import Flag
from rollouts.admin.imports import pack, unpack
from rollouts.models import ChangeRequest
from tests.factories import World, make_world
from tests.rollouts.flagd_definitions import DEFINITION, flag
from tests.support.admin import HOSTILE, signed_in, text_of

pytestmark = pytest.mark.django_db
UPLOAD = "admin:rollouts_changerequest_import"
PROPOSE = "admin:rollouts_changerequest_proposeimport"


@pytest.fixture
def world() -> World:
    made = make_world()
    made.flag()
    return made


def upload(world: World, definition: bytes = DEFINITION, person: Any = None, **fields: Any) -> Any:
    given = {"environment": str(world.production.pk), "definition": SimpleUploadedFile("flags.json", definition)}
    return signed_in(person or world.rita).post(reverse(UPLOAD), {**given, **fields})


def propose(world: World, person: Any = None, **fields: Any) -> Any:
    given = {"environment": str(world.production.pk), "packed": pack(DEFINITION), "title": "From flagd", "reason": ""}
    given["flag"] = ["checkout-redesign", "new-search"]  # type: ignore[assignment]
    return signed_in(person or world.rita).post(reverse(PROPOSE), {**given, **fields})


def test_form__editor__offers_the_environments_open_to_them(world: World):
    page = text_of(signed_in(world.rita).get(reverse(UPLOAD)))

    assert all(f"· {environment.name}</option>" in page for environment in world.environments)
    assert reverse(UPLOAD) in text_of(signed_in(world.rita).get(reverse("admin:rollouts_changerequest_changelist")))


def test_form__somebody_who_may_not_propose__is_told_whom_to_ask(world: World):
    page = text_of(signed_in(world.vera).get(reverse(UPLOAD)))

    assert "You may not propose changes anywhere" in page
    assert "<form class" not in page


def test_upload__every_grade__is_shown_and_nothing_changes(world: World):
    response = upload(world)

    page = text_of(response)
    assert response.status_code == 200
    for words in (
        "1 exact",
        "1 adapted",
        "1 unsupported",
        "compared strictly",
        "inside an object",
        "new flag",
        "legacy",
    ):
        assert words in page
    assert page.count('name="flag"') == 2
    assert Flag.objects.count() == 1
    assert not ChangeRequest.objects.exists()


def test_upload__hostile_texts__are_shown_as_text(world: World):
    flags = {HOSTILE: flag(), "a": flag({"if": [{HOSTILE: [1]}, "on"]}), "b": flag(**{HOSTILE: 1})}

    page = text_of(upload(world, json.dumps({"flags": flags, "metadata": {"flagSetId": HOSTILE}}).encode()))

    assert "<script>alert(1)" not in page
    assert "onerror=alert(2)>" not in page.replace("&gt;", "")
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize(
    ("definition", "words"),
    [
        (b"{", "no JSON"),
        (b"", "empty"),
        (b'{"flags": 1}', "by flag key"),
        (b" " * (MAX_BYTES + 1), "larger than 1 MB"),
    ],
    ids=["broken", "empty", "flags", "size"],
)
def test_upload__unusable_file__comes_back_with_the_reason(definition: bytes, words: str, world: World):
    response = upload(world, definition)

    assert response.status_code == 400
    assert words in text_of(response)


def test_upload__environment_that_is_not_open__is_refused(world: World):
    other = make_world()

    for environment in (str(other.production.pk), "", "x"):
        assert upload(world, environment=environment).status_code == 400
    assert upload(world, person=world.vera).status_code == 400


def test_propose__chosen_flags__makes_a_draft_and_leads_there(world: World):
    response = propose(world, reason="Moving house")

    made = ChangeRequest.objects.get()
    assert response["Location"] == reverse("admin:rollouts_changerequest_change", args=[made.pk])
    assert (made.title, made.reason, made.state) == ("From flagd", "Moving house", "draft")
    assert len(made.content.edits) == 2
    page = text_of(signed_in(world.rita).get(response["Location"]))
    assert "new-search" in page


def test_propose__nothing_chosen__comes_back_with_the_report(world: World):
    response = propose(world, flag=[], title="Kept", reason="Kept too")

    page = text_of(response)
    assert response.status_code == 400
    assert "nothing to take over" in page
    assert 'value="Kept"' in page
    assert "Kept too" in page
    assert " checked" not in page


@pytest.mark.parametrize(
    "fields", [{"packed": ""}, {"packed": "eA=="}, {"packed": "ä"}, {"environment": "x"}], ids=range(4)
)
def test_propose__incomplete_form__starts_again(fields: dict[str, str], world: World):
    response = propose(world, **fields)

    assert response["Location"] == reverse(UPLOAD)
    assert not ChangeRequest.objects.exists()


@pytest.mark.parametrize("person", ["vera", "otto"])
def test_propose__somebody_who_may_not__changes_nothing(person: str, world: World):
    propose(world, person=getattr(world, person))

    assert Flag.objects.count() == 1
    assert not ChangeRequest.objects.exists()


def test_propose__get__is_not_allowed(world: World):
    assert signed_in(world.rita).get(reverse(PROPOSE)).status_code == 405
    assert signed_in(world.rita).put(reverse(UPLOAD)).status_code == 405


def test_packed__bomb_and_truncation__are_refused():
    assert unpack(pack(DEFINITION)) == DEFINITION
    assert unpack(pack(b" " * (MAX_BYTES + 1))) is None
    assert unpack(pack(DEFINITION)[:-8]) is None
