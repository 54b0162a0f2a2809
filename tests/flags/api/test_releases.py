"""Releases of flags for programs: pages, places, and what is refused."""

from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from django.test import Client

from flags import snapshots
from flags.api import edge
from flags.services.flags import update_flag
from flags.services.tokens import issue_token
from tests.factories import NOW, World, actor_of, make_served_world

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _own_state(settings: Any) -> Iterator[None]:
    settings.REDIS_URL = ""
    edge.reset()
    snapshots.store.reset()
    with time_machine.travel(NOW, tick=False):
        yield
    edge.reset()
    snapshots.store.reset()


@pytest.fixture
def world(db: Any) -> World:
    return make_served_world()


def read(world: World, query: str = "", *, scope: str = "manage", project: str = "", flag: str = "") -> Any:
    facts: dict[str, Any] = {"name": "CI", "scope": scope, "expires_at": None, "now": NOW}
    secret = issue_token(world.production.pk, actor=actor_of(world.ada), **facts).secret
    snapshots.store.reset()
    place = f"{project or world.project.key}/flags/{flag or world.first_flag.key}"
    return Client().get(f"/api/v1/projects/{place}/releases{query}", headers={"X-API-Key": secret})


def test_releases__are_those_of_the_environment_and_of_the_flag(world: World) -> None:
    update_flag(world.first_flag.pk, actor=actor_of(world.rita), now=NOW, name="Checkout")

    found = read(world).json()

    assert (found["flag"], found["newest"], found["next"]) == ("checkout-redesign", "1.0.1", None)
    assert [(line["version"], line["part"], line["environment"]) for line in found["results"]] == [
        ("1.0.1", "patch", ""),
        ("1.0.0", "minor", "production"),
    ]
    assert found["results"][0]["groups"] == [
        {"audience": "details", "heading": "Details", "sentences": ["Name: “Checkout redesign” → “Checkout”"]}
    ]
    assert found["results"][1]["reason"] == "Set up for a test"
    assert "## 1.0.1" in found["markdown"]


def test_releases__page_after_page__are_all_and_each_once(world: World) -> None:
    for number in range(4):
        update_flag(world.first_flag.pk, actor=actor_of(world.rita), now=NOW, name=f"Checkout {number}")
    found, query = [], "?page_size=2"
    while query:
        answer = read(world, query).json()
        assert len(answer["results"]) <= 2
        found += [line["version"] for line in answer["results"]]
        query = f"?page_size=2&cursor={answer['next']}" if answer["next"] else ""

    assert found == ["1.0.4", "1.0.3", "1.0.2", "1.0.1", "1.0.0"]


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"query": "?page_size=0"}, 400),
        ({"query": "?page_size=51"}, 400),
        ({"query": "?cursor=x"}, 400),
        ({"query": "?other=1"}, 400),
        ({"scope": "evaluate"}, 403),
        ({"project": "other"}, 404),
        ({"flag": "nothing"}, 404),
        ({"flag": "%00"}, 400),
    ],
)
def test_releases__asked_wrongly__are_refused(asked: dict[str, str], status: int, world: World) -> None:
    assert read(world, **asked).status_code == status
