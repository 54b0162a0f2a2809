"""The calendar and incidents for services: what a management token reads and does, and nobody else."""

import json
from typing import Any

import pytest
import time_machine
from django.test import Client

from rollouts.ical import read_calendar
from rollouts.models import Incident
from tests.factories import NOW, World, actor_of
from tests.flags.api.plane import Plane, plane_of_its_own
from tests.rollouts.calendars import freeze, weekly
from tests.rollouts.test_incidents import declare


@pytest.fixture
def plane(db: None) -> Plane:
    return plane_of_its_own()


def client(plane: Plane, scope: str = "manage") -> Client:
    return Client(headers={"x-api-key": plane.issue(scope=scope, name="Pager").secret})


def post(sender: Client, address: str, body: Any) -> Any:
    with time_machine.travel(NOW, tick=False):
        return sender.post(address, json.dumps(body), content_type="application/json")


def test_calendar__management_token__reads_every_window(plane: Plane) -> None:
    world: World = plane.world
    freeze(world, environments=[world.production], tags=["web"])
    freeze(world, title="Nights", timing=weekly("2026-03-01T22:00", 480, "FREQ=DAILY"))

    response = client(plane).get(f"/api/v1/projects/{world.project.key}/calendar.ics")

    assert response.status_code == 200
    assert response["Content-Type"] == "text/calendar; charset=utf-8"
    found = read_calendar(response.content, zone="UTC", kind="allow", now=NOW).entries
    assert sorted((entry.title, entry.kind, entry.environments) for entry in found) == [
        ("Black Friday freeze", "freeze", ("production",)),
        ("Nights", "freeze", ()),
    ]


@pytest.mark.parametrize("scope", ["evaluate", "client", "flagd", "audit"])
def test_every_address__token_of_another_scope__is_refused(plane: Plane, scope: str) -> None:
    sender = client(plane, scope)

    assert sender.get(f"/api/v1/projects/{plane.world.project.key}/calendar.ics").status_code == 403
    assert post(sender, "/api/v1/incidents", {"title": "x", "severity": "minor"}).status_code == 403
    assert not Incident.objects.exists()


def test_calendar__of_another_project__is_not_found(plane: Plane) -> None:
    response = client(plane).get("/api/v1/projects/elsewhere/calendar.ics")

    assert (response.status_code, response.json()["code"]) == (404, "not_found")


def test_incident__declared_twice_and_closed__is_one(plane: Plane) -> None:
    sender = client(plane)
    body = {"title": "Checkout is down", "severity": "critical", "link": "https://status.example"}

    first, again = post(sender, "/api/v1/incidents", body), post(sender, "/api/v1/incidents", body)
    closed = post(sender, f"/api/v1/incidents/{first.json()['id']}/close", {"reason": "Fixed"})

    assert (first.status_code, again.status_code, closed.status_code) == (201, 200, 200)
    assert first.json()["id"] == again.json()["id"] == closed.json()["id"]
    assert (first.json()["openedBy"], first.json()["closedAt"]) == ("Pager", None)
    assert closed.json()["closedAt"] == "2026-03-02T09:00:00Z"
    assert Incident.objects.count() == 1


@pytest.mark.parametrize(
    "body",
    [{}, {"title": "x"}, {"title": "x", "severity": "huge"}, {"title": "x", "severity": "minor", "link": "no"}, []],
)
def test_incident__unusable_body__is_a_problem(plane: Plane, body: Any) -> None:
    response = post(client(plane), "/api/v1/incidents", body)

    assert (response.status_code, response.json()["code"]) == (400, "invalid_input")


def test_incident__of_a_person_or_another_environment__stays_open(plane: Plane) -> None:
    world: World = plane.world
    by_person = declare(world, actor_of(world.ada))
    elsewhere = declare(world, actor_of(world.ada), environment=world.staging)
    sender = client(plane)

    assert post(sender, f"/api/v1/incidents/{by_person.pk}/close", {"reason": "Fixed"}).status_code == 403
    assert post(sender, f"/api/v1/incidents/{elsewhere.pk}/close", {"reason": "Fixed"}).status_code == 404
    assert Incident.objects.filter(closed_at=None).count() == 2
