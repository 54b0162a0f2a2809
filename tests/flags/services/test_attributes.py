"""Declaring what services send."""

from typing import Any

import pytest

from audits.errors import GovernanceError
from audits.models import AuditEvent
from flags.errors import InvalidInput, NotFound, PermissionMissing
from flags.models import ContextAttribute, Environment
from flags.permissions import Role
from flags.services.attributes import declare_attribute, remove_attribute
from flags.services.tickets import governed_write
from tests.factories import NOW, World, actor_of, make_world

pytestmark = pytest.mark.django_db


@pytest.fixture
def world() -> World:
    return make_world()


def declare(world: World, who: Any = None, **fields: Any) -> ContextAttribute:
    fields = {"name": "plan", "value_type": "text"} | fields
    return declare_attribute(world.project.pk, actor=actor_of(who or world.ada), now=NOW, **fields)


def events(action: str) -> list[AuditEvent]:
    return list(AuditEvent.objects.filter(action=f"context_attribute.{action}").order_by("sequence"))


def test_declare_attribute__new_and_changed__records_before_and_after(world: World) -> None:
    first = declare(world, description="What they pay for")
    second = declare(world, grants_access=False)
    declare(world, grants_access=False)

    assert first.pk == second.pk
    created, changed = events("changed")
    assert created.target_label == "plan"
    assert created.details["before"] is None
    assert changed.details["before"] == {
        "value_type": "text",
        "description": "What they pay for",
        "grants_access": True,
    }
    assert changed.details["after"] == {"value_type": "text", "description": "", "grants_access": False}


def test_remove_attribute__declared__is_gone_with_an_event(world: World) -> None:
    attribute = declare(world)

    remove_attribute(attribute.pk, actor=actor_of(world.ada), now=NOW)

    assert not ContextAttribute.objects.exists()
    (event,) = events("removed")
    assert (event.target_label, event.details["after"]) == ("plan", None)
    with pytest.raises(NotFound):
        remove_attribute(attribute.pk, actor=actor_of(world.ada), now=NOW)


@pytest.mark.parametrize("role", [None, *Role])
def test_declare_and_remove__every_role__takes_an_administrator_where_nothing_is_protected(
    role: Role | None, world: World
) -> None:
    with governed_write(world.production.pk):
        Environment.objects.filter(pk=world.production.pk).update(is_protected=False)
    if role:
        world.grant(world.otto, world.staging, role)
    declared = declare(world, name="country")
    acts = [
        lambda: declare(world, world.otto),
        lambda: remove_attribute(declared.pk, actor=actor_of(world.otto), now=NOW),
    ]
    for act in acts:
        if role is Role.ADMINISTRATOR:
            act()
        else:
            with pytest.raises(PermissionMissing):
                act()
    names = {"plan"} if role is Role.ADMINISTRATOR else {"country"}
    assert set(ContextAttribute.objects.values_list("name", flat=True)) == names


@pytest.mark.parametrize("protected", [False, True], ids=["elsewhere", "where it is protected"])
def test_declare_and_remove__what_silences_warnings__takes_an_administrator_of_every_protected_environment(
    protected: bool, world: World
) -> None:
    world.grant(world.otto, world.production if protected else world.development, Role.ADMINISTRATOR)
    declared = declare(world, world.otto, name="country", value_type="number")
    declare(world, world.ada, name="harmless", grants_access=False)
    acts = [
        lambda: declare(world, world.otto, name="is_staff", grants_access=False),
        lambda: declare(world, world.otto, name="country", grants_access=False),
        lambda: remove_attribute(declared.pk, actor=actor_of(world.otto), now=NOW),
    ]

    for act in acts:
        if protected:
            act()
        else:
            with pytest.raises(PermissionMissing, match="Ask an administrator of Production"):
                act()
    # What is harmless already may be described anew, and what is not may be said by everybody who declares.
    assert declare(world, world.otto, name="harmless", description="Colour", grants_access=False).description
    assert declare(world, world.otto, name="harmless").grants_access
    assert ContextAttribute.objects.filter(name="country").exists() is not protected


def test_declare_attribute__administrator_of_another_project__is_refused(world: World) -> None:
    other = make_world()
    world.grant(world.otto, world.production, Role.ADMINISTRATOR)
    with pytest.raises(PermissionMissing):
        declare(other, world.otto)


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"name": ""}, "name"),
        ({"name": " plan"}, "name"),
        ({"name": "user.plan"}, "name"),
        ({"name": "pl\u200ban"}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"name": "targetingKey"}, "name"),
        ({"value_type": "colour"}, "value_type"),
        ({"description": "x" * 201}, "description"),
    ],
)
def test_declare_attribute__value_that_cannot_be_used__is_named(fields: Any, path: str, world: World) -> None:
    with pytest.raises(InvalidInput) as caught:
        declare(world, **fields)
    assert [item["path"] for item in caught.value.facts["problems"]] == [path]
    assert isinstance(caught.value, GovernanceError)
    assert not ContextAttribute.objects.exists()
