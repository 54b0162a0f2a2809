"""The upgrade keeps who evaluated flags before uses were kept, as far as counts reach back."""

from datetime import UTC, datetime, timedelta
from importlib import import_module

import pytest
from django.apps import apps
from django.db import connection

from flags.models import EvaluationCount, FlagUse
from tests.factories import World

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
lifecycle = import_module("flags.migrations.0008_lifecycle")


def count(
    world: World, at: datetime, *, span: str = "minute", service: str = "web", number: int = 5, **more: str
) -> None:
    EvaluationCount.objects.create(
        environment=world.staging if more.get("place") == "staging" else world.production,
        span=span,
        at=at,
        flag_key="checkout-redesign",
        variant=more.get("variant", "on"),
        reason="STATIC",
        service=service,
        version="1",
        count=number,
    )


@pytest.mark.django_db
@pytest.mark.parametrize("rows_at_once", [1, 1_000])
def test_upgrade__with_counts__keeps_first_and_last_time_of_every_service(
    world: World, monkeypatch: pytest.MonkeyPatch, rows_at_once: int
) -> None:
    monkeypatch.setattr(lifecycle, "ROWS_AT_ONCE", rows_at_once)
    count(world, AT - timedelta(days=90), span="hour")
    count(world, AT)
    count(world, AT + MINUTE, variant="off")
    count(world, AT, service="billing")
    count(world, AT, place="staging")
    count(world, AT, service="silent", number=0)

    lifecycle.keep_use_of_counts(apps, connection.schema_editor())

    rows = FlagUse.objects.order_by("environment__key", "service")
    assert list(rows.values_list("environment__key", "service", "version", "first_at", "last_at", "is_unknown")) == [
        ("production", "billing", "1", AT, AT, False),
        ("production", "web", "1", AT - timedelta(days=90), AT + MINUTE, False),
        ("staging", "web", "1", AT, AT, False),
    ]
