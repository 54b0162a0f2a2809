"""Custom roles: what they bring, and that widening one is as hard as what it leads to."""

from typing import Any

import pytest

from audits.models import AuditEvent
from flags import permissions
from flags.errors import AlreadyExists, InvalidInput, NotFound, OwnGrant, PermissionMissing
from flags.models import CustomRole, Environment
from flags.permissions import ROLE_PERMISSION, Role
from flags.services.custom_roles import change_custom_role, create_custom_role
from flags.services.roles import give_role, set_roles
from flags.settings_authority import SecondPersonNeeded
from rollouts.selectors.settings import view_of
from rollouts.services import settings
from rollouts.settings_kinds import Scope
from tests.factories import NOW, SOON, World, actor_of, make_world

pytestmark = pytest.mark.django_db

ALL = [name.removeprefix("flags.") for name in ROLE_PERMISSION.values()]


@pytest.fixture
def world() -> World:
    return make_world()


def create(world: World, *codenames: str, by: Any = None, key: str = "on-call", **fields: Any) -> CustomRole:
    return create_custom_role(
        world.project.pk,
        actor=actor_of(by or world.ada),
        key=key,
        name=fields.pop("name", "On call"),
        permissions=codenames or ("propose_change", "apply_change"),
        reason="Nights and weekends",
        now=NOW,
        **fields,
    )


def change(role: CustomRole, *codenames: str, by: Any, **fields: Any) -> CustomRole:
    return change_custom_role(
        role.pk,
        actor=actor_of(by),
        name=role.name,
        description=role.description,
        permissions=codenames,
        reason="More to do",
        now=NOW,
        **fields,
    )


def give(world: World, role: CustomRole, person: Any, environment: Environment, ends_at: Any = None) -> None:
    give_role(
        person.pk, environment.pk, role=role.pk, ends_at=ends_at, actor=actor_of(world.ada), now=NOW, reason="Rota"
    )


def held(person: Any, environment: Environment) -> set[str]:
    names = ROLE_PERMISSION.values()
    return {name.removeprefix("flags.") for name in names if permissions.holds(actor_of(person), name, environment)}


@pytest.mark.parametrize("codename", ALL)
def test_give_role__custom__brings_its_permissions_and_the_right_to_look(codename: str, world: World) -> None:
    give(world, create(world, codename), world.otto, world.production)

    assert held(world.otto, world.production) == {codename, "view_environment"}
    assert not held(world.otto, world.staging)
    set_roles(world.otto.pk, world.production.pk, roles=[], actor=actor_of(world.ada), now=NOW, reason="Over")
    assert not held(world.otto, world.production)


def test_give_role__of_another_project__does_not_exist(world: World) -> None:
    foreign = create(make_world("other-shop"), by=world.ada)

    with pytest.raises(NotFound):
        give(world, foreign, world.otto, world.production)


def test_change__narrower__takes_it_from_every_holder_at_once(world: World) -> None:
    role = create(world)
    give(world, role, world.otto, world.production)
    give(world, role, world.otto, world.staging)

    change(role, "propose_change", by=world.ada)

    for environment in (world.production, world.staging):
        assert held(world.otto, environment) == {"propose_change", "view_environment"}
    event = AuditEvent.objects.filter(action="custom_role.changed").latest("sequence")
    assert event.details["before"]["permissions"] == ["view_environment", "propose_change", "apply_change"]
    assert event.details["after"]["permissions"] == ["view_environment", "propose_change"]


def test_change__wider_with_holders_in_a_protected_environment__takes_two(world: World) -> None:
    world.grant(world.anna, world.production, Role.ADMINISTRATOR)
    role = create(world)
    give(world, role, world.otto, world.production)
    wider = {"name": "On call", "description": "", "permissions": ["propose_change", "apply_change", "approve_change"]}

    with pytest.raises(SecondPersonNeeded):
        change(role, *wider["permissions"], by=world.ada)
    proposal = settings.propose_setting(
        "custom_role",
        Scope(world.project, subject=role.key),
        wider,
        actor=actor_of(world.ada),
        reason="Anna is away",
        now=NOW,
    )
    assert proposal is not None
    assert "approve_change" not in held(world.otto, world.production)
    assert view_of(proposal, world.anna, now=NOW).sentences == [
        "Whoever holds it may also approve changes.",
        "1 person holds it now.",
    ]

    settings.confirm(proposal.pk, actor=actor_of(world.anna), digest=proposal.digest, now=SOON)

    assert "approve_change" in held(world.otto, world.production)


def test_change__wider_where_nothing_is_protected__takes_one(world: World) -> None:
    role = create(world)
    give(world, role, world.otto, world.staging)

    change(role, "propose_change", "administer_environment", by=world.ada)

    assert "administer_environment" in held(world.otto, world.staging)


def test_change__own_role__is_widened_by_somebody_else(world: World) -> None:
    role = create(world)
    world.grant(world.otto, world.production, Role.ADMINISTRATOR)
    give(world, role, world.otto, world.staging)

    with pytest.raises(OwnGrant):
        change(role, *ALL, by=world.otto)
    assert "approve_change" not in held(world.otto, world.staging)
    change(role, "apply_change", by=world.otto)
    assert held(world.otto, world.staging) == {"apply_change", "view_environment"}


@pytest.mark.parametrize("name", ["rita", "abel", "rolf", "vera", "otto"])
def test_every_act__not_an_administrator_of_what_is_protected__is_refused(name: str, world: World) -> None:
    person, role = getattr(world, name), create(world)
    world.grant(world.rolf, world.staging, Role.ADMINISTRATOR)

    with pytest.raises(PermissionMissing):
        create(world, key="own", name="Own", by=person)
    with pytest.raises(PermissionMissing):
        change(role, *ALL, by=person)


@pytest.mark.parametrize(
    "fields", [{"name": ""}, {"name": "x" * 61}, {"description": "x" * 201}, {"key": "on call"}, {"key": ""}]
)
def test_create__unusable__is_refused(fields: dict[str, Any], world: World) -> None:
    with pytest.raises(InvalidInput):
        create(world, **fields)


@pytest.mark.parametrize("codename", ["delete_environment", "flags.approve_change", "is_superuser", "*"])
def test_create__unknown_permission__is_refused(codename: str, world: World) -> None:
    with pytest.raises(InvalidInput):
        create(world, codename)


def test_create__taken__is_refused(world: World) -> None:
    create(world)
    with pytest.raises(AlreadyExists):
        create(world, name="Other")
    with pytest.raises(AlreadyExists):
        create(world, key="other")
