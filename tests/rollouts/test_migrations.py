"""Migrations of the governed tables keep their guards, also where SQLite rebuilds a table."""

from collections.abc import Iterator

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.migrations.executor import MigrationExecutor

from rollouts.models import ChangeRequest
from tests.factories import make_world, percent_document
from tests.rollouts.support import Bench

BEFORE, AFTER = ("rollouts", "0002_guards"), ("rollouts", "0003_rounds")


def _migrate(target: tuple[str, str]) -> None:
    MigrationExecutor(connection).migrate([target])


@pytest.fixture
def restored() -> Iterator[None]:
    """The newest tables again, whatever happens."""
    yield
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())


def _assert_guarded(number: int) -> None:
    with pytest.raises(IntegrityError, match="governed"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE rollouts_changerequest SET title = 'Forged' WHERE number = %s", [number])


@pytest.mark.django_db(transaction=True)
def test_rounds__there_and_back__guards_stay_and_old_requests_are_of_round_0(restored: None) -> None:
    world = make_world()
    flag = world.flag()
    world.serve(flag, world.production, percent_document(flag.key, 5))
    request = Bench(world, flag).submitted()

    _migrate(BEFORE)
    _assert_guarded(request.number)
    _migrate(AFTER)
    _assert_guarded(request.number)

    row = ChangeRequest.objects.filter(pk=request.pk).values_list("title", "round", "relies_on").get()
    assert row == (request.title, 0, {})
