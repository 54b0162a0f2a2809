"""Roles: who may grant them, what they bring, and that nobody grants himself one by another way."""

import pytest
from django.contrib.auth.models import Group, Permission
from guardian.shortcuts import get_user_perms

from audits.models import AuditEvent
from flags import permissions
from flags.errors import InvalidInput, OwnGrant, PermissionMissing
from flags.permissions import ROLE_PERMISSION, Role
from flags.services.roles import set_roles
from tests.factories import NOW, World, actor_of, make_world

pytestmark = pytest.mark.django_db


@pytest.fixture
def world() -> World:
    return make_world()


@pytest.mark.parametrize("role", Role)
def test_set_roles__each_role__brings_its_permission_and_the_right_to_look(role, world):
    world.grant(world.otto, world.production, role)

    actor = actor_of(world.otto)
    held = {name for name in ROLE_PERMISSION.values() if permissions.holds(actor, name, world.production)}
    assert held == {ROLE_PERMISSION[role], permissions.VIEW}
    assert not permissions.holds(actor, ROLE_PERMISSION[role], world.staging)
    assert permissions.roles_of(world.otto, world.production) == {role, Role.VIEWER}


def test_set_roles__roles_taken__leave_nothing_behind(world):
    world.grant(world.rita, world.production)

    assert not get_user_perms(world.rita, world.production)
    event = AuditEvent.objects.filter(action="role.changed").latest("sequence")
    assert event.details["taken"] == ["editor", "viewer"]


def test_set_roles__same_roles_again__record_nothing(world):
    before = AuditEvent.objects.count()

    world.grant(world.rita, world.production, Role.EDITOR)

    assert AuditEvent.objects.count() == before


@pytest.mark.parametrize("name", ["rita", "abel", "rolf", "vera", "otto"])
def test_set_roles__by_anybody_but_an_administrator__is_refused(name, world):
    person = getattr(world, name)

    with pytest.raises(PermissionMissing):
        set_roles(
            person.pk, world.production.pk, roles=[Role.APPROVER], actor=actor_of(person), now=NOW, reason="Because"
        )


def test_set_roles__without_a_reason__is_refused(world):
    with pytest.raises(InvalidInput):
        set_roles(world.rita.pk, world.production.pk, roles=[], actor=actor_of(world.ada), now=NOW, reason="  ")


def test_holds__model_level_or_group_permission__counts_for_nothing(world):
    approve = Permission.objects.get(codename="approve_change")
    group = Group.objects.create(name="Approvers")
    group.permissions.add(approve)
    world.otto.groups.add(group)
    world.otto.user_permissions.add(approve)

    assert not permissions.holds(actor_of(world.otto), permissions.APPROVE, world.production)


@pytest.mark.parametrize(
    ("permission", "expected"),
    [
        (permissions.VIEW, True),
        (permissions.ADMINISTER, True),
        (permissions.PROPOSE, False),
        (permissions.APPROVE, False),
        (permissions.APPLY, False),
    ],
)
def test_holds__superuser__administers_but_never_edits_approves_or_applies(permission, expected, world):
    assert permissions.holds(actor_of(world.ada), permission, world.production) is expected


def test_holds__inactive_person__holds_nothing(world):
    world.abel.is_active = False
    world.abel.save()
    world.ada.is_active = False
    world.ada.save()

    assert not permissions.holds(actor_of(world.abel), permissions.APPROVE, world.production)
    assert not permissions.holds(actor_of(world.ada), permissions.ADMINISTER, world.production)


def test_set_roles__closed_account__loses_what_is_taken_for_good(world):
    world.abel.is_active = False
    world.abel.save()

    world.grant(world.abel, world.production)
    world.abel.is_active = True
    world.abel.save()

    assert permissions.roles_of(world.abel, world.production) == set()
    assert not permissions.holds(actor_of(world.abel), permissions.APPROVE, world.production)


def test_visible_environments__per_person__are_exactly_the_granted_ones(world):
    other = make_world()
    world.grant(world.otto, world.staging, Role.VIEWER)

    assert list(permissions.visible_environments(world.otto)) == [world.staging]
    assert list(permissions.visible_projects(world.otto)) == [world.project]
    assert other.project not in permissions.visible_projects(world.rita)
    assert {world.project, other.project} <= set(permissions.visible_projects(world.ada))


def test_set_roles__own_gain_while_another_administrator_exists__is_refused(world):
    world.grant(world.otto, world.production, Role.ADMINISTRATOR)
    otto = actor_of(world.otto)

    with pytest.raises(OwnGrant, match="Ada"):
        set_roles(
            world.otto.pk,
            world.production.pk,
            roles=[Role.ADMINISTRATOR, Role.APPROVER],
            actor=otto,
            now=NOW,
            reason="Mine",
        )

    assert permissions.roles_of(world.otto, world.production) == {Role.ADMINISTRATOR, Role.VIEWER}
    set_roles(world.otto.pk, world.production.pk, roles=[], actor=otto, now=NOW, reason="I leave")
    assert permissions.roles_of(world.otto, world.production) == set()


def test_set_roles__sole_administrator__may_start_the_installation(world):
    world.grant(world.ada, world.development, Role.EDITOR)

    assert Role.EDITOR in permissions.roles_of(world.ada, world.development)
