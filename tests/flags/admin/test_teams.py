"""Teams and the roles of a project through HTTP: who sees and changes them, and what the pages say."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from flags import permissions
from flags.models import CustomRole, Team
from flags.permissions import Role
from flags.selectors.teams import members
from flags.services import teams
from flags.services.custom_roles import create_custom_role
from flags.services.roles import give_role
from rollouts.models import SettingsProposal
from tests.factories import NOW, World, actor_of
from tests.support.admin import HOSTILE, signed_in, text_of

TEAMS, ROLES = "admin:flags_team_changelist", "admin:flags_customrole_changelist"


@pytest.fixture
def team(world: World) -> Team:
    return teams.create_team(world.project.pk, actor=actor_of(world.ada), key="security", name="Security", now=NOW)


@pytest.fixture
def role(world: World) -> CustomRole:
    return create_custom_role(
        world.project.pk,
        actor=actor_of(world.ada),
        key="on-call",
        name="On call",
        permissions=["propose_change"],
        reason="Nights",
        now=NOW,
    )


def page(name: str, row: Any) -> str:
    return reverse(f"admin:flags_{name}_change", args=[row.pk])


def names(team: Team) -> list[str]:
    return [person.first_name for person in members([team.pk]).get(team.pk, [])]


def test_team__created_filled_and_emptied__with_reasons(world: World) -> None:
    client = signed_in(world.ada)
    sent = {"name": "Payments", "key": "payments", "description": "Money"}
    answer = client.post(reverse("admin:flags_team_add") + f"?project={world.project.key}", sent)
    team = Team.objects.get(key="payments")
    assert answer["Location"] == page("team", team)

    client.post(page("team", team), {"act": "add", "person": str(world.abel.pk), "reason": "Knows PSD2"})
    assert names(team) == ["Abel"]
    shown = text_of(client.get(page("team", team)))
    assert "Knows PSD2" in shown
    client.post(page("team", team), {"act": "remove", "person": str(world.abel.pk), "remove-reason": "Moved on"})
    client.post(page("team", team), {"act": "rename", "team-name": "Billing", "team-description": ""})

    assert names(team) == []
    assert "Billing" in text_of(client.get(reverse(TEAMS)))
    assert "Former members" in text_of(client.get(page("team", team)))


def test_team__oneself__is_refused_in_a_sentence(world: World, team: Team) -> None:
    world.grant(world.otto, world.production, Role.ADMINISTRATOR)

    text = text_of(
        signed_in(world.ada).post(page("team", team), {"act": "add", "person": str(world.ada.pk), "reason": "Mine"})
    )

    assert "Nobody adds himself to a team" in text
    assert names(team) == []


@pytest.mark.parametrize(
    "sent",
    [
        {"act": "add", "person": "", "reason": "x"},
        {"act": "add", "reason": "x"},
        {"act": "explode"},
        {},
        {"act": "rename", "team-name": ""},
        {"act": "remove", "remove-reason": " "},
    ],
)
def test_team__something_wrong__changes_nothing(world: World, team: Team, sent: dict[str, str]) -> None:
    assert signed_in(world.ada).post(page("team", team), sent).status_code == 200
    assert (Team.objects.get().name, names(team)) == ("Security", [])


@pytest.mark.parametrize(("name", "looks"), [("rita", 200), ("abel", 200), ("vera", 200), ("otto", 404)])
def test_pages__not_an_administrator__look_at_most(
    world: World, team: Team, role: CustomRole, name: str, looks: int
) -> None:
    client, project = signed_in(getattr(world, name)), f"?project={world.project.key}"
    acts: list[dict[str, Any]] = [
        {"act": "add", "person": str(world.anna.pk), "reason": "x"},
        {"act": "remove", "person": str(world.anna.pk), "remove-reason": "x"},
        {"act": "rename", "team-name": "Mine"},
    ]
    forbidden = 404 if looks == 404 else 403

    assert client.get(page("team", team)).status_code == looks
    assert [client.post(page("team", team), sent).status_code for sent in acts] == [forbidden] * 3
    for door in (reverse("admin:flags_team_add"), reverse("admin:flags_customrole_add")):
        assert client.post(door + project, {"name": "Mine", "key": "mine"}).status_code == forbidden
    sent = {"name": "On call", "permissions": ["approve_change"], "reason": "x"}
    assert client.post(page("customrole", role), sent).status_code == forbidden

    assert "New team" not in text_of(client.get(reverse(TEAMS)))
    assert (Team.objects.get().name, names(team)) == ("Security", [])
    assert CustomRole.objects.get().permissions == ["view_environment", "propose_change"]


def test_role__created_and_widened__at_once_while_nobody_holds_it(world: World) -> None:
    client = signed_in(world.ada)
    sent = {"name": "On call", "key": "on-call", "permissions": ["propose_change"], "reason": "Nights"}
    client.post(reverse("admin:flags_customrole_add") + f"?project={world.project.key}", sent)
    role = CustomRole.objects.get()
    give_role(
        world.otto.pk, world.staging.pk, role=role.pk, ends_at=None, actor=actor_of(world.ada), now=NOW, reason="Rota"
    )

    listed = text_of(client.get(reverse(ROLES)))
    assert "Otto Test" in listed
    assert "Propose changes, edit while nothing is protected" in listed
    client.post(page("customrole", role), {"name": "Rota", "permissions": ["view_environment"], "reason": "Less"})

    assert CustomRole.objects.get().name == "Rota"
    assert not permissions.holds(actor_of(world.otto), permissions.PROPOSE, world.staging)


def test_role__widened_where_something_is_protected__is_proposed(world: World, role: CustomRole) -> None:
    world.grant(world.anna, world.production, Role.ADMINISTRATOR)
    sent = {"name": "On call", "permissions": ["propose_change", "approve_change"], "reason": "More"}

    answer = signed_in(world.ada).post(page("customrole", role), sent, follow=True)

    assert "another administrator has to confirm" in text_of(answer)
    assert SettingsProposal.objects.get().subject == "on-call"
    assert "approve_change" not in CustomRole.objects.get().permissions


@pytest.mark.parametrize("fields", [{"permissions": []}, {"permissions": ["root"]}, {"name": ""}, {"reason": " "}])
def test_role__something_wrong__is_said(world: World, role: CustomRole, fields: dict[str, Any]) -> None:
    sent = {"name": "On call", "permissions": ["approve_change"], "reason": "x", **fields}

    assert "fs-field-bad" in text_of(signed_in(world.ada).post(page("customrole", role), sent))
    assert CustomRole.objects.get().permissions == ["view_environment", "propose_change"]


def test_lists__more_rows__same_number_of_queries(world: World, team: Team, role: CustomRole) -> None:
    client, counts = signed_in(world.ada), []
    for number in range(2):
        for address in (TEAMS, ROLES):
            client.get(reverse(address))
            with CaptureQueriesContext(connection) as queries:
                client.get(reverse(address))
            counts.append(len(queries))
        another = teams.create_team(
            world.project.pk, actor=actor_of(world.ada), key=f"t{number}", name=f"T{number}", now=NOW
        )
        for each in (team, another):
            person = [world.abel, world.anna][number]
            teams.add_member(each.pk, person.pk, actor=actor_of(world.ada), reason="x", now=NOW)

    assert counts[:2] == counts[2:]


def test_pages__hostile_names__are_escaped(world: World) -> None:
    hostile = HOSTILE[:60]
    team = teams.create_team(
        world.project.pk, actor=actor_of(world.ada), key="x", name=hostile, description=hostile, now=NOW
    )

    for address in (page("team", team), reverse(TEAMS)):
        assert "<script>alert" not in text_of(signed_in(world.ada).get(address))
