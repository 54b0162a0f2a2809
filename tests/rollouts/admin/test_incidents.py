"""The page of incidents, and where open ones are shown."""

from typing import Any

import pytest
from django.urls import reverse

from rollouts.models import Incident
from tests.factories import World, actor_of
from tests.rollouts.admin.support import page_url
from tests.rollouts.support import Bench
from tests.rollouts.test_incidents import declare
from tests.support.admin import HOSTILE, signed_in, text_of

LIST = "admin:rollouts_incident_changelist"
DECLARE = "admin:rollouts_incident_declare"


def fields(world: World, **changed: Any) -> dict[str, str]:
    place = str(world.production.pk)
    return {"title": "Checkout is down", "severity": "critical", "environment": place, "link": "", **changed}


@pytest.mark.parametrize(("name", "may"), [("rita", True), ("rolf", True), ("vera", False), ("otto", False)])
def test_declare__by_role(world: World, name: str, may: bool) -> None:
    client = signed_in(getattr(world, name))

    assert ("Declare an incident" in text_of(client.get(reverse(LIST)))) is may
    client.post(reverse(DECLARE), fields(world))

    assert Incident.objects.exists() is may


def test_declare__for_the_whole_project__and_close(world: World) -> None:
    client = signed_in(world.rolf)
    client.post(reverse(DECLARE), fields(world, environment=f"project:{world.project.pk}"))
    incident = Incident.objects.get()
    assert incident.environment is None

    client.post(reverse("admin:rollouts_incident_close", args=[incident.pk]), {"reason": "Fixed"})

    incident.refresh_from_db()
    assert incident.closed_at is not None
    assert "Nothing is broken" in text_of(client.get(reverse(LIST)))


@pytest.mark.parametrize(
    "changed", [{"title": ""}, {"link": "javascript:alert(1)"}, {"environment": "x"}, {"severity": "x"}]
)
def test_declare__unusable__comes_back(world: World, changed: dict[str, str]) -> None:
    response = signed_in(world.rita).post(reverse(DECLARE), fields(world, **changed))

    assert response.status_code == 400
    assert not Incident.objects.exists()


def test_open_incident__is_on_every_request_of_the_place_and_on_the_desk(bench: Bench) -> None:
    declare(bench.world, actor_of(bench.world.rita), title=HOSTILE[:200])
    declare(bench.world, actor_of(bench.world.rita), title="Only staging", environment=bench.world.staging)
    client = signed_in(bench.world.abel)

    page, desk = text_of(client.get(page_url(bench.submitted()))), text_of(client.get(reverse("admin:index")))

    assert "Critical incident" in page
    assert "Only staging" not in page
    assert "Only staging" in desk
    assert "<script>alert" not in page + desk
