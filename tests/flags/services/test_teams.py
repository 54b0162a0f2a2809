"""Teams: who may change them, that nobody adds himself, and that former members stay on record."""

from typing import Any

import pytest
from django.db import IntegrityError, transaction

from audits.models import AuditEvent
from flags.errors import AlreadyExists, InvalidInput, NotFound, OwnGrant, PermissionMissing
from flags.models import Team, TeamMember
from flags.permissions import Role
from flags.selectors.teams import members, teams_of
from flags.services import teams
from flags.services.flags import set_flag_details, update_flag
from flags.services.tickets import governed_write
from tests.factories import NOW, World, actor_of, make_world

pytestmark = pytest.mark.django_db


@pytest.fixture
def world() -> World:
    return make_world()


def create(world: World, key: str = "security", by: Any = None, **fields: Any) -> Team:
    fields = {"name": key.capitalize(), **fields}
    return teams.create_team(world.project.pk, actor=actor_of(by or world.ada), key=key, now=NOW, **fields)


def add(team: Team, person: Any, by: Any, reason: str = "Knows the rules") -> None:
    teams.add_member(team.pk, person.pk, actor=actor_of(by), reason=reason, now=NOW)


def names(team: Team) -> list[str]:
    return [person.first_name for person in members([team.pk]).get(team.pk, [])]


def test_members__added_and_removed__are_who_is_in_now(world: World) -> None:
    team, other = create(world), create(world, "design")
    for person in (world.rita, world.abel, world.abel):
        add(team, person, world.ada)
    assert names(team) == ["Abel", "Rita"]
    assert teams_of(world.abel.pk) == {team.pk}
    assert other.pk not in members([team.pk, other.pk])

    for _ in range(2):
        teams.remove_member(team.pk, world.abel.pk, actor=actor_of(world.ada), reason="Moved on", now=NOW)
    world.rita.is_active = False
    world.rita.save()

    assert names(team) == []
    assert TeamMember.objects.filter(team=team, person=world.abel, removed_by=world.ada).count() == 1
    recorded = list(AuditEvent.objects.filter(target_type="team").order_by("sequence").values_list("action", flat=True))
    assert recorded == ["team.changed"] * 2 + ["team.member_added"] * 2 + ["team.member_removed"]
    add(team, world.abel, world.ada, "Came back")
    assert names(team) == ["Abel"]


@pytest.mark.parametrize("name", ["rita", "abel", "rolf", "vera", "otto"])
def test_every_act__not_an_administrator__is_refused(name: str, world: World) -> None:
    person, team = getattr(world, name), create(world)
    world.grant(world.rolf, world.staging, Role.ADMINISTRATOR)

    with pytest.raises(PermissionMissing):
        create(world, "own", by=person)
    with pytest.raises(PermissionMissing):
        add(team, world.anna, person)
    with pytest.raises(PermissionMissing):
        teams.remove_member(team.pk, world.anna.pk, actor=actor_of(person), reason="x", now=NOW)
    with pytest.raises(PermissionMissing):
        teams.update_team(team.pk, actor=actor_of(person), name="Mine", description="", now=NOW)

    assert names(team) == []


def test_add__oneself_while_others_administer__is_refused(world: World) -> None:
    team = create(world)
    world.grant(world.otto, world.production, Role.ADMINISTRATOR)

    for person in (world.otto, world.ada):
        with pytest.raises(OwnGrant, match="Nobody adds himself"):
            add(team, person, person)

    assert names(team) == []


def test_add__sole_administrator__may(world: World) -> None:
    team = create(world)

    add(team, world.ada, world.ada)

    assert names(team) == ["Ada"]


def test_create__key_or_name_taken_or_unusable__is_refused(world: World) -> None:
    team = create(world)

    for fields in ({"key": "security", "name": "Other"}, {"key": "other", "name": "Security"}):
        with pytest.raises(AlreadyExists):
            create(world, **fields)
    for fields in ({"key": "se curity"}, {"name": " "}, {"name": "x" * 61}, {"description": "x" * 201}):
        with pytest.raises(InvalidInput):
            create(world, **{"key": "another", **fields})
    with pytest.raises(InvalidInput):
        add(team, world.abel, world.ada, reason=" ")
    assert create(make_world("other-shop"), by=world.ada).key == team.key


def test_update__name__is_recorded_once(world: World) -> None:
    team = create(world)

    for _ in range(2):
        teams.update_team(team.pk, actor=actor_of(world.ada), name="Safety", description="Looks twice", now=NOW)

    assert (Team.objects.get().name, AuditEvent.objects.filter(action="team.changed").count()) == ("Safety", 2)


def test_owner_team__of_the_flag__is_one_of_its_project(world: World) -> None:
    flag, team, foreign = world.flag(), create(world), create(make_world("other-shop"), by=world.ada)
    kept: dict[str, Any] = {"kind": flag.kind, "tags": flag.tags, "reason": "Theirs", "now": NOW}

    set_flag_details(flag.pk, actor=actor_of(world.ada), owner_team_id=team.pk, **kept)
    add(team, world.abel, world.ada)
    for person in (world.rita, world.abel):
        with pytest.raises(PermissionMissing):
            set_flag_details(flag.pk, actor=actor_of(person), owner_team_id=None, **kept)
    with pytest.raises(InvalidInput, match="never change"):
        update_flag(flag.pk, actor=actor_of(world.rita), now=NOW, owner_team_id=None)
    with pytest.raises(InvalidInput, match="team"):
        set_flag_details(flag.pk, actor=actor_of(world.ada), owner_team_id=foreign.pk, **kept)

    flag.refresh_from_db()
    assert flag.owner_team == team
    event = AuditEvent.objects.get(action="flag.updated")
    assert event.details["changed"] == {"owner_team_id": {"from": None, "to": str(team.pk)}}
    assert event.reason == "Theirs"


def test_unknown__team_or_person__does_not_exist(world: World) -> None:
    team = create(world)
    world.otto.is_active = False
    world.otto.save()

    with pytest.raises(NotFound):
        add(team, world.otto, world.ada)
    with pytest.raises(NotFound):
        teams.add_member(world.project.pk, world.abel.pk, actor=actor_of(world.ada), reason="x", now=NOW)


def test_rows__written_by_hand__are_refused_by_the_database(world: World) -> None:
    team = create(world)
    add(team, world.abel, world.ada)

    for write in (
        lambda: TeamMember.objects.update(removed_at=NOW),
        lambda: Team.objects.update(name="Other"),
        lambda: TeamMember.objects.create(
            project=world.project, team=team, person=world.otto, added_by=world.otto, added_at=NOW
        ),
    ):
        with pytest.raises(IntegrityError, match="flagsite"), transaction.atomic():
            write()
    with pytest.raises(IntegrityError, match="flagsite"), transaction.atomic(), governed_write(world.project.pk):
        TeamMember.objects.update(person=world.otto)
    assert names(team) == ["Abel"]
