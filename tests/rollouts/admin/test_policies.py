"""Approval policies through HTTP: who sees and sets them, what the page warns of, what it keeps."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from audits.models import AuditEvent
from flags.permissions import Role
from rollouts.models import ApprovalPolicy, SettingsProposal
from tests.factories import World, make_world
from tests.support.admin import HOSTILE, signed_in, text_of

LIST = "admin:rollouts_approvalpolicy_changelist"


def form_url(world: World) -> str:
    return reverse("admin:rollouts_approvalpolicy_change", args=[world.production.pk])


def posted(**fields: Any) -> dict[str, Any]:
    return {"required_approvals": 2, "who": "any", "expires_after_hours": 48, "reason": "Four eyes more", **fields}


@pytest.mark.parametrize(
    ("role", "form"), [("ada", 200), ("rita", 403), ("abel", 403), ("rolf", 403), ("vera", 403), ("otto", 404)]
)
def test_pages__every_role__shown_or_refused(world: World, role: str, form: int) -> None:
    client = signed_in(getattr(world, role))

    assert client.get(reverse(LIST)).status_code == 200
    assert client.get(form_url(world)).status_code == form
    assert client.post(form_url(world), posted()).status_code == (302 if form == 200 else form)
    assert ApprovalPolicy.objects.exists() == (form == 200)


def test_set__with_a_reason__is_in_force_and_recorded(world: World) -> None:
    fields = posted(who="named", named_approvers=[str(world.abel.pk), str(world.anna.pk)])

    signed_in(world.ada).post(form_url(world), fields)

    policy = ApprovalPolicy.objects.get(environment=world.production).as_policy()
    assert (policy.required_approvals, policy.expires_after_hours) == (2, 48)
    assert policy.named_approvers == frozenset({str(world.abel.pk), str(world.anna.pk)})
    assert AuditEvent.objects.filter(action="approval_policy.changed", reason="Four eyes more").count() == 1


def test_set__fewer_approvals__waits_for_another_administrator(world: World) -> None:
    world.grant(world.otto, world.production, Role.ADMINISTRATOR)
    signed_in(world.ada).post(form_url(world), posted())

    response = signed_in(world.ada).post(form_url(world), posted(required_approvals=1, reason="Too slow"))

    page = text_of(signed_in(world.otto).get(response["Location"]))
    assert "1 approval instead of 2" in page
    assert ApprovalPolicy.objects.get(environment=world.production).required_approvals == 2
    digest = SettingsProposal.objects.get().digest
    signed_in(world.otto).post(response["Location"], {"act": "confirm", "digest": digest})
    assert ApprovalPolicy.objects.get(environment=world.production).required_approvals == 1


def test_set__everybody__forgets_the_names_that_were_ticked(world: World) -> None:
    signed_in(world.ada).post(form_url(world), posted(who="any", named_approvers=[str(world.abel.pk)]))

    assert ApprovalPolicy.objects.get().named_approvers == []


@pytest.mark.parametrize(
    "fields",
    [
        {"required_approvals": 0},
        {"required_approvals": 11},
        {"required_approvals": "many"},
        {"expires_after_hours": 0},
        {"expires_after_hours": 10**9},
        {"reason": " "},
        {"who": "named"},
        {"who": "nobody"},
        {"who": "named", "named_approvers": ["x"]},
    ],
)
def test_set__something_wrong__is_said_and_kept(world: World, fields: dict[str, Any]) -> None:
    sent = posted(reason="Please keep this") | fields

    response = signed_in(world.ada).post(form_url(world), sent)

    assert response.status_code == 400
    assert not ApprovalPolicy.objects.exists()
    assert "fs-error" in text_of(response) or "fs-tone-bad" in text_of(response)
    assert (sent["reason"].strip() or "textarea") in text_of(response)


def test_set__somebody_without_the_role__cannot_be_named(world: World) -> None:
    response = signed_in(world.ada).post(form_url(world), posted(who="named", named_approvers=[str(world.vera.pk)]))

    assert response.status_code == 400
    assert not ApprovalPolicy.objects.exists()


def test_list__too_few_approvers__warns(world: World) -> None:
    world.grant(world.abel, world.production, Role.VIEWER)
    just_enough = text_of(signed_in(world.vera).get(reverse(LIST)))
    world.grant(world.anna, world.production, Role.VIEWER)
    nobody = text_of(signed_in(world.vera).get(reverse(LIST)))

    assert "Just enough" in just_enough
    assert "Nobody can approve, so nothing can change here." in nobody


def test_list__names_who_could_approve_now(world: World) -> None:
    text = text_of(signed_in(world.vera).get(reverse(LIST)))

    assert "Abel Test, Anna Test" in text
    assert "14 days" in text
    assert "Change</a>" not in text


def test_list__more_environments__same_number_of_queries(world: World) -> None:
    client = signed_in(world.ada)
    client.get(reverse(LIST))
    with CaptureQueriesContext(connection) as few:
        client.get(reverse(LIST))

    make_world()
    with CaptureQueriesContext(connection) as many:
        client.get(reverse(LIST))

    assert len(many) == len(few)
    assert len(many) <= 16


@pytest.mark.parametrize("method", ["put", "delete"])
def test_pages__other_methods__are_refused(world: World, method: str) -> None:
    client = signed_in(world.ada)

    assert getattr(client, method)(form_url(world)).status_code == 405
    assert client.post(reverse(LIST)).status_code == 405


def test_form__hostile_names__are_escaped(world: World) -> None:
    world.abel.first_name = HOSTILE[:100]
    world.abel.save()

    text = text_of(signed_in(world.ada).get(form_url(world)))

    assert "<script>alert" not in text
    assert "<img src=x" not in text


def test_form__of_another_project__does_not_exist(world: World) -> None:
    other = make_world()
    world.grant(world.rolf, world.production, Role.ADMINISTRATOR)

    assert signed_in(world.rolf).get(form_url(world)).status_code == 200
    assert signed_in(world.rolf).get(form_url(other)).status_code == 404
