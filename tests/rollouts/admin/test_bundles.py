"""One proposal for several environments, as people meet it on the pages."""

from typing import Any

from django.urls import reverse

from flags.changes import ConfigEdit
from flags.permissions import Role
from rollouts.models import BundleMember, ChangeRequest
from rollouts.services import change_requests as acts
from rollouts.transitions import RequestState
from tests.factories import NOW, actor_of, percent_document
from tests.rollouts.admin.support import as_text, page_url
from tests.rollouts.support import Bench, state_of
from tests.rollouts.test_bundles import _bundle_id, _drafts, _submitted
from tests.support.admin import signed_in, text_of


def _address(name: str, request: ChangeRequest) -> str:
    return reverse(f"admin:rollouts_changerequest_bundle{name}", args=[_bundle_id(request)])


def _propose(bench: Bench, *also: Any, share: int = 50, **fields: str) -> Any:
    form = {
        "document": as_text(percent_document(bench.flag.key, share)),
        "base_version": str(bench.version()),
        "title": "Half of everyone",
        "reason": "Conversion is stable",
        **{f"also_{environment.pk}": "1" for environment in also},
        **fields,
    }
    address = reverse("admin:rollouts_changerequest_propose", args=[bench.flag.pk, bench.production.pk])
    return signed_in(bench.world.rita).post(address, form, follow=True)


def test_editor__offers_the_other_environments_one_may_propose_to(bench: Bench) -> None:
    world = bench.world
    world.grant(world.rita, world.development, Role.VIEWER)
    address = reverse("admin:flags_config_edit", args=[bench.flag.pk, bench.production.pk])

    text = text_of(signed_in(world.rita).get(address))

    assert f'name="also_{world.staging.pk}"' in text
    assert f'name="also_{world.development.pk}"' not in text


def test_propose__with_another_environment__makes_a_bundle(bench: Bench) -> None:
    world = bench.world
    world.serve(bench.flag, bench.production, percent_document(bench.flag.key, 5))
    world.serve(bench.flag, world.staging, {**percent_document(bench.flag.key, 5), "default_variant": "on"})

    text = text_of(_propose(bench, world.staging))

    made = {request.environment_id: request for request in ChangeRequest.objects.all()}
    assert set(made) == {bench.production.pk, world.staging.pk}
    assert BundleMember.objects.count() == 2
    edit = made[world.staging.pk].content.edits[0]
    assert isinstance(edit, ConfigEdit)
    assert edit.document["default_variant"] == "on"
    assert "One proposal, 2 environments" in text
    assert "Submit all 2 for review" in text


def test_propose__conflict_elsewhere__leaves_it_out_and_says_why(bench: Bench) -> None:
    world = bench.world
    world.serve(bench.flag, bench.production, percent_document(bench.flag.key, 5))
    world.serve(bench.flag, world.staging, percent_document(bench.flag.key, 40))

    text = text_of(_propose(bench, world.staging))

    assert ChangeRequest.objects.count() == 1
    assert not BundleMember.objects.exists()
    assert "Staging differs in the rule" in text


def test_propose__environment_one_may_not_edit__is_not_proposed(bench: Bench) -> None:
    bench.world.grant(bench.world.rita, bench.world.staging, Role.VIEWER)

    _propose(bench, bench.world.staging)

    assert [request.environment_id for request in ChangeRequest.objects.all()] == [bench.production.pk]


def test_submit_all__every_draft__is_in_review(bench: Bench) -> None:
    staging, production = _drafts(bench)

    response = signed_in(bench.world.rita).post(
        _address("submit", production), {"here": str(production.pk)}, follow=True
    )

    assert {state_of(staging), state_of(production)} == {RequestState.IN_REVIEW}
    assert f"#{staging.number} in Staging" in text_of(response)
    assert response.redirect_chain[0][0] == page_url(production)


def test_approve_all__from_the_page__is_live_in_both(bench: Bench) -> None:
    staging, production = _submitted(bench)
    client = signed_in(bench.world.abel)
    text = text_of(client.get(page_url(production)))
    assert "Approve for Staging and Production" in text
    for request in (staging, production):
        assert f'name="digest_{request.pk}" value="{request.digest}"' in text

    fields = {f"digest_{request.pk}": request.digest for request in (staging, production)}
    response = client.post(_address("approve", staging), {"here": str(production.pk), **fields}, follow=True)

    assert {state_of(staging), state_of(production)} == {RequestState.APPLIED}
    assert "They are live." in text_of(response)


def test_approve_all__one_changed_since_the_page__approves_none_and_says_so(bench: Bench) -> None:
    staging, production = _submitted(bench)
    fields = {f"digest_{request.pk}": request.digest for request in (staging, production)}
    bench.edit(production)

    response = signed_in(bench.world.abel).post(_address("approve", staging), fields, follow=True)

    assert "changed since the page was opened" in text_of(response)
    assert not staging.approvals.exists()


def test_approve_all__forged_fields__are_refused(bench: Bench) -> None:
    staging, _ = _submitted(bench)
    client = signed_in(bench.world.abel)

    for fields in ({}, {"digest_x": "y"}, {f"digest_{bench.flag.pk}": "y"}, {f"digest_{staging.pk}": ""}):
        assert client.post(_address("approve", staging), fields).status_code == 302
    assert signed_in(bench.world.rita).post(
        _address("approve", staging), {f"digest_{staging.pk}": staging.digest}
    ).status_code in {302, 403}
    assert not staging.approvals.exists()


def test_bundle__person_without_any_role__does_not_exist(bench: Bench) -> None:
    staging, _ = _submitted(bench)
    client = signed_in(bench.world.otto)

    assert client.post(_address("approve", staging), {f"digest_{staging.pk}": staging.digest}).status_code == 404
    assert client.post(_address("submit", staging)).status_code == 404
    assert signed_in(bench.world.abel).get(_address("submit", staging)).status_code == 405


def test_page__member_in_an_environment_one_may_not_see__is_named_without_its_content(bench: Bench) -> None:
    staging, production = _submitted(bench)
    bench.world.grant(bench.world.vera, bench.world.staging)

    text = text_of(signed_in(bench.world.vera).get(page_url(production)))

    assert f"#{staging.number} in Staging" in text
    assert page_url(staging) not in text


def test_page__approved_member__says_what_the_bundle_waits_for(bench: Bench) -> None:
    staging, production = _submitted(bench)
    bench.approve(staging)

    text = text_of(signed_in(bench.world.rolf).get(page_url(staging)))

    assert f"waits for #{production.number} in Production" in text
    assert 'data-opens="apply"' not in text


def test_seen__button__remembers_and_the_panel_goes(bench: Bench) -> None:
    request = bench.submitted(change_set=bench.content(20))
    client = signed_in(bench.world.abel)
    assert "data-look" in text_of(client.get(page_url(request)))
    acts.look_at_request(request.pk, actor=actor_of(bench.world.abel), digest=request.digest, now=NOW)
    assert "data-look" not in text_of(client.get(page_url(request)))
    edited = bench.edit(request, change_set=bench.content(40))

    text = text_of(client.get(page_url(request)))
    assert "Changed since you looked" in text
    assert "on 20 % → 40 %" in text
    assert "Changed since you looked" in text_of(client.get(page_url(request))), "looking alone changes nothing"

    client.post(reverse("admin:rollouts_changerequest_seen", args=[request.pk]), {"digest": edited.digest})
    assert "Changed since you looked" not in text_of(client.get(page_url(request)))
