"""Lives of flags over the API: what tokens and people of a project read, page by page, and what others do not."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client

from flags.permissions import Role
from rollouts.services.staleness import scan_stale
from tests.factories import NOW, World, make_served_world, make_world, percent_document
from tests.rollouts.test_change_request_api import client_of
from tests.support.admin import signed_in

pytestmark = pytest.mark.django_db
LATER = NOW + timedelta(days=100)


@pytest.fixture(autouse=True)
def _now() -> Iterator[None]:
    with time_machine.travel(LATER, tick=False):
        yield


@pytest.fixture
def world() -> World:
    world = make_served_world(100)
    for key in ("a-flag", "z-flag"):
        world.serve(world.flag(key), world.production, percent_document(key, 30))
    scan_stale(world.project.pk, now=LATER)
    return world


def read(client: Client, world: World, rest: str) -> Any:
    return client.get(f"/api/v1/projects/{world.project.key}/{rest}")


def keys(response: Any) -> list[str]:
    assert response.status_code == 200, response.content
    return [item["flag"] for item in response.json()["results"]]


def test_stale__pages_and_filters__are_by_key(world: World) -> None:
    client = client_of(world)
    first = read(client, world, "stale?page_size=2")
    rest = client.get(first.json()["next"])

    assert (keys(first), keys(rest)) == (["a-flag", "checkout-redesign"], ["z-flag"])
    assert rest.json()["next"] is None
    assert keys(read(client, world, "stale?reason=forgotten_partial")) == ["a-flag", "z-flag"]
    assert keys(read(client, world, "stale?readiness=safe")) == []
    assert keys(read(client, world, "stale?kind=release&confidence=low&readiness=caution")) == [
        "a-flag",
        "checkout-redesign",
        "z-flag",
    ]


def test_stale__line__says_why(world: World) -> None:
    line = read(client_of(world), world, "stale?reason=fully_rolled_out").json()["results"][0]

    assert line["flag"] == "checkout-redesign"
    assert line["stage"] == "settled"
    assert line["reasons"][0]["code"] == "fully_rolled_out"
    assert (line["staleSince"][-1], line["reasons"][0]["since"][-1]) == ("Z", "Z")
    assert "everybody gets “on”" in line["reasons"][0]["sentence"]
    assert {each["code"] for each in line["cautions"]} == {"no_figures", "not_scanned"}


def test_lifecycle__flag__is_judged_afresh(world: World) -> None:
    found = read(client_of(world), world, "flags/checkout-redesign/lifecycle").json()

    assert (found["stage"]["stage"], found["isStale"], found["readiness"]) == ("settled", True, "caution")
    assert [each["environment"] for each in found["stages"]] == ["development", "staging", "production"]
    assert found["forwardValue"] == {
        "isKnown": True,
        "variant": "on",
        "value": True,
        "sentence": "Everybody gets “on”: write its value.",
    }
    assert found["guards"] == []
    instants = [found["staleSince"], found["stage"]["since"], *(each["since"] for each in found["reasons"])]
    instants += [each["since"] for each in found["stages"] if each["since"]]
    assert {instant[-1] for instant in instants} == {"Z"}


def test_lifecycle__value_that_production_serves__is_read_only_where_production_is(world: World) -> None:
    world.grant(world.otto, world.development, Role.VIEWER)
    elsewhere = client_of(world, environment=world.development)
    words = "Whoever may look at Production sees what stands in code then."
    hidden = {"isKnown": False, "variant": None, "value": None, "sentence": words}

    found = [
        read(client, world, "flags/checkout-redesign/lifecycle").json()["forwardValue"]
        for client in (signed_in(world.otto), elsewhere, signed_in(world.vera), signed_in(world.ada))
    ]

    assert found[:2] == [hidden, hidden]
    assert [each["value"] for each in found[2:]] == [True, True]


def test_debt__days__are_a_trend(world: World) -> None:
    scan_stale(world.project.pk, now=LATER - timedelta(days=1))
    client = client_of(world)

    days = read(client, world, "debt").json()["results"]

    assert [each["day"] for each in days] == ["2026-06-09", "2026-06-10"]
    assert days[-1]["stale"] == days[-1]["flags"] == 3
    assert len(read(client, world, "debt?days=1").json()["results"]) == 1


@pytest.mark.parametrize(
    "rest",
    [
        "stale?reason=old",
        "stale?readiness=",
        "stale?kind=x",
        "stale?confidence=sure",
        "stale?cursor=a/b",
        "stale?page_size=0",
        "stale?sort=key",
        "debt?days=401",
        "debt?from=1",
        "flags/checkout-redesign/lifecycle?x=1",
        "drift?x=1",
        "calendar.ics?x=1",
    ],
)
def test_parameters__not_known__are_refused(world: World, rest: str) -> None:
    response = read(client_of(world), world, rest)

    assert response.status_code == 400
    assert response.json()["problems"]


def test_parameters__several_that_cannot_be_used__are_all_told(world: World) -> None:
    response = read(client_of(world), world, "stale?reason=foo&kind=bar&confidence=x&readiness=y&page_size=&bogus=1")

    told = {each["path"]: each["message"] for each in response.json()["problems"]}
    assert told.keys() == {"reason", "kind", "confidence", "readiness", "page_size", "bogus"}
    assert all(f"{path}: {message}" in response.json()["detail"] for path, message in told.items())


@pytest.mark.parametrize("rest", ["stale", "debt", "flags/checkout-redesign/lifecycle"])
def test_reading__only_inside_the_project__is_allowed(world: World, rest: str) -> None:
    elsewhere = make_world("elsewhere")

    found = {
        "vera": read(signed_in(world.vera), world, rest).status_code,
        "otto": read(signed_in(world.otto), world, rest).status_code,
        "nobody": read(Client(), world, rest).status_code,
        "token": read(client_of(world, environment=world.staging), world, rest).status_code,
        "another project's": read(client_of(elsewhere), world, rest).status_code,
        "another scope": read(client_of(world, scope="evaluate"), world, rest).status_code,
    }

    assert found == {
        "vera": 200,
        "otto": 404,
        "nobody": 401,
        "token": 200,
        "another project's": 404,
        "another scope": 403,
    }


def test_lifecycle__no_such_flag__is_not_found(world: World) -> None:
    assert read(client_of(world), world, "flags/nothing/lifecycle").status_code == 404
