"""Pages of emergencies: switching off, applying at once, breaking the glass and reviewing it."""

import json
from typing import Any

import pytest
from django.urls import reverse

from flags.models import FlagConfig
from flags.permissions import Role
from rollouts.models import BreakGlassUse, ChangeRequest
from tests.factories import make_served_world, percent_document
from tests.rollouts.admin.support import act_url, page_url
from tests.rollouts.support import Bench
from tests.support.admin import signed_in, text_of


@pytest.fixture
def world(db: None) -> Any:
    return make_served_world(50)


def address(bench: Bench, route: str) -> str:
    return reverse(f"admin:rollouts_{route}", args=[bench.flag.pk, bench.production.pk])


def switch_off(bench: Bench, who: str, **fields: str) -> Any:
    sent = {"base_version": "1", "reason": "Checkout fails"} | fields
    return signed_in(getattr(bench.world, who)).post(address(bench, "changerequest_switchoff"), sent)


def flag_page(bench: Bench, who: str) -> str:
    return text_of(signed_in(getattr(bench.world, who)).get(reverse("admin:flags_flag_change", args=[bench.flag.pk])))


@pytest.mark.parametrize(("who", "offered"), [("rita", True), ("rolf", True), ("abel", False), ("vera", False)])
def test_flag_page__switch_off__is_offered_to_those_who_may(bench, who, offered):
    assert ("Switch off now" in flag_page(bench, who)) is offered


def test_switch_off__page__says_what_happens_and_does_it(bench):
    page = text_of(signed_in(bench.world.rita).get(address(bench, "changerequest_switchoff")))

    response = switch_off(bench, "rita")

    assert "Off serves the variant “off” (false)." in page
    assert response.status_code == 302
    assert FlagConfig.objects.get(flag=bench.flag, environment=bench.production).document["enabled"] is False
    assert "Switch off now" not in flag_page(bench, "rita")


@pytest.mark.parametrize(
    ("who", "fields", "status"),
    [
        ("rita", {"reason": " "}, 400),
        ("rita", {"base_version": "0"}, 400),
        ("rita", {"base_version": "x"}, 400),
        ("abel", {}, 403),
        ("vera", {}, 403),
        ("otto", {}, 404),
    ],
)
def test_switch_off__otherwise__is_refused_and_nothing_changes(bench, who, fields, status):
    assert switch_off(bench, who, **fields).status_code == status
    assert bench.version() == 1


@pytest.mark.parametrize(("who", "share", "offered"), [("rita", 20, True), ("rita", 60, False), ("abel", 20, False)])
def test_request_page__applying_at_once__is_offered_where_it_only_narrows(bench, who, share, offered):
    request = bench.submitted(change_set=bench.content(share))

    page = text_of(signed_in(getattr(bench.world, who)).get(page_url(request)))

    assert ("This only narrows: nobody gets anything new" in page) is offered


def test_apply_at_once__from_the_page__is_live(bench):
    request = bench.draft(change_set=bench.content(20))

    fields = {"digest": request.digest, "reason": "Cannot wait"}
    response = signed_in(bench.world.rita).post(act_url(request, "apply_at_once"), fields)

    assert (response.status_code, ChangeRequest.objects.get(pk=request.pk).state) == (302, "applied")


def test_apply_at_once__widening_request__comes_back_with_the_reason(bench):
    request = bench.draft(change_set=bench.content(60))

    fields = {"digest": request.digest, "reason": "Cannot wait"}
    response = signed_in(bench.world.rita).post(act_url(request, "apply_at_once"), fields)

    assert response.status_code == 409
    assert "The share of “on” goes from 50 % to 60 %." in text_of(response)


@pytest.fixture
def holder(bench: Bench) -> Any:
    """Rita, who may also break the glass."""
    bench.world.grant(bench.world.rita, bench.production, Role.EDITOR, Role.BREAK_GLASS)
    return bench.world.rita


def break_glass(bench: Bench, who: Any, **fields: str) -> Any:
    document = json.dumps(percent_document(bench.flag.key, 60))
    sent = {
        "document": document,
        "base_version": "1",
        "confirmed": "1",
        "name": "production",
        "reason": "Down",
    } | fields
    return signed_in(who).post(address(bench, "breakglassuse_break"), sent)


def test_editor__break_glass__is_offered_to_holders_only(bench, holder):
    editor = reverse("admin:flags_config_edit", args=[bench.flag.pk, bench.production.pk])

    assert "Break glass…" in text_of(signed_in(holder).get(editor))
    bench.world.grant(holder, bench.production, Role.EDITOR)
    assert "Break glass…" not in text_of(signed_in(holder).get(editor))


def test_break_glass__from_the_editor__shows_first_and_applies_when_confirmed(bench, holder):
    document = json.dumps(percent_document(bench.flag.key, 60))
    shown = signed_in(holder).post(
        address(bench, "breakglassuse_break"), {"document": document, "base_version": "1", "reason": "From the editor"}
    )

    response = break_glass(bench, holder)

    assert shown.status_code == 200
    assert "The share of “on” goes from 50 % to 60 %." in text_of(shown)
    use = BreakGlassUse.objects.get()
    assert (response.status_code, bench.version(), use.reason) == (302, 2, "Down")
    assert response["Location"] == reverse("admin:rollouts_breakglassuse_change", args=[use.pk])


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"name": "Staging"}, 400),
        ({"name": ""}, 400),
        ({"reason": "  "}, 400),
        ({"document": "{"}, 400),
        ({"document": "{}"}, 400),
        ({"base_version": "0"}, 409),
    ],
)
def test_break_glass__something_amiss__is_refused(bench, holder, fields, status):
    assert break_glass(bench, holder, **fields).status_code == status
    assert (bench.version(), BreakGlassUse.objects.count()) == (1, 0)


@pytest.mark.parametrize(("who", "status"), [("rolf", 403), ("abel", 403), ("ada", 403), ("otto", 404)])
def test_break_glass__without_the_role__is_refused(bench, who, status):
    assert break_glass(bench, getattr(bench.world, who)).status_code == status
    assert BreakGlassUse.objects.count() == 0


def test_use_page__approver__reviews_and_everybody_sees_the_outcome(bench, holder):
    break_glass(bench, holder)
    page = reverse("admin:rollouts_breakglassuse_change", args=[BreakGlassUse.objects.get().pk])
    client = signed_in(bench.world.abel)

    empty = client.post(page, {"outcome": "", "comment": ""})
    done = client.post(page, {"outcome": "not_justified", "comment": "Could have waited"})

    assert (empty.status_code, done.status_code) == (400, 302)
    seen = text_of(signed_in(bench.world.vera).get(page))
    assert "Not justified" in seen
    assert "Could have waited" in seen


def test_use_page__own_use__cannot_be_reviewed(bench, holder):
    break_glass(bench, holder)
    page = reverse("admin:rollouts_breakglassuse_change", args=[BreakGlassUse.objects.get().pk])

    assert "somebody else reviews it" in text_of(signed_in(holder).get(page))
    refused = signed_in(holder).post(page, {"outcome": "justified", "comment": "Mine"})

    assert refused.status_code == 403
    assert BreakGlassUse.objects.get().is_open


def test_pages__outsider__learns_of_nothing(bench, holder):
    break_glass(bench, holder)
    client = signed_in(bench.world.otto)

    page = client.get(reverse("admin:rollouts_breakglassuse_change", args=[BreakGlassUse.objects.get().pk]))
    listed = client.get(reverse("admin:rollouts_breakglassuse_changelist"))

    assert page.status_code == 404
    assert "Nobody has broken the glass" in text_of(listed)


def test_list_and_request_page__open_use__is_shown(bench, holder):
    break_glass(bench, holder)
    request = bench.submitted(change_set=bench.content(70))

    listed = text_of(signed_in(bench.world.vera).get(reverse("admin:rollouts_breakglassuse_changelist")))
    page = text_of(signed_in(bench.world.abel).get(page_url(request)))
    desk = text_of(signed_in(bench.world.vera).get(reverse("admin:index")))

    assert "Waits for review" in listed
    assert "without approval, and nobody has reviewed that yet" in page
    assert "Somebody changed a protected environment without approval." in desk


def test_list__more_uses__same_number_of_queries(bench, holder, django_assert_max_num_queries):
    for version in range(1, 4):
        document = json.dumps(percent_document(bench.flag.key, 60 + version))
        break_glass(bench, holder, base_version=str(version), document=document)
    client = signed_in(bench.world.abel)

    with django_assert_max_num_queries(14):
        client.get(reverse("admin:rollouts_breakglassuse_changelist"))
