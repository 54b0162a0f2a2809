"""Access: roles are changed one person and environment at a time, by administrators of that environment."""

from datetime import date, time, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from audits.models import AuditEvent
from flags.admin.access import cautions
from flags.admin.panels import PolicyFacts
from flags.models import RoleGrant
from flags.permissions import Role, roles_of
from flags.selectors.access import access
from flags.services.roles import give_role
from flagsite.templatetags.flagsite import last_day
from tests.factories import NOW, World, actor_of, make_person
from tests.support.admin import signed_in, text_of


def cell(world: World, person: Any, environment: str = "production") -> str:
    """The address of one cell's form."""
    page = reverse("admin:flags_access")
    return f"{page}?project={world.project.key}&environment={environment}&person={person.pk}"


def test_roles__administrator_with_a_reason__are_set_and_recorded(world: World) -> None:
    response = signed_in(world.ada).post(
        cell(world, world.vera), {"roles": ["viewer", "approver"], "reason": "Covers for Abel"}
    )

    assert response.status_code == 302
    assert roles_of(world.vera, world.production) == {Role.VIEWER, Role.APPROVER}
    event = AuditEvent.objects.filter(action="role.changed", via="admin").get()
    assert event.reason == "Covers for Abel"


def test_roles__no_reason__nothing_changes_and_ticks_stay(world: World) -> None:
    response = signed_in(world.ada).post(cell(world, world.vera), {"roles": ["approver"], "reason": " "})

    text = text_of(response)
    assert response.status_code == 200
    assert 'value="approver" id="id_roles_2" checked' in text
    assert "Save roles in PRODUCTION" in text
    assert roles_of(world.vera, world.production) == {Role.VIEWER}


@pytest.mark.parametrize("role", ["rita", "abel", "vera", "otto"])
def test_roles__not_an_administrator__cannot_even_open_the_form(world: World, role: str) -> None:
    client = signed_in(getattr(world, role))
    sent = {"roles": ["approver"], "reason": "Mine"}

    assert client.get(cell(world, getattr(world, role))).status_code == 404
    assert client.post(cell(world, getattr(world, role)), sent).status_code == 404

    assert Role.ADMINISTRATOR not in roles_of(getattr(world, role), world.production)
    assert not AuditEvent.objects.filter(action="role.changed", via="admin").exists()


def test_roles__administrator_of_another_environment__cannot_change_production(world: World) -> None:
    world.grant(world.rolf, world.staging, Role.ADMINISTRATOR)
    client = signed_in(world.rolf)

    assert client.get(cell(world, world.vera, "staging")).status_code == 200
    assert client.post(cell(world, world.vera), {"roles": ["approver"], "reason": "x"}).status_code == 404


@pytest.mark.parametrize("query", ["person=x", "person=", "environment=production", "person=x&environment=nowhere"])
def test_roles__forged_address__is_not_found(world: World, query: str) -> None:
    client = signed_in(world.ada)

    assert client.post(reverse("admin:flags_access") + "?" + query, {"roles": ["editor"]}).status_code == 404


def test_roles__unknown_role__is_refused(world: World) -> None:
    response = signed_in(world.ada).post(cell(world, world.vera), {"roles": ["owner"], "reason": "x"})

    assert response.status_code == 200
    assert roles_of(world.vera, world.production) == {Role.VIEWER}


def test_access__viewer__sees_roles_without_forms(world: World) -> None:
    text = text_of(signed_in(world.vera).get(reverse("admin:flags_access")))

    assert "Abel Test" in text
    assert "Change the roles of" not in text
    assert "Otto" not in text


@pytest.mark.parametrize(
    ("required", "named", "expected"),
    [
        (1, None, ""),
        (2, None, "has no approver to spare"),
        (3, None, "no change can happen there"),
        (1, frozenset(), "nobody may approve"),
    ],
)
def test_cautions__policy_and_approvers__say_what_will_stop_people(
    world: World, required: int, named: frozenset[str] | None, expected: str
) -> None:
    environments, rows = access(world.ada, world.project)
    policies = {world.production.pk: PolicyFacts(required, named, "")}

    found = cautions(environments, rows, policies, now=NOW)

    assert bool(found) == bool(expected)
    assert all(expected in item.text for item in found)


def ahead(days: int) -> date:
    return timezone.localdate() + timedelta(days=days)


def given(world: World, person: Any, role: Role, *, days: int) -> RoleGrant:
    now = timezone.now()
    return give_role(
        person.pk,
        world.production.pk,
        role=role,
        ends_at=now + timedelta(days=days),
        actor=actor_of(world.ada),
        now=now,
        reason="Holiday cover",
    )


def test_give__role_with_a_last_day__stands_in_the_matrix_and_ends_when_the_day_is_over(world: World) -> None:
    sent = {"act": "give", "give-role": "approver", "give-ends_at": ahead(9).isoformat(), "give-reason": "Cover"}

    response = signed_in(world.ada).post(cell(world, world.otto), sent, follow=True)

    grant = RoleGrant.objects.get(person=world.otto)
    assert grant.ends_at is not None
    assert timezone.localtime(grant.ends_at).date() == ahead(10)
    assert timezone.localtime(grant.ends_at).time() == time.min
    assert last_day(grant.ends_at) in text_of(response)
    assert f"until {ahead(9):%-d %B %Y}" in text_of(response)
    assert roles_of(world.otto, world.production) == {Role.APPROVER, Role.VIEWER}


@pytest.mark.parametrize(
    "fields",
    [
        {"give-role": "owner"},
        {"give-role": ""},
        {"give-ends_at": "yesterday"},
        {"give-ends_at": "2020-01-01"},
        {"give-reason": " "},
        {"give-role": "2f1c7c9e-0000-0000-0000-000000000000"},
    ],
)
def test_give__something_wrong__is_said_and_nothing_given(world: World, fields: dict[str, str]) -> None:
    sent = {"act": "give", "give-role": "approver", "give-ends_at": "", "give-reason": "Please keep this", **fields}

    response = signed_in(world.ada).post(cell(world, world.otto), sent)

    assert "fs-field-bad" in text_of(response)
    assert "Please keep this" in text_of(response) or "give-reason" in fields
    assert not RoleGrant.objects.filter(person=world.otto).exists()


def test_take__grant_of_the_cell__is_gone_and_of_another_cell_is_not_found(world: World) -> None:
    grant, other = given(world, world.otto, Role.EDITOR, days=3), given(world, world.vera, Role.EDITOR, days=3)
    client = signed_in(world.ada)

    for named, status in ((other.pk, 404), ("x", 404), (grant.pk, 302), (grant.pk, 404)):
        sent = {"act": "take", "grant": str(named), "take-reason": "Back already"}
        assert client.post(cell(world, world.otto), sent).status_code == status

    assert not roles_of(world.otto, world.production)
    assert Role.EDITOR in roles_of(world.vera, world.production)


@pytest.mark.parametrize("act", ["give", "take", "roles", "explode"])
def test_every_act__not_an_administrator__is_not_found(world: World, act: str) -> None:
    grant = given(world, world.otto, Role.EDITOR, days=3)
    sent = {"act": act, "give-role": "approver", "give-reason": "x", "grant": str(grant.pk), "take-reason": "x"}

    assert signed_in(world.rita).post(cell(world, world.otto), sent).status_code == 404

    assert roles_of(world.otto, world.production) == {Role.EDITOR, Role.VIEWER}


def test_cautions__approver_for_a_few_days__warns_before_it_is_too_late(world: World) -> None:
    world.grant(world.anna, world.production, Role.VIEWER)
    given(world, world.anna, Role.APPROVER, days=3)

    environments, rows = access(world.ada, world.project)
    [found] = cautions(environments, rows, {}, now=timezone.now())

    assert "Approvers for a few days only: Anna Test until" in found.text
    assert "there is no approver to spare" in found.text
    assert not cautions(environments, rows, {}, now=timezone.now() - timedelta(days=30))


def why(world: World, **query: str) -> str:
    return reverse("admin:flags_access_why") + "?" + urlencode({"project": world.project.key, **query})


def test_why__environment__each_permission_through_whom_and_until_when(world: World) -> None:
    given(world, world.otto, Role.APPROVER, days=3)

    text = text_of(signed_in(world.vera).get(why(world, environment="production")))

    approving = text[text.index("Approve what others ask for") : text.index("Schedule and apply approved")]
    assert all(name in approving for name in ("Abel Test", "Anna Test", "Otto Test", "Holiday cover", "until"))
    assert "Ada Test" in approving[approving.index("Otto Test") :]
    assert "site administrator" not in approving
    assert "site administrator" in text[text.index("Administer protection") :]


def test_why__person__what_he_can_do_and_that_superusers_do_not_approve(world: World) -> None:
    client = signed_in(world.vera)

    abel = text_of(client.get(why(world, person=str(world.abel.pk))))
    ada = text_of(client.get(why(world, person=str(world.ada.pk))))

    assert abel.count('fs-role-approver"') == 6
    assert "approving, applying and breaking glass still take a role" in ada
    assert "fs-role-approver" not in ada


@pytest.mark.parametrize(
    "query",
    [{}, {"person": "x"}, {"environment": "nowhere"}, {"person": "x", "environment": "production", "project": "other"}],
)
def test_why__forged_address__is_not_found(world: World, query: dict[str, str]) -> None:
    assert signed_in(world.ada).get(why(world, **query)).status_code == 404


def test_why__outsider__learns_nothing(world: World) -> None:
    assert signed_in(world.otto).get(why(world, environment="production")).status_code == 404


def test_why__more_people__same_number_of_queries(world: World) -> None:
    client = signed_in(world.ada)
    client.get(why(world, environment="production"))
    with CaptureQueriesContext(connection) as few:
        client.get(why(world, environment="production"))
    for name in ("kim", "lee", "max"):
        world.grant(make_person(name), world.production, Role.APPROVER, Role.EDITOR)

    with CaptureQueriesContext(connection) as many:
        client.get(why(world, environment="production"))

    assert len(many) == len(few)
