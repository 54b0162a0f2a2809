"""Bringing a request up to date and merging another one, as people click it."""

from typing import Any

import pytest
from django.urls import reverse

from flags.changes import ChangeSet, ConfigEdit
from rollouts.models import ChangeRequest
from rollouts.transitions import RequestState
from tests.factories import make_world, percent_document
from tests.rollouts.admin.support import page_url
from tests.rollouts.support import Bench, state_of
from tests.support.admin import HOSTILE, signed_in, text_of

CHOICE = "flag|checkout-redesign|rules.everyone"


def _url(request: ChangeRequest, other: ChangeRequest | None = None) -> str:
    if other is None:
        return reverse("admin:rollouts_changerequest_update", args=[request.pk])
    return reverse("admin:rollouts_changerequest_merge", args=[request.pk, other.pk])


def _asking(bench: Bench, share: int, **fields: Any) -> ChangeRequest:
    document = {**percent_document(bench.flag.key, share), **fields}
    edit = ConfigEdit(bench.flag.key, bench.version(), document)
    return bench.submitted(change_set=ChangeSet(str(bench.production.pk), (edit,)))


def _share(request: ChangeRequest) -> int:
    edit = ChangeRequest.objects.get(pk=request.pk).content.edits[0]
    return int(edit.document["rules"][0]["serve"]["split"][0]["weight"]) // 1000


@pytest.fixture
def disputed(bench: Bench) -> ChangeRequest:
    """Asks for 25 % where 40 % went live meanwhile."""
    bench.world.serve(bench.flag, bench.production, percent_document(bench.flag.key, 5))
    request = _asking(bench, 25)
    bench.world.serve(bench.flag, bench.production, percent_document(bench.flag.key, 40))
    return request


def test_page__changes_fit_together__one_click_is_enough(bench: Bench) -> None:
    bench.world.serve(bench.flag, bench.production, percent_document(bench.flag.key, 5))
    request = _asking(bench, 25)
    there = {**percent_document(bench.flag.key, 5), "default_variant": "on"}
    bench.world.serve(bench.flag, bench.production, there)
    client = signed_in(bench.world.rita)
    text = text_of(client.get(page_url(request)))
    assert "both changes fit together" in text
    assert f'action="{_url(request)}"' in text

    answer = client.post(_url(request), {"digest": request.digest}, follow=True)

    assert "on top of what is live now" in text_of(answer)
    assert "brought up to date with what is live" in text_of(answer)
    assert ChangeRequest.objects.get(pk=request.pk).round == 2


def test_page__both_changed_the_same__leads_to_the_choice(bench: Bench, disputed: ChangeRequest) -> None:
    text = text_of(signed_in(bench.world.rita).get(page_url(disputed)))

    assert "1 thing was changed on both sides" in text
    assert f'href="{_url(disputed)}"' in text
    assert _url(disputed) not in text_of(signed_in(bench.world.abel).get(page_url(disputed)))


def test_form__undecided__asks_again_and_keeps_everything(bench: Bench, disputed: ChangeRequest) -> None:
    client = signed_in(bench.world.rita)
    assert f'name="{CHOICE}" value="mine"' in text_of(client.get(_url(disputed)))

    answer = client.post(_url(disputed), {"digest": disputed.digest})

    assert answer.status_code == 409
    assert "Say whose change counts" in text_of(answer)
    assert ChangeRequest.objects.get(pk=disputed.pk).round == 1


@pytest.mark.parametrize(("side", "share"), [("mine", 25), ("theirs", 40)])
def test_form__decided__takes_that_side(bench: Bench, side: str, share: int) -> None:
    bench.world.serve(bench.flag, bench.production, percent_document(bench.flag.key, 5))
    request = _asking(bench, 25, default_variant="on")
    bench.world.serve(bench.flag, bench.production, percent_document(bench.flag.key, 40))

    answer = signed_in(bench.world.rita).post(_url(request), {"digest": request.digest, CHOICE: side})

    assert answer.status_code == 302
    assert _share(request) == share


def test_merge__another_request__takes_it_in_and_ends_it(bench: Bench) -> None:
    request, other = _asking(bench, 25), _asking(bench, 60)
    client = signed_in(bench.world.rita)
    assert f'href="{_url(request, other)}"' in text_of(client.get(page_url(request)))
    assert "Live now" not in text_of(client.get(_url(request, other)))

    answer = client.post(_url(request, other), {"digest": request.digest, CHOICE: "theirs"}, follow=True)

    assert _share(request) == 60
    assert state_of(other) is RequestState.WITHDRAWN
    assert f"merged with #{other.number}" in text_of(answer)


@pytest.mark.parametrize("role", ["abel", "vera", "rolf", "ada"])
def test_merge__without_the_role_editor__is_refused(bench: Bench, disputed: ChangeRequest, role: str) -> None:
    other = _asking(bench, 60)
    client = signed_in(getattr(bench.world, role))

    for url in (_url(disputed), _url(disputed, other)):
        assert client.get(url).status_code == 403
        assert client.post(url, {"digest": disputed.digest, CHOICE: "mine"}).status_code == 403


def test_merge__what_one_may_not_see__does_not_exist(bench: Bench, disputed: ChangeRequest) -> None:
    world = make_world()
    stranger = Bench(world, world.flag())
    elsewhere = stranger.draft(change_set=stranger.content(20, base=0))
    client = signed_in(bench.world.rita)

    assert client.get(_url(disputed, elsewhere)).status_code == 404
    assert client.get(_url(disputed, disputed)).status_code == 404
    assert signed_in(bench.world.otto).get(_url(disputed)).status_code == 404
    assert client.put(_url(disputed)).status_code == 405


def test_form__hostile_names__are_escaped(bench: Bench) -> None:
    first = percent_document(bench.flag.key, 5)
    bench.world.serve(bench.flag, bench.production, first)
    rule = {**percent_document(bench.flag.key, 25)["rules"][0], "description": HOSTILE[:80]}
    request = _asking(bench, 25, rules=[rule])
    bench.world.serve(bench.flag, bench.production, percent_document(bench.flag.key, 40))

    text = text_of(signed_in(bench.world.rita).get(_url(request)))

    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text
