"""Access: roles are changed one person and environment at a time, by administrators of that environment."""

from typing import Any

import pytest
from django.urls import reverse

from audits.models import AuditEvent
from flags.admin.access import cautions
from flags.admin.panels import PolicyFacts
from flags.permissions import Role, roles_of
from flags.selectors.access import access
from tests.factories import World
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

    found = cautions(environments, rows, policies)

    assert bool(found) == bool(expected)
    assert all(expected in item.text for item in found)
