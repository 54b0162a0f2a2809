"""From the editors to change requests: proposing, adding to a draft, rebasing; and that nothing typed is lost."""

import json
from html import unescape
from typing import Any

import pytest
from django.urls import reverse

from flags.models import FlagConfig, Segment
from flags.permissions import Role
from rollouts.models import ChangeRequest
from rollouts.transitions import RequestState
from tests.factories import World, make_world, percent_document
from tests.rollouts.admin.support import page_url
from tests.rollouts.support import Bench, bring_to, state_of
from tests.support.admin import HOSTILE, signed_in, text_of

SEGMENT = {"schema": 1, "condition": {"attribute": "plan", "operator": "in", "value": ["gold"]}}


def propose_url(bench: Bench, environment: Any = None) -> str:
    return reverse("admin:rollouts_changerequest_propose", args=[bench.flag.pk, (environment or bench.production).pk])


def revise_url(request: ChangeRequest, key: str = "checkout-redesign") -> str:
    return reverse("admin:rollouts_changerequest_revise", args=[request.pk, key])


def posted(document: Any, base_version: int = 1, **fields: str) -> dict[str, str]:
    text = document if isinstance(document, str) else json.dumps(document)
    return {"document": text, "base_version": str(base_version), "title": "Wider", "reason": "Stable", **fields}


def typed_document(response: Any) -> str:
    _, _, rest = text_of(response).partition('name="document"')
    return unescape(rest.partition(">")[2].partition("</textarea>")[0])


def test_propose__from_the_editor__is_a_draft_with_the_content(bench: Bench) -> None:
    document = percent_document(bench.flag.key, 25)

    response = signed_in(bench.world.rita).post(propose_url(bench), posted(document))

    request = ChangeRequest.objects.get()
    assert response.status_code == 302
    assert response["Location"] == page_url(request)
    assert (request.state, request.title, request.reason) == ("draft", "Wider", "Stable")
    assert request.content.edits[0].document == document
    assert bench.version() == 1


@pytest.mark.parametrize(
    ("role", "status"), [("vera", 403), ("abel", 403), ("rolf", 403), ("ada", 403), ("otto", 404), ("rita", 302)]
)
def test_propose__every_role__makes_a_draft_or_nothing(bench: Bench, role: str, status: int) -> None:
    response = signed_in(getattr(bench.world, role)).post(
        propose_url(bench), posted(percent_document(bench.flag.key, 25))
    )

    assert response.status_code == status
    assert ChangeRequest.objects.count() == (status == 302)


@pytest.mark.parametrize("method", ["get", "put", "delete"])
def test_propose__anything_but_post__is_refused(bench: Bench, method: str) -> None:
    assert getattr(signed_in(bench.world.rita), method)(propose_url(bench)).status_code == 405


@pytest.mark.parametrize(
    "fields",
    [
        {"reason": " "},
        {"document": "{"},
        {"document": "[" * 9000},
        {"document": '{"schema": "\\ud800"}'},
        {"title": "Two\nlines"},
        {"reason": "a\u202eb"},
        {"draft": "00000000-0000-0000-0000-000000000000"},
        {"draft": "x"},
    ],
)
def test_propose__something_wrong__editor_comes_back_as_it_was(bench: Bench, fields: dict[str, str]) -> None:
    sent = posted(percent_document(bench.flag.key, 25)) | fields

    response = signed_in(bench.world.rita).post(propose_url(bench), sent)

    text = unescape(text_of(response))
    assert response.status_code in {400, 404, 409}
    assert typed_document(response) == sent["document"]
    assert sent["reason"] in text
    assert "Everything you entered is still here" in text
    assert not ChangeRequest.objects.exists()


def test_propose__somebody_was_faster__shows_what_changed_and_keeps_mine(bench: Bench) -> None:
    bench.move_on()
    mine = {**percent_document(bench.flag.key, 25), "enabled": False}

    response = signed_in(bench.world.rita).post(propose_url(bench), posted(mine, base_version=1))

    assert response.status_code == 409
    assert json.loads(typed_document(response)) == mine
    assert "Somebody else changed this meanwhile" in text_of(response)
    assert not ChangeRequest.objects.exists()


def test_propose__nothing_changed__is_said(bench: Bench) -> None:
    document = FlagConfig.objects.get(flag=bench.flag, environment=bench.production).document

    response = signed_in(bench.world.rita).post(propose_url(bench), posted(document))

    assert response.status_code == 400
    assert "This is what is live now" in text_of(response)
    assert not ChangeRequest.objects.exists()


def test_propose__without_a_title__gets_one(bench: Bench) -> None:
    signed_in(bench.world.rita).post(propose_url(bench), posted(percent_document(bench.flag.key, 25), title=" "))

    assert ChangeRequest.objects.get().title == "Change checkout-redesign"


def test_propose__into_my_draft__adds_the_flag_to_it(bench: Bench) -> None:
    draft = bench.draft()
    other = bench.world.flag("express-pay")
    url = reverse("admin:rollouts_changerequest_propose", args=[other.pk, bench.production.pk])
    document = percent_document(other.key, 5)

    response = signed_in(bench.world.rita).post(url, posted(document, base_version=0, draft=str(draft.pk), reason=""))

    request = ChangeRequest.objects.get()
    assert response.status_code == 302
    assert [edit.as_json()["flag_key"] for edit in request.content.edits] == ["checkout-redesign", "express-pay"]
    assert request.title == draft.title


def test_propose__into_my_draft_again__replaces_the_flag(bench: Bench) -> None:
    draft = bench.draft()
    document = percent_document(bench.flag.key, 77)

    signed_in(bench.world.rita).post(propose_url(bench), posted(document, draft=str(draft.pk)))

    request = ChangeRequest.objects.get()
    assert [edit.document for edit in request.content.edits] == [document]


def test_propose__into_somebody_elses_draft__is_refused(bench: Bench) -> None:
    bench.world.grant(bench.world.rolf, bench.production, Role.EDITOR)
    draft = bench.draft(by=bench.world.rolf)

    response = signed_in(bench.world.rita).post(
        propose_url(bench), posted(percent_document(bench.flag.key, 25), draft=str(draft.pk))
    )

    assert response.status_code == 404
    assert ChangeRequest.objects.get().digest == draft.digest


def test_neighbours__names_my_drafts_and_open_requests(bench: Bench) -> None:
    draft, submitted = bench.draft(title="Mine"), bench.submitted(title=HOSTILE[:40])
    bench.approved(title="Done")
    url = reverse("admin:rollouts_changerequest_neighbours", args=[bench.flag.pk, bench.production.pk])

    mine = signed_in(bench.world.rita).get(url).json()
    theirs = signed_in(bench.world.vera).get(url).json()

    assert [item["id"] for item in mine["drafts"]] == [str(draft.pk)]
    assert [item["number"] for item in mine["open"]] == [submitted.number]
    assert theirs["drafts"] == []
    assert signed_in(bench.world.otto).get(url).status_code == 404
    assert signed_in(bench.world.rita).post(url).status_code == 405


@pytest.mark.parametrize("state", [RequestState.DRAFT, RequestState.IN_REVIEW, RequestState.APPROVED])
def test_revise__new_content__replaces_the_old_and_asks_again(bench: Bench, state: RequestState) -> None:
    request = bring_to(bench, state)
    document = percent_document(bench.flag.key, 66)
    client = signed_in(bench.world.rita)

    opened = client.get(revise_url(request))
    saved = client.post(revise_url(request), posted(document) | {"digest": request.digest})

    row = ChangeRequest.objects.get(pk=request.pk)
    assert json.loads(typed_document(opened)) == request.content.edits[0].document
    assert saved.status_code == 302
    assert row.content.edits[0].document == document
    assert state_of(request) is (RequestState.DRAFT if state is RequestState.DRAFT else RequestState.IN_REVIEW)


def test_revise__after_something_moved__is_on_top_of_the_current_version(bench: Bench) -> None:
    request = bench.submitted(change_set=bench.content(25))
    current = FlagConfig.objects.get(flag=bench.flag, environment=bench.production).document
    bench.world.serve(bench.flag, bench.production, {**current, "enabled": False})
    client = signed_in(bench.world.rita)

    opened = client.get(revise_url(request))
    merged = json.loads(typed_document(opened))
    saved = client.post(revise_url(request), posted(merged, base_version=2) | {"digest": request.digest})

    assert opened.status_code == 200
    assert merged == {**percent_document(bench.flag.key, 25), "enabled": False}
    assert "The proposal is on top of version 2 now" in text_of(opened)
    assert saved.status_code == 302
    assert ChangeRequest.objects.get(pk=request.pk).content.edits[0].base_version == 2


@pytest.mark.parametrize(
    ("role", "status"), [("rita", 200), ("vera", 403), ("abel", 403), ("rolf", 403), ("ada", 403), ("otto", 404)]
)
def test_revise__every_role__opens_or_refuses(bench: Bench, role: str, status: int) -> None:
    request = bench.submitted()

    assert signed_in(getattr(bench.world, role)).get(revise_url(request)).status_code == status


@pytest.mark.parametrize("state", [RequestState.APPLIED, RequestState.REJECTED, RequestState.WITHDRAWN])
def test_revise__finished_request__is_refused(bench: Bench, state: RequestState) -> None:
    request = bring_to(bench, state)
    fields = posted(percent_document(bench.flag.key, 66), base_version=bench.version()) | {"digest": request.digest}

    response = signed_in(bench.world.rita).post(revise_url(request), fields)

    assert response.status_code == 403
    assert ChangeRequest.objects.get(pk=request.pk).digest == request.digest


def test_revise__flag_the_request_does_not_touch__does_not_exist(bench: Bench) -> None:
    bench.world.flag("other")

    for key, status in {"other": 404, "\x00": 400}.items():
        assert signed_in(bench.world.rita).get(revise_url(bench.draft(), key)).status_code == status


@pytest.mark.parametrize(
    "fields", [{"digest": "x"}, {"document": "{"}, {"document": "[]"}, {"base_version": "9"}, {"digest": ""}]
)
def test_revise__something_wrong__keeps_the_document_and_the_request(bench: Bench, fields: dict[str, str]) -> None:
    request = bench.submitted()
    sent = posted(percent_document(bench.flag.key, 66)) | {"digest": request.digest} | fields

    response = signed_in(bench.world.rita).post(revise_url(request), sent)

    assert response.status_code in {400, 409}
    assert typed_document(response) == sent["document"]
    assert ChangeRequest.objects.get(pk=request.pk).digest == request.digest


def test_segment__proposed_revised_and_approved__is_live(bench: Bench) -> None:
    world = bench.world
    url = reverse("admin:rollouts_changerequest_proposesegment", args=[bench.production.pk])
    client = signed_in(world.rita)
    fields = posted(SEGMENT, base_version=0) | {"key": "gold", "name": "Gold"}

    refused = client.post(url, fields | {"reason": ""})
    proposed = client.post(url, fields)
    request = ChangeRequest.objects.get()
    revise = reverse("admin:rollouts_changerequest_revisesegment", args=[request.pk, "gold"])
    opened = client.get(revise)
    revised = client.post(revise, fields | {"digest": request.digest, "name": "Gold members"})
    bench.approve(bench.submit(request))

    segment = Segment.objects.get(environment=bench.production)
    assert [response.status_code for response in (refused, proposed, opened, revised)] == [400, 302, 200, 302]
    assert json.loads(typed_document(refused)) == SEGMENT
    assert (segment.key, segment.name, segment.document) == ("gold", "Gold members", SEGMENT)


@pytest.mark.parametrize(
    "fields", [{"key": "../x"}, {"key": "\x00"}, {"name": ""}, {"document": "{"}, {"base_version": "4"}]
)
def test_segment__something_wrong__editor_comes_back(world: World, fields: dict[str, str]) -> None:
    url = reverse("admin:rollouts_changerequest_proposesegment", args=[world.production.pk])
    sent = posted(SEGMENT, base_version=0) | {"key": "gold", "name": "Gold"} | fields

    response = signed_in(world.rita).post(url, sent)

    assert response.status_code in {400, 409}
    assert typed_document(response) == sent["document"]
    assert not ChangeRequest.objects.exists()


def test_segment__of_another_project__does_not_exist(world: World) -> None:
    other = make_world()
    url = reverse("admin:rollouts_changerequest_proposesegment", args=[other.production.pk])

    assert signed_in(world.rita).post(url, posted(SEGMENT, base_version=0) | {"key": "k"}).status_code == 404
