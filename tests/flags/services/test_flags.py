"""Flags and projects: identity, metadata and where a new flag is set up."""

from threading import Thread

import pytest
from django.db import connection

from audits.models import AuditEvent
from flags.authority import ConsentMismatch, ProtectedEnvironment
from flags.errors import AlreadyExists, InvalidDocument, InvalidInput, PermissionMissing
from flags.models import Flag, FlagConfig
from flags.permissions import Role
from flags.services.configs import edit_config
from flags.services.flags import create_flag, update_flag
from flags.services.projects import create_environment, create_project, set_protection
from flags.settings_authority import SecondPersonNeeded
from tests.factories import NOW, World, actor_of, make_world, percent_document
from tests.support.agreed import unprotected

pytestmark = pytest.mark.django_db


@pytest.fixture
def world() -> World:
    return make_world()


def test_create_flag__protected_environment__stays_not_set_up(world):
    flag = world.flag()

    configs = FlagConfig.objects.filter(flag=flag)
    assert {config.environment for config in configs} == {world.development, world.staging}
    assert not any(config.document["enabled"] for config in configs)


def test_create_flag__schema_that_cannot_be_used__is_refused_before_anything_is_written(world):
    with pytest.raises(InvalidDocument, match="this schema only"):
        world.flag(
            value_type="object",
            variants=[{"name": "a", "value": {}}],
            value_schema={"$ref": "https://example.com/"},
        )
    assert not Flag.objects.exists()


def test_create_flag__key_taken__says_so(world):
    world.flag()

    with pytest.raises(AlreadyExists, match="checkout-redesign"):
        world.flag()


@pytest.mark.parametrize(
    "fields",
    [
        {"key": "with space"},
        {"key": ""},
        {"key": "a" * 101},
        {"key": "ümlaut"},
        {"key": "a/b"},
        {"key": "-leading"},
        {"key": "line\n"},
        {"name": ""},
        {"name": "x" * 121},
        {"name": "bell\x07"},
        {"name": "safe\u202egnihton"},
        {"tags": ["in\u200bvisible"]},
        {"kind": "toggle"},
        {"value_type": "number"},
        {"links": ["javascript:alert(1)"]},
        {"links": ["https://"]},
        {"links": ["http://[bad"]},
        {"tags": [""]},
        {"owner_id": "00000000-0000-0000-0000-000000000000"},
    ],
)
def test_create_flag__bad_field__is_refused_and_nothing_stored(fields, world):
    base = {"key": "fine", "name": "Fine", "kind": "release", "value_type": "boolean", "now": NOW}

    with pytest.raises(InvalidInput):
        create_flag(world.project.pk, actor=actor_of(world.rita), **{**base, **fields})

    assert not Flag.objects.exists()


@pytest.mark.parametrize("name", ["abel", "rolf", "vera", "otto", "ada"])
def test_create_and_update_flag__by_no_editor__is_refused(name, world):
    flag = world.flag()
    actor = actor_of(getattr(world, name))

    with pytest.raises(PermissionMissing):
        create_flag(world.project.pk, actor=actor, key="new", name="New", kind="release", value_type="boolean", now=NOW)
    with pytest.raises(PermissionMissing):
        update_flag(flag.pk, actor=actor, now=NOW, name="Other")

    assert Flag.objects.get().name == flag.name


def test_update_flag__changed_fields__are_recorded_with_before_and_after(world):
    flag = world.flag()

    update_flag(flag.pk, actor=actor_of(world.rita), now=NOW, name="New name", tags=["b", "a", "b"])

    event = AuditEvent.objects.filter(action="flag.updated").get()
    assert Flag.objects.get().tags == ["a", "b"]
    assert event.details["changed"]["name"] == {"from": "Checkout redesign", "to": "New name"}


@pytest.mark.parametrize("field", ["key", "value_type", "project_id", "id", "created_at"])
def test_update_flag__identity__never_changes(field, world):
    flag = world.flag()

    with pytest.raises(InvalidInput, match="never change"):
        update_flag(flag.pk, actor=actor_of(world.rita), now=NOW, **{field: "x"})


def test_set_protection__needs_administrator_and_reason__and_is_recorded(world):
    with pytest.raises(PermissionMissing):
        set_protection(world.production.pk, actor=actor_of(world.rolf), is_protected=False, now=NOW, reason="x")
    with pytest.raises(InvalidInput):
        set_protection(world.production.pk, actor=actor_of(world.ada), is_protected=False, now=NOW, reason="")

    set_protection(world.staging.pk, actor=actor_of(world.ada), is_protected=True, now=NOW, reason="Freeze")

    world.staging.refresh_from_db()
    assert world.staging.is_protected
    assert AuditEvent.objects.filter(action="environment.protection_changed", reason="Freeze").count() == 1


def test_create_project_and_environment__by_no_superuser__is_refused(world):
    with pytest.raises(PermissionMissing):
        create_project(actor=actor_of(world.rita), key="mine", name="Mine", now=NOW)
    with pytest.raises(PermissionMissing):
        create_environment(
            world.project.pk,
            actor=actor_of(world.rita),
            key="own",
            name="Own",
            kind="production",
            is_protected=False,
            now=NOW,
        )


@pytest.mark.parametrize("name", ["ada", "rolf"])
def test_set_protection__one_person_takes_it_off__is_refused(name, world):
    world.grant(world.rolf, world.production, Role.ADMINISTRATOR)
    person = getattr(world, name)

    with pytest.raises(SecondPersonNeeded, match="another one confirms"):
        set_protection(world.production.pk, actor=actor_of(person), is_protected=False, now=NOW, reason="Hurry")
    himself = unprotected(world.production, by=person, confirmed_by=person)
    with pytest.raises(ConsentMismatch, match="Two different people"):
        take_protection_off(world.production, person, himself)
    another = unprotected(world.staging, by=world.ada, confirmed_by=world.rolf)
    with pytest.raises(ConsentMismatch, match="not the one that was confirmed"):
        take_protection_off(world.production, person, another)

    world.production.refresh_from_db()
    assert world.production.is_protected


def take_protection_off(environment, person, authority):
    set_protection(
        environment.pk,
        actor=actor_of(person),
        is_protected=False,
        now=NOW,
        reason="Incident",
        authority=authority,
    )


def test_set_protection__taken_off_by_an_editor__somebody_else_has_to_edit(world):
    flag = world.flag()
    world.serve(flag, world.production)
    world.grant(world.rolf, world.production, Role.ADMINISTRATOR, Role.EDITOR)
    document = percent_document(flag.key, 100)

    def edit(person, base_version):
        edit_config(
            flag.pk,
            world.production.pk,
            actor=actor_of(person),
            document=document,
            base_version=base_version,
            reason="Quick",
            now=NOW,
        )

    both = unprotected(world.production, by=world.rolf, confirmed_by=world.ada)
    take_protection_off(world.production, world.ada, both)
    event = AuditEvent.objects.get(action="environment.protection_changed", environment_key="production")
    assert event.details == {"is_protected": False, **both.evidence()}
    with pytest.raises(ProtectedEnvironment, match="yourself"):
        edit(world.rolf, 1)
    edit(world.rita, 1)
    created = create_flag(
        world.project.pk,
        actor=actor_of(world.rolf),
        key="meanwhile",
        name="Meanwhile",
        kind="release",
        value_type="boolean",
        now=NOW,
    )
    assert not FlagConfig.objects.filter(flag=created, environment=world.production).exists()

    set_protection(world.production.pk, actor=actor_of(world.rolf), is_protected=True, now=NOW, reason="Over")
    with pytest.raises(ProtectedEnvironment, match="Propose"):
        edit(world.rita, 2)


@pytest.mark.django_db(transaction=True)
def test_create_flag_and_edits__at_once__never_block_each_other():
    world = make_world()
    flag = world.flag()
    failures: list[BaseException] = []

    def run(work):
        try:
            for number in range(8):
                work(number)
        except BaseException as error:
            failures.append(error)
        finally:
            connection.close()

    def create(prefix):
        return lambda number: world.flag(f"{prefix}-{number}")

    def edit(environment):
        def work(number):
            version = FlagConfig.objects.get(flag=flag, environment=environment).version
            edit_config(
                flag.pk,
                environment.pk,
                actor=actor_of(world.rita),
                document=percent_document(flag.key, number + 1),
                base_version=version,
                reason="Race",
                now=NOW,
            )

        return work

    works = [create("a"), create("b"), edit(world.development), edit(world.staging)]
    threads = [Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert Flag.objects.count() == 17
