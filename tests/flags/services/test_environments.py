"""Strict mode changes what is served, so nobody turns it on or off alone."""

from typing import Any

import pytest

from audits.errors import GovernanceError
from audits.models import AuditEvent
from flags.authority import ProtectedEnvironment
from flags.errors import InvalidInput, PermissionMissing
from flags.models import ApplyTicket, Environment
from flags.permissions import Role
from flags.services.environments import set_targeting_key_mode
from flags.services.projects import set_protection
from flags.settings_authority import SecondPersonNeeded
from tests.factories import NOW, World, actor_of, make_world
from tests.support.agreed import strict, unprotected

pytestmark = pytest.mark.django_db


@pytest.fixture
def world() -> World:
    return make_world()


def turn(environment: Environment, who: Any, *, is_required: bool = True, **fields: Any) -> None:
    fields = {"reason": "Find silent bugs", **fields}
    set_targeting_key_mode(environment.pk, actor=actor_of(who), is_required=is_required, now=NOW, **fields)


def stored(environment: Environment) -> tuple[bool, int]:
    row = Environment.objects.get(pk=environment.pk)
    return row.requires_targeting_key, row.revision


def test_set_targeting_key_mode__open_environment__is_served_recorded_and_counted(
    world: World, django_capture_on_commit_callbacks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    published: list[Any] = []
    monkeypatch.setattr("flags.services.environments.snapshots.publish", published.append)
    before = stored(world.development)[1]

    with django_capture_on_commit_callbacks(execute=True):
        turn(world.development, world.ada)
    turn(world.development, world.ada)

    assert stored(world.development) == (True, before + 1)
    assert published == [world.development.pk]
    event = AuditEvent.objects.get(action="environment.updated")
    assert event.details["before"] == {"requires_targeting_key": False}
    assert event.details["after"] == {"requires_targeting_key": True}
    assert event.details["revision"] == before + 1
    assert (event.reason, event.environment_key) == ("Find silent bugs", "development")
    assert not ApplyTicket.objects.exists()
    turn(world.development, world.ada, is_required=False)
    assert stored(world.development) == (False, before + 2)


@pytest.mark.parametrize("role", [None, *Role])
def test_set_targeting_key_mode__every_role__takes_an_administrator(role: Role | None, world: World) -> None:
    if role:
        world.grant(world.otto, world.development, role)
    if role is Role.ADMINISTRATOR:
        turn(world.development, world.otto)
    else:
        with pytest.raises(PermissionMissing):
            turn(world.development, world.otto)
    assert stored(world.development)[0] is (role is Role.ADMINISTRATOR)


def test_set_targeting_key_mode__protected_environment__takes_two_people(world: World) -> None:
    world.grant(world.otto, world.production, Role.ADMINISTRATOR)
    with pytest.raises(SecondPersonNeeded):
        turn(world.production, world.ada)
    assert stored(world.production)[0] is False

    both = strict(world.production, is_required=True, by=world.ada, confirmed_by=world.otto)
    turn(world.production, world.otto, authority=both)

    assert stored(world.production)[0] is True
    assert AuditEvent.objects.get(action="environment.updated").details["proposed_by"] == str(world.ada.pk)


def test_set_targeting_key_mode__protection_taken_off__takes_two_and_not_whoever_did_that(world: World) -> None:
    world.grant(world.otto, world.production, Role.ADMINISTRATOR)
    set_protection(
        world.production.pk,
        actor=actor_of(world.otto),
        is_protected=False,
        now=NOW,
        reason="Strict mode",
        authority=unprotected(world.production, by=world.ada, confirmed_by=world.otto),
    )

    with pytest.raises(ProtectedEnvironment, match="yourself"):
        turn(world.production, world.ada)
    with pytest.raises(SecondPersonNeeded):
        turn(world.production, world.otto)
    assert stored(world.production)[0] is False

    both = strict(world.production, is_required=True, by=world.ada, confirmed_by=world.otto)
    turn(world.production, world.otto, authority=both)
    assert stored(world.production)[0] is True


def test_set_targeting_key_mode__without_a_reason__is_refused(world: World) -> None:
    with pytest.raises(InvalidInput):
        turn(world.development, world.ada, reason=" ")


def test_set_targeting_key_mode__failing_event__takes_the_change_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object, **kwargs: object) -> None:
        raise GovernanceError("The trail is full.")

    monkeypatch.setattr("flags.services.environments.trail.record", broken)
    with pytest.raises(GovernanceError):
        turn(world.development, world.ada)
    assert stored(world.development)[0] is False
