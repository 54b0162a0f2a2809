"""The pages that take a flagd definition over."""

import json
import re
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from flags.interop.flagd_reading import MAX_BYTES
from flags.models import Flag
from flags.permissions import Role
from flags.services.projects import create_environment
from rollouts.admin.imports import pack, unpack
from rollouts.models import ChangeRequest
from rollouts.services.checks import MOST_EDITS
from tests.factories import NOW, World, actor_of, make_world
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


def test_form__more_environments__same_number_of_queries(world: World) -> None:
    client = signed_in(world.rita)
    client.get(reverse(UPLOAD))
    with CaptureQueriesContext(connection) as few:
        client.get(reverse(UPLOAD))
    for position in range(5):
        environment = create_environment(
            world.project.pk,
            actor=actor_of(world.ada),
            key=f"more-{position}",
            name=f"More {position}",
            kind="development",
            is_protected=False,
            position=10 + position,
            now=NOW,
        )
        world.grant(world.rita, environment, Role.EDITOR)
    with CaptureQueriesContext(connection) as many:
        page = text_of(client.get(reverse(UPLOAD)))

    assert "More 4</option>" in page
    assert len(many) == len(few)


def test_upload__more_flags_than_one_request_takes__ticks_those_it_takes_and_says_so(world: World) -> None:
    flags = {f"f{number:04d}": flag() for number in range(1_200)}
    definition = json.dumps({"flags": flags}).encode()

    page = text_of(upload(world, definition))
    ticked = re.findall(r'name="flag" value="([^"]+)"[^>]* checked', page)
    made = propose(world, packed=pack(definition), flag=ticked)

    assert ticked == sorted(flags)[:MOST_EDITS]
    assert f"The first {MOST_EDITS} of 1200 are ticked" in page.replace(",", "")
    assert made.status_code == 302
    assert len(ChangeRequest.objects.get().content.edits) == MOST_EDITS


def test_upload__few_flags__are_all_ticked_without_a_word_about_it(world: World) -> None:
    page = text_of(upload(world))

    assert page.count(" checked>") == 2
    assert "are ticked" not in page


def test_upload__key_that_hides_something__leaves_the_attributes_whole(world: World) -> None:
    page = text_of(upload(world, json.dumps({"flags": {"a\u200bb": flag(), "ok": flag()}}).encode()))

    assert "U+200B" in page
    assert not re.search(r'aria-label="[^"]*<', page)
    assert 'aria-label="Take over ok"' in page
