"""A starting point from memory is the one the services made, and what follows meets the same refusals."""

import itertools
from typing import Any

import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction

from audits.models import AuditEvent
from flags.models import Environment, Flag, FlagConfig
from flags.services.tickets import governed_write
from tests.factories import World, make_served_world, make_world
from tests.support import remembered as module
from tests.support.remembered import remembered

pytestmark = pytest.mark.django_db
_made = itertools.count(1)


def _made_world() -> tuple[World, int]:
    return make_served_world(), next(_made)


def _rows() -> dict[str, list[Any]]:
    with connection.cursor() as cursor:
        found = {}
        for table in module._own_tables_with_rows():
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            found[table] = sorted(cursor.fetchall(), key=repr)
        return found


def test_remembered__second_time__same_rows_without_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_memories", {})
    kept = []
    for _ in range(2):
        with transaction.atomic():
            world, number = remembered("a test's world", _made_world)
            kept.append((number, _rows(), world.production.pk, world.first_flag.pk))
            transaction.set_rollback(True)

    assert kept[0] == kept[1]
    assert kept[0][1]["flags_flagconfig"]


@pytest.mark.parametrize("_time", [1, 2])
def test_remembered__afterwards__evidence_holds_triggers_refuse_and_services_go_on(_time: int) -> None:
    world = make_served_world()

    call_command("verify_audit_trail")
    for refused in (
        lambda: FlagConfig.objects.filter(environment=world.production).update(version=9),
        lambda: FlagConfig.objects.filter(environment=world.production).delete(),
        lambda: AuditEvent.objects.update(reason="another"),
        lambda: FlagConfig.objects.bulk_create([FlagConfig(flag=world.first_flag, environment=world.production)]),
    ):
        with pytest.raises(DatabaseError, match="flagsite"), transaction.atomic():
            refused()
    world.serve(world.first_flag, world.production)
    world.flag("another")
    call_command("verify_audit_trail")


def test_remembered__another_in_the_same_test__is_made_anew() -> None:
    first, second = make_world(), make_world()

    assert first.project.pk != second.project.pk
    assert Environment.objects.count() == 6


def test_remembered__what_a_test_did_to_it__is_not_kept() -> None:
    for _ in range(2):
        with transaction.atomic():
            world = make_served_world()
            assert [flag.name for flag in Flag.objects.all()] == ["Checkout redesign"] == [world.first_flag.name]
            with governed_write(world.project.pk):
                Flag.objects.update(name="Changed")
            world.first_flag.name = "Changed"
            world.flag("another")
            transaction.set_rollback(True)
