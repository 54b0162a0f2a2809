"""The flush between committing tests gets past the triggers and puts them back."""

import uuid
from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import Permission
from django.db import DatabaseError, connection, transaction

from flags.models import Environment, Project
from tests.support.flush import flush_database, without_triggers

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)

pytestmark = pytest.mark.django_db(transaction=True)


def _environment() -> Environment:
    project = Project.objects.create(key=f"p-{uuid.uuid4().hex[:8]}", name="Storefront", created_at=NOW)
    return Environment.objects.create(
        project=project, key="production", name="Production", kind="production", created_at=NOW
    )


def _is_guarded(environment: Environment) -> bool:
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("DELETE FROM flags_environment")
    except DatabaseError:
        return True
    return False


def test_flush__governed_rows__are_deleted_and_permissions_kept() -> None:
    _environment()
    permissions = Permission.objects.count()

    flush_database()

    assert Environment.objects.count() == 0
    assert Permission.objects.count() == permissions > 0


def test_flush__afterwards__triggers_refuse_again() -> None:
    _environment()
    flush_database()

    assert _is_guarded(_environment())


def test_without_triggers__block_raises__triggers_are_back() -> None:
    environment = _environment()

    with pytest.raises(RuntimeError), without_triggers(connection):
        raise RuntimeError

    assert _is_guarded(environment)
