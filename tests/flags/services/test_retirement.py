"""Flags that are archived and revived as a whole, by whatever write does it."""

from threading import Thread
from typing import Any

import pytest
from django.db import connection

from audits.models import AuditEvent
from flags.authority import Retirement
from flags.changes import ChangeSet, ConfigEdit
from flags.documents.deprecation import Deprecation, with_deprecation
from flags.models import Environment, Flag, FlagConfig, Tombstone
from flags.services.configs import apply_change_set
from flags.services.retirement import note_archived
from tests.factories import NOW, SOON, World, actor_of, make_world

pytestmark = pytest.mark.django_db


@pytest.fixture
def world() -> World:
    return make_world()


def write(world: World, flag: Flag, environment: Environment, *, is_archived: bool) -> None:
    config = FlagConfig.objects.get(flag=flag, environment=environment)
    end = Deprecation(deprecated_at=NOW, is_archived=True) if is_archived else None
    document: dict[str, Any] = with_deprecation(config.document, end)
    change_set = ChangeSet(str(environment.pk), (ConfigEdit(flag.key, config.version, document),))
    reason = "Nobody needs it"
    apply_change_set(change_set, actor=actor_of(world.rita), authority=Retirement(), now=SOON, reason=reason)


def events(flag: Flag) -> list[str]:
    wanted = ("flag.archived", "flag.revived")
    found = AuditEvent.objects.filter(flag_key=flag.key, action__in=wanted).order_by("sequence")
    return list(found.values_list("action", flat=True))


def test_archiving__one_of_two_environments__leaves_the_flag(world):
    flag = world.flag()

    write(world, flag, world.development, is_archived=True)

    flag.refresh_from_db()
    assert flag.archived_at is None
    assert not Tombstone.objects.exists()
    assert events(flag) == []


def test_archiving__last_environment__archives_the_flag_and_keeps_its_key_back(world):
    flag = world.flag()

    write(world, flag, world.development, is_archived=True)
    write(world, flag, world.staging, is_archived=True)

    flag.refresh_from_db()
    assert flag.archived_at == SOON
    tombstone = Tombstone.objects.get()
    assert (tombstone.flag_id, tombstone.key, tombstone.lifecycle) == (flag.pk, flag.key, 1)
    assert tombstone.released_at is None
    assert events(flag) == ["flag.archived"]


def test_reviving__any_environment_serves_it_again__begins_another_life(world):
    flag = world.flag()
    write(world, flag, world.development, is_archived=True)
    write(world, flag, world.staging, is_archived=True)

    write(world, flag, world.staging, is_archived=False)

    flag.refresh_from_db()
    assert (flag.archived_at, flag.lifecycle, flag.lifecycle_started_at) == (None, 2, SOON)
    tombstone = Tombstone.objects.get()
    assert (tombstone.released_at, tombstone.released_by) == (SOON, world.rita)
    assert events(flag) == ["flag.archived", "flag.revived"]


def test_reviving__set_up_where_it_never_was__begins_another_life(world):
    flag = world.flag()
    write(world, flag, world.development, is_archived=True)
    write(world, flag, world.staging, is_archived=True)

    world.serve(flag, world.production)

    flag.refresh_from_db()
    assert (flag.archived_at, flag.lifecycle) == (None, 2)


def test_note_archived__archived_already_or_served__does_nothing(world):
    flag = world.flag()

    assert not note_archived(flag, actor=actor_of(world.rita), now=SOON)

    write(world, flag, world.development, is_archived=True)
    write(world, flag, world.staging, is_archived=True)
    assert not note_archived(flag, actor=actor_of(world.rita), now=SOON)
    assert Tombstone.objects.count() == 1


def test_note_archived__set_up_nowhere__archives(world):
    flag = Flag.objects.create(
        project=world.project, key="never", name="Never", kind="release", value_type="boolean", created_at=NOW
    )

    assert note_archived(flag, actor=actor_of(world.rita), now=SOON)

    assert Tombstone.objects.get().key == "never"


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_archiving__two_environments_at_the_same_moment__archives_the_flag_once():
    world = make_world()
    flag = world.flag()

    def archive(environment: Environment) -> None:
        try:
            write(world, flag, environment, is_archived=True)
        finally:
            connection.close()

    threads = [Thread(target=archive, args=(each,)) for each in (world.development, world.staging)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    flag.refresh_from_db()
    assert flag.archived_at == SOON
    assert Tombstone.objects.count() == 1
