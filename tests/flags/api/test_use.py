"""The use of a flag over the API: one environment, those that exist, and nothing for other projects."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from django.test import Client

from flags import snapshots
from flags.api import edge
from flags.services.telemetry import accept
from flags.services.tokens import issue_token
from flags.telemetry.reading import read_batch
from tests.factories import NOW, World, actor_of, make_served_world

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _own_state() -> Iterator[None]:
    edge.reset()
    snapshots.store.reset()
    with time_machine.travel(NOW, tick=False):
        yield
    edge.reset()
    snapshots.store.reset()


@pytest.fixture
def world() -> World:
    return make_served_world()


def get(world: World, address: str = "", *, scope: str = "manage", **params: Any) -> Any:
    facts: dict[str, Any] = {"name": scope, "scope": scope, "expires_at": None, "now": NOW}
    secret = issue_token(world.production.pk, actor=actor_of(world.ada), **facts).secret
    snapshots.store.refresh()
    address = address or f"/api/v1/projects/{world.project.key}/flags/{world.first_flag.key}/use"
    return Client().get(address, params, headers={"Authorization": f"Bearer {secret}"})


def report(world: World, environment: Any) -> None:
    key = world.first_flag.key
    row = {"flag": key, "variant": "on", "reason": "STATIC", "minute": NOW.isoformat(), "count": 7}
    document = {"batch_id": uuid.uuid4().hex, "service": "billing-api", "version": "7", "evaluations": [row]}
    accept(read_batch(document, known={key: ("on",)}, now=NOW), environment.pk, None, now=NOW)


def test_use__reported__is_told_by_service_and_day(world):
    report(world, world.production)

    body = get(world).json()

    assert (body["flag"], body["environment"], body["has_figures"]) == (world.first_flag.key, "production", True)
    (use,) = body["uses"]
    assert (use["service"], use["version"], use["count"], use["has_owner"]) == ("billing-api", "7", 7, False)
    assert use["days"] == [{"day": "2026-03-02", "count": 7}]


def test_use__other_environments__are_not_the_tokens(world):
    report(world, world.staging)

    body = get(world).json()

    assert (body["uses"], body["has_figures"]) == ([], False)


@pytest.mark.parametrize("days", ["0", "91", "x", "-1", "9" * 30])
def test_use__days_that_cannot_be_used__are_refused(world, days):
    assert get(world, days=days).status_code == 400


def test_use__unknown_parameter_scope_project_or_flag__is_refused(world):
    assert get(world, limit="1").status_code == 400
    assert get(world, days=["x", "1"]).status_code == 400
    assert {each["path"] for each in get(world, limit="1", days="0").json()["problems"]} == {"limit", "days"}
    assert get(world, scope="audit").status_code == 403
    assert get(world, f"/api/v1/projects/elsewhere/flags/{world.first_flag.key}/use").status_code == 404
    assert get(world, f"/api/v1/projects/{world.project.key}/flags/none/use").status_code == 404
