"""The tables can be taken away and made again, with every trigger, and one look makes them all."""

from collections.abc import Iterator

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, models, transaction
from django.db.migrations.operations import CreateModel
from django.db.migrations.state import ProjectState

from flags.operations import CreateModels
from tests.factories import make_world
from tests.support.remembered import forget_all

OURS = ("flags_", "rollouts_")
TRIGGERS = {
    "sqlite": "SELECT tbl_name, name, sql FROM sqlite_master WHERE type = 'trigger'",
    "postgresql": "SELECT tgrelid::regclass::text, tgname, pg_get_triggerdef(oid)"
    " FROM pg_trigger WHERE NOT tgisinternal",
}


@pytest.fixture
def restored() -> Iterator[None]:
    """The newest tables again, whatever happens."""
    yield
    call_command("migrate", verbosity=0)
    forget_all()


def _tables() -> dict[str, set[str]]:
    found = [table for table in connection.introspection.table_names() if table.startswith(OURS)]
    with connection.cursor() as cursor:
        return {table: set(connection.introspection.get_constraints(cursor, table)) for table in found}


def _triggers() -> set[tuple[str, str, str]]:
    with connection.cursor() as cursor:
        cursor.execute(TRIGGERS[connection.vendor])
        return {(table, name, text) for table, name, text in cursor.fetchall() if table.startswith(OURS)}


@pytest.mark.django_db(transaction=True)
def test_migrate__to_nothing_and_back__same_tables_and_triggers(restored: None) -> None:
    tables, triggers = _tables(), _triggers()

    call_command("migrate", "rollouts", "zero", verbosity=0)
    call_command("migrate", "flags", "zero", verbosity=0)
    assert (_tables(), _triggers()) == ({}, set())

    call_command("migrate", verbosity=0)
    assert (_tables(), _triggers()) == (tables, triggers)
    world = make_world()
    with pytest.raises(IntegrityError, match="governed"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE flags_environment SET name = 'Forged' WHERE key = %s", [world.production.key])


def test_create_models__with_tables_that_refer_to_each_other__adds_all_to_a_state_that_was_looked_at() -> None:
    state = ProjectState()
    assert list(state.apps.get_models()) == []
    shelf = CreateModel("Shelf", [("id", models.AutoField(primary_key=True))])
    book = CreateModel(
        "Book",
        [("id", models.AutoField(primary_key=True)), ("shelf", models.ForeignKey("flags.Shelf", models.CASCADE))],
    )
    operation = CreateModels([shelf, book])

    operation.state_forwards("flags", state)

    assert {model.__name__ for model in state.apps.get_models()} == {"Shelf", "Book"}
    assert state.apps.get_model("flags", "Book")._meta.get_field("shelf").related_model.__name__ == "Shelf"
    assert operation.describe() == "Create models Shelf, Book"
    assert operation.deconstruct() == ("CreateModels", [], {"models": [shelf, book]})
