"""Roles: who may grant them, what they bring, and that nobody grants himself one by another way."""

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.db import IntegrityError, transaction
from django.utils import timezone
from guardian.shortcuts import get_user_perms

from audits.models import AuditEvent
from flags import permissions
from flags.errors import InvalidInput, OwnGrant, PermissionMissing
from flags.models import EnvironmentUserGrant, RoleGrant
from flags.permissions import ROLE_PERMISSION, Role
from flags.selectors.grants import ended_grants
from flags.services.roles import end_role_if_due, give_role, set_roles, take_role
from flags.services.tickets import governed_write
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


END = NOW + timedelta(days=30)
LONG = timedelta(days=100)


class Clock:
    """An instant that everybody reads."""

    def __init__(self, instant: datetime) -> None:
        self.instant = instant

    def __call__(self) -> datetime:
        return self.instant


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The machine's clock, standing at NOW until a test moves it."""
    clock = Clock(NOW)
    monkeypatch.setattr(timezone, "now", clock)
    return clock


def give(world: World, person: Any, role: Role | uuid.UUID, *, ends_at: datetime | None = END, by: Any = None) -> Any:
    return give_role(
        person.pk,
        world.production.pk,
        role=role,
        ends_at=ends_at,
        actor=actor_of(by or world.ada),
        now=NOW,
        reason="Holiday cover",
    )


def held(world: World, person: Any) -> set[str]:
    actor = actor_of(person)
    return {name for name in ROLE_PERMISSION.values() if permissions.holds(actor, name, world.production)}


@pytest.mark.parametrize("role", Role)
def test_give_role__with_an_end__is_gone_at_that_instant(role: Role, world: World, clock: Clock) -> None:
    give(world, world.otto, role)
    brought = {ROLE_PERMISSION[role], permissions.VIEW}

    for instant, expected in ((END - timedelta(microseconds=1), brought), (END, set()), (END + LONG, set())):
        clock.instant = instant
        fresh = get_user_model().objects.get(pk=world.otto.pk)
        assert held(world, world.otto) == expected
        assert {name for name in ROLE_PERMISSION.values() if fresh.has_perm(name, world.production)} == expected
        assert (fresh in permissions.people_with(world.production, ROLE_PERMISSION[role])) is bool(expected)
        assert (world.production.pk in permissions.environments_with(fresh, ROLE_PERMISSION[role])) is bool(expected)
        assert (world.production in permissions.visible_environments(fresh)) is bool(expected)
        assert bool(permissions.roles_of(fresh, world.production)) is bool(expected)
    clock.instant = NOW
    assert held(world, world.otto) == brought


def test_give_role__several_grants__the_longest_counts_for_each_permission(world: World, clock: Clock) -> None:
    give(world, world.otto, Role.APPROVER, ends_at=END)
    give(world, world.otto, Role.EDITOR, ends_at=END + LONG)

    clock.instant = END
    assert held(world, world.otto) == {permissions.PROPOSE, permissions.VIEW}
    give(world, world.otto, Role.EDITOR, ends_at=None)
    clock.instant = END + LONG + LONG
    assert held(world, world.otto) == {permissions.PROPOSE, permissions.VIEW}


def test_give_role__another_end__replaces_the_grant_and_keeps_the_former(world: World) -> None:
    first = give(world, world.otto, Role.APPROVER)
    assert give(world, world.otto, Role.APPROVER).pk == first.pk

    second = give(world, world.otto, Role.APPROVER, ends_at=None)

    first.refresh_from_db()
    assert (first.closed_at, first.closed_by, second.closed_at) == (NOW, world.ada, None)
    assert AuditEvent.objects.filter(action="role.changed", environment_key="production").count() == 2


@pytest.mark.parametrize("ends_at", [NOW, NOW - LONG, NOW + timedelta(days=5000), datetime(2026, 12, 3)])  # noqa: DTZ001
def test_give_role__unusable_end__is_refused(ends_at: datetime, world: World) -> None:
    with pytest.raises(InvalidInput):
        give(world, world.otto, Role.APPROVER, ends_at=ends_at)
    assert not permissions.roles_of(world.otto, world.production)


def test_give_role__own_gain__is_refused_also_as_a_later_end(world: World, clock: Clock) -> None:
    give(world, world.otto, Role.ADMINISTRATOR)

    for role, ends_at in ((Role.APPROVER, END), (Role.ADMINISTRATOR, None), (Role.ADMINISTRATOR, END + LONG)):
        with pytest.raises(OwnGrant):
            give(world, world.otto, role, ends_at=ends_at, by=world.otto)

    give(world, world.otto, Role.ADMINISTRATOR, ends_at=NOW + timedelta(days=1), by=world.otto)


@pytest.mark.parametrize("name", ["rita", "abel", "rolf", "vera", "otto"])
def test_give_role_and_take_role__not_an_administrator__is_refused(name: str, world: World) -> None:
    person = getattr(world, name)
    grant = give(world, world.anna, Role.EDITOR)

    with pytest.raises(PermissionMissing):
        give(world, world.otto, Role.APPROVER, by=person)
    with pytest.raises(PermissionMissing):
        take_role(grant.pk, actor=actor_of(person), now=NOW, reason="Because")


def test_take_role__before_its_end__is_gone_and_the_other_roles_stay(world: World, clock: Clock) -> None:
    grant = give(world, world.abel, Role.EDITOR)

    for _ in range(2):
        take_role(grant.pk, actor=actor_of(world.ada), now=NOW, reason="Back already")

    assert held(world, world.abel) == {permissions.APPROVE, permissions.VIEW}
    assert AuditEvent.objects.filter(action="role.changed", reason="Back already").count() == 1


def test_end_role__when_it_has_ended__removes_the_rows_once_and_says_so(world: World, clock: Clock) -> None:
    grant = give(world, world.abel, Role.EDITOR)
    assert not end_role_if_due(grant.pk, now=END - timedelta(seconds=1))
    assert list(ended_grants(END)) == [grant]

    clock.instant = END
    done = [end_role_if_due(grant.pk, now=END) for _ in range(3)]

    assert done == [True, False, False]
    event = AuditEvent.objects.get(action="role.ended")
    assert (event.details["role"], event.target_id, event.actor_kind) == ("editor", str(world.abel.pk), "system")
    rows = EnvironmentUserGrant.every.filter(user=world.abel, content_object=world.production)
    assert set(rows.values_list("permission__codename", flat=True)) == {"approve_change", "view_environment"}
    assert list(ended_grants(END)) == []


def test_give_role__after_an_end_that_nobody_swept__is_given_anew(world: World, clock: Clock) -> None:
    give(world, world.otto, Role.APPROVER)
    clock.instant = later = END + LONG

    give_role(
        world.otto.pk,
        world.production.pk,
        role=Role.APPROVER,
        ends_at=None,
        actor=actor_of(world.ada),
        now=later,
        reason="Again",
    )

    assert held(world, world.otto) == {permissions.APPROVE, permissions.VIEW}
    assert AuditEvent.objects.filter(action="role.ended").count() == 1


def test_set_roles__roles_with_an_end__stay_as_they_were_given(world: World, clock: Clock) -> None:
    give(world, world.otto, Role.APPROVER)

    world.grant(world.otto, world.production, Role.APPROVER, Role.EDITOR)
    clock.instant = END

    assert held(world, world.otto) == {permissions.PROPOSE, permissions.VIEW}


GRANT_WRITES: dict[str, Callable[[RoleGrant], Any]] = {
    "prolonged": lambda grant: RoleGrant.objects.filter(pk=grant.pk).update(ends_at=None),
    "another person": lambda grant: RoleGrant.objects.filter(pk=grant.pk).update(person=grant.given_by),
    "deleted": lambda grant: RoleGrant.objects.filter(pk=grant.pk).delete(),
    "the row": lambda grant: EnvironmentUserGrant.every.filter(user=grant.person).update(ends_at=None),
}


@pytest.mark.parametrize("write", GRANT_WRITES)
def test_grants__written_by_hand__are_refused_by_the_database(write: str, world: World) -> None:
    grant = give(world, world.otto, Role.APPROVER)

    with pytest.raises(IntegrityError, match="flagsite"), transaction.atomic():
        GRANT_WRITES[write](grant)
    if write in ("prolonged", "another person", "deleted"):
        with pytest.raises(IntegrityError, match="flagsite"), transaction.atomic(), governed_write(world.production.pk):
            GRANT_WRITES[write](grant)
